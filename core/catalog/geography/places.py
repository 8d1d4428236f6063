"""Where the tiles of a collection lie on the ground, as columns, and which of them touch a part of the map.

Ten thousand outlines are a few megabytes of numpy; comparing all their boxes with a map tile takes less than a tenth of
a millisecond, so that no tree is needed.
"""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from sqlalchemy import func, select

from core.catalog.geography.footprints import WGS84, footprints, to_degrees, to_plane, transformed
from core.catalog.keeper import Keeper
from core.catalog.pyramid import MAP_TILE
from core.tables import Collection, Tile
from core.workspace import Workspace

_KEEPER = Keeper(4)
"""The places of so many collections: 12 MB each with ten thousand tiles."""


@dataclass(frozen=True, slots=True)
class GroundPoint:
    """A point of a tile: its pixel coordinates, and its coordinates in the tile's own CRS."""

    tile_id: int
    name: str
    crs: str
    column: float
    row: float
    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Places:
    """The tiles of a collection that have a place, in the order of their ids, as columns.

    ``ids`` int64 (n,); ``fingerprints`` of the images; ``sizes`` int64 (n, 2) of width and height in pixels;
    ``transforms`` float64 (n, 6); ``systems`` intp (n,) into ``crs`` and ``crs_names``; ``outlines`` float64
    (n, points, 2) on the plane of ``core.catalog.geography.footprints``, closed; ``boxes`` float64 (n, 4), their left,
    top, right, bottom. ``without`` counts the collection's tiles that have no place.
    """

    ids: NDArray[np.int64]
    names: tuple[str, ...]
    fingerprints: tuple[str, ...]
    sizes: NDArray[np.int64]
    transforms: NDArray[np.float64]
    systems: NDArray[np.intp]
    crs: tuple[CRS, ...]
    crs_names: tuple[str, ...]
    outlines: NDArray[np.float64]
    boxes: NDArray[np.float64]
    without: int

    def touching(self, z: int, x: int, y: int, margin: int = 0) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """The rows whose boxes touch a map tile, in order, and the worlds each is to be moved by: -1, 0 or 1.

        The map tile counts ``margin`` pixels more on each side. An outline that crosses the antimeridian is met on both
        of its sides.
        """
        side = 0.5**z
        more = side * margin / MAP_TILE
        left, top, right, bottom = x * side - more, y * side - more, (x + 1) * side + more, (y + 1) * side + more
        rows, moves = [], []
        within = (self.boxes[:, 3] > top) & (self.boxes[:, 1] < bottom)
        for move in (-1.0, 0.0, 1.0):
            near = within & (self.boxes[:, 2] + move > left) & (self.boxes[:, 0] + move < right)
            found = np.flatnonzero(near)
            rows.append(found)
            moves.append(np.full(len(found), move))
        all_rows, all_moves = np.concatenate(rows), np.concatenate(moves)
        order = np.argsort(all_rows, kind="stable")
        return all_rows[order], all_moves[order]

    def at(self, longitude: float, latitude: float) -> GroundPoint | None:
        """The uppermost tile under a point in degrees, None where there is none."""
        x, y = to_plane(np.array([(longitude + 180) % 360 - 180, latitude]))
        inside = (self.boxes[:, 1] <= y) & (y <= self.boxes[:, 3])
        found = [inside & (self.boxes[:, 0] + move <= x) & (x <= self.boxes[:, 2] + move) for move in (-1, 0, 1)]
        for number in np.flatnonzero(np.any(found, axis=0))[::-1]:
            point = self._within(int(number), longitude, latitude)
            if point is not None:
                return point
        return None

    def nearest(self, longitude: float, latitude: float, reach: float) -> int | None:
        """The row whose box is the nearest to a point in degrees, at most ``reach`` away on the plane; else None."""
        x, y = to_plane(np.array([(longitude + 180) % 360 - 180, latitude]))
        left, top, right, bottom = self.boxes.T
        across = np.min([np.maximum(np.maximum(left + move - x, x - right - move), 0) for move in (-1, 0, 1)], axis=0)
        apart = np.hypot(across, np.maximum(np.maximum(top - y, y - bottom), 0))
        row = int(np.argmin(apart)) if len(apart) else -1
        return row if row >= 0 and apart[row] <= reach else None

    def is_hidden(self, tile_id: int) -> bool:
        """Whether another tile may lie over this one; False for a tile without a place."""
        for row in np.flatnonzero(self.ids == tile_id):
            left, top, right, bottom = self.boxes[row]
            above = self.boxes[row + 1 :]
            meet = (above[:, 0] < right) & (above[:, 2] > left) & (above[:, 1] < bottom) & (above[:, 3] > top)
            return bool(meet.any())
        return False

    def bounds(self) -> tuple[float, float, float, float] | None:
        """West, south, east, north in degrees of all outlines, by the shorter way round the Earth; None without tiles.

        East is above 180 where they span the antimeridian.
        """
        if not len(self.ids):
            return None
        order = np.argsort(self.boxes[:, 0] % 1)
        left = self.boxes[order, 0] % 1
        right = np.maximum.accumulate(left + (self.boxes[order, 2] - self.boxes[order, 0]))
        gaps = np.append(left[1:], left[0] + 1) - right
        widest = int(np.argmax(gaps))  # what lies east of the widest gap comes first
        west = left[(widest + 1) % len(left)]
        east = right[widest] if right[widest] >= west else right[widest] + 1
        (west_degrees, south), (east_degrees, north) = to_degrees(
            [[west, self.boxes[:, 3].max()], [min(east, west + 1), self.boxes[:, 1].min()]]
        )
        return float(west_degrees), float(south), float(east_degrees), float(north)

    def native_zoom(self) -> int:
        """The first zoom at which no tile has more pixels than the map gives it; 0 without tiles."""
        if not len(self.ids):
            return 0
        longest = np.max(self.boxes[:, 2:] - self.boxes[:, :2], axis=1)
        return max(0, int(np.ceil(np.log2((self.sizes.max(axis=1) / (MAP_TILE * longest)).max()))))

    def _within(self, number: int, longitude: float, latitude: float) -> GroundPoint | None:
        system = int(self.systems[number])
        found = transformed(WGS84, self.crs[system], np.array([longitude]), np.array([latitude]))
        x, y = float(found[0][0]), float(found[1][0])
        column, row = ~Affine(*self.transforms[number]) @ (x, y)
        width, height = self.sizes[number]
        if not (0 <= column < width and 0 <= row < height):
            return None
        return GroundPoint(
            int(self.ids[number]), self.names[number], self.crs_names[system], float(column), float(row), x, y
        )


def places_of(workspace: Workspace, collection: Collection) -> Places:
    """The places of a collection's tiles, kept in memory while its rows stay as they are."""
    mark = (collection.indexed, collection.revision)
    place = (str(workspace.root), collection.id)
    return _KEEPER.get(place, mark, lambda: read_places(workspace, collection.id))


def read_places(workspace: Workspace, collection_id: int) -> Places:
    """The places of a collection's tiles from the catalogue: half a second with ten thousand."""
    columns = (Tile.id, Tile.name, Tile.width, Tile.height, Tile.transform, Tile.crs, Tile.fingerprint)
    mine = Tile.collection_id == collection_id
    with workspace.database.read() as session:
        total = session.scalar(select(func.count(Tile.id)).where(mine)) or 0
        found = session.execute(select(*columns).where(mine, Tile.crs.is_not(None)).order_by(Tile.id)).tuples().all()
    found = [row for row in found if row[4] is not None]
    names = sorted({str(row[5]) for row in found})
    code = {name: number for number, name in enumerate(names)}
    systems = np.array([code[str(row[5])] for row in found], np.intp)
    sizes = np.array([row[2:4] for row in found], np.int64).reshape(-1, 2)
    transforms = np.array([row[4] for row in found], np.float64).reshape(-1, 6)
    crs = tuple(CRS.from_user_input(name) for name in names)
    outlines = _outlines(crs, systems, sizes, transforms)
    low, high = outlines.min(axis=1), outlines.max(axis=1)
    return Places(
        ids=np.array([row[0] for row in found], np.int64),
        names=tuple(row[1] for row in found),
        fingerprints=tuple(row[6] for row in found),
        sizes=sizes,
        transforms=transforms,
        systems=systems,
        crs=crs,
        crs_names=tuple(names),
        outlines=outlines,
        boxes=np.concatenate((low, high), axis=1),
        without=total - len(found),
    )


def _outlines(
    crs: tuple[CRS, ...], systems: NDArray[np.intp], sizes: NDArray[np.int64], transforms: NDArray[np.float64]
) -> NDArray[np.float64]:
    outlines = np.zeros((len(systems), *footprints(WGS84, [1], [1], [[1, 0, 0, 0, -1, 0]]).shape[1:]))
    for number, system in enumerate(crs):
        rows = np.flatnonzero(systems == number)
        outlines[rows] = to_plane(footprints(system, sizes[rows, 0], sizes[rows, 1], transforms[rows]))
    return outlines
