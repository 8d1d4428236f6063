"""Which region each tile lies in: from a CSV file, or from where the tiles lie on the Earth."""

import csv
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError
from sklearn.cluster import KMeans

from core.catalog.geography.footprints import footprints
from core.errors import InputError
from core.tables import Tile

_TRIES = 4


def parse_regions(content: bytes, file: str) -> dict[str, str]:
    """The region by tile name from a CSV file with the columns ``tile`` and ``region``; lines without either are none.

    ``file`` is what the file is called. Raises ``InputError`` for content that cannot be read so.
    """
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        found = {(row["tile"] or "").strip(): (row["region"] or "").strip() for row in rows}
    except (UnicodeDecodeError, KeyError, csv.Error) as error:
        raise InputError(f"{file} cannot be read as a CSV file with the columns tile and region; mend it.") from error
    return {tile: region for tile, region in found.items() if tile and region}


def regions_by_place(tiles: Sequence[Tile], count: int, *, seed: int) -> dict[str, str]:
    """``count`` regions of tiles that lie near each other, by tile name; tiles without a CRS are in none.

    K-means on the centres of the footprints as points of the globe, so that zones, hemispheres and the date line do
    not matter. Raises ``InputError`` where fewer than ``count`` tiles say where they lie.
    """
    placed = [tile for tile in tiles if tile.crs and tile.transform]
    if not 2 <= count <= len(placed):
        raise InputError(
            f"{len(placed)} of these tiles say where they lie, which is too few for {count} regions; name the regions "
            "in a CSV file, or ask for fewer."
            if count >= 2
            else f"Regions are at least two, not {count}."
        )
    points = _on_globe(placed)
    numbers = KMeans(count, random_state=seed, n_init=_TRIES).fit_predict(points)
    # Numbered from west to east, so that a name says something on the map.
    order = np.argsort([np.arctan2(*points[numbers == n].mean(axis=0)[[1, 0]]) for n in range(count)])
    rank = {int(number): place + 1 for place, number in enumerate(order)}
    return {tile.name: f"place {rank[int(number)]}" for tile, number in zip(placed, numbers, strict=True)}


def _on_globe(tiles: Sequence[Tile]) -> NDArray[np.float64]:
    """(n, 3) the centres of the tiles on a globe of radius 1."""
    degrees = np.empty((len(tiles), 2))
    for name in {str(tile.crs) for tile in tiles}:
        members = [number for number, tile in enumerate(tiles) if tile.crs == name]
        try:
            outlines = footprints(
                CRS.from_user_input(name),
                [tiles[number].width for number in members],
                [tiles[number].height for number in members],
                np.array([tiles[number].transform for number in members], np.float64),
            )
        except CRSError as error:
            raise InputError(
                f"The coordinate system of tile {tiles[members[0]].name} is not understood; write one into the file."
            ) from error
        degrees[members] = outlines[:, :-1].mean(axis=1)
    if not np.isfinite(degrees).all():
        lost = tiles[int(np.flatnonzero(~np.isfinite(degrees).all(axis=1))[0])]
        raise InputError(f"Tile {lost.name} lies outside of what its coordinate system is good for; mend its file.")
    longitude, latitude = np.radians(degrees).T
    return np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
