"""The catalogue: which tiles a workspace knows, what they look like, and what was wrong with their files.

Indexing a folder twice gives the same catalogue. A tile keeps its id as long as its name stays in the folder, so
strokes stay attached to it; one whose file vanished is forgotten only when nobody has labelled it.
"""

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from core.catalog.discover import Discovery, Finding, TileFile, discover, natural_key
from core.catalog.images import ImageInfo, fingerprint, read_info, read_mask
from core.catalog.splits import SPLITS
from core.catalog.splitting import came_splits
from core.catalog.thumbnails import make_mask_thumbnail, make_thumbnails
from core.classes import CLASS_COUNT, ClassRaster, DecodedMask
from core.errors import CancelledError, InputError
from core.progress import Progress
from core.tables import Collection, Problem, Setting, Stroke, Tile, now
from core.workspace import Workspace

INDEX_THREADS = os.cpu_count() or 1
"""The decoders leave Python's lock, and all a tile costs is decoding: a thread a core, and no more."""
LAST_NUMBER = "last_collection"
"""The setting that keeps the greatest number of a collection that was removed."""
BATCH = 16
"""Tiles a transaction: a killed index loses at most this many."""

LabelStatus = Literal["given mask", "labelled here", "none"]


class UnknownIdError(InputError):
    """There is no tile or collection of that id."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What an index did: the collection, how many tiles it has, and what was wrong."""

    collection_id: int
    layout: str
    tiles: int
    with_mask: int
    by_split: Mapping[str, int]
    read: int
    """Tiles whose files were new or changed and were therefore decoded."""
    removed: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Indexed:
    """One tile as the index read it, ready to be stored; ``row`` is None where the image cannot be used."""

    name: str
    row: Tile | None
    findings: list[Finding] = field(default_factory=list)
    decoded: bool = True


def index_folder(
    workspace: Workspace,
    root: Path,
    progress: Progress,
    synthetic: bool | None = None,
    *,
    moved: int | None = None,
    also: Sequence[Finding] = (),
) -> IndexReport:
    """Find the tiles under ``root`` and bring the catalogue, the thumbnails and the class shares up to date.

    ``synthetic`` says whether the imagery is drawn; None means: exactly when it lies in the workspace's sample.
    ``moved`` is the collection whose folder now lies at ``root``: its tiles keep their ids and labels. ``also`` is
    what else was wrong with the files, told by whoever brought them. Files that did not change since the last time are
    not decoded again. A cancel keeps the tiles that were done.

    Raises ``InputError`` as ``discover`` does, and where ``moved`` meets another collection's folder or none of its
    own tiles; ``CancelledError``.
    """
    progress.update(0, 0, f"Looking through {root}")
    found = discover(root)
    collection_id = _open_collection(workspace, found, synthetic, moved)
    known = {tile.name: tile for tile in tiles(workspace, collection_id)}
    old_problems = problems(workspace, collection_id)
    done: list[_Indexed] = []
    for batch in _batches(_read_all(workspace, found.tiles, known, progress)):
        with workspace.database.write() as session:
            _store(session, collection_id, batch)
        done.extend(batch)
    unusable = {item.name for item in done if item.row is None}
    kept = [item for item in done if item.row is not None]
    findings = [*also, *found.findings, *(finding for item in done for finding in item.findings)]
    findings += _still_true(old_problems, {item.name: item for item in kept if not item.decoded})
    gone = [tile for name, tile in known.items() if name not in {item.name for item in kept}]
    with workspace.database.write() as session:
        removed, lost = _remove_vanished(workspace, session, gone, unusable)
        findings += lost
        session.execute(delete(Problem).where(Problem.collection_id == collection_id))
        _add_problems(session, collection_id, findings)
        row = session.get_one(Collection, collection_id)
        row.indexed, row.revision = now(), row.revision + 1
    rows = tiles(workspace, collection_id)
    return IndexReport(
        collection_id=collection_id,
        layout=found.layout,
        tiles=len(rows),
        with_mask=sum(tile.mask_path is not None for tile in rows),
        by_split=count_splits(rows),
        read=sum(item.decoded for item in done),
        removed=removed,
        findings=tuple(findings),
    )


def collections(workspace: Workspace) -> list[Collection]:
    """All collections, the one indexed last first."""
    with workspace.database.read() as session:
        return list(session.scalars(select(Collection).order_by(Collection.indexed.desc(), Collection.id.desc())))


def collection(workspace: Workspace, collection_id: int) -> Collection:
    """One collection. Raises ``UnknownIdError``, an ``InputError``, when there is none of that id."""
    with workspace.database.read() as session:
        row = session.get(Collection, collection_id)
    if row is None:
        raise UnknownIdError(
            f"There is no collection {collection_id} in this workspace; choose one on the Browse page."
        )
    return row


def tiles(
    workspace: Workspace, collection_id: int, *, split: str | None = None, with_mask: bool | None = None
) -> list[Tile]:
    """A collection's tiles in the order of their names (numbers by value), all of them or those asked for."""
    query = select(Tile).where(Tile.collection_id == collection_id)
    if split is not None:
        query = query.where(Tile.split == split)
    if with_mask is not None:
        query = query.where(Tile.mask_path.is_not(None) if with_mask else Tile.mask_path.is_(None))
    with workspace.database.read() as session:
        return sorted(session.scalars(query), key=lambda tile: natural_key(tile.name))


def tile(workspace: Workspace, tile_id: int) -> Tile:
    """One tile. Raises ``UnknownIdError``, an ``InputError``, when there is none of that id."""
    with workspace.database.read() as session:
        row = session.get(Tile, tile_id)
    if row is None:
        raise UnknownIdError(f"There is no tile {tile_id} in this workspace; choose one on the Browse page.")
    return row


def problems(workspace: Workspace, collection_id: int, tile_name: str | None = None) -> list[Problem]:
    """What was wrong with a collection's files, errors first; only one tile's where it is named."""
    query = select(Problem).where(Problem.collection_id == collection_id).order_by(Problem.severity, Problem.path)
    if tile_name is not None:
        query = query.where(Problem.tile_name == tile_name)
    with workspace.database.read() as session:
        return list(session.scalars(query))


def labelled_tile_ids(workspace: Workspace, collection_id: int) -> set[int]:
    """The ids of the tiles of a collection on which somebody has painted (and not undone it all)."""
    query = select(Stroke.tile_id).join(Tile).where(Tile.collection_id == collection_id, Stroke.state == "done")
    with workspace.database.read() as session:
        return set(session.scalars(query.distinct()))


def count_splits(rows: Iterable[Tile]) -> dict[str, int]:
    """How many tiles each split has: train, val and test, in this order."""
    counts = Counter(tile.split for tile in rows)
    return {split: counts[split] for split in SPLITS}


def class_shares(raster: ClassRaster) -> list[float]:
    """The six classes' shares of all pixels; they sum to the labelled share."""
    return [round(np.count_nonzero(raster == index) / raster.size, 6) for index in range(CLASS_COUNT)]


def _open_collection(workspace: Workspace, found: Discovery, synthetic: bool | None, moved: int | None) -> int:
    root = found.root.resolve()
    drawn = root.is_relative_to(workspace.sample) if synthetic is None else synthetic
    name = "Synthetic sample" if drawn else root.name
    with workspace.database.write() as session:
        row = session.scalar(select(Collection).where(Collection.root == str(root)))
        if moved is not None and (row is None or row.id != moved):
            row = _move_collection(session, moved, found, taken_by=row)
        if row is None:
            row = Collection(id=last_number(session) + 1, name=name, root=str(root), synthetic=drawn)
            session.add(row)
        row.synthetic, row.name = drawn, name
        session.flush()
        return row.id


def last_number(session: Session) -> int:
    """The greatest number that a collection has or had, 0 before the first: none is given twice."""
    removed = session.get(Setting, LAST_NUMBER)
    return max(session.scalar(select(func.max(Collection.id))) or 0, int(removed.value["id"]) if removed else 0)


def _move_collection(session: Session, moved: int, found: Discovery, taken_by: Collection | None) -> Collection:
    """The collection with its new folder, which must hold some of its tiles: labels must not be lost to a wrong one."""
    row = session.get(Collection, moved)
    if row is None:
        raise UnknownIdError(f"There is no collection {moved} in this workspace; open the folder as a new one.")
    if taken_by is not None:
        raise InputError(f"{found.root} is the collection {taken_by.name} already; remove that one first.")
    names = set(session.scalars(select(Tile.name).where(Tile.collection_id == moved)))
    if names.isdisjoint(tile.name for tile in found.tiles):
        raise InputError(f"{found.root} holds no tile of {row.name}; give the folder where its images lie now.")
    row.root = str(found.root.resolve())
    return row


def _read_all(
    workspace: Workspace, files: tuple[TileFile, ...], known: Mapping[str, Tile], progress: Progress
) -> Iterator[_Indexed]:
    """Read every tile with a few threads (the decoders leave Python's lock), at most a handful ahead of the writer.

    Tiles come out in the order of ``files``, so that the same folder always gives the same ids.
    """
    waiting = iter(files)
    running: deque[Future[_Indexed]] = deque()
    done = 0
    progress.update(0, len(files), f"Reading {len(files)} tiles")
    with ThreadPoolExecutor(INDEX_THREADS, thread_name_prefix="index") as pool:
        while True:
            while len(running) < 2 * INDEX_THREADS and (file := next(waiting, None)):
                running.append(pool.submit(_read_one, workspace, file, known.get(file.name)))
            if not running:
                return
            yield running.popleft().result()
            done += 1
            progress.update(done, len(files), f"Read {done} of {len(files)} tiles")


def _batches(items: Iterator[_Indexed]) -> Iterator[list[_Indexed]]:
    """The items in batches; when the reading is cancelled, what is there comes out before the cancel goes on."""
    batch: list[_Indexed] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except CancelledError:
        yield batch
        raise
    yield batch


def _read_one(workspace: Workspace, file: TileFile, known: Tile | None) -> _Indexed:
    try:
        info = read_info(file.image_path)
        image_print = fingerprint(file.image_path)
        mask_print = fingerprint(file.mask_path) if file.mask_path else None
        make_thumbnails(workspace, file.image_path, image_print)
    except InputError as error:
        return _Indexed(file.name, None, [Finding(file.name, file.image_path, "error", str(error))])
    row = _row(file, info, image_print, mask_print)
    if known and (known.fingerprint, known.mask_fingerprint) == (image_print, mask_print):
        row.class_shares = known.class_shares
        return _Indexed(file.name, row, decoded=False)
    return _Indexed(file.name, row, _read_given_mask(workspace, file, row))


def _row(file: TileFile, info: ImageInfo, image_print: str, mask_print: str | None) -> Tile:
    return Tile(
        name=file.name,
        image_path=str(file.image_path),
        mask_path=str(file.mask_path) if file.mask_path else None,
        width=info.width,
        height=info.height,
        metres_per_pixel_x=info.metres_per_pixel_x,
        metres_per_pixel_y=info.metres_per_pixel_y,
        crs=info.crs,
        transform=None if info.transform is None else list(info.transform),
        fingerprint=image_print,
        mask_fingerprint=mask_print,
        split=file.split,
        split_source=file.split_source,
        class_shares=None,
    )


def _read_given_mask(workspace: Workspace, file: TileFile, row: Tile) -> list[Finding]:
    """Decode the mask, fill in its class shares and thumbnail, and say what is odd about it."""
    if file.mask_path is None:
        return []
    try:
        mask = read_mask(file.mask_path, (row.height, row.width))
    except InputError as error:
        row.mask_path = row.mask_fingerprint = None
        return [Finding(file.name, file.mask_path, "error", str(error))]
    row.class_shares = class_shares(mask.raster)
    make_mask_thumbnail(workspace, mask.raster, row.mask_fingerprint or "")
    sentence = _off_palette_sentence(file.mask_path, mask)
    return [Finding(file.name, file.mask_path, "warning", sentence)] if sentence else []


def _off_palette_sentence(path: Path, mask: DecodedMask) -> str | None:
    if mask.off_palette == 0:
        return None
    share = mask.off_palette / mask.raster.size
    fate = (
        "they were left unlabelled"
        if mask.undecidable == mask.off_palette
        else f"{mask.undecidable:,} of them were left unlabelled, the others were snapped to the nearest class"
        if mask.undecidable
        else "each was snapped to the nearest class"
    )
    return (
        f"The mask {path} has {mask.off_palette:,} pixels ({share:.2%}) that are none of the seven colours or indices; "
        f"{fate}, so check that it uses DeepGlobe's palette."
    )


def _store(session: Session, collection_id: int, batch: list[_Indexed]) -> None:
    names = [item.name for item in batch if item.decoded]
    session.execute(delete(Problem).where(Problem.collection_id == collection_id, Problem.tile_name.in_(names)))
    _add_problems(session, collection_id, [finding for item in batch for finding in item.findings])
    rows = [item.row for item in batch if item.row is not None]
    query = select(Tile).where(Tile.collection_id == collection_id, Tile.name.in_([row.name for row in rows]))
    present = {tile.name: tile for tile in session.scalars(query)}
    came_splits.put_back(session, collection_id, list(present.values()))
    for row in rows:
        known = present.get(row.name)
        if known is None:
            row.collection_id = collection_id
            session.add(row)
            continue
        # A rule deals over all names; a tile that was dealt already stays where it is when others join the folder.
        keep_split = known.split_source == row.split_source == "rule"
        kept_columns = {"id", "collection_id", "split"} if keep_split else {"id", "collection_id"}
        for column in set(Tile.__table__.columns.keys()) - kept_columns:
            setattr(known, column, getattr(row, column))
    plan_id = session.get_one(Collection, collection_id).split_plan_id
    if plan_id is not None:
        came_splits.follow(session, collection_id, plan_id, [row.name for row in rows])


def _still_true(old: list[Problem], unchanged: Mapping[str, _Indexed]) -> list[Finding]:
    """The findings about masks that were not decoded again: what was said of them last time."""
    return [
        Finding(problem.tile_name, Path(problem.path), "warning", problem.sentence)
        for problem in old
        if (item := unchanged.get(problem.tile_name or "")) and item.row and item.row.mask_path == problem.path
    ]


def _remove_vanished(
    workspace: Workspace, session: Session, gone: list[Tile], unusable: set[str]
) -> tuple[int, list[Finding]]:
    """Forget the tiles whose files are gone, but keep and report those that somebody has labelled."""
    removed, lost = 0, []
    for row in gone:
        strokes = session.scalar(select(Stroke.id).where(Stroke.tile_id == row.id).limit(1))
        label = workspace.labels(row.collection_id) / f"{row.name}_mask.png"
        if strokes is None and not label.exists():
            session.execute(delete(Tile).where(Tile.id == row.id))
            removed += 1
            continue
        state = "can no longer be read" if row.name in unusable else "is no longer in its folder"
        sentence = f"{row.image_path} {state}, but labels were made on it and are kept; put the image back to use them."
        lost.append(Finding(row.name, Path(row.image_path), "warning", sentence))
    return removed, lost


def _add_problems(session: Session, collection_id: int, findings: list[Finding]) -> None:
    session.add_all(
        Problem(
            collection_id=collection_id,
            tile_name=finding.tile_name,
            path=str(finding.path),
            severity=finding.severity,
            sentence=finding.sentence,
        )
        for finding in findings
    )
