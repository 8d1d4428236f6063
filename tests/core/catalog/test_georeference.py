from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.control import GroundControlPoint

from core.catalog.georeference import area_of_use, metres_per_degree
from core.catalog.images import ImageInfo, read_info
from tests.core.catalog.pictures import SHARED


def _info(path: Path, crs: str | None, transform: Affine) -> ImageInfo:
    profile = {"driver": "GTiff", "width": 20, "height": 10, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", crs=crs, transform=transform, **profile) as target:
        target.write(np.zeros((1, 10, 20), np.uint8))
    return read_info(path)


def test_pixels_that_are_not_square_keep_two_resolutions(tmp_path: Path) -> None:
    info = _info(tmp_path / "a.tif", "EPSG:32633", Affine(2, 0, 500_000, 0, -3, 5_000_000))
    assert (info.metres_per_pixel_x, info.metres_per_pixel_y, info.crs) == (2, 3, "EPSG:32633")


def test_a_rotated_transform_counts_by_the_length_of_its_axes(tmp_path: Path) -> None:
    turned = Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(2, -3)
    info = _info(tmp_path / "a.tif", "EPSG:32633", turned)
    assert (info.metres_per_pixel_x, info.metres_per_pixel_y) == pytest.approx((2, 3))


def test_degrees_are_metres_at_the_latitude_of_the_image(tmp_path: Path) -> None:
    info = _info(tmp_path / "a.tif", "EPSG:4326", Affine(1e-5, 0, 11, 0, -1e-5, 60))
    assert info.metres_per_pixel_x == pytest.approx(0.558, rel=1e-3)
    assert info.metres_per_pixel_y == pytest.approx(1.114, rel=1e-3)


def test_the_length_of_a_degree_agrees_with_the_ellipsoid() -> None:
    # Radii of curvature of WGS 84: meridian M and prime vertical N, Snyder, Map Projections (1987), 4-18 and 4-20.
    a, e2 = 6_378_137.0, 0.00669437999
    for latitude in (0.0, 35.0, 60.0):
        s = np.sin(np.radians(latitude))
        meridian = a * (1 - e2) / (1 - e2 * s**2) ** 1.5
        parallel = a / np.sqrt(1 - e2 * s**2) * np.cos(np.radians(latitude))
        expected = np.radians(1) * np.array([parallel, meridian])
        assert metres_per_degree(latitude) == pytest.approx(tuple(expected), abs=0.2)


def test_feet_are_converted(tmp_path: Path) -> None:
    info = _info(tmp_path / "a.tif", "EPSG:2263", Affine(1, 0, 980_000, 0, -1, 200_000))
    assert info.metres_per_pixel_x == pytest.approx(0.3048, rel=1e-4)


def test_without_a_reference_system_half_a_metre_is_taken(tmp_path: Path) -> None:
    info = _info(tmp_path / "a.tif", None, Affine(7, 0, 100, 0, -7, 100))
    assert (info.metres_per_pixel_x, info.metres_per_pixel_y, info.crs) == (0.5, 0.5, None)


@pytest.mark.real
def test_the_real_geotiffs_have_their_stated_resolution() -> None:
    folder = SHARED / "open/naip-georeferenced"
    if not folder.is_dir():
        pytest.skip("the real GeoTIFFs are not beside this checkout")
    one_metre = read_info(folder / "NAIP-VA-rgb.tif")
    assert (one_metre.metres_per_pixel_x, one_metre.width, one_metre.crs) == (1.0, 597, "EPSG:26917")
    skewed = read_info(folder / "m_3907833_nw_17_1_naip-new.tif")
    assert (skewed.metres_per_pixel_x, skewed.metres_per_pixel_y) == pytest.approx((23.59, 29.46), abs=0.01)


def _caveat(path: Path, crs: str | None, transform: Affine) -> ImageInfo:
    info = _info(path, crs, transform)
    assert info.crs is None
    assert info.transform is None
    assert info.caveat is not None
    assert info.caveat.startswith(str(path))
    assert "gdal" in info.caveat
    return info


UTM = Affine(2, 0, 500_000, 0, -2, 5_000_000)


def test_a_usable_place_is_kept_with_its_transform(tmp_path: Path) -> None:
    info = _info(tmp_path / "a.tif", "EPSG:32633", Affine(2, 1, 500_000, 0.5, -3, 5_000_000))
    assert info.transform == (2, 1, 500_000, 0.5, -3, 5_000_000)
    assert info.caveat is None


def test_a_transform_without_a_crs_is_told_with_what_was_taken(tmp_path: Path) -> None:
    info = _caveat(tmp_path / "a.tif", None, UTM)
    assert "no CRS" in info.caveat
    assert "0.5 m a pixel was taken" in info.caveat
    assert "-a_srs" in info.caveat


def test_a_crs_without_a_transform_is_told(tmp_path: Path) -> None:
    assert "-a_ullr" in _caveat(tmp_path / "a.tif", "EPSG:32633", Affine.identity()).caveat


def test_ground_control_points_are_told_from_a_transform(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    points = [GroundControlPoint(row, column, 500_000 + column, 5_000_000 - row) for row, column in _CORNERS]
    profile = {"driver": "GTiff", "width": 20, "height": 10, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", gcps=points, crs="EPSG:32633", **profile) as target:
        target.write(np.zeros((1, 10, 20), np.uint8))
    assert "gdalwarp" in read_info(path).caveat


_CORNERS = ((0, 0), (0, 20), (10, 20), (10, 0))


def test_a_plain_picture_has_no_place_and_no_caveat(tmp_path: Path) -> None:
    assert _info(tmp_path / "a.tif", None, Affine.identity()).caveat is None


@pytest.mark.parametrize(
    ("crs", "transform", "told"),
    [
        ("EPSG:4326", UTM, "no degrees"),
        ("EPSG:32633", Affine(1e-5, 0, 11, 0, -1e-5, 60), "m large"),
        ("EPSG:3857", Affine(20_000, 0, 0, 0, -20_000, 0), "m large"),
        ("EPSG:32633", Affine(2, 0, 5e9, 0, -2, 1e10), "no place on Earth"),
        ("EPSG:2154", Affine(1, 0, 680_811, 0, -1, 4_207_739), "far outside the area where EPSG:2154 is used"),
        ("EPSG:32633", Affine(2, 2, 500_000, 2, 2, 5_000_000), "one line"),
    ],
    ids=["metres-as-degrees", "degrees-as-metres", "huge-pixels", "beyond-the-earth", "another-country", "collapsed"],
)
def test_a_crs_that_its_coordinates_contradict_gives_no_place(
    tmp_path: Path, crs: str, transform: Affine, told: str
) -> None:
    assert told in _caveat(tmp_path / "a.tif", crs, transform).caveat


def test_the_ground_resolution_is_kept_where_only_the_place_is_wrong(tmp_path: Path) -> None:
    info = _caveat(tmp_path / "a.tif", "EPSG:2154", Affine(1, 0, 680_811, 0, -1, 4_207_739))
    assert info.metres_per_pixel_x == 1
    assert _caveat(tmp_path / "b.tif", "EPSG:4326", UTM).metres_per_pixel_x == 0.5


def test_a_mosaic_may_go_on_in_its_first_zone(tmp_path: Path) -> None:
    x, y = Transformer.from_crs(4326, 32633, always_xy=True).transform(22.5, 50)  # zone 33 ends at 18 degrees
    assert _info(tmp_path / "a.tif", "EPSG:32633", Affine(2, 0, x, 0, -2, y)).crs == "EPSG:32633"


def test_an_area_of_use_may_span_the_antimeridian(tmp_path: Path) -> None:
    west, _, east, _ = area_of_use("EPSG", "3832")  # PDC Mercator, used for the Pacific
    assert west > east or east > 180
    x, y = Transformer.from_crs(4326, 3832, always_xy=True).transform(-179, -17)
    assert _info(tmp_path / "a.tif", "EPSG:3832", Affine(10, 0, x, 0, -10, y)).crs == "EPSG:3832"
