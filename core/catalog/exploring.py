"""What a collection holds, in figures: class shares, what occurs together, and what a blind guess would score.

All of it is computed from the shares of the tiles' given masks, else of what was labelled here (``TileTable.shares``),
so ten thousand tiles take milliseconds. What is not known of a tile leaves it out, and every figure says how many
tiles it was computed from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.catalog.splits import SPLITS
from core.catalog.tile_filter import class_counts
from core.catalog.tile_table import TileTable
from core.classes import CLASS_COUNT, UNLABELLED
from core.evaluation.intervals import interval_of_miou
from core.evaluation.jackknife import Interval
from core.evaluation.scores import Scores, from_confusion

MOSTLY_UNKNOWN = 0.5
"""A tile of which less is labelled counts as mostly unknown."""

ALL = "all"


@dataclass(frozen=True, eq=False)
class GroupShares:
    """The classes' shares of all pixels of some tiles, float64 (6,); what they leave of 1 is unlabelled."""

    name: str
    shares: NDArray[np.float64]
    tiles: int


@dataclass(frozen=True, eq=False)
class Together:
    """Which classes occur on the same tiles: int64 (6, 6), tiles with the row's class and the column's.

    The diagonal counts the tiles that have a class at all. ``tiles`` is how many are known.
    """

    counts: NDArray[np.int64]
    tiles: int

    @property
    def shares(self) -> NDArray[np.float64]:
        """Of the tiles with the row's class the share that has the column's too, float64 (6, 6); NaN for no tile."""
        having = self.counts.diagonal()[:, None]
        return np.where(having > 0, self.counts / np.maximum(having, 1), np.nan)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What it scores to call every pixel ``guess``, the most frequent class of ``learnt`` tiles, on ``tiles`` tiles.

    ``where`` says which; ``from_training`` whether the learnt ones are the training tiles, or all. ``interval`` is the
    95 % interval of the mean IoU, ``Scores.miou``.
    """

    guess: int
    learnt: int
    from_training: bool
    where: str
    tiles: int
    scores: Scores
    interval: Interval | None


def known_tiles(table: TileTable) -> NDArray[np.intp]:
    """The row numbers of the tiles whose class shares are known."""
    return np.flatnonzero(~np.isnan(table.shares[:, 0]))


def group_shares(table: TileTable) -> list[GroupShares]:
    """The shares of the whole collection and of each split, as far as they are known; empty groups are left out."""
    known = known_tiles(table)
    groups = [(ALL, known)]
    groups += [(name, known[table.tiles.splits[known] == number]) for number, name in enumerate(SPLITS)]
    return [GroupShares(name, _pixel_shares(table, rows), len(rows)) for name, rows in groups if len(rows)]


def together(table: TileTable) -> Together:
    """Which classes occur on the same tiles."""
    shares = table.shares[known_tiles(table)]
    present = (shares > 0).astype(np.int64)
    return Together(present.T @ present, len(shares))


def tiles_by_class_count(table: TileTable) -> NDArray[np.int64]:
    """How many of the known tiles have 0, 1, ... 6 classes: int64 (7,)."""
    counts = class_counts(table.shares)
    return np.array([(counts == number).sum() for number in range(CLASS_COUNT + 1)], np.int64)


def mostly_unknown(table: TileTable) -> NDArray[np.intp]:
    """The row numbers of the tiles of which less than ``MOSTLY_UNKNOWN`` is labelled."""
    known = known_tiles(table)
    found: NDArray[np.intp] = known[table.shares[known].sum(axis=1) < MOSTLY_UNKNOWN]
    return found


def baselines(table: TileTable) -> list[Baseline]:
    """What the most frequent class of the training tiles scores on the validation tiles, the test tiles and on all.

    It is that of all tiles where no training tile is known; groups without known tiles are left out. From the shares
    and sizes of the tiles come their confusion matrices: of a class with p pixels all p are predicted as the guess.
    """
    known = known_tiles(table)
    if not len(known):
        return []
    sides = {name: known[table.tiles.splits[known] == number] for number, name in enumerate(SPLITS)}
    learnt = sides["train"] if len(sides["train"]) else known
    guess = int(_pixel_shares(table, learnt).argmax())
    found = []
    for where, judged in (("val", sides["val"]), ("test", sides["test"]), (ALL, known)):
        if not len(judged):
            continue
        matrices = np.zeros((len(judged), CLASS_COUNT, CLASS_COUNT + 1), np.int64)
        matrices[:, :, guess] = np.rint(table.shares[judged] * table.tiles.pixels[judged, None])
        scores, interval = from_confusion(matrices.sum(axis=0)), interval_of_miou(list(matrices))
        found.append(Baseline(guess, len(learnt), learnt is sides["train"], where, len(judged), scores, interval))
    return found


def one_class_patches(rasters: Sequence[NDArray[np.uint8]], side: int) -> tuple[int, int]:
    """How many of the whole patches of ``side`` pixels, cut side by side, hold one class only, and of how many.

    Unlabelled pixels do not count; patches without any labelled pixel are left out (D16: networks that are trained on
    patches see one class in many of them). ``rasters`` are class rasters.
    """
    single = every = 0
    for raster in rasters:
        rows, columns = raster.shape[0] // side, raster.shape[1] // side
        if not rows or not columns:
            continue
        cut = raster[: rows * side, : columns * side].reshape(rows, side, columns, side)
        low = np.where(cut == UNLABELLED, 254, cut).min(axis=(1, 3))
        high = np.where(cut == UNLABELLED, 0, cut).max(axis=(1, 3))
        labelled = low < 254
        every += int(labelled.sum())
        single += int((labelled & (low == high)).sum())
    return single, every


def _pixel_shares(table: TileTable, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    pixels = table.tiles.pixels[rows].astype(np.float64)
    total = pixels.sum()
    return np.asarray(pixels @ table.shares[rows] / total) if total else np.zeros(CLASS_COUNT)
