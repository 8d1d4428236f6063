"""What a switch changes, and what it costs."""

import platform

import pytest

from core.atomic import write_json
from core.evaluation.switch_effects import STAGE_OF, CountingTime, Side, added_seconds, effects, switched_off
from core.evaluation.tile_counts import kept_confusion, read_note
from core.inference import store
from core.inference.measured_costs import NETWORKS, REFINING, REMEMBERING
from core.inference.switches import Switches
from tests.core.evaluation.masks import save
from tests.pages.runs_on_disk import SIZE, add_run, all_tiles, keep_predictions, make_workspace

ALL_ON = Switches(tta="d4", refinement="crf", min_region=50, gate=0.01, offsets=(0.1, 0, 0, 0, 0, 0), abstain=0.5)


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    add_run(made, "first")
    keep_predictions(made, "first", wrong=0.1)
    return made


def time_stages(workspace, switches, stages):
    tile = all_tiles(workspace)[3]
    found = store.find(workspace, "first", tile, switches)
    write_json(store.note_path(found), {**read_note(found), "stages": stages, "machine": platform.node()})
    return tile


def test_every_switch_can_be_switched_off_alone():
    for name in STAGE_OF:
        without = switched_off(ALL_ON, name)
        assert without.facts.keys() < ALL_ON.facts.keys()
    assert switched_off(Switches(class_regions=(1.0, 0, 0, 0, 0, 0)), "regions") == Switches()


def test_a_switch_costs_what_its_stage_took_longer(workspace):
    crf = Switches(refinement="crf")
    keep_predictions(workspace, "first", wrong=0.1, switches=crf)
    time_stages(workspace, Switches(), {REFINING: 0.1, NETWORKS: 5.0})
    tile = time_stages(workspace, crf, {REFINING: 0.6, REMEMBERING: 0.2})
    assert added_seconds(Side(workspace, "first", crf), tile, "refinement") == pytest.approx(0.5)


def test_views_that_were_remembered_are_not_taken_for_cheap(workspace):
    flips, both = Switches(tta="flips"), Switches(tta="flips", refinement="crf")
    for switches in (flips, both, Switches(refinement="crf")):
        keep_predictions(workspace, "first", wrong=0.1, switches=switches)
    time_stages(workspace, Switches(), {NETWORKS: 1.0})
    time_stages(workspace, flips, {NETWORKS: 4.0})
    tile = time_stages(workspace, both, {REMEMBERING: 0.1})
    assert added_seconds(Side(workspace, "first", both), tile, "tta") == pytest.approx(3.0)


def test_what_was_not_timed_has_no_cost(workspace):
    tile = all_tiles(workspace)[3]
    assert added_seconds(Side(workspace, "first", Switches(refinement="crf")), tile, "refinement") is None


def test_a_count_is_kept_and_made_anew_when_truth_or_prediction_change(workspace):
    tile = all_tiles(workspace)[3]
    assert kept_confusion(workspace, "first", tile, Switches(), count=False) is None
    first = kept_confusion(workspace, "first", tile, Switches())
    assert (kept_confusion(workspace, "first", tile, Switches(), count=False) == first).all()
    assert 0 < first.sum() <= SIZE[0] * SIZE[1]
    tile.mask_fingerprint = "another"
    assert kept_confusion(workspace, "first", tile, Switches(), count=False) is None


def test_when_time_is_up_the_tiles_that_were_not_counted_are_told(workspace):
    crf = Switches(refinement="crf")
    keep_predictions(workspace, "first", wrong=0.3, switches=crf)
    rows, none_left = all_tiles(workspace), CountingTime(-1)
    (effect,) = effects(Side(workspace, "first", crf), rows[3], rows[2:], none_left)
    assert none_left.left_out == 3  # the tile itself was counted for its own figures
    assert effect.over is None
    later = CountingTime(60)
    (effect,) = effects(Side(workspace, "first", crf), rows[3], rows[2:], later)
    assert (later.left_out, effect.tiles) == (0, ("2", "3", "4", "5"))


def test_a_prediction_of_another_size_is_one_sentence(workspace, tmp_path):
    tile = all_tiles(workspace)[3]
    found = store.find(workspace, "first", tile, Switches())
    save(tmp_path, "small", store.load(found, tile)[:20, :20])
    found.path.write_bytes((tmp_path / "small_mask.png").read_bytes())
    with pytest.raises(Exception, match="20 x 20"):
        kept_confusion(workspace, "first", tile, Switches())
