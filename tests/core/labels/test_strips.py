import io

import numpy as np
import pytest
from PIL import Image

from core.classes import UNLABELLED
from core.labels.instances import count, count_parts
from core.labels.strips import STRIP_ROWS, cut, encode_png


def scattered(shape, seed=0):
    generator = np.random.default_rng(seed)
    coarse = generator.choice([0, 1, 2, 3, 4, 5, UNLABELLED], (shape[0] // 7 + 1, shape[1] // 7 + 1))
    return np.kron(coarse, np.ones((7, 7)))[: shape[0], : shape[1]].astype(np.uint8)


SHAPES = [(1, 1), (STRIP_ROWS, 50), (STRIP_ROWS + 1, 50), (3 * STRIP_ROWS - 5, 70)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_picture_made_of_strips_is_read_by_others_to_the_pixel(shape):
    raster = scattered(shape)
    with Image.open(io.BytesIO(encode_png(cut(raster), {"key": "value"}))) as image:
        image.verify()  # the sums of all chunks
    with Image.open(io.BytesIO(encode_png(cut(raster), {"key": "value"}))) as image:
        assert np.array_equal(np.asarray(image), raster)
        assert image.info["key"] == "value"


def test_opencv_which_checks_the_sum_over_the_whole_stream_reads_it_too():
    cv2 = pytest.importorskip("cv2")
    raster = scattered((3 * STRIP_ROWS, 70))
    read = cv2.imdecode(np.frombuffer(encode_png(cut(raster), {}), np.uint8), cv2.IMREAD_COLOR)
    assert read.shape[:2] == raster.shape


def test_the_compressed_stream_is_whole_and_its_sum_right():
    import zlib

    raster = scattered((3 * STRIP_ROWS - 5, 70))
    content = encode_png(cut(raster), {})
    stream, at = b"", 8
    while at < len(content):
        length = int.from_bytes(content[at : at + 4])
        if content[at + 4 : at + 8] == b"IDAT":
            stream += content[at + 8 : at + 8 + length]
        at += 12 + length
    lines = np.frombuffer(zlib.decompress(stream), np.uint8).reshape(raster.shape[0], raster.shape[1] + 1)
    assert np.array_equal(lines[:, 1:], raster)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("min_pixels", [1, 60])
def test_instances_that_lie_across_strips_count_once(shape, min_pixels):
    raster = scattered(shape)
    by_strips = count_parts([strip.parts for strip in cut(raster)], min_pixels=min_pixels)
    assert by_strips == count(raster, min_pixels=min_pixels)


def test_regions_that_touch_at_a_corner_across_a_seam_are_one_and_those_a_pixel_apart_are_two():
    raster = np.full((2 * STRIP_ROWS, 40), UNLABELLED, np.uint8)
    raster[STRIP_ROWS - 8 : STRIP_ROWS, 2:10] = 4
    raster[STRIP_ROWS : STRIP_ROWS + 8, 10:18] = 4
    assert count_parts([strip.parts for strip in cut(raster)])["water"].instances == 1
    raster[STRIP_ROWS : STRIP_ROWS + 8] = UNLABELLED
    raster[STRIP_ROWS : STRIP_ROWS + 8, 11:19] = 4
    assert count_parts([strip.parts for strip in cut(raster)])["water"].instances == 2


def test_only_the_strips_that_changed_are_made_anew():
    raster = scattered((4 * STRIP_ROWS, 50))
    before = cut(raster)
    changed = raster.copy()
    changed[STRIP_ROWS + 3, 7] ^= 1
    after = cut(changed, before)
    assert [new is old for new, old in zip(after, before, strict=True)] == [True, False, True, True]
    assert np.array_equal(after[1].rows, changed[STRIP_ROWS : 2 * STRIP_ROWS])


def test_a_raster_of_another_size_takes_none_of_the_strips_that_were():
    taller = cut(np.zeros((3 * STRIP_ROWS, 50), np.uint8), cut(np.zeros((STRIP_ROWS, 50), np.uint8)))
    shorter = cut(np.zeros((STRIP_ROWS, 40), np.uint8), taller)
    assert sum(len(strip.rows) for strip in taller) == 3 * STRIP_ROWS
    assert [strip.rows.shape for strip in shorter] == [(STRIP_ROWS, 40)]
