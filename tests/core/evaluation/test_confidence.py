"""The job that judges a run's confidence, and what it keeps."""

import json

import numpy as np
import pytest
from PIL import Image

from core.catalog.catalogue import collections, index_folder
from core.cli import BAD_INPUT, main
from core.errors import CancelledError, InputError
from core.evaluation.confidence import confidence_run, has_probabilities, kept_confidence, split_tiles
from core.evaluation.confidence_files import LAYERS, colours, layer_path, place
from core.evaluation.confidence_scores import class_scores, coverage, too_sure, top_score
from core.inference import store
from core.inference.imported import import_predictions
from core.inference.switches import Switches
from core.progress import SilentProgress
from tests.core.evaluation.masks import blobs, save, worsen
from tests.core.evaluation.sure_runs import make_sure_workspace, say_validation_tiles, truth_of
from tests.pages.runs_on_disk import SIZE, add_run, all_tiles

SWITCHES = Switches()


@pytest.fixture
def workspace(tmp_path):
    return make_sure_workspace(tmp_path)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A workspace in which the job has run; for tests that only look."""
    made = make_sure_workspace(tmp_path_factory.mktemp("judged"))
    run_job(made)
    return made


def run_job(workspace, run="sure"):
    home = collections(workspace)[0].id
    return confidence_run(workspace, run=run, collection_id=home, switches=SWITCHES, progress=SilentProgress())


def kept(workspace, run="sure"):
    return kept_confidence(workspace, run, collections(workspace)[0].id, SWITCHES)


def test_it_judges_the_held_out_tiles_and_the_page_finds_what_it_kept(workspace):
    assert kept(workspace) is None
    summary = run_job(workspace)
    assert summary["tiles"] == ["2", "3", "4", "5"]
    found = kept(workspace)
    assert found.calibrated.tiles == ("2", "3", "4", "5")
    assert set(found.doubts) == set(found.alarms) == {"2", "3", "4", "5"}


def test_without_validation_tiles_every_tile_takes_the_temperature_of_the_others(judged):
    found = kept(judged).calibrated
    assert found.way == "left out"
    assert found.fitted_on == found.tiles
    assert len(set(found.temperatures)) > 1


def test_validation_tiles_fit_the_temperature_and_are_not_judged(workspace):
    say_validation_tiles(workspace, "sure", ["2", "3"])
    run_job(workspace)
    found = kept(workspace).calibrated
    assert (found.way, found.fitted_on, found.tiles) == ("validation", ("2", "3"), ("4", "5"))
    assert len(set(found.temperatures)) == 1
    assert set(kept(workspace).doubts) == {"2", "3", "4", "5"}, "labels are looked at on all held-out tiles"


def test_where_all_held_out_tiles_are_validation_tiles_each_is_left_out_in_turn(workspace):
    say_validation_tiles(workspace, "sure", ["2", "3", "4", "5"])
    split = split_tiles(workspace, "sure", collections(workspace)[0].id)
    assert split.way == "left out"
    assert len(split.judged) == 4


def test_one_tile_alone_fits_no_temperature(tmp_path):
    workspace = make_sure_workspace(tmp_path, trained_on=5)
    run_job(workspace)
    found = kept(workspace).calibrated
    assert (found.way, found.temperatures) == ("none", (1.0,))
    np.testing.assert_array_equal(found.top[0], found.top[1])
    assert top_score(found).before.interval == (0.0, 1.0), "one tile tells nothing of others"


def test_its_full_coverage_is_the_accuracy_of_the_prediction(judged):
    found = kept(judged).calibrated
    right = labelled = 0
    for tile in all_tiles(judged)[2:]:
        truth = truth_of(tile.name)
        prediction = store.load(store.kept(judged, "sure", tile, SWITCHES), tile)
        labelled += (truth != 255).sum()
        right += ((truth == prediction) & (truth != 255)).sum()
    assert coverage(found).accuracy[-1] == pytest.approx(right / labelled)
    gap = too_sure(found)
    assert gap.interval[0] <= gap.value <= gap.interval[1]
    assert set(class_scores(found)) <= set(range(6))


def test_a_run_that_is_too_sure_is_mended_by_its_temperature(tmp_path):
    workspace = make_sure_workspace(tmp_path, temperature=0.4)
    run_job(workspace)
    found = kept(workspace).calibrated
    assert min(found.temperatures) > 1.5
    assert too_sure(found).value > 0
    assert top_score(found).change.interval[1] < 0


def test_layers_are_pictures_in_the_colour_map(judged):
    folder = place(judged, "sure", collections(judged)[0].id, SWITCHES)
    for layer in LAYERS:
        with Image.open(layer_path(folder, "2", layer)) as picture:
            assert picture.size == SIZE
            assert picture.getpalette()[:3] == colours()[0].tolist()
    confidence = np.asarray(Image.open(layer_path(folder, "2", "confidence")))
    assert confidence.mean() == pytest.approx(0.8 * 255, abs=4)


def test_findings_come_back_as_they_were_written(judged):
    found = kept(judged)
    some = [one for by_tile in (found.doubts, found.alarms) for tile in by_tile.values() for one in tile]
    assert some, "a scene in which nothing is found tests nothing"
    for one in some:
        assert one.mask.shape == (one.box.height, one.box.width)
        assert one.mask.sum() == one.pixels
        assert 0 < one.confidence <= 1


def test_what_was_kept_is_out_of_date_when_the_run_or_a_mask_changed(workspace, tmp_path):
    run_job(workspace)
    weights = workspace.runs / "sure" / "weights.safetensors"
    weights.write_bytes(b"trained anew, and longer")
    assert kept(workspace) is None
    weights.write_bytes(b"sure")
    save(tmp_path / "data", "4", worsen(blobs(4, SIZE), 0.5, seed=9))
    index_folder(workspace, tmp_path / "data", SilentProgress())
    assert kept(workspace) is None


def test_an_imported_run_has_no_confidence_but_false_positives(workspace, tmp_path):
    for index in range(6):
        raster = blobs(index, SIZE)
        raster[12:36, 12:36] = 4
        save(tmp_path / "theirs", str(index), raster)
    home = collections(workspace)[0].id
    import_predictions(workspace, tmp_path / "theirs", name="theirs", collection_id=home, progress=SilentProgress())
    assert not has_probabilities(workspace, "theirs")
    assert has_probabilities(workspace, "sure")
    assert run_job(workspace, "theirs")["confidence"] is None
    found = kept(workspace, "theirs")
    assert found.calibrated is None
    assert not found.doubts
    alarms = [one for some in found.alarms.values() for one in some]
    assert alarms
    assert all(one.confidence is None for one in alarms)


def test_a_run_that_saw_every_tile_cannot_be_judged(workspace):
    add_run(workspace, "greedy", trained_on=6)
    with pytest.raises(InputError, match="trained on every tile"):
        run_job(workspace, "greedy")


def test_a_cancel_leaves_what_was_kept_before(workspace):
    run_job(workspace)
    before = kept(workspace)

    class Cancels(SilentProgress):
        def update(self, done, total, message):
            if done > 5:
                raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        confidence_run(
            workspace,
            run="sure",
            collection_id=before.measured_on["collection_id"],
            switches=SWITCHES,
            progress=Cancels(),
        )
    np.testing.assert_array_equal(kept(workspace).calibrated.top, before.calibrated.top)


def test_the_command_line_prints_the_summary_and_refuses_a_run_that_is_not_there(workspace, capsys):
    place_of = ["--workspace", str(workspace.root), "--collection", "1", "--progress", "json"]
    assert main(["confidence-run", "--run", "sure", *place_of]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["confidence"]["fitted"] == "left out"
    assert main(["confidence-run", "--run", "nobody", *place_of]) == BAD_INPUT
    assert "no run 'nobody'" in capsys.readouterr().err
