"""Labels that are not drawn: the mask that came with a tile, an earlier version, and a clean slate.

Each is one stroke of the journal.
"""

from pathlib import Path

from core.catalog.images import read_mask
from core.errors import InputError
from core.labels import journal, raster, versions
from core.labels.annotators import DEFAULT_ANNOTATOR
from core.labels.journal import Change
from core.tables import Tile
from core.workspace import Workspace


def copy_given_mask(
    workspace: Workspace,
    tile: Tile,
    *,
    client_key: str | None = None,
    opinion: str = "",
    annotator: str = DEFAULT_ANNOTATOR,
) -> Change:
    """Start from the mask that came with the tile, replacing what is labelled; one undo takes it back.

    Raises ``InputError`` where the tile came without a mask, or the mask cannot be read or is of another size.
    """
    if tile.mask_path is None:
        raise InputError(f"Tile {tile.name} came without a mask; start by drawing on it.")
    mask = read_mask(Path(tile.mask_path), shape=(tile.height, tile.width))
    return journal.replace(
        workspace,
        tile.id,
        mask.raster,
        tool="import",
        client_key=client_key,
        opinion=opinion,
        annotator=annotator,
        source="the mask that came with the tile",
    )


def clear(
    workspace: Workspace,
    tile: Tile,
    *,
    client_key: str | None = None,
    opinion: str = "",
    annotator: str = DEFAULT_ANNOTATOR,
) -> Change:
    """Remove every label of the tile; one undo brings them back."""
    return journal.replace(
        workspace,
        tile.id,
        raster.empty(tile),
        tool="clear",
        client_key=client_key,
        opinion=opinion,
        annotator=annotator,
    )


def restore(
    workspace: Workspace,
    tile: Tile,
    version_id: int,
    *,
    client_key: str | None = None,
    opinion: str = "",
    annotator: str = DEFAULT_ANNOTATOR,
) -> Change:
    """Go back to a named version of the tile; one undo takes it back.

    Raises ``InputError`` where there is no version of this id.
    """
    version = versions.find(workspace, tile, version_id)
    return journal.replace(
        workspace,
        tile.id,
        versions.load(workspace, tile, version_id),
        tool="restore",
        client_key=client_key,
        opinion=opinion,
        annotator=annotator,
        source=version.name,
    )
