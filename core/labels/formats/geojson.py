"""GeoJSON polygons, read and written.

RFC 7946 knows one coordinate system, WGS 84 longitude and latitude, and so it is written. Its forerunner of 2008 had a
``crs`` member, which many programs still write: where a file has one it is believed. A tile without a place on the
ground takes and gives pixel coordinates instead (x to the right, y down, whole numbers at the pixels' corners), which
a foreign member ``pixel_coordinates`` says.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform as transform_points

from core.classes import CLASS_NAMES, UNLABELLED, ClassRaster
from core.errors import InputError
from core.labels.formats.class_names import Meanings, check_meanings, known_meanings
from core.labels.formats.grid import Grid
from core.labels.formats.json_file import Budget, ring_of_positions
from core.labels.formats.placed import Format, Placed, Reading
from core.labels.formats.polygons import Polygon, Ring, paint, trace

SUFFIX = ".geojson"
NAME_PROPERTIES = ("class", "label", "name", "class_name")
"""The properties that may name the class, the first that is there counts; letters' case does not."""

DEGREE_DIGITS = 9
"""Decimals of longitude and latitude: a tenth of a millimetre, so that a trip there and back moves no pixel."""

_WGS84 = CRS.from_epsg(4326)
_GEOMETRIES = {"Point", "MultiPoint", "LineString", "MultiLineString"}
_CRS84 = re.compile(r"(urn:ogc:def:crs:)?OGC:[\d.]*:?CRS84$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NamedPolygon:
    """One polygon as the file has it: what it calls the class, and the rings in the file's coordinates."""

    key: str
    rings: tuple[Ring, ...]


@dataclass(frozen=True, slots=True)
class GeoJsonContent:
    """The polygons of a file. ``crs`` is None where it has no ``crs`` member; ``others`` counts points and lines."""

    name: str
    polygons: tuple[NamedPolygon, ...]
    crs: CRS | None
    in_pixels: bool
    others: int

    def place(self, grid: Grid, meanings: Meanings, offset: tuple[int, int]) -> Placed:  # noqa: ARG002
        """Lay the polygons on a tile, later ones over earlier ones; a pixel belongs to one by its centre.

        Raises ``InputError`` where the coordinates cannot be those of the tile, or no polygon touches it.
        """
        check_meanings([polygon.key for polygon in self.polygons], meanings)
        rings, said = self._to_pixels(grid)
        split = iter(np.split(rings, np.cumsum([len(ring) for p in self.polygons for ring in p.rings])[:-1]))
        polygons = [Polygon(meanings[p.key], tuple(next(split) for _ in p.rings)) for p in self.polygons]
        raster = np.full(grid.shape, UNLABELLED, np.uint8)
        missed = paint(raster, polygons)
        if missed == len(polygons):
            raise InputError(
                f"No polygon of {self.name} touches tile {grid.name}: {said}. Choose the file of this tile, "
                "or state the file's CRS in it."
            )
        notes = [said[0].upper() + said[1:] + "."]
        if missed:
            notes.append(f"Outside the tile, or over no pixel's centre: {missed:,} of {len(polygons):,} polygons.")
        if self.others:
            notes.append(f"{self.others:,} points or lines were left out; only polygons have pixels.")
        return Placed(raster, tuple(notes))

    def _to_pixels(self, grid: Grid) -> tuple[Ring, str]:
        """All rings' corners in the tile's pixels, and in words which coordinates they were taken for."""
        points = np.concatenate([ring for polygon in self.polygons for ring in polygon.rings])
        if grid.crs is None or self.in_pixels:
            if self.crs is not None:
                raise InputError(
                    f"The coordinates of {self.name} are in {_crs_name(self.crs)}, and tile {grid.name} has no place "
                    "on the ground; use polygons in its pixels, without a crs member."
                )
            return points, "its coordinates are taken as the tile's pixels"
        crs = self.crs or _WGS84
        if crs.is_geographic and (np.abs(points) > (540, 90)).any():
            x, y = points[np.abs(points).max(axis=1).argmax()]
            raise InputError(
                f"{self.name} names no CRS, so by RFC 7946 its coordinates are longitude and latitude, but they run to "
                f"{x:,.0f}, {y:,.0f}; state their CRS in a crs member or save the file in WGS 84."
                if self.crs is None
                else f"{self.name} says that it is in {_crs_name(crs)}, but its coordinates are no degrees "
                f"({x:,.0f}, {y:,.0f}); state the right CRS."
            )
        on_ground = _transformed(points, crs, grid.crs, self.name)
        a, b, c, d, e, f = (~grid.transform)[:6]
        pixels = np.column_stack(
            (a * on_ground[:, 0] + b * on_ground[:, 1] + c, d * on_ground[:, 0] + e * on_ground[:, 1] + f)
        )
        stated = "as it says" if self.crs else "longitude and latitude, as RFC 7946 has it"
        return pixels, f"its coordinates are taken as {_crs_name(crs)} ({stated})"


def is_geojson(content: dict[str, Any]) -> bool:
    """Whether a JSON object says that it is GeoJSON."""
    return content.get("type") in {"FeatureCollection", "Feature", "Polygon", "MultiPolygon", "GeometryCollection"}


def read(path: Path, content: dict[str, Any]) -> Reading:
    """Read a GeoJSON object. Raises ``InputError`` for one without polygons, with bad rings, or of an unknown CRS."""
    polygons: list[NamedPolygon] = []
    others = 0
    budget = Budget(path.name)
    for number, feature in enumerate(_features(path, content), start=1):
        where = f"Feature {number} of {path.name}"
        if not isinstance(feature, dict):
            raise InputError(f"{where} is no object; export the file again.")
        for kind, coordinates in _geometries(feature.get("geometry"), where):
            if kind in _GEOMETRIES:
                others += 1
                continue
            key = _class_name(feature.get("properties"), where)
            for rings in [coordinates] if kind == "Polygon" else coordinates:
                polygon = NamedPolygon(key, _rings(rings, where))
                budget.spend(polygons=1, points=sum(map(len, polygon.rings)))
                polygons.append(polygon)
    if not polygons:
        raise InputError(f"{path.name} holds no polygon; export the labels as polygons.")
    keys = Counter(polygon.key for polygon in polygons)
    in_pixels = content.get("pixel_coordinates") is True
    body = GeoJsonContent(path.name, tuple(polygons), _crs(path, content), in_pixels, others)
    return Reading(
        Format.GEOJSON,
        f"{len(polygons):,} polygon{'s' if len(polygons) != 1 else ''}",
        body,
        dict(keys),
        known_meanings(keys),
    )


def encode(raster: ClassRaster, grid: Grid) -> bytes:
    """A class raster as a GeoJSON FeatureCollection: one feature a 4-connected region, with its class.

    Raises ``InputError`` where the tile lies across the 180th meridian, which RFC 7946 has no one ring for.
    """
    polygons = trace(raster)
    collection: dict[str, Any] = {"type": "FeatureCollection", "name": grid.name}
    if grid.crs is None:
        collection["pixel_coordinates"] = True
        collection["note"] = (
            "The tile has no place on the ground: coordinates are its pixels, x to the right and y down, with (0, 0) "
            "at the upper left corner of the first pixel."
        )
    points = [ring for polygon in polygons for ring in polygon.rings]
    if points and grid.crs is not None:
        points = _on_the_ground(points, grid)
    rings = iter(points)
    collection["features"] = [
        {
            "type": "Feature",
            "properties": {"class": CLASS_NAMES[p.class_index], "class_index": p.class_index, "tile": grid.name},
            "geometry": {
                "type": "Polygon",
                "coordinates": [_closed(next(rings), outline=n == 0) for n in range(len(p.rings))],
            },
        }
        for p in polygons
    ]
    return json.dumps(collection, separators=(",", ":")).encode()


def _on_the_ground(rings: list[Ring], grid: Grid) -> list[Ring]:
    """Rings in pixels to longitude and latitude."""
    cuts = np.cumsum([len(ring) for ring in rings])[:-1]
    pixels = np.concatenate(rings)
    a, b, c, d, e, f = grid.transform[:6]
    x, y = pixels[:, 0], pixels[:, 1]
    degrees = _transformed(np.column_stack((a * x + b * y + c, d * x + e * y + f)), grid.crs, _WGS84, grid.name)
    if np.ptp(degrees[:, 0]) > 180:
        raise InputError(f"Tile {grid.name} lies across the 180th meridian; export it as GeoTIFF.")
    return np.split(degrees.round(DEGREE_DIGITS), cuts)


def _closed(ring: Ring, *, outline: bool) -> list[list[float]]:
    """A ring as RFC 7946 has it: outline counter-clockwise, holes clockwise, the first corner again at the end."""
    x, y = ring.T
    counter_clockwise = float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) > 0
    turned = ring if counter_clockwise == outline else ring[::-1]
    whole = (turned == np.floor(turned)).all()
    corners: list[list[float]] = (turned.astype(np.int64) if whole else turned).tolist()
    return [*corners, corners[0]]


def _features(path: Path, content: dict[str, Any]) -> list[Any]:
    if content["type"] == "FeatureCollection":
        features = content.get("features")
        if not isinstance(features, list):
            raise InputError(f"{path.name} is a FeatureCollection without a list of features; export it again.")
        return features
    return [content if content["type"] == "Feature" else {"geometry": content, "properties": None}]


def _geometries(geometry: Any, where: str, *, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The plain geometries in one: their types and coordinates. A feature without a geometry has none."""
    if geometry is None:
        return
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind == "GeometryCollection" and depth < 4 and isinstance(geometry.get("geometries"), list):
        for part in geometry["geometries"]:
            yield from _geometries(part, where, depth=depth + 1)
    elif kind in _GEOMETRIES or (kind in {"Polygon", "MultiPolygon"} and isinstance(geometry.get("coordinates"), list)):
        yield kind, geometry.get("coordinates")
    else:
        raise InputError(f"{where} has a geometry that is not understood; export the file again.")


def _rings(rings: Any, where: str) -> tuple[Ring, ...]:
    if not isinstance(rings, list) or not rings:
        raise InputError(f"{where} has a polygon without rings; export the file again.")
    return tuple(ring_of_positions(ring, where) for ring in rings)


def _class_name(properties: Any, where: str) -> str:
    lower = {str(key).lower(): value for key, value in properties.items()} if isinstance(properties, dict) else {}
    for name in NAME_PROPERTIES:
        if isinstance(lower.get(name), str | int) and str(lower[name]).strip():
            return str(lower[name]).strip()
    raise InputError(
        f"{where} does not name its class; give it a property {', '.join(NAME_PROPERTIES[:-1])} or class_name."
    )


def _crs(path: Path, content: dict[str, Any]) -> CRS | None:
    """The CRS of the file's ``crs`` member; None where it has none."""
    member = content.get("crs")
    if member is None:
        return None
    properties = member.get("properties") if isinstance(member, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if isinstance(name, str) and _CRS84.match(name):
        return _WGS84
    try:
        code = re.fullmatch(r"(?:urn:ogc:def:crs:)?(\w+):(?:[\d.]*:)?(\d+)", str(name), re.IGNORECASE)
        return CRS.from_user_input(f"{code[1]}:{code[2]}" if code else str(name)[:2000])
    except CRSError as error:
        raise InputError(
            f"{path.name} names a CRS that is not understood ({str(name)[:60]}); save the file in WGS 84."
        ) from error


def _crs_name(crs: CRS) -> str:
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else "a CRS of its own"


def _transformed(points: Ring, source: CRS, target: CRS, name: str) -> Ring:
    """(x, y) of one CRS in another; longitude comes first in geographic ones."""
    if source == target:
        return points
    try:
        x, y = transform_points(source, target, points[:, 0], points[:, 1])
    except (CRSError, RasterioError) as error:
        raise InputError(f"The coordinates of {name} cannot be brought into another CRS ({error}).") from error
    moved = np.column_stack((x, y)).astype(np.float64)
    if not np.isfinite(moved).all():
        raise InputError(
            f"{name} has corners that do not exist in the CRS {_crs_name(target)}; check which CRS its own are in."
        )
    return moved
