"""What predictions cost here, from the notes of those that are kept."""

import json

import pytest

from core.catalog.catalogue import collections
from core.inference import store
from core.inference.measured_costs import NETWORKS, REFINING, REMEMBERING, Cost, measured_costs
from core.inference.switches import Switches
from tests.pages.runs_on_disk import add_run, keep_predictions, make_workspace


@pytest.fixture
def workspace(tmp_path):
    workspace = make_workspace(tmp_path)
    add_run(workspace, "first")
    return workspace


def keep(workspace, switches, stages, run="first"):
    """Predictions of all six tiles, the first of which took longer."""
    keep_predictions(workspace, run, wrong=0.1, switches=switches)
    notes = sorted(store.folder(workspace, run, switches, 1).glob("*.json"))
    for number, note in enumerate(notes):
        slower = 10.0 if number == 0 else 0.0
        told = {"stages": {name: seconds + slower for name, seconds in stages.items()}}
        note.write_text(json.dumps({**json.loads(note.read_text()), **told}))
    return notes


def costs(workspace, run="first"):
    return measured_costs(workspace, run, collections(workspace)[0].id)


def test_a_cost_is_the_median_over_the_kept_tiles(workspace):
    keep(workspace, Switches("flips", "crf"), {NETWORKS: 3.0, REFINING: 1.5})
    measured = costs(workspace)
    assert measured.networks == {"flips": Cost(3.0, 6)}
    assert measured.refinements == {"crf": Cost(1.5, 6)}
    assert measured.regions is None


def test_what_was_remembered_is_no_cost_of_a_network_and_other_runs_count_for_refinements_alone(workspace):
    add_run(workspace, "second")
    keep(workspace, Switches(refinement="guided"), {REMEMBERING: 0.1, REFINING: 0.5}, run="second")
    keep(workspace, Switches(), {NETWORKS: 2.0, REFINING: 0.0}, run="second")
    measured = costs(workspace)
    assert measured.networks == {}
    assert measured.refinements["guided"].seconds == 0.5
    assert costs(workspace, "second").networks["none"].seconds == 2.0


def test_what_another_machine_took_and_what_nobody_measured_is_left_out(workspace):
    keep_predictions(workspace, "first", wrong=0.1)
    for note in keep(workspace, Switches("flips"), {NETWORKS: 3.0, REFINING: 0.0}):
        note.write_text(json.dumps({**json.loads(note.read_text()), "machine": "another"}))
    assert costs(workspace).networks == {}
