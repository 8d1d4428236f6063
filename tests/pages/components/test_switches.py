"""What the pages say that switches cost: what was measured, and nothing else."""

import pytest

from core.catalog.catalogue import collections
from core.inference.measured_costs import NETWORKS, REFINING
from core.inference.switches import Switches
from pages.components.offset_choice import Subject
from pages.components.switches import describe, explain
from tests.core.inference.test_measured_costs import keep
from tests.pages.runs_on_disk import add_run, make_workspace


@pytest.fixture
def subject(tmp_path):
    workspace = make_workspace(tmp_path)
    add_run(workspace, "first")
    return Subject(workspace, collections(workspace)[0], "first")


def test_a_cost_is_told_as_it_was_measured_and_not_at_all_where_it_was_not(subject):
    switches = Switches("flips", "crf")
    assert "It was not timed here yet." in explain(switches, subject)
    keep(subject.workspace, switches, {NETWORKS: 3.21, REFINING: 0.456})
    told = explain(switches, subject)
    assert "The network took 3.2 s here (a tile, the median of 6)." in told
    assert "It took 0.46 s here" in told
    assert "The network was not timed here yet." in explain(Switches(), subject)


def test_two_settings_of_offsets_are_told_apart_in_words():
    assert describe(Switches(offsets=(0.5, 0, 0, -0.25, 0, 0))) == "offsets urban +0.5, forest -0.25"
