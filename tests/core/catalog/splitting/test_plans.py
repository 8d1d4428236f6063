import json

import pytest

from core.catalog.catalogue import collection, index_folder, tiles
from core.catalog.splitting.plans import (
    NewSplit,
    Place,
    came_members,
    copy,
    delete_plan,
    follow,
    judge_with,
    keep,
    members,
    move_tiles,
    move_tiles_of,
    named,
    plan,
    plans,
    record,
    replace_places,
    users,
)
from core.catalog.splitting.users import RECORD_OPTION, SplitRecord, parse_record
from core.errors import InputError
from core.jobs import queue
from core.progress import SilentProgress
from core.workspace import open_workspace
from tests.core.catalog.pictures import write_pair
from tests.core.catalog.splitting.split_tables import workspace_of

CAME = {str(number): "val" if number % 4 == 1 else "train" for number in range(8)}
PLACES = {"0": Place("test"), "1": Place("train"), "2": Place("val"), "3": Place("train")}
FOLDS = {str(number): Place("val" if number % 2 == 0 else "train", number % 2) for number in range(7)} | {
    "7": Place("test")
}


@pytest.fixture
def workspace(tmp_path):
    return workspace_of(tmp_path / "ws", 8)


def _splits(workspace):
    return {row.name: row.split for row in tiles(workspace, 1)}


def _sources(workspace):
    return {row.split_source for row in tiles(workspace, 1)}


def test_a_followed_split_stands_in_the_tiles_and_going_back_restores_what_came(workspace):
    revision = collection(workspace, 1).revision
    made = keep(workspace, 1, NewSplit("mine", "random", PLACES), followed=True)
    assert _splits(workspace) == {**dict.fromkeys("4567", ""), "0": "test", "1": "train", "2": "val", "3": "train"}
    assert _sources(workspace) == {"plan"}
    row = collection(workspace, 1)
    assert (row.split_plan_id, row.revision) == (made.id, revision + 1)
    assert {name: place.split for name, place in came_members(workspace, 1).items()} == CAME
    follow(workspace, 1, None)
    assert _splits(workspace) == CAME
    assert _sources(workspace) == {"rule"}
    row = collection(workspace, 1)
    assert (row.split_plan_id, row.revision) == (None, revision + 2)


def test_one_split_after_another_still_leads_back_to_what_came(workspace):
    keep(workspace, 1, NewSplit("a", "random", PLACES), followed=True)
    keep(workspace, 1, NewSplit("b", "random", FOLDS, judge=0), followed=True)
    follow(workspace, 1, None)
    assert _splits(workspace) == CAME


def test_a_split_that_is_kept_only_changes_no_tile(workspace):
    keep(workspace, 1, NewSplit("mine", "random", PLACES))
    assert _splits(workspace) == CAME
    assert collection(workspace, 1).revision == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "Name the split"), ("x" * 61, "Name the split"), ("a\nb", "Name the split"), ("As it came", "another name")],
)
def test_a_name_that_is_none_is_refused(workspace, name, said):
    with pytest.raises(InputError, match=said):
        keep(workspace, 1, NewSplit(name, "random", PLACES))


def test_a_name_is_taken_once_in_a_collection_whatever_its_case(workspace):
    keep(workspace, 1, NewSplit("Mine", "random", PLACES))
    with pytest.raises(InputError, match="has a split 'mine' already"):
        keep(workspace, 1, NewSplit("mine", "random", PLACES))
    assert [one.name for one in plans(workspace, 1)] == ["Mine"]


def test_a_split_with_nothing_to_train_on_is_refused(workspace):
    with pytest.raises(InputError, match="no tile to train on"):
        keep(workspace, 1, NewSplit("mine", "random", {"0": Place("val")}))


def test_moving_tiles_of_the_split_that_came_makes_a_split_by_hand_and_follows_it(workspace):
    row = move_tiles(workspace, 1, [1, 2], "test")
    assert (row.name, row.method) == ("by hand", "by hand")
    assert collection(workspace, 1).split_plan_id == row.id
    assert _splits(workspace) == {**CAME, "0": "test", "1": "test"}


def test_moving_tiles_changes_the_followed_split_and_says_how_many_moved(workspace):
    made = keep(workspace, 1, NewSplit("mine", "random", PLACES), followed=True)
    assert move_tiles(workspace, 1, [1, 2, 3], "train").moved == 2, "tile 1 is there already"
    move_tiles(workspace, 1, [4], "")
    assert _splits(workspace) == {**dict.fromkeys("34567", ""), "0": "train", "1": "train", "2": "train"}
    assert set(members(workspace, made.id)) == {"0", "1", "2"}


def test_moving_the_last_training_tile_away_or_to_no_side_is_refused(workspace):
    keep(workspace, 1, NewSplit("mine", "random", PLACES), followed=True)
    with pytest.raises(InputError, match="leave no tile of 'mine' to train on"):
        move_tiles(workspace, 1, [2, 4], "val")
    with pytest.raises(InputError, match="not to 'validate'"):
        move_tiles(workspace, 1, [2], "validate")
    with pytest.raises(InputError, match="no tile 99"):
        move_tiles(workspace, 1, [99], "val")
    assert _splits(workspace)["1"] == "train"


def test_another_fold_may_judge_and_nobody_changes_his_fold(workspace):
    made = keep(workspace, 1, NewSplit("folds", "stratified", FOLDS, judge=0), followed=True)
    judge_with(workspace, made.id, 1)
    assert {name for name, split in _splits(workspace).items() if split == "val"} == {"1", "3", "5"}
    assert {name: place.fold for name, place in members(workspace, made.id).items()} == {
        name: place.fold for name, place in FOLDS.items()
    }
    assert _splits(workspace)["7"] == "test"
    with pytest.raises(InputError, match="no fold 9"):
        judge_with(workspace, made.id, 8)


def test_a_tile_that_is_moved_in_a_split_of_folds_gets_a_fold(workspace):
    made = keep(workspace, 1, NewSplit("folds", "stratified", FOLDS, judge=0), followed=True)
    move_tiles(workspace, 1, [8], "val")
    move_tiles(workspace, 1, [1], "train")
    found = members(workspace, made.id)
    assert (found["7"], found["0"]) == (Place("val", 0), Place("train", 1))


def _record(workspace, training="13", validation="2"):
    return record(workspace, 1, training=training, validation=validation)


def _queue_fit(workspace, split: SplitRecord):
    arguments = ["fit", "--data", "land", "--out", str(workspace.runs / "head-1"), *split.option()]
    return queue.submit(workspace, kind="fit", title="Train head-1", arguments=arguments, device="cpu")


def test_a_queued_fit_freezes_the_split_that_it_follows_until_it_is_cancelled(workspace):
    made = keep(workspace, 1, NewSplit("mine", "random", PLACES), followed=True)
    job = _queue_fit(workspace, _record(workspace))
    assert users(workspace, made.id) == ["head-1"]
    for change in (
        lambda: move_tiles(workspace, 1, [1], "train"),
        lambda: replace_places(workspace, 1, made.id, {"0": Place("val")}),
        lambda: delete_plan(workspace, made.id),
    ):
        with pytest.raises(InputError, match="'mine' is frozen, since run 'head-1' trained under it; copy it"):
            change()
    assert members(workspace, made.id) == PLACES
    queue.cancel(workspace, job)
    assert users(workspace, made.id) == []
    move_tiles(workspace, 1, [1], "train")


def test_a_finished_run_freezes_its_split_by_its_card_and_a_copy_may_be_changed(workspace):
    made = keep(workspace, 1, NewSplit("mine", "random", PLACES), followed=True)
    card = workspace.runs / "f1" / "card.json"
    card.parent.mkdir(parents=True)
    said = _record(workspace)
    card.write_text(json.dumps({"split": {"name": said.name, "members": said.members, "fold": None}}))
    assert users(workspace, made.id) == ["f1"]
    with pytest.raises(InputError, match="run 'f1'"):
        delete_plan(workspace, made.id)
    twin = copy(workspace, made.id, "twin")
    assert members(workspace, twin.id) == PLACES
    assert move_tiles_of(workspace, 1, twin.id, [1], "train").moved == 1
    assert _splits(workspace)["0"] == "test", "the copy is not followed"


def test_a_frozen_split_of_folds_may_still_be_judged_by_another_fold(workspace):
    made = keep(workspace, 1, NewSplit("folds", "stratified", FOLDS, judge=0), followed=True)
    first = _record(workspace, training="135", validation="0246")
    _queue_fit(workspace, first)
    judge_with(workspace, made.id, 1)
    assert users(workspace, made.id) == ["head-1"]
    second = _record(workspace, training="0246", validation="135")
    assert (first.fold, second.fold) == (0, 1)
    assert first.members == second.members


def test_only_tiles_that_keep_to_the_split_are_recorded_as_under_it(workspace):
    assert _record(workspace) is None, "the tiles follow no named split"
    keep(workspace, 1, NewSplit("mine", "random", PLACES), followed=True)
    assert _record(workspace, training="1", validation="").name == "mine"
    assert _record(workspace, training="02") is None
    assert _record(workspace, validation="0") is None
    assert _record(workspace, training="4") is None


def test_deleting_the_followed_split_leads_back_to_what_came(workspace):
    made = keep(workspace, 1, NewSplit("mine", "random", PLACES), followed=True)
    delete_plan(workspace, made.id)
    assert _splits(workspace) == CAME
    assert collection(workspace, 1).split_plan_id is None
    with pytest.raises(InputError, match="no such split"):
        plan(workspace, made.id)
    with pytest.raises(InputError, match="no split 'mine'"):
        named(workspace, 1, "mine")


def test_a_record_on_the_command_line_is_read_back_and_anything_else_refused():
    said = SplitRecord("mine: 'x'", "0123456789abcdef", 2)
    option, text = said.option()
    assert option == RECORD_OPTION
    assert parse_record(text) == said
    for wrong in ("mine", "[]", '{"name": "x"}'):
        with pytest.raises(InputError, match="--split-record is written"):
            parse_record(wrong)


def test_indexing_again_keeps_the_followed_split_and_brings_what_came_up_to_date(tmp_path):
    workspace, data = open_workspace(tmp_path / "ws"), tmp_path / "data"
    for name in "01234567":
        write_pair(data, name, seed=int(name))
    index_folder(workspace, data, SilentProgress())
    came = _splits(workspace)
    places = {name: Place("train") for name in "0123456"} | {"7": Place("test"), "9": Place("val")}
    keep(workspace, 1, NewSplit("mine", "random", places), followed=True)
    write_pair(data, "8", seed=8)
    write_pair(data, "9", seed=9)
    (data / "0_sat.jpg").rename(tmp_path / "0_sat.jpg")
    index_folder(workspace, data, SilentProgress())
    expected = {**dict.fromkeys("123456", "train"), "7": "test", "8": "", "9": "val"}
    assert _splits(workspace) == expected, "8 is new; 9 was known to the split"
    (tmp_path / "0_sat.jpg").rename(data / "0_sat.jpg")
    index_folder(workspace, data, SilentProgress())
    assert _splits(workspace) == {**expected, "0": "train"}, "a tile that comes back finds its side again"
    follow(workspace, 1, None)
    after = _splits(workspace)
    assert {name: split for name, split in after.items() if name in "1234567"} == {
        name: split for name, split in came.items() if name != "0"
    }
    assert _sources(workspace) == {"rule"}
    assert set(after.values()) <= {"train", "val"}
