import numpy as np
import pytest

from core.labels import journal, tile_locks
from core.labels.queue import next_up
from core.labels.queue_rules import Rule
from core.labels.work_status import Status, set_status
from core.tables import TileFacts
from tests.core.labels.painting import brush, new_workspace
from tests.pages.runs_on_disk import add_run


@pytest.fixture
def five(tmp_path):
    return new_workspace(tmp_path, tiles=5)


def names(queue):
    return [place.tile.name for place in queue.places]


def look(workspace, tiles, *, run="", uncertainty=(), shares=None):
    """Facts as the job writes them, for the first tiles."""
    from core.labels.queue_facts import _made_by

    made_by = _made_by(workspace, run or None)
    with workspace.database.write() as session:
        for number, tile in enumerate(tiles):
            angle = number / 3
            session.merge(
                TileFacts(
                    tile_id=tile.id,
                    run=run,
                    fingerprint=f"{tile.fingerprint}-{made_by}-encoder",
                    uncertainty=uncertainty[number] if run else 0.0,
                    class_shares=list(shares or (0.5, 0.5, 0, 0, 0, 0)) if run else [],
                    embedding=np.array([np.cos(angle), np.sin(angle)], np.float32).tobytes(),
                )
            )


def test_the_given_order_is_by_name_without_the_tile_on_the_screen(five):
    workspace, tiles = five
    queue = next_up(workspace, 1, Rule.GIVEN, annotator="Ada", skip=tiles[1].id)
    assert names(queue) == ["t0", "t2", "t3", "t4"]
    assert queue.lacking is None


def test_finished_tiles_and_those_in_other_hands_are_left_out(five):
    workspace, tiles = five
    set_status(workspace, tiles[0].id, Status.DONE, annotator="Ada")
    set_status(workspace, tiles[1].id, Status.DONE, annotator="Ada")
    set_status(workspace, tiles[1].id, Status.APPROVED, annotator="Ben")
    tile_locks.take(workspace, tiles[2].id, "", annotator="Ben", tab="tab-b")
    tile_locks.take(workspace, tiles[3].id, "", annotator="Ada", tab="tab-a")
    tile_locks.take(
        workspace, tiles[4].id, "Ben", annotator="Ben", tab="tab-b"
    )  # his second opinion is in nobody's way
    assert names(next_up(workspace, 1, Rule.GIVEN, annotator="Ada")) == ["t3", "t4"]
    assert names(next_up(workspace, 1, Rule.GIVEN, annotator="Ben")) == ["t2", "t4"]


@pytest.mark.parametrize("rule", Rule)
def test_what_was_sent_back_comes_first_under_every_rule_and_says_why(five, rule):
    workspace, tiles = five
    set_status(workspace, tiles[3].id, Status.DONE, annotator="Ada")
    set_status(workspace, tiles[3].id, Status.SENT_BACK, annotator="Ben", comment="the river")
    first = next_up(workspace, 1, rule, annotator="Ada").places[0]
    assert (first.tile.name, first.reason) == ("t3", "sent back: the river")


def test_a_random_order_is_one_of_its_seed(five):
    workspace, _ = five
    orders = [names(next_up(workspace, 1, Rule.RANDOM, annotator="Ada", seed=seed)) for seed in range(6)]
    assert orders[0] == names(next_up(workspace, 1, Rule.RANDOM, annotator="Ada", seed=0))
    assert len({tuple(order) for order in orders}) > 1
    assert all(sorted(order) == ["t0", "t1", "t2", "t3", "t4"] for order in orders)


def test_a_rule_that_needs_a_run_says_so_where_there_is_none(five):
    workspace, _ = five
    queue = next_up(workspace, 1, Rule.UNCERTAIN, annotator="Ada")
    assert "needs a trained run" in queue.lacking
    assert names(queue) == ["t0", "t1", "t2", "t3", "t4"]


def test_tiles_without_facts_come_last_and_are_counted(five):
    workspace, tiles = five
    add_run(workspace, "first", trained_on=0)
    assert "No tile has been looked at" in next_up(workspace, 1, Rule.UNCERTAIN, annotator="Ada").lacking
    look(workspace, tiles[2:], run="first", uncertainty=(0.3, 0.9, 0.6))
    queue = next_up(workspace, 1, Rule.UNCERTAIN, annotator="Ada")
    assert names(queue) == ["t3", "t4", "t2", "t0", "t1"]
    assert queue.lacking == "2 of 5 tiles have not been looked at yet; they come last."
    assert queue.places[0].reason == "uncertainty .90"
    assert queue.places[-1].reason == "not looked at yet"


def test_facts_of_an_older_run_or_of_other_weights_are_called_so(five):
    workspace, tiles = five
    add_run(workspace, "first", trained_on=0)
    look(workspace, tiles, run="first", uncertainty=(0.1,) * 5)
    assert next_up(workspace, 1, Rule.UNCERTAIN, annotator="Ada").lacking is None
    (workspace.runs / "first" / "weights.safetensors").write_bytes(b"trained anew under the same name")
    assert "older run than first" in next_up(workspace, 1, Rule.UNCERTAIN, annotator="Ada").lacking


def test_facts_of_an_image_that_changed_count_as_missing(five):
    workspace, tiles = five
    add_run(workspace, "first", trained_on=0)
    look(workspace, tiles, run="first", uncertainty=(0.1,) * 5)
    with workspace.database.write() as session:
        session.merge(tiles[0]).fingerprint = "another"
    assert "1 of 5 tiles" in next_up(workspace, 1, Rule.UNCERTAIN, annotator="Ada").lacking


def test_the_diverse_order_needs_no_run_and_goes_far_from_what_is_labelled(five):
    workspace, tiles = five
    look(workspace, tiles)
    journal.apply(workspace, tiles[0].id, brush([(10, 10)]))
    queue = next_up(workspace, 1, Rule.DIVERSE, annotator="Ada", skip=tiles[0].id)
    assert queue.lacking is None
    assert names(queue)[0] == "t4"  # the others lie between it and the labelled one
    assert "needs a trained run" in next_up(workspace, 1, Rule.WORTH, annotator="Ada").lacking


def test_worth_and_rarity_count_what_is_painted_here(five):
    workspace, tiles = five
    add_run(workspace, "first", trained_on=0)
    look(workspace, tiles, run="first", uncertainty=(0.2, 0.2, 0.8, 0.2, 0.2), shares=(0.9, 0.1, 0, 0, 0, 0))
    journal.apply(workspace, tiles[0].id, brush([(30, 20)], class_index=1, radius=8))
    rarest = next_up(workspace, 1, Rule.RAREST, annotator="Ada").places[0]
    assert rarest.reason == "urban is rarest (0 instances), 90% of this tile"
    worth = next_up(workspace, 1, Rule.WORTH, annotator="Ada")
    assert worth.places[0].tile.name == "t2"
    assert worth.run == "first"


def test_an_empty_collection_has_an_empty_queue(five):
    workspace, _ = five
    queue = next_up(workspace, 99, Rule.UNCERTAIN, annotator="Ada")
    assert (queue.places, queue.lacking) == ((), None)
