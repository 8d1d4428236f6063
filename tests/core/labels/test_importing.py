import numpy as np
import pytest
from PIL import Image

from core.classes import UNLABELLED, encode_colours
from core.errors import InputError
from core.labels import importing, journal
from core.tables import Tile
from tests.core.labels.painting import brush, colours_on_disk, is_on_disk, new_workspace


@pytest.fixture
def with_mask(tmp_path):
    workspace, [tile] = new_workspace(tmp_path / "w")
    given = np.random.default_rng(1).choice([0, 1, 2, 3, 4, 5, UNLABELLED], (40, 60)).astype(np.uint8)
    path = tmp_path / "given_mask.png"
    Image.fromarray(encode_colours(given)).save(path)
    with workspace.database.write() as session:
        session.get_one(Tile, tile.id).mask_path = str(path)
    tile.mask_path = str(path)
    return workspace, tile, path


def test_the_given_mask_is_copied_byte_for_byte_and_one_undo_takes_it_back(with_mask):
    workspace, tile, path = with_mask
    journal.apply(workspace, tile.id, brush([(10, 10)]))
    before = journal.load(workspace, tile.id)
    change = importing.copy_given_mask(workspace, tile)
    assert np.array_equal(colours_on_disk(workspace, tile), np.asarray(Image.open(path)))
    assert change.state.undo == 2
    journal.undo(workspace, tile.id)
    assert is_on_disk(workspace, tile, before)


def test_clearing_is_one_stroke_that_can_be_undone(with_mask):
    workspace, tile, _ = with_mask
    importing.copy_given_mask(workspace, tile)
    before = journal.load(workspace, tile.id)
    importing.clear(workspace, tile)
    assert (journal.load(workspace, tile.id) == UNLABELLED).all()
    journal.undo(workspace, tile.id)
    assert is_on_disk(workspace, tile, before)


def test_clearing_what_is_clear_leaves_no_entry(with_mask):
    workspace, tile, _ = with_mask
    assert importing.clear(workspace, tile).state.undo == 0


def test_a_tile_that_came_without_a_mask_says_so(tmp_path):
    workspace, [tile] = new_workspace(tmp_path)
    with pytest.raises(InputError, match="came without a mask"):
        importing.copy_given_mask(workspace, tile)


def test_a_given_mask_of_another_size_is_refused_and_nothing_changes(with_mask):
    workspace, tile, path = with_mask
    journal.apply(workspace, tile.id, brush([(10, 10)]))
    before = journal.load(workspace, tile.id)
    Image.new("RGB", (10, 10)).save(path)
    with pytest.raises(InputError, match="10 x 10"):
        importing.copy_given_mask(workspace, tile)
    assert is_on_disk(workspace, tile, before)
