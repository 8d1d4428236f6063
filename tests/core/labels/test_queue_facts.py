import numpy as np
import pytest

from core.catalog.catalogue import collections, index_folder, tiles
from core.errors import CancelledError, InputError
from core.labels import queue_facts
from core.labels.queue_facts import compute_facts, embedding, known_facts, mean_entropy
from core.progress import CancelFlag, SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from core.workspace import open_workspace
from tests.core.training.scenes import write_scenes


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workspace with three small tiles and a run."""
    folder = tmp_path_factory.mktemp("queue")
    write_scenes(folder / "data")
    workspace = open_workspace(folder / "workspace")
    index_folder(workspace, folder / "data", SilentProgress())
    request = FitRequest(
        data=folder / "data",
        out=workspace.runs / "first",
        recipe=load_recipe(),
        device="cpu",
        cache=FeatureCache(workspace.features),
    )
    fit(request, SilentProgress())
    [home] = collections(workspace)
    return workspace, home.id


class CancelAfter(SilentProgress):
    """Cancels before the step of this number."""

    def __init__(self, steps):
        super().__init__(CancelFlag())
        self.left = steps

    def update(self, done, total, message):
        if message.startswith("Looking at tile"):
            self.left -= 1
            if self.left < 0:
                raise CancelledError("cancelled")


def test_entropy_is_zero_for_a_sure_run_and_one_for_no_idea():
    sure = np.zeros((6, 4, 4), np.float32)
    sure[2] = 1
    assert mean_entropy(sure) == pytest.approx(0)
    assert mean_entropy(np.full((6, 4, 4), 1 / 6, np.float32)) == pytest.approx(1)
    half = np.zeros((6, 4, 4), np.float32)
    half[:2] = 0.5
    assert mean_entropy(half) == pytest.approx(np.log(2) / np.log(6))


def test_an_embedding_has_length_one_and_no_features_have_none():
    features = np.random.default_rng(0).normal(3, 1, (5, 7, 9)).astype(np.float16)
    found = embedding(features)
    assert (found.dtype, found.shape) == (np.float32, (5,))
    assert np.linalg.norm(found) == pytest.approx(1)
    assert not embedding(np.zeros((5, 2, 2), np.float16)).any()


def test_the_job_writes_facts_of_every_tile_once(trained):
    workspace, home = trained
    first = compute_facts(workspace, collection_id=home, run="first", progress=SilentProgress())
    assert (first["tiles"], first["computed"], first["left_out"]) == (3, 3, [])
    again = compute_facts(workspace, collection_id=home, run="first", progress=SilentProgress())
    assert again["computed"] == 0
    known = known_facts(workspace, home)
    assert (known.newest_run, known.missing, known.stale) == ("first", 0, 0)
    for facts in known.by_tile.values():
        assert facts.run == "first"
        assert 0 <= facts.uncertainty <= 1
        assert facts.class_shares.sum() == pytest.approx(1, abs=1e-4)
        assert np.linalg.norm(facts.embedding) == pytest.approx(1, abs=1e-5)


def test_the_encoder_alone_gives_embeddings_and_claims_nothing_else(trained):
    workspace, home = trained
    compute_facts(workspace, collection_id=home, run=None, progress=SilentProgress())
    known = known_facts(workspace, home)
    assert known.stale == 3
    assert {(facts.run, facts.uncertainty, facts.class_shares) for facts in known.by_tile.values()} == {
        (None, None, None)
    }


def test_a_cancel_keeps_the_tiles_that_are_done(trained):
    workspace, home = trained
    compute_facts(workspace, collection_id=home, run="first", progress=SilentProgress())
    with pytest.raises(CancelledError):
        compute_facts(workspace, collection_id=home, run=None, progress=CancelAfter(1))
    assert sorted(str(facts.run) for facts in known_facts(workspace, home).by_tile.values()) == [
        "None",
        "first",
        "first",
    ]


def test_an_unknown_run_or_collection_is_one_sentence(trained):
    workspace, home = trained
    with pytest.raises(InputError, match="no run 'nope'"):
        compute_facts(workspace, collection_id=home, run="nope", progress=SilentProgress())
    with pytest.raises(InputError, match="no collection 99"):
        compute_facts(workspace, collection_id=99, run=None, progress=SilentProgress())


def test_a_tile_whose_image_is_gone_is_left_out_with_a_sentence(trained, tmp_path):
    workspace, _ = trained
    write_scenes(tmp_path / "data", names=("8", "9"))
    home = index_folder(workspace, tmp_path / "data", SilentProgress()).collection_id
    (tmp_path / "data" / "8_sat.jpg").unlink()
    found = compute_facts(workspace, collection_id=home, run=None, progress=SilentProgress())
    assert found["computed"] == 1
    assert "8_sat.jpg" in found["left_out"][0]
    assert [tile.name for tile in tiles(workspace, home) if tile.id in known_facts(workspace, home).by_tile] == ["9"]


def test_the_command_line_of_the_job_names_the_run_or_says_that_there_is_none():
    from core.cli import build_parser

    parser = build_parser()
    with_run = parser.parse_args(queue_facts.queue_facts_arguments(3, "first"))
    without = parser.parse_args(queue_facts.queue_facts_arguments(3, None))
    assert (with_run.collection, with_run.run, with_run.encoder_only) == (3, "first", False)
    assert (without.run, without.encoder_only) == (None, True)
