import numpy as np
import pytest
from pycocotools import mask as reference

from core.errors import InputError
from core.labels.formats import coco_rle


def masks():
    generator = np.random.default_rng(0)
    for shape in [(1, 1), (7, 5), (64, 33), (300, 200)]:
        for share in (0, 0.03, 0.5, 0.97, 1):
            yield generator.random(shape) < share


@pytest.mark.parametrize("mask", list(masks()), ids=lambda mask: f"{mask.shape}-{mask.mean():.2f}")
def test_the_compressed_string_is_the_one_that_pycocotools_writes(mask):
    counts = coco_rle.counts_of_mask(mask, top=0, left=0, shape=mask.shape)
    expected = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert coco_rle.compress(counts) == expected["counts"].decode()
    assert coco_rle.decompress(expected["counts"].decode()).tolist() == counts.tolist()


def test_a_mask_in_a_box_is_that_part_of_the_image():
    image = np.zeros((50, 40), np.bool_)
    image[11:31, 3:20] = np.random.default_rng(1).random((20, 17)) < 0.6
    boxed = coco_rle.counts_of_mask(image[11:31, 3:20], top=11, left=3, shape=image.shape)
    assert boxed.tolist() == coco_rle.counts_of_mask(image, top=0, left=0, shape=image.shape).tolist()


def test_whole_columns_are_one_run():
    counts = coco_rle.counts_of_mask(np.ones((6, 3), np.bool_), top=0, left=2, shape=(6, 9))
    assert counts.tolist() == [12, 18, 24]


def test_runs_of_a_large_image_survive():
    counts = np.array([0, 5_992_703, 1, 3, 400_000_000], np.int64)
    assert coco_rle.decompress(coco_rle.compress(counts)).tolist() == counts.tolist()


@pytest.mark.parametrize("text", ["\x10", "oooooooooooooooooooooooooo0", "o", "é"])
def test_a_damaged_string_is_refused(text):
    with pytest.raises(InputError, match="damaged"):
        coco_rle.decompress(text)


@pytest.mark.parametrize("counts", [[3, 4], [-1, 13], [12, 12]])
def test_runs_must_fill_the_image_exactly(counts):
    with pytest.raises(InputError, match="does not fill its image of 4 x 3 pixels"):
        coco_rle.runs_of_counts(np.array(counts, np.int64), (3, 4))
