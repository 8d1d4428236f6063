"""The manifest of an export: which labels it holds, by tile, so that a result can be traced to them."""

import hashlib
import json
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core.classes import CLASS_NAMES, CLASSES, UNLABELLED, ClassRaster
from core.labels import provenance, versions, work_status
from core.labels.formats.placed import Format
from core.tables import Collection, Tile
from core.workspace import Workspace

FILE_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class LabelledTile:
    """A tile with its labels as they were at one operation of its journal."""

    tile: Tile
    raster: ClassRaster
    sequence: int
    saved_at: datetime | None


def entry(workspace: Workspace, found: LabelledTile, *, file_name: str, image_name: str) -> dict[str, Any]:
    """What the manifest says of one tile: which labels these are, whose, how made, and how much of each class."""
    tile = found.tile
    counts = np.bincount(found.raster.reshape(-1), minlength=256)
    origins = provenance.shares(workspace, tile.id)
    work = work_status.work(workspace, tile.id)
    named = [v for v in versions.listed(workspace, tile.id) if v.sequence <= found.sequence]
    latest = max(named, key=lambda v: (v.sequence, v.id), default=None)
    return {
        "tile": tile.name,
        "file": file_name,
        "image": image_name,
        "image_fingerprint": tile.fingerprint,
        "width": tile.width,
        "height": tile.height,
        "crs": tile.crs,
        "split": tile.split,
        "sequence": found.sequence,
        "saved_at": None if found.saved_at is None else found.saved_at.replace(tzinfo=UTC).isoformat(),
        "version": None
        if latest is None
        else {"name": latest.name, "sequence": latest.sequence, "unchanged_since": latest.sequence == found.sequence},
        "status": str(work.status),
        "annotators": origins.annotators,
        "origins": origins.kinds,
        "pixels": {name: int(counts[index]) for index, name in enumerate(CLASS_NAMES)},
        "unlabelled": int(counts[UNLABELLED]),
        "labels_sha256": labels_fingerprint(found.raster),
    }


def encode(collection: Collection, kind: Format, entries: list[dict[str, Any]]) -> bytes:
    """The manifest of an export, as indented JSON."""
    content = {
        **tool(),
        "format": str(kind),
        "collection": collection.name,
        "synthetic": collection.synthetic,
        "classes": [{"index": c.index, "name": c.name, "colour": list(c.colour)} for c in CLASSES],
        "unlabelled": UNLABELLED,
        "tiles": entries,
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def labels_fingerprint(raster: ClassRaster) -> str:
    """The SHA-256 of a class raster's bytes, row by row: the same labels have the same whatever the file format."""
    return hashlib.sha256(np.ascontiguousarray(raster).data).hexdigest()


def tool() -> dict[str, Any]:
    """What wrote a file, and when."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return {"tool": "Tilewright", "tool_version": _version(), "date": made}


@lru_cache
def _version() -> str:
    """This program's version: it runs from its source tree, which says so in pyproject.toml."""
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())
    return str(project["project"]["version"])
