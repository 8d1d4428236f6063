import json
import shutil
import subprocess

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile

from core.classes import CLASSES, UNLABELLED
from core.labels.formats import deepglobe, geotiff
from tests.core.labels.formats.rasters import ON_THE_GROUND, PLAIN, blocks_and_specks

RASTER = blocks_and_specks(4)


def test_rasterio_sees_crs_transform_colours_names_and_nodata():
    with MemoryFile(geotiff.encode(RASTER, ON_THE_GROUND)) as memory, memory.open() as opened:
        assert opened.crs == ON_THE_GROUND.crs
        assert opened.transform.almost_equals(ON_THE_GROUND.transform)
        assert opened.nodata == UNLABELLED
        assert [opened.colormap(1)[c.index][:3] for c in CLASSES] == [c.colour for c in CLASSES]
        assert opened.tags(1)["class_3"] == "forest"
        np.testing.assert_array_equal(opened.read(1), RASTER)


def test_a_tile_without_a_place_is_written_without_one():
    with MemoryFile(geotiff.encode(RASTER, PLAIN)) as memory, memory.open() as opened:
        assert opened.crs is None
        assert opened.transform.is_identity


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="GDAL's own tools are absent; Debian has gdal-bin")
def test_gdals_own_tools_agree(tmp_path):
    path, copy = tmp_path / "t0_classes.tif", tmp_path / "copy.png"
    path.write_bytes(geotiff.encode(RASTER, ON_THE_GROUND))
    said = json.loads(subprocess.run(["gdalinfo", "-json", "-stats", path], check=True, capture_output=True).stdout)
    assert said["size"] == [PLAIN.width, PLAIN.height]
    assert said["geoTransform"] == pytest.approx(list(ON_THE_GROUND.transform.to_gdal()))
    assert "26917" in said["coordinateSystem"]["wkt"]
    [band] = said["bands"]
    assert (band["type"], band["colorInterpretation"], band["noDataValue"]) == ("Byte", "Palette", 255)
    assert band["colorTable"]["entries"][3][:3] == [0, 255, 0]
    assert (band["minimum"], band["maximum"]) == (0, 5)  # nodata is left out
    subprocess.run(["gdal_translate", "-q", "-of", "PNG", path, copy], check=True)
    with rasterio.open(copy) as opened:
        np.testing.assert_array_equal(opened.read(1), RASTER)


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="GDAL's own tools are absent; Debian has gdal-bin")
def test_gdals_own_tools_read_our_geojson(tmp_path):
    from core.labels.formats import geojson

    path, burnt = tmp_path / "t0.geojson", tmp_path / "burnt.tif"
    path.write_bytes(geojson.encode(RASTER, ON_THE_GROUND))
    summary = subprocess.run(["ogrinfo", "-so", "-al", path], check=True, capture_output=True, text=True).stdout
    assert "Geometry: Polygon" in summary
    assert "WGS 84" in summary
    # GDAL burns by pixel centres too: the polygons, brought back to the tile's grid, are the class raster.
    blank = np.full(RASTER.shape, UNLABELLED, np.uint8)
    burnt.write_bytes(geotiff.encode(blank, ON_THE_GROUND))
    back = tmp_path / "back.geojson"
    subprocess.run(["ogr2ogr", "-t_srs", "EPSG:26917", back, path], check=True, capture_output=True)
    subprocess.run(["gdal_rasterize", "-q", "-a", "class_index", back, burnt], check=True)
    with rasterio.open(burnt) as opened:
        assert (opened.read(1) == RASTER).mean() > 0.9999


def test_a_deepglobe_mask_is_plain_24_bit_rgb(tmp_path):
    content = deepglobe.encode(RASTER)
    assert content[24:26] == bytes([8, 2])  # bits a sample and colour type of the PNG header
