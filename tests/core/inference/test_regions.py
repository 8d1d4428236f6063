"""Small regions are filled from their neighbours."""

import numpy as np
import pytest

from core.errors import InputError
from core.inference.regions import remove_small_regions, smallest_in_pixels


def raster(*rows):
    letters = {str(i): i for i in range(6)} | {"#": 255}
    return np.array([[letters[letter] for letter in row] for row in rows], np.uint8)


def certain(classes, sure=0.9):
    """Probabilities (6, h, w) that favour the given class at each pixel."""
    probabilities = np.full((6, *np.shape(classes)), (1 - sure) / 5, np.float32)
    np.put_along_axis(probabilities, np.asarray(classes)[None].astype(int), sure, axis=0)
    return probabilities


def test_an_island_takes_the_class_around_it():
    given = raster("1111", "1311", "1111")
    assert (remove_small_regions(given, None, min_pixels=2) == 1).all()
    assert given[1, 1] == 3  # the raster given is left alone


def test_a_region_of_just_enough_pixels_stays():
    given = raster("1111", "1331", "1111")
    np.testing.assert_array_equal(remove_small_regions(given, None, min_pixels=2), given)


def test_without_probabilities_the_longest_border_wins():
    given = raster("00000", "03311", "00000", "11111")
    assert remove_small_regions(given, None, min_pixels=3)[1].tolist() == [0, 0, 0, 0, 0]


def test_with_probabilities_the_likeliest_neighbour_wins_but_never_a_class_that_is_not_there():
    given = raster("0000", "0031", "1111", "1111")
    probabilities = certain(given)
    probabilities[:, 1, 2] = [0.1, 0.2, 0.3, 0.4, 0, 0]  # rangeland is likelier, but no neighbour is rangeland
    assert remove_small_regions(given, probabilities, min_pixels=2)[1, 2] == 1


def test_speckle_is_filled_from_the_outside_inwards():
    given = raster("1111111", "1234521", "1325341", "1243251", "1111111")
    assert (remove_small_regions(given, None, min_pixels=4) == 1).all()


def test_unlabelled_pixels_stay_and_fill_nothing():
    given = raster("111##", "11###", "1##2#", "#####")
    filled = remove_small_regions(given, None, min_pixels=4)
    np.testing.assert_array_equal(filled, given)


def test_diagonal_neighbours_are_not_connected():
    given = raster("2111", "1211", "1111")
    assert (remove_small_regions(given, None, min_pixels=2) == 1).all()


def test_when_every_region_is_small_nothing_changes():
    given = raster("01", "23")
    np.testing.assert_array_equal(remove_small_regions(given, certain(given), min_pixels=100), given)


@pytest.mark.parametrize("seed", range(3))
def test_no_small_region_is_left(seed):
    generator = np.random.default_rng(seed)
    given = np.kron(generator.integers(0, 6, (6, 6)), np.ones((16, 16))).astype(np.uint8)
    speckle = generator.random(given.shape) < 0.3
    given[speckle] = generator.integers(0, 6, speckle.sum())
    filled = remove_small_regions(given, certain(given), min_pixels=20)
    np.testing.assert_array_equal(remove_small_regions(filled, None, min_pixels=20), filled)
    assert (filled != given).any()


def test_each_class_has_a_smallest_area_of_its_own():
    given = raster("111111", "141121", "111111")
    filled = remove_small_regions(given, None, min_pixels=(0, 0, 2, 0, 0, 0))
    assert filled[1].tolist() == [1, 4, 1, 1, 1, 1]  # the pond stays, the speck of rangeland goes


def test_square_metres_become_pixels_of_the_tile():
    assert smallest_in_pixels((0, 1, 400, 900, 50, 3), (0.5, 0.5)) == (0, 4, 1600, 3600, 200, 12)
    assert smallest_in_pixels((400,) * 6, (10.0, 20.0)) == (2,) * 6


@pytest.mark.parametrize("areas", [(), (1, 2), (-1, 0, 0, 0, 0, 0), (float("nan"),) * 6, (2e6,) * 6])
def test_areas_that_make_no_sense_are_refused(areas):
    with pytest.raises(InputError, match="6 areas"):
        smallest_in_pixels(areas, (0.5, 0.5))
