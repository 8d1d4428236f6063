import pytest

from core.errors import InputError
from core.labels import journal, work_status
from core.labels.work_status import STEPS, Status, labels_changed, set_status
from tests.core.labels.painting import brush, new_workspace


@pytest.fixture
def one(tmp_path):
    workspace, [tile] = new_workspace(tmp_path)
    return workspace, tile.id


def bring_to(workspace, tile_id, status):
    """Along allowed steps."""
    way = {
        Status.NEW: [],
        Status.IN_WORK: [Status.IN_WORK],
        Status.DONE: [Status.DONE],
        Status.APPROVED: [Status.DONE, Status.APPROVED],
        Status.SENT_BACK: [Status.DONE, Status.SENT_BACK],
    }
    for step in way[status]:
        set_status(workspace, tile_id, step, annotator="Ada", comment="the river" if step is Status.SENT_BACK else "")


def test_a_tile_that_nobody_has_touched_is_new(one):
    workspace, tile_id = one
    assert work_status.work(workspace, tile_id) == work_status.Work()
    assert work_status.works(workspace, 1) == {}


def test_a_tile_goes_from_work_to_done_to_approved_and_says_who_did_it(one):
    workspace, tile_id = one
    set_status(workspace, tile_id, Status.IN_WORK, annotator="Ada")
    set_status(workspace, tile_id, Status.DONE, annotator="Ada")
    approved = set_status(workspace, tile_id, Status.APPROVED, annotator="Ben")
    assert (approved.status, approved.annotator) == (Status.APPROVED, "Ben")
    assert work_status.works(workspace, 1) == {tile_id: approved}


@pytest.mark.parametrize("start", Status)
@pytest.mark.parametrize("target", Status)
def test_only_the_steps_of_the_table_are_allowed_and_the_refusal_names_them(one, start, target):
    workspace, tile_id = one
    bring_to(workspace, tile_id, start)
    if target is start or target in STEPS[start]:
        set_status(workspace, tile_id, target, annotator="Ada", comment="mend it")
        assert work_status.work(workspace, tile_id).status is target
    else:
        with pytest.raises(InputError, match=f"'{start}' cannot become '{target}'; it can become '{STEPS[start][0]}'"):
            set_status(workspace, tile_id, target, annotator="Ada", comment="mend it")
        assert work_status.work(workspace, tile_id).status is start


def test_sending_back_needs_a_comment_of_bounded_length(one):
    workspace, tile_id = one
    bring_to(workspace, tile_id, Status.DONE)
    with pytest.raises(InputError, match="Say what to mend"):
        set_status(workspace, tile_id, Status.SENT_BACK, annotator="Ben", comment=" \n ")
    with pytest.raises(InputError, match="501 letters"):
        set_status(workspace, tile_id, Status.SENT_BACK, annotator="Ben", comment="x" * 501)
    assert work_status.work(workspace, tile_id).status is Status.DONE


def test_the_comment_stays_in_sight_until_the_tile_is_judged_again(one):
    workspace, tile_id = one
    bring_to(workspace, tile_id, Status.SENT_BACK)
    labels_changed(workspace, tile_id)
    assert work_status.work(workspace, tile_id).comment == "the river"
    assert set_status(workspace, tile_id, Status.DONE, annotator="Ada").comment == "the river"
    assert set_status(workspace, tile_id, Status.APPROVED, annotator="Ben").comment == ""


@pytest.mark.parametrize("before", Status)
def test_a_stroke_puts_any_tile_in_work_in_the_painters_name(one, before):
    workspace, tile_id = one
    bring_to(workspace, tile_id, before)
    journal.apply(workspace, tile_id, brush([(10, 10)]), annotator="Dora")
    labels_changed(workspace, tile_id)
    found = work_status.work(workspace, tile_id)
    assert found.status is Status.IN_WORK
    assert found.annotator == ("Ada" if before is Status.IN_WORK else "Dora")


def test_a_second_opinion_moves_nothing(one):
    workspace, tile_id = one
    bring_to(workspace, tile_id, Status.APPROVED)
    labels_changed(workspace, tile_id, "Ben")
    assert work_status.work(workspace, tile_id).status is Status.APPROVED


def test_the_labellers_are_those_whose_strokes_stand(one):
    workspace, tile_id = one
    for class_index, name in enumerate(("Ben", "Ada", "Cy")):
        journal.apply(workspace, tile_id, brush([(10, 10)], class_index=class_index), annotator=name)
    journal.undo(workspace, tile_id)
    assert work_status.labellers(workspace, tile_id) == ["Ada", "Ben"]


def test_a_tile_that_a_script_has_painted_is_in_work_although_nobody_said_so(one):
    workspace, tile_id = one
    journal.apply(workspace, tile_id, brush([(10, 10)]))
    assert work_status.work(workspace, tile_id).status is Status.IN_WORK
    assert work_status.works(workspace, 1)[tile_id].status is Status.IN_WORK
    set_status(workspace, tile_id, Status.DONE, annotator="Ada")
    assert work_status.works(workspace, 1)[tile_id].status is Status.DONE


def test_the_sequence_grows_with_every_operation_of_its_own_sheet(one):
    workspace, tile_id = one
    assert work_status.sequence(workspace, tile_id) == 0
    first = journal.apply(workspace, tile_id, brush([(10, 10)])).state.sequence
    assert work_status.sequence(workspace, tile_id) == first
    journal.apply(workspace, tile_id, brush([(10, 10)]), opinion="Ben", annotator="Ben")
    assert work_status.sequence(workspace, tile_id) == first
    assert work_status.sequence(workspace, tile_id, "Ben") > first
