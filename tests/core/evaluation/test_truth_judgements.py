"""Verdicts on regions, and scores without what they dispute."""

import numpy as np
import pytest

from core.catalog.catalogue import collections, index_folder
from core.evaluation.held_out import held_out, kept_evaluation
from core.evaluation.label_noise import Finding
from core.evaluation.truth_judgements import (
    Verdict,
    judge,
    judgements,
    region_key,
    scores_without_disputed,
    undo_last,
)
from core.inference.switches import Switches
from core.labels.strokes import Box
from core.progress import SilentProgress
from tests.core.evaluation.masks import blobs, save, worsen
from tests.pages.runs_on_disk import SIZE, add_run, all_tiles, keep_evaluation, keep_predictions, make_workspace

HOME = 1


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    add_run(made, "first")
    keep_predictions(made, "first", wrong=0.3)
    keep_evaluation(made, "first")
    return made


def finding(left=10, *, side=20):
    mask = np.ones((side, side), bool)
    mask[0, 0] = False
    return Finding(Box(5, left, side, side), side * side - 1, 3, 1, 0.9, mask)


def say(workspace, tile, verdict, *, found=None, annotator="Ada"):
    judge(workspace, tile, found or finding(), verdict, run="first", annotator=annotator)


def compared(workspace):
    tiles = held_out(workspace, "first", HOME).tiles
    return scores_without_disputed(
        workspace, "first", Switches(), tiles, kept_evaluation(workspace, "first", HOME, Switches())
    )


def test_a_verdict_is_kept_with_who_said_it_and_the_last_word_counts(workspace):
    tile = all_tiles(workspace)[3]
    say(workspace, tile, Verdict.MODEL)
    say(workspace, tile, Verdict.LABEL, annotator="Ben")
    [row] = judgements(workspace, HOME)
    assert (row.verdict, row.annotator, row.tile_id, row.run) == ("label wrong", "Ben", tile.id, "first")
    assert row.region == region_key(finding())


def test_undo_takes_back_the_last_verdict_of_that_person_alone(workspace):
    first, second, third = all_tiles(workspace)[2:5]
    say(workspace, first, Verdict.LABEL)
    say(workspace, second, Verdict.AMBIGUOUS)
    say(workspace, third, Verdict.MODEL, annotator="Ben")
    assert undo_last(workspace, HOME, annotator="Ada").tile_id == second.id
    assert {row.tile_id for row in judgements(workspace, HOME)} == {first.id, third.id}
    undo_last(workspace, HOME, annotator="Ada")
    assert undo_last(workspace, HOME, annotator="Ada") is None


def test_disputed_pixels_leave_the_score_and_are_counted(workspace):
    tile = all_tiles(workspace)[3]
    assert compared(workspace) is None
    say(workspace, tile, Verdict.LABEL)
    found = compared(workspace)
    truth = blobs(3, SIZE)
    inside = truth[finding().box.slices][finding().mask]
    assert found.pixels == (inside != 255).sum()
    assert found.tiles == 1
    assert np.sum(found.whole["confusion"]) - np.sum(found.without["confusion"]) == found.pixels
    assert found.change == pytest.approx(found.without["miou"] - found.whole["miou"])
    assert found.interval[0] <= found.change <= found.interval[1]


def test_what_the_model_got_wrong_stays_in_the_score(workspace):
    say(workspace, all_tiles(workspace)[3], Verdict.MODEL)
    assert compared(workspace) is None


def test_pixels_that_two_verdicts_dispute_are_left_out_once(workspace):
    tile = all_tiles(workspace)[3]
    say(workspace, tile, Verdict.LABEL)
    once = compared(workspace).pixels
    say(workspace, tile, Verdict.AMBIGUOUS, found=finding(side=10))
    assert compared(workspace).pixels in (once, once + 1), "the small region lies in the large one but for one pixel"


def test_tiles_that_a_run_trained_on_do_not_matter_to_it(workspace):
    say(workspace, all_tiles(workspace)[0], Verdict.LABEL)
    assert compared(workspace) is None


def test_a_verdict_on_a_mask_that_was_replaced_counts_no_more(workspace, tmp_path):
    say(workspace, all_tiles(workspace)[3], Verdict.LABEL)
    save(tmp_path / "data", "3", worsen(blobs(3, SIZE), 0.5, seed=9))
    index_folder(workspace, tmp_path / "data", SilentProgress())
    assert collections(workspace)[0].id == HOME
    assert judgements(workspace, HOME) == []
