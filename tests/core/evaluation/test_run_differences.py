"""What two runs were made from differently."""

from core.evaluation.run_differences import what_differs
from core.training.runs import list_runs
from tests.pages.runs_on_disk import add_run, make_workspace


def cards(tmp_path, **of_b):
    workspace = make_workspace(tmp_path)
    add_run(workspace, "one")
    (run,) = list_runs(workspace.runs)
    a = run.card.model_copy(update={"label_fingerprints": {"1": "x", "2": "y"}})
    return a, a.model_copy(update=of_b)


def test_runs_that_were_made_alike_differ_in_nothing(tmp_path):
    a, b = cards(tmp_path)
    assert what_differs("A", a, "B", b) == []


def test_a_class_that_only_one_of_them_learnt_is_named(tmp_path):
    a, b = cards(tmp_path, missing_classes=["water"])
    (sentence,) = what_differs("A", a, "B", b)
    assert "B never saw water" in sentence
    assert "A never" not in sentence


def test_another_source_of_labels_is_named_and_no_path_of_this_machine(tmp_path):
    a, b = cards(tmp_path, label_source="/somewhere/labels/1")
    (sentence,) = what_differs("A", a, "B", b)
    assert "masks that came with the tiles" in sentence
    assert "/somewhere" not in sentence


def test_labels_that_changed_in_between_are_named(tmp_path):
    a, b = cards(tmp_path, label_fingerprints={"1": "other", "3": "z"})
    (sentence,) = what_differs("A", a, "B", b)
    assert "the labels of 1 changed" in sentence


def test_nothing_is_said_of_a_run_that_was_imported(tmp_path):
    a, b = cards(tmp_path, label_fingerprints={}, missing_classes=["water"])
    assert what_differs("A", a, "B", b) == []
