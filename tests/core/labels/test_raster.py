import errno
import os

import numpy as np
import pytest
from PIL import Image

from core.catalog.images import read_mask
from core.classes import UNLABELLED, encode_colours
from core.errors import InputError, NotSavedError
from core.labels import raster
from tests.core.labels.painting import colours_on_disk, new_workspace


@pytest.fixture
def painted():
    return np.random.default_rng(0).choice([0, 1, 2, 3, 4, 5, UNLABELLED], (40, 60)).astype(np.uint8)


def test_a_saved_raster_is_a_deepglobe_mask_for_every_reader(tmp_path, painted):
    workspace, [tile] = new_workspace(tmp_path)
    path = raster.mask_path(workspace, tile)
    raster.save(path, painted, "operation-1")
    assert np.array_equal(colours_on_disk(workspace, tile), encode_colours(painted))
    assert np.array_equal(read_mask(path, shape=(40, 60)).raster, painted)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), painted), "its indices are the class raster itself"


def test_a_raster_comes_back_from_disk_with_the_operation_that_wrote_it(tmp_path, painted, monkeypatch):
    path = tmp_path / "t_mask.png"
    raster.save(path, painted, "operation-1")
    monkeypatch.setattr(raster, "_cache", raster._Cache(2))
    stored = raster.read(path, (40, 60))
    assert np.array_equal(stored.raster, painted)
    assert stored.operation == "operation-1"
    assert not stored.raster.flags.writeable


def test_a_mask_written_by_another_program_is_read_by_its_colours(tmp_path, painted):
    path = tmp_path / "t_mask.png"
    Image.fromarray(encode_colours(painted)).save(path)
    stored = raster.read(path, (40, 60))
    assert np.array_equal(stored.raster, painted)
    assert stored.operation is None


def test_a_file_that_changed_is_read_again(tmp_path, painted):
    path = tmp_path / "t_mask.png"
    raster.save(path, painted, "operation-1")
    other = np.zeros_like(painted)
    Image.fromarray(encode_colours(other)).save(tmp_path / "new.png")
    (tmp_path / "new.png").replace(path)
    assert np.array_equal(raster.read(path, (40, 60)).raster, other)


def test_changing_the_array_that_was_saved_does_not_change_the_kept_one(tmp_path, painted):
    path = tmp_path / "t_mask.png"
    kept = painted.copy()
    raster.save(path, painted, "operation-1")
    painted[:] = 0
    assert np.array_equal(raster.read(path, (40, 60)).raster, kept)


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_an_unreadable_or_wrongly_sized_mask_is_reported_with_its_path(tmp_path, content):
    path = tmp_path / "t_mask.png"
    if content is None:
        Image.new("RGB", (60, 41)).save(path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"t_mask\.png.*move that file away"):
        raster.read(path, (40, 60))


def test_a_full_disk_keeps_the_old_file(tmp_path, painted, monkeypatch):
    path = tmp_path / "t_mask.png"
    raster.save(path, painted, "operation-1")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotSavedError, match="No space left"):
        raster.save(path, np.zeros_like(painted), "operation-2")
    assert raster.read(path, (40, 60)).operation == "operation-1"
    assert [p.name for p in tmp_path.iterdir()] == ["t_mask.png"]


def test_the_piece_for_the_browser_is_see_through_where_unlabelled(tmp_path, painted):
    import io

    with Image.open(io.BytesIO(raster.encode(painted, see_through=True))) as image:
        pixels = np.asarray(image.convert("RGBA"))
    assert np.array_equal(pixels[..., 3] == 0, painted == UNLABELLED)
    assert np.array_equal(pixels[..., :3][painted != UNLABELLED], encode_colours(painted)[painted != UNLABELLED])
