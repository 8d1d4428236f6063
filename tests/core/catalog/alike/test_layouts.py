import numpy as np
import pytest

from core.catalog.alike.layouts import CLASS_SHARE, LIKENESS, grid_by_class_share, keep_likeness, kept_layout
from core.catalog.catalogue import collection as collection_of
from core.catalog.catalogue import index_folder
from core.progress import SilentProgress
from tests.core.catalog.alike.looked import indexed, members
from tests.core.catalog.pictures import write_pair


def test_classes_come_one_after_the_other_and_the_unknown_last():
    shares = np.zeros((6, 6))
    shares[0, 3], shares[1, 0], shares[2], shares[3, 0], shares[4, 3] = 0.4, 0.5, np.nan, 0.9, 0.8
    assert grid_by_class_share(shares).tolist() == [3, 1, 4, 0, 2, 5]


def test_a_layout_by_likeness_is_kept_until_the_tiles_change(tmp_path):
    workspace, collection = indexed(tmp_path, 7)
    assert kept_layout(workspace, collection, LIKENESS).why == "The tiles were not looked at yet."
    rows = members(workspace, collection)
    mixed = [rows[number].id for number in (3, 0, 5, 1, 4, 2)]
    keep_likeness(workspace, collection, mixed)
    kept = kept_layout(workspace, collection, LIKENESS)
    assert kept.ids.tolist() == [*mixed, rows[6].id]  # nobody looked at the last
    write_pair(tmp_path / "data", "8", seed=8)
    index_folder(workspace, tmp_path / "data", SilentProgress())
    stale = kept_layout(workspace, collection_of(workspace, collection.id), LIKENESS)
    assert stale.ids is None
    assert stale.why.startswith("Tiles came, went or changed")


def test_a_layout_by_class_share_needs_no_look(tmp_path):
    workspace, collection = indexed(tmp_path, 3)
    ids = kept_layout(workspace, collection, CLASS_SHARE).ids
    assert sorted(ids.tolist()) == [tile.id for tile in members(workspace, collection)]
    for mask in (tmp_path / "data").glob("*_mask.png"):
        mask.unlink()
    index_folder(workspace, tmp_path / "data", SilentProgress())
    unknown = kept_layout(workspace, collection_of(workspace, collection.id), CLASS_SHARE)
    assert unknown.ids is None
    assert unknown.why.startswith("Nothing is known of the classes")


def test_another_kind_of_layout_is_refused(tmp_path):
    workspace, collection = indexed(tmp_path, 1)
    with pytest.raises(ValueError, match="no layout 'weather'"):
        kept_layout(workspace, collection, "weather")
