from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from core.catalog.georeference import metres_per_degree
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
