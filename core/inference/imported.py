"""Somebody else's predictions as a run of its own: masks without a network, to be looked at, judged and compared.

The run's folder holds the masks at the size of their tiles, ``imported.json`` that says which part of which image each
covers, and a card, as every run does. A mask that is smaller than its tile lies at its upper left corner, or where it
is said to lie; what it does not cover is unlabelled, and is judged nowhere.

Refinement works on them too: a class that was given counts as 70 % sure, as in the reference program of Kraehenbuehl &
Koltun (2011) where labels stand in for probabilities.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core.atomic import write_json
from core.catalog.catalogue import collection, tiles
from core.catalog.images import read_info, read_mask, write_mask
from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster
from core.errors import InputError
from core.inference.compact import CompactProbabilities
from core.inference.extent import Extent
from core.inference.tile_prediction import Look, TileImage
from core.progress import Progress
from core.tables import Tile
from core.training.runs import CARD, RunCard
from core.workspace import Workspace

NOTE = "imported.json"
ENDINGS = ("_pred", "_prediction", "_mask", "_label", "")
SUFFIXES = (".png", ".tif", ".tiff")
KIND = "imported"
"""What the card of such a run says it was made with."""

_MASKS = "masks"
_SURE = 0.7
_RUN_NAME = re.compile(r"[\w-]{1,60}")


def is_imported(folder: Path) -> bool:
    """Whether the run in this folder was imported, and has no network."""
    return (folder / NOTE).is_file()


def extent(folder: Path, fingerprint: str) -> Extent | None:
    """What an imported run covers of the image with this fingerprint; None where it says nothing of it."""
    entry = _note(folder)["images"].get(fingerprint)
    return None if entry is None else Extent(**entry["extent"])


def look(folder: Path, image: TileImage) -> Look:
    """What an imported run says of a tile, as if a network had said it.

    Raises ``InputError`` when it has no mask of this image.
    """
    raster = _raster(folder, image.fingerprint, image.pixels.shape[:2])
    probabilities = np.full((CLASS_COUNT, *raster.shape), (1 - _SURE) / (CLASS_COUNT - 1), np.float32)
    for index, plane in enumerate(probabilities):
        plane[raster == index] = _SURE
        plane[raster == UNLABELLED] = 1 / CLASS_COUNT
    return Look(probabilities, CompactProbabilities.by_pixel(probabilities))


def within_extent(raster: ClassRaster, folders: Sequence[Path], tile: Tile) -> ClassRaster:
    """The raster, unlabelled where imported masks say nothing; as it is where a network is among the runs."""
    if not all(map(is_imported, folders)):
        return raster
    silent = np.ones(raster.shape, bool)
    for folder in folders:
        silent &= _raster(folder, tile.fingerprint, (tile.height, tile.width)) == UNLABELLED
    raster[silent] = UNLABELLED
    return raster


def import_predictions(
    workspace: Workspace,
    source: Path,
    *,
    name: str,
    collection_id: int,
    progress: Progress,
    offset: tuple[int, int] = (0, 0),
) -> dict[str, Any]:
    """Take the masks of a folder as the run ``name``: ``<tile>_pred.png``, ``<tile>_mask.png`` or ``<tile>.tif``.

    ``offset`` (x, y) says where in its tile a mask that is smaller begins. Files that fit no tile and masks that cannot
    be used are left out and told; ``smaller`` and ``missing`` name the tiles that are covered in part and not at all.
    A cancel leaves nothing behind. Raises ``InputError`` for a name that is taken or cannot be one, a folder that is
    not there, and one of which nothing can be used.
    """
    _check_name(workspace, name)
    if not source.is_dir():
        raise InputError(f"The folder {source} does not exist; give one with <tile>_pred.png or <tile>_mask.png files.")
    rows = {tile.name: tile for tile in tiles(workspace, collection(workspace, collection_id).id)}
    files = _files(source, rows)
    workspace.runs.mkdir(parents=True, exist_ok=True)
    # Beside the folder of runs: a run that is still being taken in must not be listed.
    with tempfile.TemporaryDirectory(dir=workspace.root, prefix=".import-predictions-") as scratch:
        images, left_out = _take(files, rows, Path(scratch), offset, progress)
        if not images:
            why = left_out[0] if left_out else f"its files are named like no tile ({_some(rows)})"
            raise InputError(f"Nothing in {source} can be used as predictions of this collection: {why}")
        write_json(Path(scratch) / NOTE, {"source": str(source), "images": images})
        write_json(Path(scratch) / CARD, _card(source).model_dump(mode="json"))
        Path(scratch).chmod(0o755)
        place = workspace.runs / name
        shutil.copytree(scratch, place)
    taken = {entry["tile"] for entry in images.values()}
    smaller = [e["tile"] for e in images.values() if not Extent(**e["extent"]).is_whole(rows[e["tile"]])]
    return {
        "run": name,
        "tiles": len(images),
        "smaller": smaller,
        "missing": [tile for tile in rows if tile not in taken],
        "left_out": left_out,
    }


def _take(
    files: dict[str, Path], rows: dict[str, Tile], into: Path, offset: tuple[int, int], progress: Progress
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The entries of the note by image, their masks written below ``into``, and sentences for what was left out."""
    images: dict[str, dict[str, Any]] = {}
    left_out = []
    for number, (name, path) in enumerate(files.items()):
        progress.update(number, len(files), f"Reading {path.name}")
        tile = rows[name]
        try:
            covered = _extent(path, tile, offset)
            raster = np.full((tile.height, tile.width), UNLABELLED, np.uint8)
            covered.crop(raster)[:] = read_mask(path, (covered.height, covered.width)).raster
        except InputError as error:
            left_out.append(str(error))
            continue
        write_mask(into / _MASKS / f"{tile.fingerprint}.png", raster)
        images[tile.fingerprint] = {"tile": name, "extent": asdict(covered)}
    progress.update(len(files), len(files), f"Read {len(images)} masks")
    return images, left_out


def _extent(path: Path, tile: Tile, offset: tuple[int, int]) -> Extent:
    info = read_info(path)
    left, top = (0, 0) if (info.width, info.height) == (tile.width, tile.height) else offset
    if top + info.height > tile.height or left + info.width > tile.width:
        raise InputError(
            f"The mask {path} is {info.width} x {info.height} pixels and reaches beyond tile {tile.name}, which is "
            f"{tile.width} x {tile.height}; save it at the tile's scale, or mend the offset."
        )
    return Extent(top, left, info.height, info.width)


def _files(source: Path, rows: dict[str, Tile]) -> dict[str, Path]:
    """The mask of each tile that has one in the folder, the endings tried in their order."""
    found = {}
    for name in rows:
        candidates = (source / f"{name}{ending}{suffix}" for ending in ENDINGS for suffix in SUFFIXES)
        path = next((candidate for candidate in candidates if candidate.is_file()), None)
        if path is not None:
            found[name] = path
    return found


def _raster(folder: Path, fingerprint: str, shape: tuple[int, ...]) -> ClassRaster:
    if fingerprint not in _note(folder)["images"]:
        raise InputError(f"The imported run {folder.name} has no mask of this tile; import it with the others.")
    return read_mask(folder / _MASKS / f"{fingerprint}.png", (shape[0], shape[1])).raster


def _note(folder: Path) -> dict[str, Any]:
    path = folder / NOTE
    return _read_note(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _read_note(path: Path, _modified_ns: int) -> dict[str, Any]:
    note: dict[str, Any] = json.loads(path.read_text())
    return note


def _check_name(workspace: Workspace, name: str) -> None:
    if not _RUN_NAME.fullmatch(name):
        raise InputError(f"A run cannot be called {name[:80]!r}; take letters, digits, hyphens and underscores.")
    if (workspace.runs / name).exists():
        raise InputError(f"There is a run '{name}' already; give the imported predictions another name.")


def _some(rows: dict[str, Tile]) -> str:
    return "for example " + ", ".join(f"{name}_pred.png" for name in list(rows)[:2])


def _card(source: Path) -> RunCard:
    return RunCard(
        state="finished",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe_name=KIND,
        encoder="none",
        encoder_identity="none",
        encoder_parameters=0,
        encoder_licence="none",
        head=KIND,
        head_parameters=0,
        seed=0,
        device="none",
        training_tiles={},
        validation_tiles={},
        label_fingerprints={},
        label_source="unknown",
        classes={},
        missing_classes=[],
        warnings=[f"Imported from {source}: what it was trained on is not known, so its scores may flatter it."],
        validation=None,
        features_seconds=0.0,
        head_seconds=0.0,
        versions={},
    )
