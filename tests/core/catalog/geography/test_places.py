from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from pyproj import Transformer

from core.catalog.catalogue import index_folder, tiles
from core.catalog.geography.footprints import SEGMENTS, footprints, to_degrees, to_plane
from core.catalog.geography.places import Places, read_places
from core.progress import SilentProgress
from core.workspace import Workspace, open_workspace
from tests.core.catalog.geography.geo_pictures import placed_rows, write_geotiff
from tests.core.catalog.pictures import write_picture


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "ws")


def test_the_outline_of_a_large_turned_tile_follows_its_bent_edges() -> None:
    transform = Affine.translation(400_000, 6_700_000) @ Affine.rotation(40) @ Affine.scale(10, -10)
    width, height = 12_000, 9_000  # 120 km x 90 km
    outline = footprints("EPSG:32633", [width], [height], [transform[:6]])[0]
    judge = Transformer.from_crs(32633, 4326, always_xy=True)
    fine = np.linspace(0, 1, 400)
    worst = 0.0
    for column, row in [(fine * width, 0 * fine), (width + 0 * fine, fine * height), (fine * width, height + 0 * fine)]:
        x, y = transform @ (column, row)
        truth = np.column_stack(judge.transform(x, y))
        worst = max(worst, *(_apart(point, outline) for point in truth))
    assert worst * 111_000 < 5  # metres
    assert len(outline) == 4 * SEGMENTS + 1
    assert (outline[0] == outline[-1]).all()


def _apart(point: np.ndarray, line: np.ndarray) -> float:
    """Degrees between a point and the nearest piece of a line."""
    start, step = line[:-1], np.diff(line, axis=0)
    along = np.clip(((point - start) * step).sum(axis=1) / (step**2).sum(axis=1), 0, 1)
    return float(np.hypot(*(start + along[:, None] * step - point).T).min())


def test_the_plane_is_web_mercator_and_back() -> None:
    points = np.array([[-180.0, 85.0], [11.3, 48.1], [179.0, -60.0]])
    east, north = Transformer.from_crs(4326, 3857, always_xy=True).transform(*points.T)
    half = 20_037_508.342789244
    expected = np.column_stack(((np.array(east) + half) / (2 * half), (half - np.array(north)) / (2 * half)))
    assert to_plane(points) == pytest.approx(expected, abs=1e-9)
    assert to_degrees(to_plane(points)) == pytest.approx(points, abs=1e-9)


def test_only_tiles_with_a_place_have_one_and_the_others_are_counted(tmp_path: Path, workspace: Workspace) -> None:
    write_geotiff(tmp_path / "data/a.tif", "EPSG:32633", Affine(2, 0, 500_000, 0, -2, 5_000_000))
    write_geotiff(tmp_path / "data/b.tif", None, Affine(2, 0, 500_000, 0, -2, 5_000_000))
    write_picture(tmp_path / "data/c.jpg")
    report = index_folder(workspace, tmp_path / "data", SilentProgress())
    places = read_places(workspace, report.collection_id)
    assert places.names == ("a",)
    assert places.without == 2
    (finding,) = report.findings
    assert (finding.tile_name, finding.severity) == ("b", "warning")
    assert [tile.transform for tile in tiles(workspace, report.collection_id)][:2] == [
        [2, 0, 500_000, 0, -2, 5_000_000],
        None,
    ]


def _touching(places: Places, z: int, x: int, y: int) -> list[tuple[int, float]]:
    rows, moves = places.touching(z, x, y)
    return list(zip(rows.tolist(), moves.tolist(), strict=True))


def test_tiles_of_several_zones_are_found_where_they_touch_a_map_tile(workspace: Workspace) -> None:
    places = placed_rows(
        workspace, [("EPSG:32632", 11.99, 50.0), ("EPSG:32633", 12.01, 50.0), ("EPSG:32719", -70.0, -33.0)]
    )
    assert [row for row, _ in _touching(places, 0, 0, 0)] == [0, 1, 2]
    x, y = to_plane(np.array([12.0, 50.0])) * 2**10
    assert [row for row, _ in _touching(places, 10, int(x), int(y))] == [0, 1]
    assert _touching(places, 10, 0, 0) == []


def test_a_tile_across_the_antimeridian_is_met_on_both_sides(workspace: Workspace) -> None:
    places = placed_rows(workspace, [("EPSG:32660", 179.995, -17 + 40.0)])
    y = int(to_plane(np.array([180.0, 23.0]))[1] * 2**8)
    assert _touching(places, 8, 255, y) == [(0, 0.0)]
    assert _touching(places, 8, 0, y) == [(0, -1.0)]
    west, _, east, north = places.bounds()
    assert 179 < west < 180 < east < 181
    assert places.at(-179.99, north - 0.001).tile_id == places.at(179.998, north - 0.001).tile_id == places.ids[0]


def test_bounds_go_the_shorter_way_round_the_earth(workspace: Workspace) -> None:
    places = placed_rows(
        workspace, [("EPSG:32660", 179.0, 0.5), ("EPSG:32601", -179.0, 0.5), ("EPSG:32659", 172.0, 0.5)]
    )
    west, _, east, _ = places.bounds()
    assert west == pytest.approx(172, abs=0.1)
    assert east == pytest.approx(181, abs=0.1)
    assert _empty(places).bounds() is None


def _empty(places: Places) -> Places:
    return replace(places, ids=places.ids[:0], boxes=places.boxes[:0])


def test_the_uppermost_tile_is_told_with_its_own_coordinates(workspace: Workspace) -> None:
    places = placed_rows(workspace, [("EPSG:32633", 15.0, 50.0), ("EPSG:32632", 15.0, 50.0)])
    x, y = places.transforms[0][2] + 300, places.transforms[0][5] - 500
    longitude, latitude = Transformer.from_crs(32633, 4326, always_xy=True).transform(x, y)
    point = places.at(longitude, latitude)
    assert point.name == "t1"
    in_first = places._within(0, longitude, latitude)
    assert (in_first.x, in_first.y, in_first.crs) == (pytest.approx(x), pytest.approx(y), "EPSG:32633")
    assert (in_first.column, in_first.row) == (pytest.approx(150), pytest.approx(250))
    assert places.at(longitude, latitude - 1) is None


def test_the_nearest_tile_is_found_within_reach_alone(workspace: Workspace) -> None:
    places = placed_rows(workspace, [("EPSG:32633", 15.0, 50.0), ("EPSG:32633", 16.0, 50.0)])
    assert places.nearest(15.9, 49.99, reach=0.2 / 360) == 1
    assert places.nearest(15.9, 49.99, reach=0.05 / 360) is None


def test_the_native_zoom_is_that_of_the_finest_tile(workspace: Workspace) -> None:
    places = placed_rows(workspace, [("EPSG:32633", 15.0, 0.001)], metres=0.5)
    # A pixel of zoom z is 156 543 m / 2^z wide at the equator: 0.5 m lies between zoom 18 and 19.
    assert places.native_zoom() == 19


def test_a_tile_under_another_is_told(workspace: Workspace) -> None:
    places = placed_rows(workspace, [("EPSG:32633", 15.0, 50.0), ("EPSG:32633", 15.01, 50.0), ("EPSG:32633", 16, 50)])
    assert [places.is_hidden(int(tile_id)) for tile_id in places.ids] == [True, False, False]
    assert not places.is_hidden(99)
