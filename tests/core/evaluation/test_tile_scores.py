from pathlib import Path

from core.catalog.catalogue import collections
from core.evaluation.held_out import evaluate_run
from core.evaluation.tile_scores import scored_runs
from core.inference.switches import Switches
from core.progress import SilentProgress
from tests.pages.runs_on_disk import add_run, keep_predictions, make_workspace


def test_each_held_out_tile_has_the_score_of_the_run_without_switches(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    collection_id = collections(workspace)[0].id
    add_run(workspace, "first")
    keep_predictions(workspace, "first", wrong=0.3)
    keep_predictions(workspace, "first", wrong=0.0, switches=Switches(tta="flips"))
    assert scored_runs(workspace, collection_id) == {}
    for switches in (Switches(tta="flips"), Switches()):
        evaluate_run(workspace, run="first", collection_id=collection_id, switches=switches, progress=SilentProgress())
    scores = scored_runs(workspace, collection_id)["first"]
    assert list(scores) == ["2", "3", "4", "5"]
    assert all(0.2 < score < 0.9 for score in scores.values())


def test_a_collection_that_is_not_there_has_no_scores(tmp_path: Path) -> None:
    assert scored_runs(make_workspace(tmp_path), 99) == {}
