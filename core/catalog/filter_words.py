"""A filter of tiles in words: what it asks for, part by part, and what a tile has of what it asks for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from core.catalog.tile_filter import PRESENT, Outside, Range, TileFilter
from core.catalog.tile_table import TileTable
from core.classes import CLASS_NAMES

ENDLESS = float("inf")
MOST_FIGURES = 2
"""Figures of one tile at most: a card has no room for more."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One part of a filter in words, and the filter without it."""

    words: str
    without: TileFilter


def asked(wanted: TileFilter, names: Mapping[int, str]) -> tuple[Asked, ...]:
    """The parts of a filter, in the order in which the widgets stand; ``names`` are the tiles', by id."""
    return tuple(_asked(wanted, names))


def _asked(wanted: TileFilter, names: Mapping[int, str]) -> Iterator[Asked]:
    if wanted.text:
        yield Asked(f"id has '{wanted.text}'", replace(wanted, text=""))
    if wanted.split is not None:
        yield Asked("in no split" if wanted.split == "none" else wanted.split, replace(wanted, split=None))
    if wanted.labels is not None:
        yield Asked(wanted.labels, replace(wanted, labels=None))
    if wanted.work is not None:
        yield Asked(f"work: {wanted.work}", replace(wanted, work=None))
    yield from _of_classes(wanted)
    if wanted.instances is not None:
        yield Asked(f"{_range(wanted.instances)} instances", replace(wanted, instances=None))
    if wanted.annotator is not None:
        yield Asked(f"by {wanted.annotator}", replace(wanted, annotator=None))
    if wanted.since is not None or wanted.until is not None:
        yield Asked(_dates(wanted.since, wanted.until), replace(wanted, since=None, until=None))
    if wanted.uncertainty is not None:
        yield Asked(f"uncertainty {_range(wanted.uncertainty, '%')}", replace(wanted, uncertainty=None))
    if wanted.iou is not None:
        of = f" of {wanted.run}" if wanted.run else ""
        yield Asked(f"IoU{of} {_range(wanted.iou, '%')}", replace(wanted, iou=None))
    if wanted.problems:
        yield Asked("with problems", replace(wanted, problems=False))
    if wanted.alike is not None:
        order = replace(wanted, alike=None, order="name", descending=False)
        without = order if wanted.order == "alike" else replace(wanted, alike=None)
        yield Asked(f"looks like {names.get(wanted.alike, 'a tile of another collection')}", without)


def _of_classes(wanted: TileFilter) -> Iterator[Asked]:
    by = " predicted" if wanted.predicted else ""
    for name, share in wanted.shares.items():
        rest = {other: kept for other, kept in wanted.shares.items() if other != name}
        words = f"{name}{by} present" if share == PRESENT else f"{name}{by} {_range(share, '%')}"
        yield Asked(words, replace(wanted, shares=rest))
    if wanted.classes is not None:
        one = wanted.classes == (1, 1)
        yield Asked(f"{_range(wanted.classes)} class{'' if one else 'es'}{by}", replace(wanted, classes=None))
    if wanted.known is not None:
        yield Asked(f"{_range(wanted.known, '%')} of the tile labelled", replace(wanted, known=None))


def figures(wanted: TileFilter, table: TileTable, outside: Outside, number: int) -> list[str]:
    """What tile ``number`` has of what the filter asks for or orders by: 'water 12 %', 'uncertainty .41'."""
    found = list(dict.fromkeys(_figures(wanted, table, outside, number)))
    return found[:MOST_FIGURES]


def _figures(wanted: TileFilter, table: TileTable, outside: Outside, number: int) -> Iterator[str]:
    order, labels = wanted.order, table.labels
    shares = (table.opinions.shares if wanted.predicted else table.shares)[number]
    if order == "alike" and outside.alike is not None and not np.isnan(outside.alike[number]):
        yield f"likeness {short(outside.alike[number])}"
    for name in (order, *wanted.shares):
        if name in CLASS_NAMES and not np.isnan(share := shares[CLASS_NAMES.index(name)]):
            yield f"{name} {percent(share)}"
    if (order == "uncertainty" or wanted.uncertainty) and not np.isnan(table.opinions.uncertainty[number]):
        yield f"uncertainty {short(table.opinions.uncertainty[number])}"
    if (order == "iou" or wanted.iou) and outside.iou is not None and not np.isnan(outside.iou[number]):
        yield f"IoU {short(outside.iou[number])}"
    if order == "labels" or wanted.instances:
        count = int(labels.instances[number].sum())
        yield f"{count} instance{'' if count == 1 else 's'}"
    if (order == "changed" or wanted.since or wanted.until) and not np.isnat(labels.changed[number]):
        moment = labels.changed[number].item()
        yield f"labelled {moment.day} {moment:%b %Y}"
    if wanted.known and not np.isnan(known := float(shares.sum())):
        yield f"{percent(known)} labelled"


def percent(share: float) -> str:
    """'12 %', and '< 1 %' where there is a little."""
    return "< 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def short(value: float) -> str:
    """'.41' for 0.41, as scores are written."""
    return f"{value:.2f}".replace("0.", ".", 1)


def _range(wanted: Range, unit: str = "") -> str:
    low, high = wanted
    behind = f" {unit}" if unit else ""
    if low == high:
        return f"{low:g}{behind}"
    if high == ENDLESS or (unit and high >= 100):
        return f"≥ {low:g}{behind}"
    return f"≤ {high:g}{behind}" if low == 0 else f"{low:g} to {high:g}{behind}"


def _dates(since: date | None, until: date | None) -> str:
    if until is None:
        return f"labelled since {since}"
    return f"labelled until {until}" if since is None else f"labelled {since} to {until}"
