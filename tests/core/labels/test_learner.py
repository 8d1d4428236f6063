from pathlib import Path

import numpy as np
import pytest

from core.classes import UNLABELLED
from core.errors import CancelledError
from core.evaluation import confusion, scores
from core.labels import journal, suggestions, work_status
from core.labels.learner import Learner, OvertakenError
from core.labels.learning_tiles import HOW_TO_BE_JUDGED
from core.labels.raster import mask_path
from core.labels.work_status import Status
from core.progress import CancelFlag, SilentProgress
from core.tables import Tile
from core.training.feature_cache import FeatureCache
from core.training.live import NeedsLabelsError
from core.training.live_features import FeatureSource
from tests.core.labels.live_workspace import feature_source, held_out_scene, label, scenes_workspace
from tests.core.training.scenes import scene

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    return feature_source(scenes_workspace(tmp_path_factory.mktemp("encoder"))[0]).extractor


@pytest.fixture
def lab(tmp_path, extractor):
    """The workspace, its tiles by name, a learner, and the sentences that it said."""
    workspace, tiles = scenes_workspace(tmp_path)
    said = []
    source = FeatureSource(extractor, FeatureCache(workspace.features))
    learner = Learner(workspace, tiles[0].collection_id, source, say=said.append, progress=SilentProgress())
    return workspace, {tile.name: tile for tile in tiles}, learner, said


def always():
    return True


def test_a_suggestion_is_learnt_from_what_is_painted_and_is_on_disk(lab):
    workspace, tiles, learner, said = lab
    label(workspace, tiles["1"], seed=0)
    last = label(workspace, tiles["2"], seed=1).state.sequence
    answer = learner.answer(tiles["2"])
    assert answer.refitted
    assert answer.sequence == last
    assert "of 2 tiles" in answer.sentence
    assert set(answer.stages) == {"read", "fit", "predict", "write"}
    assert said[0].startswith("Computing the features of tile 2")
    made = suggestions.load(workspace, tiles["2"], answer.suggestion)
    assert suggestions.current(workspace, tiles["2"]).sequence == last
    assert (made.raster == scene(1)[1]).mean() > 0.8
    assert made.confidence.shape == (64, 64)
    right = made.raster == scene(1)[1]
    sure = np.kron(made.confidence, np.ones((4, 4)))
    assert sure[right].mean() > sure[~right].mean()


def test_too_few_labels_are_said_and_are_no_dead_end(lab):
    workspace, tiles, learner, _ = lab
    with pytest.raises(NeedsLabelsError):
        learner.answer(tiles["1"])
    label(workspace, tiles["1"], seed=0)
    assert learner.answer(tiles["1"]).refitted
    journal.undo(workspace, tiles["1"].id)
    with pytest.raises(NeedsLabelsError):
        learner.answer(tiles["1"])


def test_nothing_is_refitted_when_no_label_changed(lab):
    workspace, tiles, learner, _ = lab
    label(workspace, tiles["1"], seed=0)
    first = learner.answer(tiles["1"])
    again = learner.answer(tiles["1"])
    assert not again.refitted
    assert np.array_equal(
        suggestions.load(workspace, tiles["1"], first.suggestion).raster,
        suggestions.load(workspace, tiles["1"], again.suggestion).raster,
    )


def test_whoever_paints_on_a_held_out_tile_first_is_told_why_nothing_is_suggested(lab):
    workspace, tiles, learner, _ = lab
    label(workspace, tiles["held"], seed=0)
    with pytest.raises(NeedsLabelsError, match=r"This tile is held out.*on other tiles"):
        learner.answer(tiles["held"])


def test_held_out_labels_never_train_whatever_is_painted_on_them(lab, extractor):
    workspace, tiles, learner, _ = lab
    label(workspace, tiles["1"], seed=0)
    before = learner.answer(tiles["1"])
    nonsense = np.full((256, 256), 5, np.uint8)  # a class that no other tile has
    journal.replace(workspace, tiles["held"].id, nonsense, tool="import")
    label(workspace, tiles["2"], seed=1)
    journal.undo(workspace, tiles["2"].id)
    source = FeatureSource(extractor, FeatureCache(workspace.features))
    fresh = Learner(workspace, 1, source, say=lambda _: None, progress=SilentProgress())
    after = fresh.answer(tiles["1"])
    assert np.array_equal(
        suggestions.load(workspace, tiles["1"], before.suggestion).raster,
        suggestions.load(workspace, tiles["1"], after.suggestion).raster,
    )
    held = fresh.answer(tiles["held"])
    assert "This tile is held out" in held.sentence
    assert not (suggestions.load(workspace, tiles["held"], held.suggestion).raster == 5).any()


def test_a_tile_that_trained_and_is_then_held_out_is_forgotten_wholly(lab, extractor):
    workspace, tiles, learner, _ = lab
    with workspace.database.write() as session:
        session.get_one(Tile, tiles["2"].id).split = "val"
    label(workspace, tiles["1"], seed=0)
    only_one = learner.answer(tiles["1"])
    label(workspace, tiles["2"], seed=1)
    work_status.set_status(workspace, tiles["2"].id, Status.IN_WORK, annotator="Ada")
    assert "of 2 tiles" in learner.answer(tiles["1"]).sentence
    work_status.set_status(workspace, tiles["2"].id, Status.DONE, annotator="Ada")
    again = learner.answer(tiles["1"])
    assert again.refitted
    kept = [suggestions.load(workspace, tiles["1"], answer.suggestion) for answer in (only_one, again)]
    assert np.array_equal(kept[0].raster, kept[1].raster)
    assert np.array_equal(kept[0].confidence, kept[1].confidence)


def test_the_score_is_of_whole_held_out_tiles_and_near_the_one_at_full_size(lab):
    workspace, tiles, learner, _ = lab
    label(workspace, tiles["1"], seed=0)
    answer = learner.answer(tiles["held"])
    made = learner.score(always)
    assert (made.tiles, made.low, made.high) == (1, 0, 1)
    raster = suggestions.load(workspace, tiles["held"], answer.suggestion).raster
    full = scores.from_confusion(confusion.count(held_out_scene()[1], raster))
    assert made.miou == pytest.approx(full.miou, abs=0.05)
    assert "Judged on 1 whole tile of the split 'val'" in answer.sentence
    assert "1 tile only" in answer.sentence


def test_without_a_held_out_tile_there_is_no_score_and_a_way_to_one(lab):
    workspace, tiles, learner, _ = lab
    with workspace.database.write() as session:
        session.get_one(Tile, tiles["held"].id).split = "train"
    label(workspace, tiles["1"], seed=0)
    assert HOW_TO_BE_JUDGED in learner.answer(tiles["1"]).sentence
    assert learner.score(always) is None


def test_scoring_gives_way(lab):
    workspace, tiles, learner, _ = lab
    label(workspace, tiles["1"], seed=0)
    learner.answer(tiles["1"])
    with pytest.raises(OvertakenError):
        learner.score(lambda: False)


def test_a_tile_without_its_image_is_left_out_and_said_so(lab):
    workspace, tiles, learner, _ = lab
    label(workspace, tiles["1"], seed=0)
    label(workspace, tiles["2"], seed=1)
    Path(tiles["2"].image_path).unlink()
    answer = learner.answer(tiles["1"])
    assert "of 1 tile." in answer.sentence
    assert "Left out:" in answer.sentence
    assert "2_sat.jpg" in answer.sentence


def test_labels_that_cannot_be_read_are_left_out_until_they_can(lab):
    workspace, tiles, learner, _ = lab
    label(workspace, tiles["1"], seed=0)
    label(workspace, tiles["2"], seed=1)
    path = mask_path(workspace, tiles["2"])
    whole = path.read_bytes()
    path.write_bytes(b"no picture")
    assert "cannot be read" in learner.answer(tiles["1"]).sentence
    path.write_bytes(whole)
    assert "of 2 tiles" in learner.answer(tiles["1"]).sentence


def test_the_same_labels_give_the_same_suggestion(tmp_path, extractor):
    rasters = []
    for name in ("a", "b"):
        workspace, tiles = scenes_workspace(tmp_path / name)
        source = FeatureSource(extractor, FeatureCache(workspace.features))
        learner = Learner(workspace, 1, source, say=lambda _: None, progress=SilentProgress())
        for side in (16, 32, 48):
            label(workspace, tiles[0], seed=0, side=side)
            answer = learner.answer(tiles[1])
        rasters.append(suggestions.load(workspace, tiles[1], answer.suggestion).raster)
    assert np.array_equal(*rasters)
    assert not (rasters[0] == UNLABELLED).any()


def test_the_work_stops_when_nobody_listens(tmp_path, extractor):
    workspace, tiles = scenes_workspace(tmp_path)
    flag = CancelFlag()
    flag.raised = True
    source = FeatureSource(extractor, FeatureCache(workspace.features))
    learner = Learner(workspace, 1, source, say=lambda _: None, progress=SilentProgress(flag))
    with pytest.raises(CancelledError):
        learner.answer(tiles[0])
    assert not workspace.suggestions(1).exists()
