"""Tiles by the names that a person types."""

from collections.abc import Sequence

from core.catalog import catalogue
from core.errors import InputError
from core.tables import Tile
from core.workspace import Workspace


def named_tiles(workspace: Workspace, collection_id: int, names: Sequence[str]) -> list[Tile]:
    """The tiles of a collection of these names, in its order; all of them where none is named.

    Raises ``InputError`` for a name that the collection does not have.
    """
    tiles = catalogue.tiles(workspace, collection_id)
    if not names:
        return tiles
    missing = sorted(set(names) - {tile.name for tile in tiles})
    if missing:
        raise InputError(f"The collection has no tile {', '.join(missing[:3])}; name tiles as the Browse page does.")
    return [tile for tile in tiles if tile.name in names]
