"""Export: the labels of a collection, or of some of its tiles, as a folder or a zip with a manifest.

It is all there or nothing is: files are written beside the target and moved to it when the last one is done.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.atomic import atomic_file
from core.catalog import catalogue
from core.classes import UNLABELLED, ClassRaster
from core.errors import InputError
from core.labels import export_manifest, journal, work_status
from core.labels.export_manifest import LabelledTile
from core.labels.formats import coco, deepglobe, geojson, geotiff, index_png
from core.labels.formats.grid import Grid, grid_of
from core.labels.formats.placed import Format
from core.labels.named_tiles import named_tiles
from core.labels.work_status import Status
from core.progress import Progress
from core.tables import Tile
from core.workspace import Workspace

Sink = Callable[[str, bytes | Path], None]
"""Takes a file's name and its content, or the path of a file to copy."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export: the tiles named, else all that are labelled; of these only those of a status, where one is named.

    ``out`` is a folder, or a zip by its ending. ``with_images`` copies the images too.
    """

    collection_id: int
    format: Format
    out: Path
    tile_names: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()
    with_images: bool = False


def export(workspace: Workspace, request: ExportRequest, progress: Progress) -> dict[str, object]:
    """Write labels in one format. Returns what was written, as the command line prints it.

    Raises ``InputError`` where there is nothing to export, the target exists, or it cannot be written; a cancel
    (``CancelledError``) leaves nothing behind.
    """
    chosen = _chosen(workspace, request)
    entries: list[dict[str, Any]] = []
    with _open_out(request.out) as put:

        def labelled() -> Iterator[tuple[LabelledTile, Grid]]:
            for number, tile in enumerate(chosen):
                progress.update(number, len(chosen), f"Exporting tile {tile.name}")
                found, grid = load_tile(workspace, tile), grid_of(tile)
                if request.tile_names or (found.raster != UNLABELLED).any():
                    file_name = coco.FILE_NAME if request.format is Format.COCO else name_of(request.format, tile)
                    entries.append(
                        export_manifest.entry(workspace, found, file_name=file_name, image_name=grid.file_name)
                    )
                    if request.with_images:
                        put(grid.file_name, _image(tile))
                    yield found, grid

        if request.format is Format.COCO:
            put(coco.FILE_NAME, encode_coco(labelled()))
        else:
            for found, grid in labelled():
                put(name_of(request.format, found.tile), encode(request.format, found.raster, grid))
        if not entries:
            raise InputError("None of these tiles has any labels; paint some first.")
        collection = catalogue.collection(workspace, request.collection_id)
        put(export_manifest.FILE_NAME, export_manifest.encode(collection, request.format, entries))
        progress.update(len(chosen), len(chosen), f"Exported {len(entries)} tiles")
    return {
        "out": str(request.out),
        "format": str(request.format),
        "tiles": len(entries),
        "manifest": export_manifest.FILE_NAME,
    }


def load_tile(workspace: Workspace, tile: Tile) -> LabelledTile:
    """A tile's labels, and the operation that they follow."""
    while True:
        state = journal.state(workspace, tile.id)
        raster = journal.load(workspace, tile.id)
        if journal.state(workspace, tile.id).sequence == state.sequence:  # nobody painted in between
            return LabelledTile(tile, raster, state.sequence, state.saved_at)


def name_of(kind: Format, tile: Tile) -> str:
    """The name of a tile's file in a format that has one file a tile."""
    suffixes = {
        Format.DEEPGLOBE: deepglobe.SUFFIX,
        Format.INDEX: index_png.SUFFIX,
        Format.GEOTIFF: geotiff.SUFFIX,
        Format.GEOJSON: geojson.SUFFIX,
        Format.COCO: f"_{coco.FILE_NAME}",
    }
    return f"{tile.name}{suffixes[kind]}"


def encode(kind: Format, raster: ClassRaster, grid: Grid) -> bytes:
    """The file of one tile. Raises ``InputError`` where the format cannot hold it."""
    match kind:
        case Format.DEEPGLOBE:
            return deepglobe.encode(raster)
        case Format.INDEX:
            return index_png.encode(raster)
        case Format.GEOTIFF:
            return geotiff.encode(raster, grid)
        case Format.GEOJSON:
            return geojson.encode(raster, grid)
        case Format.COCO:
            return coco.encode([(raster, grid)], info=export_manifest.tool())


def encode_coco(tiles: Iterator[tuple[LabelledTile, Grid]]) -> bytes:
    """One COCO file of many tiles."""
    return coco.encode(((found.raster, grid) for found, grid in tiles), info=export_manifest.tool())


def _chosen(workspace: Workspace, request: ExportRequest) -> list[Tile]:
    chosen = named_tiles(workspace, request.collection_id, request.tile_names)
    if not request.tile_names:
        labelled = catalogue.labelled_tile_ids(workspace, request.collection_id)
        chosen = [tile for tile in chosen if tile.id in labelled]
    if request.statuses:
        works = work_status.works(workspace, request.collection_id)
        default = work_status.Work()
        chosen = [tile for tile in chosen if works.get(tile.id, default).status in request.statuses]
    if not chosen:
        of_status = f" of status {' or '.join(request.statuses)}" if request.statuses else ""
        raise InputError(f"There is no labelled tile{of_status} to export; label one first.")
    return chosen


def _image(tile: Tile) -> Path:
    path = Path(tile.image_path)
    if not path.is_file():
        raise InputError(f"The image {path} of tile {tile.name} is gone; put it back, or export without images.")
    return path


@contextmanager
def _open_out(out: Path) -> Iterator[Sink]:
    """A sink whose files appear at ``out`` when the block ends well; nothing appears when it does not."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir()) and out.suffix.lower() != ".zip"):
        raise InputError(f"{out} exists already; choose another name, or take it away first.")
    if out.suffix.lower() == ".zip":
        with atomic_file(out) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            yield lambda name, content: _add(archive, name, content)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    except OSError as error:
        raise InputError(f"{out} cannot be made ({error.strerror or error}); choose another folder.") from error
    try:
        yield lambda name, content: _write(temporary / name, content)
        temporary.chmod(0o755)
        temporary.rename(out)
    except OSError as error:
        raise InputError(f"{out} could not be written ({error.strerror or error}); nothing was kept.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _add(archive: zipfile.ZipFile, name: str, content: bytes | Path) -> None:
    if isinstance(content, Path):
        archive.write(content, name, zipfile.ZIP_STORED)
    else:
        archive.writestr(name, content)


def _write(path: Path, content: bytes | Path) -> None:
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content)
