import shutil

import pytest

from core.catalog.alike.related import NEAR_DUPLICATE, NEIGHBOURS, SAME_FILE, RelatedPair, keep_pairs, related_pairs
from core.catalog.catalogue import index_folder
from core.progress import SilentProgress
from tests.core.catalog.alike.looked import indexed, members
from tests.core.catalog.pictures import write_pair


@pytest.fixture
def four(tmp_path):
    """Four tiles, and what a comparison of them found."""
    workspace, collection = indexed(tmp_path, 4)
    rows = members(workspace, collection)
    ids = [tile.id for tile in rows]
    found = [
        RelatedPair(ids[0], ids[1], NEIGHBOURS, 0.8, "right"),
        RelatedPair(ids[1], ids[2], NEAR_DUPLICATE, 0.95),
        RelatedPair(ids[2], ids[3], NEAR_DUPLICATE, 1.0),
    ]
    keep_pairs(workspace, collection.id, images={tile.id: tile.fingerprint for tile in rows}, pairs=found)
    return workspace, collection, ids, found


def test_equal_files_are_known_before_anybody_looks(tmp_path):
    workspace, collection = indexed(tmp_path, 2)
    for copy in ("7", "8"):
        shutil.copy(tmp_path / "data" / "1_sat.jpg", tmp_path / "data" / f"{copy}_sat.jpg")
    index_folder(workspace, tmp_path / "data", SilentProgress())
    related = related_pairs(workspace, collection.id)
    names = {tile.id: tile.name for tile in members(workspace, collection)}
    assert [(names[pair.first], names[pair.second], pair.kind) for pair in related.pairs] == [
        ("1", "7", SAME_FILE),
        ("1", "8", SAME_FILE),
    ]
    assert (related.looked, related.missing) == (0, 4)


def test_kept_pairs_come_back_the_worst_first(four):
    workspace, collection, _, found = four
    related = related_pairs(workspace, collection.id)
    assert related.pairs == (found[2], found[1], found[0])
    assert (related.looked, related.missing) == (4, 0)


def test_a_pair_of_which_an_image_changed_is_gone(four, tmp_path):
    workspace, collection, _, found = four
    assert len(related_pairs(workspace, collection.id).pairs) == 3
    write_pair(tmp_path / "data", "1", seed=99)
    index_folder(workspace, tmp_path / "data", SilentProgress())
    related = related_pairs(workspace, collection.id)
    assert related.pairs == (found[2], found[1])
    assert (related.looked, related.missing) == (3, 1)


def test_words_say_what_a_pair_is(four):
    *_, found = four
    assert [pair.words for pair in found] == [
        "the second goes on at the right edge of the first",
        "nearly the same picture",
        "the same picture in two files",
    ]


def test_a_new_comparison_replaces_the_last(four):
    workspace, collection, *_ = four
    keep_pairs(workspace, collection.id, images={}, pairs=[])
    related = related_pairs(workspace, collection.id)
    assert (related.pairs, related.looked, related.missing) == ((), 0, 4)
