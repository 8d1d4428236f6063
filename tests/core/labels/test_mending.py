"""Mistakes sent from Evaluate to the labelling queue."""

import pytest

from core.errors import InputError
from core.labels.mending import MOST_A_TILE, Mistake, mended, mistake_of, places_to_mend, send
from core.labels.queue import next_up
from core.labels.queue_rules import Rule
from core.labels.strokes import Box
from core.labels.work_status import Status, set_status
from tests.core.labels.painting import new_workspace

WATER_AS_FOREST = Mistake("first", 4, 3)


@pytest.fixture
def three(tmp_path):
    return new_workspace(tmp_path, tiles=3)


def places(*pixels):
    return [(Box(number, 0, 4, 4), count) for number, count in enumerate(pixels)]


def test_the_tile_with_the_largest_area_of_mistakes_comes_first_with_what_they_are(three):
    workspace, tiles = three
    send(workspace, WATER_AS_FOREST, [(tiles[0].id, places(5)), (tiles[2].id, places(9, 3))], annotator="Ada")
    queue = next_up(workspace, 1, Rule.MEND, annotator="Ada")
    assert [place.tile.name for place in queue.places] == ["t2", "t0", "t1"]
    assert queue.places[0].reason == "water taken for forest, 2 places"
    assert queue.places[2].reason == "nothing was sent of it"


def test_sending_the_same_mistake_again_replaces_its_places_and_leaves_others(three):
    workspace, tiles = three
    other = Mistake("first", 0, 255)
    send(workspace, other, [(tiles[0].id, places(7))], annotator="Ada")
    send(workspace, WATER_AS_FOREST, [(tiles[0].id, places(5, 4, 3))], annotator="Ada")
    send(workspace, WATER_AS_FOREST, [(tiles[0].id, places(6))], annotator="Ben")
    found = places_to_mend(workspace, 1)[tiles[0].id]
    assert [(mistake_of(place), place.pixels, place.annotator) for place in found] == [
        (other, 7, "Ada"),
        (WATER_AS_FOREST, 6, "Ben"),
    ]
    assert other.words == "urban taken for unlabelled"


def test_what_is_mended_leaves_the_queue(three):
    workspace, tiles = three
    send(workspace, WATER_AS_FOREST, [(tiles[0].id, places(5, 4))], annotator="Ada")
    first, second = places_to_mend(workspace, 1)[tiles[0].id]
    mended(workspace, [first.id])
    assert [place.id for place in places_to_mend(workspace, 1)[tiles[0].id]] == [second.id]
    mended(workspace, [first.id, second.id])
    assert places_to_mend(workspace, 1) == {}


def test_a_finished_tile_waits_for_nobody_even_with_places(three):
    workspace, tiles = three
    send(workspace, WATER_AS_FOREST, [(tiles[0].id, places(5))], annotator="Ada")
    set_status(workspace, tiles[0].id, Status.DONE, annotator="Ada")
    assert [place.tile.name for place in next_up(workspace, 1, Rule.MEND, annotator="Ada").places] == ["t1", "t2"]


def test_at_most_so_many_places_of_a_tile_are_sent_and_none_is_refused(three):
    workspace, tiles = three
    assert send(workspace, WATER_AS_FOREST, [(tiles[0].id, places(*range(50, 0, -1)))], annotator="Ada") == MOST_A_TILE
    with pytest.raises(InputError, match="nothing to mend"):
        send(workspace, WATER_AS_FOREST, [(tiles[0].id, [])], annotator="Ada")
