"""Groups of tiles for splits by whole groups: regions of a file, places on the Earth, or clusters of likeness."""

from core.catalog.alike.likeness_groups import likeness_groups
from core.catalog.alike.looks import known_looks
from core.catalog.splitting.making import Groups
from core.catalog.splitting.regions import parse_regions, regions_by_place
from core.catalog.tile_table import TileTable
from core.errors import InputError
from core.workspace import Workspace


def groups_of_file(table: TileTable, content: bytes, file: str) -> Groups:
    """The regions that a CSV file of tiles and regions names, of the tiles that this collection has.

    Raises ``InputError`` for a file that cannot be read so.
    """
    regions = parse_regions(content, file)
    known = {row.name: regions[row.name] for row in table.rows if row.name in regions}
    return Groups(f"{len(set(known.values()))} regions of {file}", known)


def groups_of_places(table: TileTable, count: int, *, seed: int) -> Groups:
    """``count`` regions of tiles that lie near each other. Raises ``InputError`` where too few say where they lie."""
    return Groups(f"{count} regions by place", regions_by_place(table.rows, count, seed=seed))


def groups_of_likeness(workspace: Workspace, table: TileTable, count: int, *, seed: int) -> Groups:
    """``count`` clusters of tiles that look alike, 'cluster 1' the largest.

    Raises ``InputError`` where fewer tiles than that were looked at.
    """
    looked = len(known_looks(workspace, table.collection_id).ids)
    if looked < count:
        raise InputError(
            f"{looked} of these tiles were looked at, which is too few for {count} clusters of likeness; have them "
            "looked at first, or ask for fewer."
        )
    names = {row.id: row.name for row in table.rows}
    found = likeness_groups(workspace, table.collection_id, count, seed=seed)
    of_tile = {names[tile_id]: f"cluster {number + 1}" for tile_id, number in found.items() if tile_id in names}
    return Groups(f"{count} clusters of likeness", of_tile)
