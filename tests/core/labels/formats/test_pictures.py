import io

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image

from core.classes import UNLABELLED, encode_colours
from core.errors import InputError
from core.labels.formats import deepglobe, geotiff
from core.labels.formats.grid import Grid
from core.labels.formats.placed import Format
from core.labels.formats.recognise import read_file
from tests.core.labels.formats.rasters import ON_THE_GROUND, PLAIN, blocks_and_specks, read

RASTER = blocks_and_specks(2, (60, 80), block=9)
GRID = Grid("t0", "t0_sat.jpg", 80, 60)


def png(array, palette=None, mode=None):
    image = Image.fromarray(array, mode)
    if palette is not None:
        image.putpalette(palette)
    stream = io.BytesIO()
    image.save(stream, "png")
    return stream.getvalue()


def place(reading, meanings=None, grid=GRID, offset=(0, 0)):
    return reading.content.place(grid, {**reading.meanings, **(meanings or {})}, offset)


def test_a_lossy_copy_of_a_deepglobe_mask_is_taken_by_the_nearest_colours(tmp_path):
    blocks = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3), np.ones((32, 32), np.uint8))
    _, encoded = cv2.imencode(".jpg", encode_colours(blocks)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    reading = read(tmp_path, "a.jpg", encoded.tobytes())
    assert reading.format is Format.DEEPGLOBE
    laid = place(reading, grid=Grid("t0", "t0_sat.jpg", 96, 64))
    assert (laid.raster == blocks).mean() > 0.97
    assert "were not exactly of DeepGlobe's colours" in laid.notes[0]


def test_indices_0_to_5_and_255_need_no_asking(tmp_path):
    reading = read(tmp_path, "a.png", png(RASTER))
    assert (reading.format, reading.question) == (Format.INDEX, None)
    np.testing.assert_array_equal(place(reading).raster, RASTER)


@pytest.mark.parametrize(
    ("values", "guess"),
    [
        (range(1, 8), {str(n): n - 1 for n in range(1, 7)} | {"7": UNLABELLED}),
        (range(7), {"0": UNLABELLED} | {str(n): n - 1 for n in range(1, 7)}),
    ],
)
def test_indices_in_another_order_are_asked_for_with_a_guess(tmp_path, values, guess):
    reading = read(tmp_path, "a.png", png(np.tile(np.array(values, np.uint8), (60, 12))[:, :80]))
    assert "say what each one means" in reading.question
    assert reading.meanings == guess


def test_foreign_values_have_no_guess_and_their_meaning_can_be_said(tmp_path):
    nlcd = np.where(np.arange(80) < 40, 11, 42).astype(np.uint8) * np.ones((60, 1), np.uint8)
    reading = read(tmp_path, "a.png", png(nlcd))
    assert "holds the values 11, 42, which are not 0 to 5 and 255" in reading.question
    assert reading.keys == {"11": 2400, "42": 2400}
    with pytest.raises(InputError, match="'11', '42'"):
        place(reading)
    np.testing.assert_array_equal(place(reading, {"11": 4, "42": 3}).raster[0, [0, 79]], [4, 3])


def test_a_palette_of_other_colours_is_ambiguous_and_asked_for(tmp_path):
    reading = read(tmp_path, "a.png", png(RASTER % 4, palette=[0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]))
    assert "with colours of its own (#000000, #800000, #008000, #808000)" in reading.question


def test_a_palette_of_our_colours_counts_whatever_its_indices(tmp_path):
    palette = [0, 0, 255, 255, 255, 255]  # 0 is water, 1 barren
    reading = read(tmp_path, "a.png", png(RASTER % 2, palette=palette))
    assert reading.question is None
    np.testing.assert_array_equal(place(reading).raster, RASTER % 2 + 4)


def test_colours_of_another_legend_are_asked_for(tmp_path):
    legend = np.array([[60, 16, 152], [132, 41, 246], [0, 255, 255]], np.uint8)
    reading = read(tmp_path, "a.png", png(legend[RASTER % 3]))
    assert "colours that are none of DeepGlobe's seven (#3c1098, #8429f6)" in reading.question
    assert reading.meanings == {"#00ffff": 0}
    laid = place(reading, {"#3c1098": 1, "#8429f6": 2})
    np.testing.assert_array_equal(laid.raster, np.array([1, 2, 0], np.uint8)[RASTER % 3])


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_pngs_of_few_bits_keep_their_values(tmp_path, bits):
    values = RASTER % 2**bits % 6
    _, encoded = cv2.imencode(".png", values * (255 // (2**bits - 1)), [cv2.IMWRITE_PNG_BILEVEL, int(bits == 1)])
    content = encoded.tobytes() if bits == 1 else _few_bits(values, bits)
    np.testing.assert_array_equal(place(read(tmp_path, "a.png", content)).raster, values)


def _few_bits(values, bits):
    """A grey PNG of 2 or 4 bits, which no library at hand writes."""
    import struct
    import zlib

    shifts = np.arange(8 - bits, -1, -bits)
    packed = (values.reshape(len(values), -1, 8 // bits) << shifts).sum(axis=2).astype(np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_a_photograph_is_no_label_picture(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    with pytest.raises(InputError, match="different colours, so it is a photograph"):
        read(tmp_path, "a.png", png(noise))


def test_a_truncated_png_is_refused_without_naming_a_folder(tmp_path):
    content = png(encode_colours(RASTER))
    with pytest.raises(InputError, match=r"^a\.png is cut short: the PNG ends before its picture does"):
        read(tmp_path, "a.png", content[: len(content) // 2])


def test_a_png_that_claims_to_be_huge_is_refused_before_it_is_decoded(tmp_path):
    content = bytearray(png(RASTER))
    content[16:24] = (40_000).to_bytes(4, "big") * 2
    with pytest.raises(InputError, match="40,000 x 40,000 pixels"):
        read(tmp_path, "a.png", bytes(content))


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"%PDF-1.7"])
def test_another_kind_of_file_is_refused(tmp_path, content):
    with pytest.raises(InputError, match=r"a\.png is (empty|no JPEG, PNG or TIFF)"):
        read(tmp_path, "a.png", content)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_file(tmp_path / "none.png")


def test_a_smaller_picture_is_laid_at_its_offset_and_speaks_of_no_more(tmp_path):
    reading = read(tmp_path, "a.png", deepglobe.encode(RASTER))
    laid = place(reading, grid=PLAIN, offset=(100, 7))
    np.testing.assert_array_equal(laid.raster[7:67, 100:180], RASTER)
    assert laid.covered[7:67, 100:180].all()
    assert laid.covered.sum() == RASTER.size
    assert "laid at column 100, row 7" in laid.notes[0]


@pytest.mark.parametrize("offset", [(465, 0), (0, 450), (-1, 0)])
def test_a_picture_that_reaches_over_the_edge_is_refused(tmp_path, offset):
    reading = read(tmp_path, "a.png", deepglobe.encode(RASTER))
    with pytest.raises(InputError, match=r"a.png is 80 x 60 pixels laid at .* does not fit into tile t0 of 544 x 509"):
        place(reading, grid=PLAIN, offset=offset)


def test_a_geotiff_in_another_crs_is_laid_by_its_place_on_the_ground(tmp_path):
    raster = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3), np.ones((20, 20), np.uint8))
    from affine import Affine
    from rasterio.crs import CRS

    corner = ON_THE_GROUND.transform @ (200, 200)
    utm = Affine.translation(*corner) @ Affine.scale(25, -25)
    source = Grid("x", "x.tif", 60, 40, CRS.from_epsg(32617), utm)
    laid = place(read(tmp_path, "a.tif", geotiff.encode(raster, source)), grid=ON_THE_GROUND)
    for class_index, (column, row) in enumerate([(10, 10), (30, 10), (50, 10), (10, 30), (30, 30), (50, 30)]):
        x, y = ~ON_THE_GROUND.transform @ (utm @ (column, row))
        assert laid.raster[int(y), int(x)] == class_index
    assert laid.covered.sum() == (laid.raster != UNLABELLED).sum()


def test_a_geotiff_that_lies_elsewhere_is_refused_with_both_places(tmp_path):
    from affine import Affine

    away = Grid("x", "x.tif", 60, 40, ON_THE_GROUND.crs, Affine.translation(100_000, 0) @ ON_THE_GROUND.transform)
    reading = read(tmp_path, "a.tif", geotiff.encode(RASTER[:40, :60], away))
    with pytest.raises(InputError, match=r"lies elsewhere on the ground than tile t0: -79\.\d+ .* against -81\.\d+ "):
        place(reading, grid=ON_THE_GROUND)


def test_nodata_of_a_foreign_geotiff_is_unlabelled(tmp_path):
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "dtype": "int16", "count": 1, "width": 80, "height": 60, "nodata": -9999}
    with rasterio.open(path, "w", **profile) as target:
        target.write(np.where(RASTER == UNLABELLED, -9999, RASTER.astype(np.int16)), 1)
    reading = read_file(path)
    assert (reading.format, reading.question) == (Format.GEOTIFF, None)
    np.testing.assert_array_equal(place(reading).raster, RASTER)


def test_probabilities_are_no_classes(tmp_path):
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "width": 80, "height": 60}
    with rasterio.open(path, "w", **profile) as target:
        target.write((RASTER % 2 + 0.5).astype(np.float32), 1)
    with pytest.raises(InputError, match="holds fractions, not classes"):
        read_file(path)
