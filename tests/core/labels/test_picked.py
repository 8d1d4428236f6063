from pathlib import Path

from core.labels.picked import pick, picked
from core.labels.queue import NOTHING_PICKED, next_up
from core.labels.queue_rules import Rule
from core.labels.work_status import Status, set_status
from core.tables import Tile
from tests.core.labels.painting import new_workspace


def test_next_goes_through_exactly_the_picked_tiles_in_their_order(tmp_path: Path) -> None:
    workspace, tiles = new_workspace(tmp_path / "ws", tiles=5)
    assert pick(workspace, 1, [tiles[3].id, tiles[0].id, tiles[3].id, tiles[4].id]) == []
    set_status(workspace, tiles[0].id, Status.DONE, annotator="Ada")
    queue = next_up(workspace, 1, Rule.PICKED, annotator="Ada")
    assert [place.tile.id for place in queue.places] == [tiles[3].id, tiles[4].id]
    assert queue.places[1].reason == "picked in Browse, 3 of 3"
    assert queue.lacking is None


def test_with_nothing_picked_the_queue_says_where_to_pick(tmp_path: Path) -> None:
    workspace, _ = new_workspace(tmp_path / "ws", tiles=2)
    queue = next_up(workspace, 1, Rule.PICKED, annotator="Ada")
    assert (queue.places, queue.lacking) == ((), NOTHING_PICKED)


def test_a_new_choice_takes_the_place_of_the_old_one_which_can_be_put_back(tmp_path: Path) -> None:
    workspace, tiles = new_workspace(tmp_path / "ws", tiles=3)
    pick(workspace, 1, [tiles[0].id])
    before = pick(workspace, 1, [tiles[1].id, tiles[2].id])
    assert before == [tiles[0].id]
    pick(workspace, 1, before)
    assert picked(workspace, 1) == [tiles[0].id]
    with workspace.database.write() as session:
        session.delete(session.get_one(Tile, tiles[0].id))
    assert picked(workspace, 1) == []
