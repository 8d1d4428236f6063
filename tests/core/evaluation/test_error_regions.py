"""The regions of confused pixels, and their picture."""

import io

import numpy as np
from PIL import Image

from core.classes import UNLABELLED
from core.evaluation.error_regions import JudgedTile, confused, cut_regions, false_alarms, outlined_png, regions


def judged():
    truth = np.zeros((40, 50), np.uint8)
    truth[:, 25:] = 3
    truth[0] = UNLABELLED
    prediction = truth.copy()
    prediction[5:10, 5:15] = 3  # urban taken for forest
    prediction[20:22, 30:32] = UNLABELLED
    prediction[0, :] = 3
    return JudgedTile(truth, prediction, "1")


def test_confused_pixels_are_of_one_true_and_one_predicted_class():
    tile = judged()
    assert confused(tile, 0, 3).sum() == 50
    assert confused(tile, 3, UNLABELLED).sum() == 4
    assert confused(tile, 3, 0).sum() == 0


def test_false_alarms_leave_out_what_is_right_and_what_is_not_labelled():
    assert false_alarms(judged(), 3).sum() == 50
    assert false_alarms(judged(), 0).sum() == 0


def test_regions_come_largest_first_with_their_boxes_and_touch_at_corners():
    mask = np.zeros((30, 30), bool)
    mask[2:5, 2:6] = True
    mask[5, 6] = True  # joined at a corner
    mask[20:30, 20:30] = True
    mask[15, 3] = True
    found = regions(mask, at_most=5)
    assert [region.pixels for region in found] == [100, 13, 1]
    box = found[1].box
    assert (box.top, box.left, box.height, box.width) == (2, 2, 4, 5)
    assert len(regions(mask, at_most=1)) == 1


def test_a_region_is_cut_out_without_others_that_reach_into_its_box():
    mask = np.zeros((20, 20), bool)
    mask[0, :], mask[:, 0], mask[10, 10] = True, True, True
    cut = {region.pixels: inside for region, inside in cut_regions(mask, at_most=5)}
    assert cut[39].shape == (20, 20)
    assert not cut[39][10, 10]
    assert cut[1].shape == (1, 1)
    assert cut[1].all()


def test_the_picture_is_clear_outside_bright_at_the_border_and_tinted_inside():
    mask = np.zeros((60, 60), bool)
    mask[20:50, 20:50] = True
    picture = np.asarray(Image.open(io.BytesIO(outlined_png(mask))).convert("RGBA"))
    assert picture.shape == (60, 60, 4)
    assert picture[5, 5, 3] == 0
    assert picture[20, 30, 3] == 255
    assert 0 < picture[35, 35, 3] < 128
    untinted = np.asarray(Image.open(io.BytesIO(outlined_png(mask, tinted=False))).convert("RGBA"))
    assert untinted[35, 35, 3] == 0
    assert untinted[20, 30, 3] == 255


def test_where_a_region_leaves_the_tile_it_has_no_border():
    mask = np.ones((60, 60), bool)
    picture = np.asarray(Image.open(io.BytesIO(outlined_png(mask))).convert("RGBA"))
    assert (picture[..., 3] < 128).all()


def test_crumbs_are_left_out_where_there_is_more_and_listed_where_there_is_not():
    mask = np.zeros((40, 40), np.bool_)
    mask[2:5, 2:5] = mask[30, 30] = True
    assert [region.pixels for region in regions(mask, at_most=9, at_least=20)] == [9]
    mask[10:20, 10:20] = mask[25:30, 2:7] = True
    assert [region.pixels for region in regions(mask, at_most=9, at_least=20)] == [100, 25]
