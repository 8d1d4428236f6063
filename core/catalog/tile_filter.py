"""Which tiles of a collection are shown, and in what order: a filter that an address can carry.

An address is text that anybody may write. So every part of it is checked on its own, and one that makes no sense is
left out and named, while the others hold.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.catalog.splits import SPLITS
from core.catalog.tile_table import STATUSES, TileTable
from core.classes import CLASS_NAMES
from core.labels.work_status import Status

WORKS = tuple(str(status) for status in Status)
ORDERS = {
    "name": "name",
    "labels": "labelled instances",
    "changed": "last labelled",
    "uncertainty": "uncertainty of the run",
    "iou": "IoU of the run",
    **{name: f"share of {name}" for name in CLASS_NAMES},
    "alike": "likeness to a tile",
}
"""What tiles may be ordered by, and how it is said."""

DESCENDING_FIRST = frozenset({"labels", "changed", "uncertainty", "alike", *CLASS_NAMES})
"""Orders whose first tile has the most: the others begin with the least."""

_MOST_TEXT = 80
_RANGE = re.compile(r"(\d+(?:\.\d+)?)?-(\d+(?:\.\d+)?)?")

Range = tuple[float, float]
"""From and to, both included."""

PRESENT: Range = (5e-324, float("inf"))
"""Of a class's share: that there is any of it; 'present' in an address. The first is the least float above 0."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What a filter reads that is no part of a table; float64 (n,), NaN where nothing is known.

    ``iou`` is each tile's mean IoU by a run, ``alike`` its likeness to the tile that was named, -1 to 1.
    """

    iou: NDArray[np.float64] | None = None
    alike: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class TileFilter:
    """What a tile must have to be shown; what is None or empty asks for nothing.

    ``shares`` are in percent of a tile's pixels, by class, of the mask or labels, or with ``predicted`` of what the
    run predicts; ``known`` is what all classes have together, ``classes`` how many of them occur. ``uncertainty`` and
    ``iou`` are in percent too; ``instances`` counts what was labelled here. ``run`` names the run whose IoU is meant,
    ``alike`` the id of the tile that others are compared with. A tile without the figure that is asked for does not
    pass, and comes last in an order by it.
    """

    text: str = ""
    split: str | None = None
    labels: str | None = None
    work: str | None = None
    shares: Mapping[str, Range] = field(default_factory=dict)
    predicted: bool = False
    classes: Range | None = None
    known: Range | None = None
    instances: Range | None = None
    annotator: str | None = None
    since: date | None = None
    until: date | None = None
    uncertainty: Range | None = None
    run: str | None = None
    iou: Range | None = None
    problems: bool = False
    alike: int | None = None
    order: str = "name"
    descending: bool = False

    @property
    def asks(self) -> bool:
        """Whether it leaves any tile out at all."""
        return replace(self, order="name", descending=False, alike=None, run=None, predicted=False) != TileFilter()

    def passing(self, table: TileTable, outside: Outside = Outside()) -> NDArray[np.intp]:
        """The row numbers of the tiles that pass, in order; intp (k,)."""
        chosen = np.flatnonzero(self._mask(table, outside))
        if self.order == "name" or (key := self._key(table, outside)) is None:
            return chosen[::-1] if self.descending else chosen
        values = key[chosen]
        known = ~np.isnan(values)
        # Stable both ways: tiles of the same figure stay in the order of their names.
        by_value = np.argsort(-values[known] if self.descending else values[known], kind="stable")
        return np.concatenate([chosen[known][by_value], chosen[~known]])

    def _mask(self, table: TileTable, outside: Outside) -> NDArray[np.bool_]:
        labels, tiles = table.labels, table.tiles
        passes = np.ones(len(table.rows), np.bool_)
        if self.text:
            passes &= np.strings.find(tiles.names, self.text.casefold()) >= 0
        if self.split is not None:
            passes &= tiles.splits == (SPLITS.index(self.split) if self.split in SPLITS else -1)
        if self.labels == "mask given":
            passes &= tiles.has_mask
        elif self.labels is not None:
            passes &= table.statuses == STATUSES.index(self.labels)
        if self.work is not None:
            passes &= labels.work == WORKS.index(self.work)
        passes &= self._of_classes(table.opinions.shares if self.predicted else table.shares)
        if self.instances is not None:
            passes &= _within(labels.instances.sum(axis=1).astype(np.float64), self.instances)
        if self.annotator is not None:
            people = labels.annotators
            passes &= labels.painters[:, people.index(self.annotator)] if self.annotator in people else False
        passes &= self._in_time(labels.changed)
        if self.uncertainty is not None:
            passes &= _within(100 * table.opinions.uncertainty, self.uncertainty)
        if self.iou is not None:
            passes &= _within(100 * outside.iou, self.iou) if outside.iou is not None else False
        if self.problems:
            passes &= tiles.has_problem
        return passes

    def _of_classes(self, shares: NDArray[np.float64]) -> NDArray[np.bool_]:
        passes = np.ones(len(shares), np.bool_)
        for name, wanted in self.shares.items():
            passes &= _within(100 * shares[:, CLASS_NAMES.index(name)], wanted)
        if self.classes is not None:
            passes &= _within(class_counts(shares), self.classes)
        if self.known is not None:
            passes &= _within(100 * shares.sum(axis=1), self.known)
        return passes

    def _in_time(self, changed: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        passes = np.ones(len(changed), np.bool_)
        if self.since is not None:
            passes &= changed >= np.datetime64(self.since)
        if self.until is not None:
            passes &= changed < np.datetime64(self.until + timedelta(days=1))
        return passes

    def _key(self, table: TileTable, outside: Outside) -> NDArray[np.float64] | None:
        """What the order goes by; None where nothing is known of it."""
        if self.order in CLASS_NAMES:
            shares = table.opinions.shares if self.predicted else table.shares
            return np.asarray(shares[:, CLASS_NAMES.index(self.order)])
        if self.order == "labels":
            return np.asarray(table.labels.instances.sum(axis=1), np.float64)
        if self.order == "changed":
            changed = table.labels.changed
            return np.where(np.isnat(changed), np.nan, changed.astype(np.int64).astype(np.float64))
        if self.order == "uncertainty":
            return table.opinions.uncertainty
        return outside.iou if self.order == "iou" else outside.alike

    def to_query(self) -> dict[str, str]:
        """What the address says: only what is asked for. ``from_query`` reads it back."""
        query = {
            "q": self.text,
            "split": self.split or "",
            "labels": self.labels or "",
            "work": self.work or "",
            **{name: range_text(wanted) for name, wanted in self.shares.items()},
            "predicted": "1" if self.predicted else "",
            "classes": range_text(self.classes) if self.classes else "",
            "known": range_text(self.known) if self.known else "",
            "instances": range_text(self.instances) if self.instances else "",
            "annotator": self.annotator or "",
            "since": self.since.isoformat() if self.since else "",
            "until": self.until.isoformat() if self.until else "",
            "uncertainty": range_text(self.uncertainty) if self.uncertainty else "",
            "run": self.run or "",
            "iou": range_text(self.iou) if self.iou else "",
            "problems": "1" if self.problems else "",
            "alike": str(self.alike) if self.alike is not None else "",
            "order": "" if self.order == "name" else self.order,
            "down": "" if self.descending == (self.order in DESCENDING_FIRST) else "01"[self.descending],
        }
        return {key: value for key, value in query.items() if value}


FILTER_KEYS = (
    "q", "split", "labels", "work", *CLASS_NAMES, "predicted", "classes", "known", "instances", "annotator", "since",
    "until", "uncertainty", "run", "iou", "problems", "alike", "order", "down",
)  # fmt: skip
"""What of an address belongs to the filter."""


def from_query(query: Mapping[str, str]) -> tuple[TileFilter, list[str]]:
    """The filter that an address asks for, and a sentence for each part of it that makes no sense and was left out."""
    wrong: list[str] = []

    def read(key: str, parse: Any) -> Any:
        text = query.get(key, "")
        if not text:
            return None
        try:
            return parse(text)
        except (ValueError, KeyError):
            wrong.append(f"The address asks for {key}={text[:40]!r}, which is no such filter; it was left out.")
            return None

    shares = {name: wanted for name in CLASS_NAMES if (wanted := read(name, parse_range)) is not None}
    order = read("order", lambda text: _one_of(text, ORDERS)) or "name"
    down = read("down", lambda text: _one_of(text, ("0", "1")))
    return TileFilter(
        text=query.get("q", "").strip()[:_MOST_TEXT],
        split=read("split", lambda text: _one_of(text, (*SPLITS, "none"))),
        labels=read("labels", lambda text: _one_of(text, STATUSES)),
        work=read("work", lambda text: _one_of(text, WORKS)),
        shares=shares,
        predicted=query.get("predicted") == "1",
        classes=read("classes", parse_range),
        known=read("known", parse_range),
        instances=read("instances", parse_range),
        annotator=query.get("annotator", "")[:_MOST_TEXT] or None,
        since=read("since", date.fromisoformat),
        until=read("until", date.fromisoformat),
        uncertainty=read("uncertainty", parse_range),
        run=query.get("run", "")[:_MOST_TEXT] or None,
        iou=read("iou", parse_range),
        problems=query.get("problems") == "1",
        alike=read("alike", _number),
        order=order,
        descending=order in DESCENDING_FIRST if down is None else down == "1",
    ), wrong


def class_counts(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many classes occur on each tile, float64 (n,), of shares (n, 6); NaN where they are not known."""
    return np.where(np.isnan(shares[:, 0]), np.nan, (shares > 0).sum(axis=1))


def parse_range(text: str) -> Range:
    """'5-20', '5-', '-20' or 'present' as from and to; what is missing is 0 or endless. Raises ``ValueError``."""
    if text == "present":
        return PRESENT
    found = _RANGE.fullmatch(text)
    if found is None or text == "-":
        raise ValueError(text)
    low = float(found[1]) if found[1] else 0.0
    high = float(found[2]) if found[2] else float("inf")
    if low > high:
        raise ValueError(text)
    return low, high


def range_text(wanted: Range) -> str:
    """A range as ``parse_range`` reads it."""
    if wanted == PRESENT:
        return "present"
    low, high = wanted
    return f"{low:g}-{'' if high == float('inf') else f'{high:g}'}"


def _within(values: NDArray[np.float64], wanted: Range) -> NDArray[np.bool_]:
    """NaN is in no range."""
    return np.asarray((values >= wanted[0]) & (values <= wanted[1]))


def _one_of(text: str, known: Any) -> str:
    if text not in known:
        raise ValueError(text)
    return text


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 11:
        raise ValueError(text)
    return int(text)
