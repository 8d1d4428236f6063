import numpy as np
import pytest

from core.catalog.alike.likeness import similar
from core.catalog.alike.likeness_groups import likeness_groups
from core.errors import InputError
from tests.core.catalog.alike.looked import indexed, look, members, two_kinds


@pytest.fixture(scope="module")
def two_kinds_of_tiles(tmp_path_factory):
    """Nine tiles, of which four are of one kind, four of another, and the last was not looked at."""
    workspace, collection = indexed(tmp_path_factory.mktemp("likeness"), 9)
    rows = members(workspace, collection)
    look(workspace, rows[:8], two_kinds(8))
    return workspace, collection, [tile.id for tile in rows]


def test_the_nearest_tiles_are_of_the_same_kind(two_kinds_of_tiles):
    workspace, collection, ids = two_kinds_of_tiles
    found = similar(workspace, collection.id, ids[1])
    assert set(found.ids[:3].tolist()) == {ids[0], ids[2], ids[3]}
    assert set(found.ids.tolist()) == set(ids[:8]) - {ids[1]}
    assert (np.diff(found.cosines) <= 0).all()
    assert found.cosines[0] > 0.9
    assert found.cosines[-1] < 0


def test_a_tile_that_nobody_looked_at_is_like_none(two_kinds_of_tiles):
    workspace, collection, ids = two_kinds_of_tiles
    with pytest.raises(InputError, match="Nobody looked at tile"):
        similar(workspace, collection.id, ids[8])


def test_groups_are_the_kinds_and_the_same_every_time(two_kinds_of_tiles):
    workspace, collection, ids = two_kinds_of_tiles
    groups = likeness_groups(workspace, collection.id, 2)
    assert groups == likeness_groups(workspace, collection.id, 2)
    assert len({groups[tile_id] for tile_id in ids[:4]}) == len({groups[tile_id] for tile_id in ids[4:8]}) == 1
    assert set(groups.values()) == {0, 1}
    assert ids[8] not in groups


@pytest.mark.parametrize("count", [1, 9])
def test_a_number_of_groups_that_cannot_be_is_refused(two_kinds_of_tiles, count):
    workspace, collection, _ = two_kinds_of_tiles
    with pytest.raises(InputError, match="make 2 to 8 groups"):
        likeness_groups(workspace, collection.id, count)
