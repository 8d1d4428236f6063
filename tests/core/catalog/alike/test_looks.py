import numpy as np
import pytest

from core.catalog.alike.looks import BOTTOM, LEFT, RIGHT, TOP, borders_of, known_looks, pixels_of, read_details
from core.catalog.catalogue import index_folder
from core.progress import SilentProgress
from tests.core.catalog.alike.looked import indexed, look, members, two_kinds
from tests.core.catalog.pictures import noise, write_pair


@pytest.fixture
def six(tmp_path):
    """Six tiles, the first four of them looked at."""
    workspace, collection = indexed(tmp_path, 6)
    rows = members(workspace, collection)
    look(workspace, rows[:4], two_kinds(4))
    return workspace, collection, rows


def test_the_borders_are_the_outermost_pixels_from_left_to_right_and_down():
    image = np.zeros((256, 512, 3), np.uint8)
    image[0], image[-1] = 10, 30
    image[:, -1], image[:, 0] = 20, 40
    image[128:, -1] = 200
    borders = borders_of(image)
    assert borders.shape == (4, 128, 3)
    assert borders[TOP, 64].tolist() == [10] * 3
    assert borders[BOTTOM, 64].tolist() == [30] * 3
    assert borders[LEFT].min() == borders[LEFT].max() == 40
    assert (borders[RIGHT, 0, 0], borders[RIGHT, 127, 0]) == (20, 200)


def test_files_that_show_the_same_have_the_same_pixels():
    image = noise(32, 64)
    assert pixels_of(image) == pixels_of(image.copy())
    assert pixels_of(image) != pixels_of(image.reshape(32, 64, 3))
    assert pixels_of(image) != pixels_of(255 - image)


def test_likeness_is_told_from_how_tiles_differ(six):
    workspace, collection, rows = six
    looks = known_looks(workspace, collection.id)
    assert looks.ids.tolist() == [tile.id for tile in rows[:4]]
    assert looks.missing == 2
    likeness = looks.vectors @ looks.vectors.T
    np.testing.assert_allclose(np.diag(likeness), 1, atol=1e-5)
    assert likeness[0, 1] > 0.9
    assert likeness[0, 3] < -0.9  # as embeddings they are at an acute angle


def test_a_look_of_an_image_that_changed_is_missing(six, tmp_path):
    workspace, collection, rows = six
    assert known_looks(workspace, collection.id).missing == 2
    write_pair(tmp_path / "data", "1", seed=99)
    index_folder(workspace, tmp_path / "data", SilentProgress())
    looks = known_looks(workspace, collection.id)
    assert looks.missing == 3
    assert rows[0].id not in looks.ids


def test_what_another_encoder_saw_is_left_out(six):
    workspace, collection, rows = six
    look(workspace, rows[4:5], np.ones((1, 9), np.float32), encoder="other")
    looks = known_looks(workspace, collection.id)
    assert looks.ids.tolist() == [tile.id for tile in rows[:4]]
    assert looks.missing == 2


def test_nobody_looked_is_no_error(tmp_path):
    workspace, collection = indexed(tmp_path, 2)
    looks = known_looks(workspace, collection.id)
    assert (len(looks.ids), len(looks.vectors), looks.missing) == (0, 0, 2)


def test_details_come_in_the_order_that_was_asked_for(six):
    workspace, _, rows = six
    details = read_details(workspace, [rows[2].id, rows[0].id])
    assert details.outlines.shape == (2, 96, 96)
    np.testing.assert_array_equal(details.borders[0], borders_of(noise()))
