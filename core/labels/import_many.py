"""Labels from many files at once: a folder, a zip, or one COCO file, each file matched to its tile by name."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.catalog.incoming import archive
from core.classes import UNLABELLED
from core.errors import InputError
from core.labels import export_manifest, import_files, journal, tile_locks
from core.labels.annotators import DEFAULT_ANNOTATOR
from core.labels.formats.coco import tile_name
from core.labels.formats.placed import Reading
from core.labels.formats.recognise import SUFFIXES, read_file
from core.labels.import_files import Choice, TakenAs
from core.labels.named_tiles import named_tiles
from core.labels.requests import RefusedError
from core.progress import Progress
from core.tables import Tile
from core.workspace import Workspace

MAX_FILES = 50_000


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did: pixels labelled, changed and removed by tile, and what was left out and why."""

    tiles: dict[str, dict[str, int]]
    left_out: list[str]
    notes: list[str]

    def add(self, tile_name: str, done: "_Done") -> None:
        """Enter what became of one tile."""
        sentences = [f"Tile {tile_name}: {sentence}" for sentence in done.sentences]
        if done.pixels is None:
            self.left_out.extend(sentences)
        else:
            self.tiles[tile_name] = done.pixels
            self.notes.extend(sentences)


LockCheck = Callable[[Workspace, int, str, str], None]
"""Raises ``RefusedError`` where somebody else holds the tile: by workspace, tile's id, opinion and annotator."""


def _check_as_script(workspace: Workspace, tile_id: int, opinion: str, annotator: str) -> None:
    tile_locks.check(workspace, tile_id, opinion, annotator, None)


def import_labels(
    workspace: Workspace,
    *,
    source: Path,
    collection_id: int,
    tile_names: tuple[str, ...],
    choice: Choice,
    progress: Progress,
    annotator: str = DEFAULT_ANNOTATOR,
    check_lock: LockCheck = _check_as_script,
) -> ImportReport:
    """Take the labels of a file, a folder or a zip into the tiles of a collection that their names match.

    With ``tile_names`` only those tiles, and a single file need not be named like its tile. Each tile is one stroke;
    a cancel keeps the tiles that are done. A file that cannot be used is left out and said, and so is a tile that
    somebody is labelling by ``check_lock``: anybody at all by default, as for a script.

    Raises ``InputError`` for an unknown tile, a source without label files, and where no tile took any labels.
    """
    wanted = {tile.name: tile for tile in named_tiles(workspace, collection_id, tile_names)}
    report = ImportReport({}, [], [])
    with _files(source, progress) as files:
        for number, path in enumerate(files):
            progress.update(number, len(files), f"Importing {path.name}")
            try:
                reading = read_file(path)
                matched = _matches(path, reading, wanted, alone=len(files) == 1 and bool(tile_names))
            except InputError as error:
                report.left_out.append(str(error))
                continue
            for tile in matched:
                done = _import_one(
                    workspace, tile, reading, choice, source=path.name, annotator=annotator, check_lock=check_lock
                )
                report.add(tile.name, done)
        progress.update(len(files), len(files), f"Imported labels of {len(report.tiles)} tiles")
    if not report.tiles:
        raise InputError(f"No labels were imported: {' '.join(report.left_out[:3]) or 'nothing matched a tile.'}")
    return report


@dataclass(frozen=True, slots=True)
class _Done:
    """One tile: what changed in pixels, or None and why not; and what was noted."""

    pixels: dict[str, int] | None
    sentences: tuple[str, ...]


def _import_one(
    workspace: Workspace,
    tile: Tile,
    reading: Reading,
    choice: Choice,
    *,
    source: str,
    annotator: str,
    check_lock: LockCheck,
) -> _Done:
    try:
        laid = import_files.placed(reading, tile, choice)
        if choice.taken_as is TakenAs.SUGGESTION:
            import_files.suggest(workspace, tile, laid, source=source)
            return _Done({"suggested": int((laid.raster != UNLABELLED).sum())}, laid.notes)
        check_lock(workspace, tile.id, "", annotator)
        before = journal.load(workspace, tile.id)
        found = import_files.preview(before, laid, only_unlabelled=choice.only_unlabelled)
        import_files.apply(
            workspace, tile, laid, source=source, only_unlabelled=choice.only_unlabelled, annotator=annotator
        )
    except (InputError, RefusedError) as error:
        return _Done(None, (str(error),))
    labelled, changed = sum(found.labelled.values()), sum(found.changed.values())
    return _Done({"labelled": labelled, "changed": changed, "removed": found.removed}, laid.notes)


def _matches(path: Path, reading: Reading, wanted: Mapping[str, Tile], *, alone: bool) -> list[Tile]:
    """The tiles that a file labels. Raises ``InputError`` where it is none."""
    if alone:
        return list(wanted.values())
    names = [tile_name(image) for image in reading.image_names] or [tile_name(path.name)]
    found = [wanted[name] for name in dict.fromkeys(names) if name in wanted]
    if not found:
        raise InputError(f"{path.name} matches no tile by its name; call it like its tile, or name the tile.")
    return found


@contextmanager
def _files(source: Path, progress: Progress) -> Iterator[list[Path]]:
    """The files of a source that may hold labels, a zip's unpacked for as long as the block lasts."""
    if source.is_dir():
        yield _in_folder(source)
    elif source.is_file() and source.suffix.lower() == ".zip":
        with tempfile.TemporaryDirectory() as folder:
            into = Path(folder) / "unpacked"
            archive.unpack_zip(source, into, progress, wanted=SUFFIXES, meant="label file (PNG, TIFF, GeoJSON, COCO)")
            yield _in_folder(into)
    elif source.is_file():
        yield [source]
    else:
        raise InputError(f"There is no file or folder {source}; check the path.")


def _in_folder(folder: Path) -> list[Path]:
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and path.name != export_manifest.FILE_NAME
        and not path.stem.endswith("_sat")
        and not path.name.startswith(".")
    )
    if not found:
        raise InputError(f"{folder.name} holds no label files; they end in {', '.join(SUFFIXES)}.")
    if len(found) > MAX_FILES:
        raise InputError(f"{folder.name} holds {len(found):,} files, more than {MAX_FILES:,}; split it.")
    return found
