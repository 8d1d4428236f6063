import io
import json

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.labels import journal, live_scores, run_suggestions, suggestions
from core.labels.learning import learning_of
from core.labels.live_scores import HeldOutScore
from core.labels.suggestion_routes import suggestion_routes
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from tests.core.labels.live_workspace import scenes_workspace
from tests.core.labels.painting import brush, new_workspace
from tests.core.training.scenes import scene, write_scenes

FORM = {"suggestion", "source", "sequence", "learning", "state", "sentence", "seconds", "score", "curve", "runs"}


@pytest.fixture
def served(tmp_path):
    """A tile without labels, so that no learner is started."""
    workspace, [tile, other] = new_workspace(tmp_path, tiles=2)
    yield workspace, tile, TestClient(Starlette(routes=suggestion_routes(workspace))), other
    learning_of(workspace).close()


def halves(tile):
    raster = np.full((tile.height, tile.width), 3, np.uint8)
    raster[:, : tile.width // 2] = 255
    return raster


def test_a_tile_without_labels_says_what_it_needs(served):
    _, tile, client, _ = served
    answer = client.get(f"/labels/{tile.id}/suggestion.json").json()
    assert set(answer) == FORM
    assert (answer["suggestion"], answer["source"], answer["state"]) == (None, "live", "needs labels")
    assert answer["learning"] is True
    assert (answer["score"], answer["curve"], answer["runs"]) == (None, [], [])
    assert "label two classes" in answer["sentence"]


def test_the_pictures_of_a_suggestion_come_as_they_were_put(served):
    workspace, tile, client, other = served
    sure = np.arange(6, dtype=np.uint8).reshape(2, 3)
    made = suggestions.put(workspace, tile, halves(tile), sure, source="import: a mask.png")
    answer = client.get(f"/labels/{tile.id}/suggestion.json").json()
    assert (answer["suggestion"], answer["source"]) == (made, "import: a mask.png")
    raster = client.get(f"/labels/{tile.id}/suggestion/{made}/raster.png")
    with Image.open(io.BytesIO(raster.content)) as image:
        assert np.array_equal(np.array(image), halves(tile))
    with Image.open(io.BytesIO(client.get(f"/labels/{tile.id}/suggestion/{made}/confidence.png").content)) as image:
        assert np.array_equal(np.array(image), sure)
    assert "immutable" in raster.headers["cache-control"]
    for path in (f"{other.id}/suggestion/{made}", f"{tile.id}/suggestion/{'0' * 16}", f"{tile.id}/suggestion/..%2Fx"):
        assert client.get(f"/labels/{path}/raster.png").status_code == 404


def test_the_score_comes_with_its_interval_and_the_curve_by_minutes(served, monkeypatch):
    workspace, tile, client, _ = served
    monkeypatch.setattr(live_scores, "labelled_seconds", lambda *_: 90.0)
    live_scores.append(workspace, tile.collection_id, HeldOutScore(0.4, 0.2, 0.6, 2))
    answer = client.get(f"/labels/{tile.id}/suggestion.json").json()
    assert answer["score"] == {"miou": 0.4, "low": 0.2, "high": 0.6, "tiles": 2}
    assert answer["curve"] == [[1.5, 0.4, 0.2, 0.6]]


def test_switched_off_shows_no_live_suggestion_but_what_a_person_chose(served):
    workspace, tile, client, _ = served
    suggestions.put(workspace, tile, halves(tile), None, source="live")
    answer = client.post(f"/labels/{tile.id}/learning", json={"on": False}).json()
    assert (answer["learning"], answer["state"], answer["suggestion"]) == (False, "off", None)
    chosen = suggestions.put(workspace, tile, halves(tile), None, source="import: a mask.png")
    assert client.get(f"/labels/{tile.id}/suggestion.json").json()["suggestion"] == chosen
    assert client.post(f"/labels/{tile.id}/suggest", json={"run": None}).json()["suggestion"] is None


def test_a_second_opinion_gets_no_suggestion(served):
    workspace, tile, client, _ = served
    suggestions.put(workspace, tile, halves(tile), None, source="import: a mask.png")
    journal.apply(workspace, tile.id, brush([(10.0, 10.0)]))
    answer = client.get(f"/labels/{tile.id}/suggestion.json?opinion=1").json()
    assert (answer["suggestion"], answer["state"]) == (None, "off")
    assert "without suggestions" in answer["sentence"]
    assert learning_of(workspace).pid is None
    refused = client.post(f"/labels/{tile.id}/suggest?opinion=1", json={"run": "any"})
    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("path", "body"), [("learning", {}), ("learning", {"on": "maybe"}), ("suggest", {}), ("suggest", {"run": 5})]
)
def test_bodies_that_are_not_understood_are_refused_in_a_sentence(served, path, body):
    _, tile, client, _ = served
    answer = client.post(f"/labels/{tile.id}/{path}", json=body)
    assert answer.status_code == 422
    assert "reload the page" in answer.json()["error"]


def test_a_run_that_is_not_there_is_refused_in_a_sentence(served):
    _, tile, client, _ = served
    answer = client.post(f"/labels/{tile.id}/suggest", json={"run": "../../etc"})
    assert answer.status_code == 422
    assert "has no run" in answer.json()["error"]


def test_a_trained_run_suggests_what_it_predicts_and_predicts_once(tmp_path, monkeypatch):
    workspace, [tile, *_] = scenes_workspace(tmp_path)
    write_scenes(tmp_path / "teaching", names=("8", "9"))
    recipe = load_recipe("head", ["iterations=20"])
    cache = FeatureCache(workspace.features)
    request = FitRequest(
        data=tmp_path / "teaching", out=workspace.runs / "first", recipe=recipe, device="cpu", cache=cache
    )
    fit(request, SilentProgress())
    client = TestClient(Starlette(routes=suggestion_routes(workspace)))
    try:
        answer = client.post(f"/labels/{tile.id}/suggest", json={"run": "first"}).json()
        assert (answer["source"], answer["runs"]) == ("run: first", ["first"])
        kept = suggestions.load(workspace, tile, answer["suggestion"])
        assert (kept.raster == scene(0)[1]).mean() > 0.8
        assert kept.confidence.shape == (64, 64)
        monkeypatch.setattr(run_suggestions, "_predictor", lambda *_: pytest.fail("predicted again"))
        client.post(f"/labels/{tile.id}/suggest", json={"run": None})
        again = client.post(f"/labels/{tile.id}/suggest", json={"run": "first"}).json()
        assert again["suggestion"] == answer["suggestion"]
        json.dumps(again)
    finally:
        learning_of(workspace).close()
