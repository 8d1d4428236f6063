"""The tiles of a collection as columns, kept in memory: what filters, orders and colours of thousands of them read.

A page asks for the table on every rerun. What is kept is known anew by a handful of marks (the collection's revision,
the last stroke, the last facts), each read from an index: with ten thousand tiles the question costs a millisecond, and
only what changed is read again.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from core.catalog.catalogue import tiles
from core.catalog.keeper import Keeper
from core.catalog.splits import SPLITS
from core.classes import CLASS_COUNT
from core.labels.label_amounts import label_amounts
from core.labels.work_status import Status, works
from core.tables import Collection, LabelOperation, Problem, Stroke, Tile, TileFacts, TileWork
from core.workspace import Workspace

STATUSES = ("labelled here", "mask given", "no labels yet")
"""A tile's label status; one that was labelled here and came with a mask counts as the first."""

_KEEPER = Keeper(64)


@dataclass(frozen=True, eq=False)
class TileRows:
    """What the catalogue says. ``rows`` in the order of their names; read them, never change them.

    ``ids`` is int64 (n,), ``splits`` int8 (n,) into ``SPLITS`` (-1: in none), ``given_shares`` float64 (n, 6): the
    classes' shares of the given mask, NaN without one. ``pixels`` is int64 (n,).
    """

    rows: tuple[Tile, ...]
    ids: NDArray[np.int64]
    splits: NDArray[np.int8]
    has_mask: NDArray[np.bool_]
    given_shares: NDArray[np.float64]
    pixels: NDArray[np.int64]
    has_problem: NDArray[np.bool_]

    @cached_property
    def number_of(self) -> dict[int, int]:
        """The row number of each tile's id."""
        return {int(tile_id): number for number, tile_id in enumerate(self.ids)}

    @cached_property
    def names(self) -> NDArray[np.str_]:
        """The names in lower case, for searching."""
        return np.array([tile.name.casefold() for tile in self.rows], np.str_)


@dataclass(frozen=True, eq=False)
class TileLabels:
    """What was labelled here. ``instances`` and ``pixels`` are int64 (n, 6), ``labelled`` bool (n,).

    ``work`` is int8 (n,) into ``list(Status)``, ``changed`` datetime64[s] (n,) of the last stroke, undo or redo (NaT
    without one), ``painters`` bool (n, people) who painted what stands there, people as in ``annotators``.
    """

    labelled: NDArray[np.bool_]
    instances: NDArray[np.int64]
    pixels: NDArray[np.int64]
    work: NDArray[np.int8]
    changed: NDArray[np.datetime64]
    annotators: tuple[str, ...]
    painters: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TileOpinions:
    """What a run says. ``uncertainty`` is float64 (n,), 0 to 1, ``shares`` float64 (n, 6); NaN where it was not asked.

    ``run`` is the one that most of it is of, None where there is nothing.
    """

    run: str | None
    uncertainty: NDArray[np.float64]
    shares: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TileTable:
    """All of it, row for row. ``mark`` is another one whenever anything in it is."""

    collection_id: int
    mark: str
    tiles: TileRows
    labels: TileLabels
    opinions: TileOpinions

    @property
    def rows(self) -> tuple[Tile, ...]:
        """The tiles, in the order of their names."""
        return self.tiles.rows

    @cached_property
    def statuses(self) -> NDArray[np.int8]:
        """(n,) into ``STATUSES``."""
        return np.where(self.labels.labelled, 0, np.where(self.tiles.has_mask, 1, 2)).astype(np.int8)

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """(n, 6): the classes' shares of a tile's pixels by its given mask, else by what was labelled; NaN without."""
        painted = self.labels.pixels / np.maximum(1, self.tiles.pixels)[:, None]
        here = self.labels.labelled[:, None] & ~self.tiles.has_mask[:, None]
        return np.where(here, painted, self.tiles.given_shares)

    @cached_property
    def split_counts(self) -> dict[str, int]:
        """How many tiles each split has, in the order of ``SPLITS``; those in none are left out."""
        return {split: int((self.tiles.splits == number).sum()) for number, split in enumerate(SPLITS)}

    @cached_property
    def given_mean_shares(self) -> list[float] | None:
        """The six classes' shares over all pixels of the tiles that came with a mask; None where none did."""
        masked = ~np.isnan(self.tiles.given_shares[:, 0])
        if not masked.any():
            return None
        pixels = self.tiles.pixels[masked]
        return [float(share) for share in np.average(self.tiles.given_shares[masked], axis=0, weights=pixels)]

    @cached_property
    def labelled_ids(self) -> set[int]:
        """The ids of the tiles that were labelled here."""
        return set(self.tiles.ids[self.labels.labelled].tolist())


def tile_table(workspace: Workspace, collection: Collection) -> TileTable:
    """The table of a collection as it is now."""
    marks = _marks(workspace, collection.id)
    place = (str(workspace.root), collection.id)
    base = _KEEPER.get((*place, "tiles"), marks[:2], lambda: _read_rows(workspace, collection.id))
    labels = _KEEPER.get((*place, "labels"), marks[:4], lambda: _read_labels(workspace, collection.id, base))
    said = _KEEPER.get((*place, "opinions"), (*marks[:2], marks[4]), lambda: _read_opinions(workspace, base))
    mark = "-".join(str(one) for one in marks)
    return _KEEPER.get((*place, "table"), marks, lambda: TileTable(collection.id, mark, base, labels, said))


def _marks(workspace: Workspace, collection_id: int) -> tuple[Any, ...]:
    """When the folder was indexed, its revision, the last label operation, the last word on work, the last facts."""
    query = select(
        select(Collection.indexed).where(Collection.id == collection_id).scalar_subquery(),
        select(Collection.revision).where(Collection.id == collection_id).scalar_subquery(),
        select(func.max(LabelOperation.id)).scalar_subquery(),
        select(func.max(TileWork.changed)).scalar_subquery(),
        select(func.max(TileFacts.made)).scalar_subquery(),
    )
    with workspace.database.read() as session:
        return tuple(session.execute(query).one())


def _read_rows(workspace: Workspace, collection_id: int) -> TileRows:
    rows = tuple(tiles(workspace, collection_id))
    with workspace.database.read() as session:
        troubled = set(session.scalars(select(Problem.tile_name).where(Problem.collection_id == collection_id)))
    shares = np.full((len(rows), CLASS_COUNT), np.nan)
    for number, row in enumerate(rows):
        if row.class_shares is not None:
            shares[number] = row.class_shares
    code = {split: number for number, split in enumerate(SPLITS)}
    return TileRows(
        rows=rows,
        ids=np.array([row.id for row in rows], np.int64),
        splits=np.array([code.get(cast("Any", row.split), -1) for row in rows], np.int8),
        has_mask=np.array([row.mask_path is not None for row in rows], np.bool_),
        given_shares=shares,
        pixels=np.array([row.width * row.height for row in rows], np.int64),
        has_problem=np.array([row.name in troubled for row in rows], np.bool_),
    )


def _read_labels(workspace: Workspace, collection_id: int, base: TileRows) -> TileLabels:
    known = (Stroke.opinion == "", Stroke.state == "done", Tile.collection_id == collection_id)
    painted = select(Stroke.tile_id, Stroke.annotator).join(Tile, Tile.id == Stroke.tile_id).where(*known).distinct()
    last = (
        select(LabelOperation.tile_id, func.max(LabelOperation.created))
        .join(Tile, Tile.id == LabelOperation.tile_id)
        .where(LabelOperation.opinion == "", Tile.collection_id == collection_id)
        .group_by(LabelOperation.tile_id)
    )
    with workspace.database.read() as session:
        pairs = list(session.execute(painted).tuples())
        moments = list(session.execute(last).tuples())
    # A tile that came between the two readings belongs to the next table.
    pairs = [pair for pair in pairs if pair[0] in base.number_of]
    moments = [pair for pair in moments if pair[0] in base.number_of]
    people = tuple(sorted({annotator for _, annotator in pairs}))
    painters = np.zeros((len(base.rows), len(people)), np.bool_)
    for tile_id, annotator in pairs:
        painters[base.number_of[tile_id], people.index(annotator)] = True
    changed = np.full(len(base.rows), "NaT", "datetime64[s]")
    for tile_id, moment in moments:
        changed[base.number_of[tile_id]] = np.datetime64(moment, "s")
    order = list(Status)
    work = np.full(len(base.rows), order.index(Status.NEW), np.int8)
    for tile_id, one in works(workspace, collection_id).items():
        if tile_id in base.number_of:
            work[base.number_of[tile_id]] = order.index(one.status)
    amounts = label_amounts(workspace, base.rows, {tile_id for tile_id, _ in pairs})
    return TileLabels(
        labelled=np.asarray(painters.any(axis=1)),
        instances=amounts.instances,
        pixels=amounts.pixels,
        work=work,
        changed=changed,
        annotators=people,
        painters=painters,
    )


def _read_opinions(workspace: Workspace, base: TileRows) -> TileOpinions:
    count = len(base.rows)
    uncertainty, shares = np.full(count, np.nan), np.full((count, CLASS_COUNT), np.nan)
    columns = (TileFacts.tile_id, TileFacts.run, TileFacts.fingerprint, TileFacts.uncertainty, TileFacts.class_shares)
    runs: dict[str, int] = {}
    with workspace.database.read() as session:
        found = session.execute(select(*columns).where(TileFacts.run != "")).tuples().all()
    for tile_id, run, fingerprint, entropy, predicted in found:
        number = base.number_of.get(tile_id)
        if number is None or not fingerprint.startswith(base.rows[number].fingerprint):
            continue
        uncertainty[number], shares[number] = entropy, predicted
        runs[run] = runs.get(run, 0) + 1
    return TileOpinions(max(runs, key=lambda run: runs[run]) if runs else None, uncertainty, shares)
