"""What the outlines of tiles on the map may say: split, label and work status, main class, what a run says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.catalog.filter_outside import judged_runs, scores_of
from core.catalog.splits import SPLITS
from core.catalog.tile_filter import WORKS
from core.catalog.tile_table import STATUSES, TileTable
from core.classes import CLASS_NAMES
from core.workspace import Workspace
from pages.components.class_palette import screen_colours
from pages.components.tile_map import SPLIT_COLOURS

NOTHING_KNOWN = "#8b93a1"
_STATUS_COLOURS = ("#ffd166", "#4cc9f0", NOTHING_KNOWN)
_WORK_COLOURS = (NOTHING_KNOWN, "#ffd166", "#5aa9ff", "#2fae84", "#ef5b5b")
_WORST_FIRST = ("#d7302f", "#fc8d59", "#fee090", "#91bfdb", "#4575b4")
"""From what needs a look to what is well: ColorBrewer's RdYlBu, which colour-blind eyes tell apart."""

_BINS = len(_WORST_FIRST)


@dataclass(frozen=True, eq=False)
class Colouring:
    """What the outlines say: ``codes`` is int8 (n,) into ``labels`` and ``colours`` (#rrggbb).

    ``percents`` is float64 (n,), a figure of each tile, NaN where nothing is known; with ``ranges`` the labels are
    ranges of it. ``told`` says what that was measured on.
    """

    title: str
    labels: Sequence[str]
    colours: Sequence[str]
    codes: NDArray[np.int8]
    percents: NDArray[np.float64] | None = None
    ranges: bool = False
    told: str = ""


Make = Callable[[], Colouring]


def colourings(workspace: Workspace, table: TileTable) -> dict[str, tuple[str, Make]]:
    """What there is to choose from: by its name in the address, how it is called and how it is made."""
    found: dict[str, tuple[str, Make]] = {
        "split": ("Split", lambda: _splits(table)),
        "labels": ("Label status", lambda: Colouring("Label status", STATUSES, _STATUS_COLOURS, table.statuses)),
        "work": ("Work status", lambda: Colouring("Work status", WORKS, _WORK_COLOURS, table.labels.work)),
        "class": ("Main class", lambda: _main_class(table)),
    }
    run = table.opinions.run
    if run is not None:
        found["uncertainty"] = (f"Uncertainty of {run}", lambda: _uncertainty(table, run))
    for judged in judged_runs(workspace, table):
        found[f"iou {judged}"] = (f"IoU of {judged}", lambda judged=judged: _scores(workspace, table, judged))
    return found


def _splits(table: TileTable) -> Colouring:
    codes = np.where(table.tiles.splits < 0, len(SPLITS), table.tiles.splits).astype(np.int8)
    colours = [*(SPLIT_COLOURS[split] for split in SPLITS), NOTHING_KNOWN]
    return Colouring("Split", [*SPLITS, "in no split"], colours, codes)


def _main_class(table: TileTable) -> Colouring:
    shares = np.nan_to_num(table.shares)
    known = shares.max(axis=1) > 0
    codes = np.where(known, shares.argmax(axis=1), len(CLASS_NAMES)).astype(np.int8)
    told = "The class that covers most of a tile, by its given mask, else by what was labelled here."
    percents = np.where(known, 100 * shares.max(axis=1), np.nan)
    labels = [*CLASS_NAMES, "nothing known"]
    return Colouring("Main class", labels, [*screen_colours(), NOTHING_KNOWN], codes, percents, told=told)


def _scores(workspace: Workspace, table: TileTable, run: str) -> Colouring:
    scores = scores_of(workspace, table, run)
    percents = np.full(len(table.rows), np.nan) if scores is None else 100 * scores
    known = ~np.isnan(percents)
    bins = np.clip(np.nan_to_num(percents) // (100 / _BINS), 0, _BINS - 1)
    labels = [f"{20 * one} to {20 * one + 20} %" for one in range(_BINS)]
    told = (
        f"Mean IoU on each tile that {run} never trained on, as Evaluate measured it: {known.sum():,} of "
        f"{len(known):,} tiles."
    )
    codes = np.where(known, bins, _BINS).astype(np.int8)
    colours = [*_WORST_FIRST, NOTHING_KNOWN]
    return Colouring(f"IoU of {run}", [*labels, "not judged"], colours, codes, percents, ranges=True, told=told)


def _uncertainty(table: TileTable, run: str) -> Colouring:
    """In fifths of the tiles: a run's uncertainty has no scale of its own that would tell them apart."""
    percents = 100 * table.opinions.uncertainty
    known = ~np.isnan(percents)
    edges = np.quantile(percents[known], np.linspace(0, 1, _BINS + 1)) if known.any() else np.zeros(_BINS + 1)
    bins = np.searchsorted(edges[1:-1], np.nan_to_num(percents), side="right")
    labels = [f"{low:.1f} to {high:.1f} %" for low, high in pairwise(edges)]
    told = f"Mean entropy of what {run} says of a tile, of the greatest possible; in fifths of {known.sum():,} tiles."
    codes = np.where(known, bins, _BINS).astype(np.int8)
    colours = [*reversed(_WORST_FIRST), NOTHING_KNOWN]
    said = [*labels, "not asked"]
    return Colouring(f"Uncertainty of {run}", said, colours, codes, percents, ranges=True, told=told)


def chosen_colouring(found: Mapping[str, tuple[str, Make]], name: str) -> Colouring:
    """The one of that name, else by split."""
    return found.get(name, found["split"])[1]()
