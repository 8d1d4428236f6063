import errno
import os

import numpy as np
import pytest

from core.classes import UNLABELLED
from core.errors import InputError
from core.inference.tta import transforms
from core.progress import SilentProgress
from core.training import patches
from core.training.cell_grid import CellGrid
from core.training.patches import Move, WorkingTile, cut_patch, load_working_tiles, working_classes, working_image
from core.training.recipe import Recipe
from core.training.training_data import gather
from tests.core.training.scenes import scene, write_scenes

U = UNLABELLED


@pytest.fixture(scope="module")
def tile():
    return WorkingTile("a", *scene(0, size=128))


def test_a_working_pixel_has_the_class_of_most_of_its_labelled_area():
    raster = np.array([[0, 0, U, U], [1, U, U, 3], [2, 1, U, U], [1, 2, U, U]], np.uint8)
    assert working_classes(raster, CellGrid((4, 4), (2, 2))).tolist() == [[0, 3], [1, U]]


def test_a_working_size_that_is_no_whole_part_still_takes_the_majority():
    raster = np.repeat(np.array([[0, 5]], np.uint8), 6, axis=1).repeat(12, axis=0)  # (12, 12)
    assert working_classes(raster, CellGrid((12, 12), (5, 5))).tolist() == [[0, 0, 0, 5, 5]] * 5


def test_a_tile_keeps_its_pixels_where_it_already_has_the_working_size(tile):
    grid = CellGrid((128, 128), (128, 128))
    assert working_image(tile.image, grid) is tile.image
    assert working_classes(tile.classes, grid) is tile.classes


def test_a_patch_as_it_lies_is_the_tiles_own_pixels(tile):
    image, classes = cut_patch(tile, row=20, column=7, side=64)
    assert np.array_equal(image, tile.image[20:84, 7:71])
    assert np.array_equal(classes, tile.classes[20:84, 7:71])


def test_flips_and_turns_move_whole_pixels_as_the_symmetries_of_prediction_do(tile):
    for move in transforms("d4"):
        image, classes = cut_patch(
            tile, row=20, column=7, side=64, move=Move(quarter_turns=move.quarter_turns, mirrored=move.mirrored)
        )
        assert np.array_equal(image, move.forward(tile.image[20:84, 7:71]))
        assert np.array_equal(classes, move.forward(tile.classes[20:84, 7:71]))


def test_a_patch_larger_than_the_tile_is_mirrored_and_unlabelled_beyond_it(tile):
    image, classes = cut_patch(tile, row=-32, column=-32, side=192)
    assert np.array_equal(classes[32:160, 32:160], tile.classes)
    assert (np.delete(np.delete(classes, np.s_[32:160], 0), np.s_[32:160], 1) == U).all()
    assert (classes == U).sum() == 192**2 - 128**2
    assert np.array_equal(image, np.pad(tile.image, ((32, 32), (32, 32), (0, 0)), mode="symmetric"))


def test_a_scale_of_two_shows_half_the_extent(tile):
    large = np.kron(np.arange(16).reshape(4, 4) % 6, np.ones((32, 32))).astype(np.uint8)
    _, classes = cut_patch(WorkingTile("b", tile.image, large), row=32, column=32, side=64, move=Move(scale=2.0))
    assert np.array_equal(classes, np.kron(large[48:80, 48:80], np.ones((2, 2))))


def tiles_of(folder):
    return gather(write_scenes(folder), None, Recipe(train="decoder")).training


def test_tiles_beyond_the_memory_limit_are_mapped_and_the_same(tmp_path, monkeypatch):
    found = tiles_of(tmp_path / "data")
    plain = load_working_tiles(found, folder=tmp_path / "runs", progress=SilentProgress())
    monkeypatch.setattr(patches, "IN_MEMORY", found[0].grid.working[0] ** 2 * 4)
    mapped = load_working_tiles(found, folder=tmp_path / "runs", progress=SilentProgress())
    assert [isinstance(t.image, np.memmap) for t in mapped] == [False, True, True]
    for one, other in zip(plain, mapped, strict=True):
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.classes, other.classes)
        assert one.image.shape == (128, 128, 3)
    assert not list((tmp_path / "runs").iterdir())  # nothing to clear away, even after a kill


def test_a_full_disk_is_said_in_a_sentence(tmp_path, monkeypatch):
    def no_room(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(patches, "IN_MEMORY", 0)
    monkeypatch.setattr(patches.os, "posix_fallocate", no_room)
    with pytest.raises(InputError, match=r"No space left on device.*free some disk space"):
        load_working_tiles(tiles_of(tmp_path / "data"), folder=tmp_path, progress=SilentProgress())
