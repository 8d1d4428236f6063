"""What stands out among a collection's files: what is wrong with them, odd sizes, blank pictures, copies, odd colours.

Colours and sizes of instances come from what the job ``look`` saw of each tile.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from core.catalog.alike.looks import known_looks
from core.catalog.alike.related import NEAR_DUPLICATE, SAME_FILE, related_pairs
from core.catalog.catalogue import problems
from core.catalog.exploring import one_class_patches
from core.catalog.keeper import Keeper
from core.catalog.thumbnails import mask_thumbnail
from core.catalog.tile_table import TileTable
from core.classes import CLASS_NAMES
from core.errors import InputError
from core.evaluation.tile_profiles import COLOUR_STATISTICS
from core.tables import Tile, TileLook
from core.workspace import Workspace

BLANK_CONTRAST = 1.0
"""Standard deviation of the lightness L* (0 to 100) below which a picture shows nothing: no real tile of ours has less
than 4."""

ODD = 4.0
"""Deviations from the median, in units of the scaled median absolute deviation, from which a tile's colours are odd."""

PATCH_SIDES = (256, 512, 1024)
"""Of a tile's pixels."""

PATCH_SAMPLE = 200
"""Masks that are cut into patches: some 3 ms each, and one per cent of standard error from a hundred tiles on."""

_MAD = 1.4826  # of a normal distribution: standard deviations in a median absolute deviation
_KEEPER = Keeper(8)


@dataclass(frozen=True, slots=True)
class Notable:
    """Something that a person should know of a tile; ``tile_id`` is None where its file could not be used at all."""

    kind: str
    tile_id: int | None
    tile: str
    sentence: str


@dataclass(frozen=True, eq=False)
class Seen:
    """What ``look`` saw: ``numbers`` are row numbers intp (k,), ``colours`` float64 (k, 6) as ``COLOUR_STATISTICS``.

    ``areas`` are the square metres of each instance of the given masks, by class name; ``masks`` counts these masks.
    """

    numbers: NDArray[np.intp]
    colours: NDArray[np.float64]
    areas: dict[str, NDArray[np.float64]]
    masks: int

    @cached_property
    def oddness(self) -> NDArray[np.float64]:
        """How odd each tile's colours are, float64 (k, 6): robust z-scores, away from the median either way."""
        if not len(self.colours):
            return np.zeros_like(self.colours)
        away = np.abs(self.colours - np.median(self.colours, axis=0))
        scale = _MAD * np.median(away, axis=0)
        return np.asarray(away / np.maximum(scale, 1e-9))

    @property
    def odd(self) -> NDArray[np.bool_]:
        """Whether any of a tile's figures is odd, bool (k,)."""
        return np.asarray((self.oddness > ODD).any(axis=1))


@dataclass(frozen=True, slots=True)
class PatchCount:
    """Of the patches of ``side`` pixels of ``tiles`` masks: how many there are, and how many hold one class only."""

    side: int
    single: int
    every: int
    tiles: int


def seen(workspace: Workspace, table: TileTable) -> Seen:
    """What ``look`` saw of the tiles that it knows as they are now; kept in memory until that changes."""
    looks = known_looks(workspace, table.collection_id)
    return _KEEPER.get(
        (str(workspace.root), table.collection_id), (looks, table.tiles), lambda: _read(workspace, table)
    )


def notable(workspace: Workspace, table: TileTable) -> list[Notable]:
    """All that stands out, the worst first."""
    number_of = {row.name: row for row in table.rows}
    found = []
    for problem in problems(workspace, table.collection_id):
        row = number_of.get(problem.tile_name or "")
        kind = "left out" if problem.severity == "error" else "warning"
        found.append(Notable(kind, row.id if row else None, problem.tile_name or "", problem.sentence))
    return [*found, *_odd_sizes(table), *_copies(workspace, table), *_by_looks(workspace, table)]


def sizes(table: TileTable) -> list[tuple[str, int]]:
    """The sizes and resolutions that occur, with how many tiles have each, the commonest first."""
    return Counter(map(_size, table.rows)).most_common()


def patch_counts(workspace: Workspace, table: TileTable, *, seed: int = 0) -> list[PatchCount]:
    """How many patches hold one class only, by their side, on a sample of the given masks.

    It is counted on the masks' thumbnails, 512 pixels of a whole tile: a patch that holds less than some 20 pixels of
    another class may count as one of a single class.
    """
    place = (str(workspace.root), table.collection_id, "patches")
    return _KEEPER.get(place, (table.tiles, seed), lambda: _count_patches(workspace, table, seed))


def _count_patches(workspace: Workspace, table: TileTable, seed: int) -> list[PatchCount]:
    there = np.flatnonzero(table.tiles.has_mask)
    drawn = np.random.default_rng(seed).permutation(there)[:PATCH_SAMPLE]
    masks = []
    for number in sorted(drawn.tolist()):
        row = table.rows[number]
        try:
            masks.append((mask_thumbnail(workspace, row), max(row.width, row.height)))
        except InputError:  # said among the problems
            continue
    found = []
    for side in PATCH_SIDES:
        counts = [one_class_patches([mask], max(1, round(side * max(mask.shape) / longest))) for mask, longest in masks]
        single, every = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
        found.append(PatchCount(side, single, every, len(masks)))
    return found


def _read(workspace: Workspace, table: TileTable) -> Seen:
    current = set(known_looks(workspace, table.collection_id).ids.tolist())
    query = select(TileLook.tile_id, TileLook.colours, TileLook.sizes).join(Tile, Tile.id == TileLook.tile_id)
    numbers, colours, masks = [], [], 0
    areas: dict[str, list[NDArray[np.float64]]] = {name: [] for name in CLASS_NAMES}
    with workspace.database.read() as session:
        for tile_id, of_tile, instances in session.execute(
            query.where(Tile.collection_id == table.collection_id)
        ).tuples():
            number = table.tiles.number_of.get(tile_id)
            if number is None or tile_id not in current:
                continue
            row = table.rows[number]
            numbers.append(number)
            colours.append(of_tile)
            masks += row.mask_path is not None
            for name, pixels in instances.items():
                areas[name].append(np.asarray(pixels, np.float64) * row.metres_per_pixel_x * row.metres_per_pixel_y)
    return Seen(
        numbers=np.array(numbers, np.intp),
        colours=np.array(colours, np.float64).reshape(-1, len(COLOUR_STATISTICS)),
        areas={name: np.concatenate(parts) for name, parts in areas.items() if parts},
        masks=masks,
    )


def _size(row: Tile) -> str:
    return f"{row.width} x {row.height} at {row.metres_per_pixel_x:.3g} m"


def _odd_sizes(table: TileTable) -> list[Notable]:
    """Tiles of another size than most, where most have one."""
    counted = sizes(table)
    if len(counted) < 2 or counted[0][1] <= len(table.rows) / 2:
        return []
    usual = counted[0][0]
    return [
        Notable("odd size", row.id, row.name, f"{_size(row)}, where most are {usual}.")
        for row in table.rows
        if _size(row) != usual
    ]


def _copies(workspace: Workspace, table: TileTable) -> list[Notable]:
    found = []
    for pair in related_pairs(workspace, table.collection_id).pairs:
        if pair.kind in (SAME_FILE, NEAR_DUPLICATE):
            numbers = [table.tiles.number_of.get(one) for one in (pair.first, pair.second)]
            if None not in numbers:
                first, second = (table.rows[number] for number in numbers if number is not None)
                sentence = f"{pair.words[0].upper()}{pair.words[1:]}, as tile {first.name}."
                found.append(Notable(pair.kind, second.id, second.name, sentence))
    return found


def _by_looks(workspace: Workspace, table: TileTable) -> list[Notable]:
    known, found = seen(workspace, table), []
    for number, colours, oddness in zip(known.numbers.tolist(), known.colours, known.oddness, strict=True):
        row = table.rows[number]
        if colours[1] < BLANK_CONTRAST:
            sentence = f"Shows almost nothing: its lightness varies by {colours[1]:.2g} of 100."
            found.append(Notable("blank", row.id, row.name, sentence))
        elif oddness.max() > ODD:
            worst = int(oddness.argmax())
            sentence = f"Its {COLOUR_STATISTICS[worst]}, {colours[worst]:.1f}, is {oddness[worst]:.1f} deviations away."
            found.append(Notable("odd colours", row.id, row.name, sentence))
    return sorted(found, key=lambda one: one.kind)
