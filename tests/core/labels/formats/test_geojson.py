import json

import numpy as np
import pytest
from rasterio.warp import transform as transform_points

from core.classes import UNLABELLED
from core.errors import InputError
from core.labels.formats import geojson
from tests.core.labels.formats.rasters import (
    ON_THE_GROUND,
    PLAIN,
    blocks_and_specks,
    features,
    read,
    read_back,
    square,
)

UTM = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::26917"}}


def place(tmp_path, content, grid=PLAIN):
    reading = read(tmp_path, "a.geojson", content)
    return reading.content.place(grid, reading.meanings, (0, 0))


def on_the_ground(ring, crs=None):
    """A ring in pixels as coordinates of a CRS."""
    points = [ON_THE_GROUND.transform @ point for point in ring]
    if crs is None:
        return [list(point) for point in points]
    x, y = transform_points(ON_THE_GROUND.crs, crs, *zip(*points, strict=True))
    return [list(point) for point in zip(x, y, strict=True)]


def expected(shape=PLAIN.shape):
    raster = np.full(shape, UNLABELLED, np.uint8)
    raster[10:30, 10:30] = 4
    return raster


def test_what_is_written_keeps_to_rfc_7946():
    written = json.loads(geojson.encode(blocks_and_specks(0, (40, 40), block=11), ON_THE_GROUND))
    assert written["type"] == "FeatureCollection"
    assert "crs" not in written
    for feature in written["features"]:
        for number, ring in enumerate(feature["geometry"]["coordinates"]):
            x, y = np.array(ring).T
            assert ring[0] == ring[-1]
            assert (abs(x) <= 180).all()
            assert (abs(y) <= 90).all()
            area = x[:-1] @ y[1:] - x[1:] @ y[:-1]
            assert (area > 0) == (number == 0)  # outlines counter-clockwise, holes clockwise


def test_a_tile_without_a_place_gets_pixels_and_a_note():
    raster = np.full((5, 5), UNLABELLED, np.uint8)
    raster[1:3, 2:5] = 0
    written = json.loads(geojson.encode(raster, PLAIN))
    assert written["pixel_coordinates"] is True
    assert "upper left corner of the first pixel" in written["note"]
    [feature] = written["features"]
    assert feature["properties"] == {"class": "urban", "class_index": 0, "tile": "t0"}
    assert sorted(map(tuple, feature["geometry"]["coordinates"][0][:-1])) == [(2, 1), (2, 3), (5, 1), (5, 3)]


def test_nothing_labelled_is_an_empty_collection():
    written = json.loads(geojson.encode(np.full((5, 5), UNLABELLED, np.uint8), ON_THE_GROUND))
    assert written["features"] == []


@pytest.mark.parametrize("name", ["class", "Label", "NAME", "Class_Name"])
def test_the_property_that_names_the_class_may_be_spelt_in_several_ways(tmp_path, name):
    laid = place(tmp_path, features(({name: "Water"}, [square(10, 10, 20)])))
    np.testing.assert_array_equal(laid.raster, expected())
    assert "Its coordinates are taken as the tile's pixels." in laid.notes


def test_without_a_crs_member_coordinates_are_longitude_and_latitude(tmp_path):
    ring = on_the_ground(square(10, 10, 20), "EPSG:4326")
    laid = place(tmp_path, features(({"class": "water"}, [ring])), ON_THE_GROUND)
    np.testing.assert_array_equal(laid.raster, expected())
    assert "longitude and latitude" in laid.notes[0]


@pytest.mark.parametrize(
    ("name", "crs"),
    [
        ("urn:ogc:def:crs:EPSG::26917", None),
        ("EPSG:26917", None),
        ("urn:ogc:def:crs:EPSG::32617", "EPSG:32617"),
        ("EPSG:3857", "EPSG:3857"),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"),
    ],
)
def test_a_crs_member_is_believed(tmp_path, name, crs):
    ring = on_the_ground(square(10, 10, 20), crs)
    content = features(({"class": "water"}, [ring]), crs={"type": "name", "properties": {"name": name}})
    np.testing.assert_array_equal(place(tmp_path, content, ON_THE_GROUND).raster, expected())


def test_multipolygons_holes_and_later_over_earlier(tmp_path):
    content = features(({"class": "water"}, [square(0, 0, 20), square(5, 5, 10)]))
    content["features"].append(
        {
            "type": "Feature",
            "properties": {"class": "urban"},
            "geometry": {"type": "MultiPolygon", "coordinates": [[square(30, 30, 5)], [square(18, 18, 4)]]},
        }
    )
    raster = place(tmp_path, content).raster
    assert raster[2, 2] == 4
    assert raster[10, 10] == UNLABELLED
    assert raster[19, 19] == raster[32, 32] == 0
    assert (raster != UNLABELLED).sum() == 300 + 25 + 12


def test_a_single_feature_and_what_is_no_polygon(tmp_path):
    one = features(({"class": "water"}, [square(10, 10, 20)]))["features"][0]
    assert (place(tmp_path, one).raster == 4).sum() == 400
    content = features(({"class": "water"}, [square(10, 10, 20)]), ({"class": "urban"}, [square(900, 0, 5)]))
    content["features"].append({"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": []}})
    content["features"].append({"type": "Feature", "properties": {}, "geometry": None})
    notes = place(tmp_path, content).notes
    assert "Outside the tile, or over no pixel's centre: 1 of 2 polygons." in notes
    assert "1 points or lines were left out; only polygons have pixels." in notes


BOX = [square(10, 10, 20)]


@pytest.mark.parametrize(
    ("grid", "content", "said"),
    [
        (PLAIN, features(({"class": "water"}, BOX), crs=UTM), "are in EPSG:26917, and tile t0 has no place on the gro"),
        (ON_THE_GROUND, features(({"class": "water"}, [square(5e5, 4.2e6, 99)])), "names no CRS, so by RFC 7946 .* ru"),
        (ON_THE_GROUND, features(({"class": "water"}, [square(8, 50, 1)])), "No polygon of a.geojson touches tile t0"),
        (
            PLAIN,
            features(({"class": "water"}, BOX), crs={"type": "name", "properties": {"name": "?"}}),
            "a CRS that is",
        ),
        (PLAIN, features(({"class": "house"}, BOX)), "'house'; say which of urban, agriculture, rangeland, forest, "),
        (PLAIN, features(({"id": 4}, BOX)), "Feature 1 of a.geojson does not name its class; give it a property"),
        (PLAIN, features(({"class": "water"}, [[[1, 1], [5, 5], [1, 1]]])), "Feature 1 of a.geojson is a polygon of 2"),
        (PLAIN, features(({"class": "water"}, [[[1, 1], [5, "x"], [1, 2], [1, 1]]])), "no pairs of numbers"),
        (PLAIN, features(({"class": "water"}, [[[1, 1], [5, 1e999], [1, 2], [1, 1]]])), "no pairs of numbers"),
        (PLAIN, features(({"class": "water"}, [])), "a polygon without rings"),
        (PLAIN, features(), "holds no polygon"),
        (PLAIN, {"type": "FeatureCollection"}, "without a list of features"),
        (PLAIN, {"type": "Polygon", "coordinates": BOX}, "does not name its class"),
        (PLAIN, {"type": "Feature", "geometry": {"type": "Circle"}}, "has a geometry that is not understood"),
        (PLAIN, {"type": "Topology"}, "is JSON, but neither GeoJSON nor COCO"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path, grid, content, said):
    with pytest.raises(InputError, match=said):
        place(tmp_path, content, grid)


@pytest.mark.parametrize("content", [b'{"type": "Feat', b"\xff\xfe\x00", b"[" * 100_000, b"[1]", b""])
def test_what_is_no_json_object_is_refused(tmp_path, content):
    with pytest.raises(InputError, match=r"a\.geojson (is not valid JSON|holds a list)"):
        read(tmp_path, "a.geojson", content)


def test_a_tile_on_both_sides_of_the_180th_meridian_cannot_be_written():
    from affine import Affine
    from rasterio.crs import CRS

    from core.labels.formats.grid import Grid

    grid = Grid("far", "far.tif", 40, 40, CRS.from_epsg(32601), Affine.translation(166_000, 0) @ Affine.scale(30, -30))
    with pytest.raises(InputError, match="across the 180th meridian"):
        geojson.encode(blocks_and_specks(0, (40, 40), block=8), grid)


def test_too_many_corners_are_refused(tmp_path, monkeypatch):
    from core.labels.formats import json_file

    monkeypatch.setattr(json_file, "MAX_POINTS", 5)
    with pytest.raises(InputError, match="more than 500,000 polygons or 5 corners"):
        read(tmp_path, "a.geojson", features(({"class": "water"}, BOX), ({"class": "water"}, BOX)))


def test_an_old_file_of_ours_reads_back_on_a_turned_tile(tmp_path):
    raster = blocks_and_specks(5)
    laid = read_back(tmp_path, "t0.geojson", geojson.encode(raster, ON_THE_GROUND), ON_THE_GROUND)
    assert len(laid.notes) == 1  # no polygon was lost
