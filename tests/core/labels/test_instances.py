import numpy as np
import pytest
from scipy import ndimage

from core.classes import CLASS_NAMES, UNLABELLED
from core.labels.instances import ClassCount, count


def by_scipy(raster, min_pixels):
    """The definition: label every class by itself, with corners."""
    counts = {}
    for index, name in enumerate(CLASS_NAMES):
        regions, found = ndimage.label(raster == index, np.ones((3, 3)))
        sizes = np.bincount(regions.ravel(), minlength=found + 1)[1:]
        counts[name] = ClassCount(int((sizes >= min_pixels).sum()), int(sizes.sum()))
    return counts


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("min_pixels", [1, 16])
def test_counts_agree_with_labelling_every_class_by_itself(seed, min_pixels):
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(1, 60, 2))
    coarse = generator.choice([0, 1, 2, 3, 4, 5, UNLABELLED], (61, 61), p=[0.15, 0.15, 0.1, 0.1, 0.1, 0.1, 0.3])
    raster = np.kron(coarse, np.ones((1 + seed % 3, 1 + seed % 3)))[: shape[0], : shape[1]].astype(np.uint8)
    assert count(raster, min_pixels=min_pixels) == by_scipy(raster, min_pixels)


def test_an_unlabelled_raster_has_no_instances():
    assert set(count(np.full((9, 9), UNLABELLED, np.uint8)).values()) == {ClassCount(0, 0)}


def test_regions_that_touch_at_a_corner_are_one_and_the_tile_does_not_wrap_round():
    raster = np.full((8, 20), UNLABELLED, np.uint8)
    raster[0:4, 0:5] = 3
    raster[4:8, 5:10] = 3
    assert count(raster)["forest"].instances == 1
    raster[0:4, 15:20] = 3  # its last column is beside the first of the next row in memory only
    assert count(raster)["forest"] == ClassCount(2, 60)


def test_a_crumb_counts_its_pixels_but_is_no_instance():
    raster = np.full((20, 20), UNLABELLED, np.uint8)
    raster[2:5, 2:7] = 4
    assert count(raster)["water"] == ClassCount(0, 15)
    raster[5, 2] = 4
    assert count(raster)["water"] == ClassCount(1, 16)
