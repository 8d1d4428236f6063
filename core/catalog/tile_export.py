"""The files of chosen tiles, packed: images, the masks that came with them, and their names and figures."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.atomic import atomic_file
from core.catalog.catalogue import collection
from core.catalog.figures_csv import figures_csv
from core.catalog.tile_filter import Outside
from core.catalog.tile_table import tile_table
from core.errors import InputError
from core.progress import Progress
from core.workspace import Workspace

IMAGES, MASKS = "images", "masks"
KINDS = (IMAGES, MASKS)
TABLE = "tiles.csv"


def export_tiles(
    workspace: Workspace,
    collection_id: int,
    names: Sequence[str],
    *,
    kinds: Sequence[str],
    out: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Write a zip with a table of the tiles and their files of these ``KINDS``; all of it or nothing.

    Files keep their names. Pictures are compressed already and are stored as they are. Raises ``InputError`` for a name
    that the collection lacks, a target that exists, and a file that is gone; a cancel leaves nothing behind.
    """
    if out.exists():
        raise InputError(f"{out} exists already; choose another name, or take it away first.")
    table = tile_table(workspace, collection(workspace, collection_id))
    number_of = {row.name: number for number, row in enumerate(table.rows)}
    missing = sorted(set(names) - number_of.keys())
    if missing:
        raise InputError(f"The collection has no tile {', '.join(missing[:3])}; name tiles as the Browse page does.")
    numbers = [number_of[name] for name in names] if names else list(range(len(table.rows)))
    files = 0
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(out) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for done, number in enumerate(numbers):
            row = table.rows[number]
            progress.update(done, len(numbers), f"Packing tile {row.name}")
            for kind, place in ((IMAGES, row.image_path), (MASKS, row.mask_path)):
                if kind in kinds and place is not None:
                    _add(archive, Path(place), row.name)
                    files += 1
        archive.writestr(TABLE, figures_csv(table, numbers, Outside()), zipfile.ZIP_DEFLATED)
        progress.update(len(numbers), len(numbers), f"Packed {files} files of {len(numbers)} tiles")
    return {"out": str(out), "tiles": len(numbers), "files": files, "table": TABLE}


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    if not path.is_file():
        raise InputError(f"{path} of tile {name} is gone; put it back, or leave that tile out.")
    archive.write(path, path.name)
