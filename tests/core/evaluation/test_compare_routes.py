"""What the Compare page's component asks for."""

import json

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.atomic import write_json
from core.evaluation.compare_routes import compare_routes
from core.evaluation.scores import from_confusion
from core.evaluation.tile_counts import kept_confusion
from core.inference import store
from core.inference.imported import import_predictions
from core.inference.store import Predictor
from core.inference.store_space import delete_run
from core.inference.switches import Switches
from core.progress import SilentProgress
from tests.core.evaluation.masks import blobs, save
from tests.pages.runs_on_disk import SIZE, add_run, all_tiles, keep_predictions, make_workspace

CRF = {"refinement": "crf"}


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path, masks=5)
    for name, wrong in (("good", 0.1), ("bad", 0.6)):
        add_run(made, name)
        keep_predictions(made, name, wrong=wrong)
    return made


@pytest.fixture
def client(workspace):
    return TestClient(Starlette(routes=compare_routes(workspace)))


def ask(client, what, tile, *, run="good", switches=None):
    query = {"run": run, "switches": json.dumps(switches or {})}
    return client.get(f"/compare/{tile.id}/{what}.json", params=query)


def test_the_desk_knows_tiles_runs_and_what_each_trained_on(workspace, client):
    found = client.get("/compare/1/desk.json").json()
    assert [tile["name"] for tile in found["tiles"]] == [str(index) for index in range(6)]
    assert [bool(tile["truth"]) for tile in found["tiles"]] == [True] * 5 + [False]
    runs = {run["name"]: run for run in found["runs"]}
    assert runs["good"]["trained_on"] == [tile.id for tile in all_tiles(workspace)[:2]]
    assert runs["good"]["missing"] == []
    assert [(one["key"], one["tiles"]) for one in runs["bad"]["kept"]] == [("plain", 6)]


def test_a_kept_prediction_is_told_with_where_its_mask_is(workspace, client):
    found = ask(client, "side", all_tiles(workspace)[3]).json()
    assert (found["state"], found["seconds"]) == ("kept", 0.25)
    answer = client.get(f"/compare/{found['codes']}")
    size = (int(answer.headers["X-Raster-Height"]), int(answer.headers["X-Raster-Width"]))
    raster = store.load(store.find(workspace, "good", all_tiles(workspace)[3], Switches()), all_tiles(workspace)[3])
    assert np.array_equal(np.frombuffer(answer.content, np.uint8).reshape(size), np.minimum(raster, 6))


def test_the_truth_comes_as_codes_too_and_not_where_there_is_none(workspace, client):
    with_mask, without = client.get("/compare/1/desk.json").json()["tiles"][3::2]
    answer = client.get(f"/compare/{with_mask['truth']}")
    assert np.array_equal(np.frombuffer(answer.content, np.uint8), np.minimum(blobs(3, SIZE), 6).ravel())
    assert client.get(f"/compare/{without['id']}/codes.bin").status_code == 422


def test_the_address_of_a_mask_changes_when_it_is_made_anew(workspace, client):
    tile = all_tiles(workspace)[3]
    before = ask(client, "side", tile).json()["codes"]
    (workspace.runs / "good" / "weights.safetensors").write_bytes(b"trained anew")
    assert ask(client, "side", tile).json()["state"] == "absent"
    keep_predictions(workspace, "good", wrong=0.2)
    assert ask(client, "side", tile).json()["codes"] != before


def test_scores_are_those_of_the_one_tile(workspace, client):
    tile = all_tiles(workspace)[3]
    found = ask(client, "scores", tile).json()
    expected = from_confusion(kept_confusion(workspace, "good", tile, Switches()))
    assert found["scores"]["iou"] == pytest.approx(expected.iou)
    assert found["effects"] == []


def test_without_a_truth_there_are_no_scores(workspace, client):
    assert ask(client, "scores", all_tiles(workspace)[5]).json()["scores"] is None


def test_a_switch_is_told_with_its_change_here_and_over_the_held_out_tiles(workspace, client):
    keep_predictions(workspace, "good", wrong=0.4, switches=Switches(refinement="crf"))
    found = ask(client, "scores", all_tiles(workspace)[3], switches=CRF).json()
    (effect,) = found["effects"]
    assert (effect["name"], effect["without"]) == ("refinement", {})
    assert effect["after"]["miou"] < effect["before"]["miou"]
    assert effect["tiles"] == ["2", "3", "4"]  # with a truth, and not trained on
    assert effect["over"]["miou"]["verdict"] == "worse"
    assert effect["over"]["miou"]["interval"][1] < 0
    kept = {(one["name"], one["value"]) for one in found["kept"]}
    assert ("refinement", "none") in kept
    assert ("refinement", "guided") not in kept


def test_on_one_held_out_tile_no_difference_is_told(workspace, client):
    tile = all_tiles(workspace)[3]
    keep_predictions(workspace, "good", wrong=0.4, switches=Switches(refinement="crf"))
    for other in all_tiles(workspace):
        if other.id != tile.id:
            kept = store.find(workspace, "good", other, Switches(refinement="crf"))
            kept.path.unlink()
    (effect,) = ask(client, "scores", tile, switches=CRF).json()["effects"]
    assert (effect["tiles"], effect["over"]) == (["3"], None)


def test_what_cannot_be_predicted_says_why_and_the_page_may_ask_again(workspace, client):
    tile = all_tiles(workspace)[3]
    wanted = {"run": "good", "switches": {"tta": "flips"}}
    assert ask(client, "side", tile, switches={"tta": "flips"}).json()["state"] == "absent"
    answer = client.post(f"/compare/{tile.id}/compute", json=wanted)
    assert answer.status_code == 200
    for _ in range(200):
        found = ask(client, "side", tile, switches={"tta": "flips"}).json()
        if found["state"] == "failed":
            break
    assert found["sentence"].endswith(".")
    assert client.post(f"/compare/{tile.id}/compute", json=wanted).json()["state"] in ("waiting", "computing", "failed")


def test_a_run_that_was_deleted_is_one_sentence(workspace, client):
    delete_run(workspace, "bad")
    for answer in (
        ask(client, "side", all_tiles(workspace)[3], run="bad"),
        client.get("/compare/pair.json", params={"a": "good", "b": "bad"}),
    ):
        assert answer.status_code == 422
        assert "no run 'bad'" in answer.json()["error"]
    assert [run["name"] for run in client.get("/compare/1/desk.json").json()["runs"]] == ["good"]


def test_runs_on_other_labels_are_told_apart(workspace, client):
    query = {"a": "good", "b": "bad"}
    assert client.get("/compare/pair.json", params=query).json() == {"differs": []}
    for name, labels in (("good", {"0": "x", "1": "y"}), ("bad", {"0": "x", "1": "z"})):
        path = workspace.runs / name / "card.json"
        write_json(path, {**json.loads(path.read_text()), "label_fingerprints": labels})
    (sentence,) = client.get("/compare/pair.json", params=query).json()["differs"]
    assert "labels of 1 changed" in sentence


@pytest.mark.parametrize(
    "switches",
    ["[]", "{", '{"tta": "sideways"}', '{"abstain": 2}', '{"crf": {"nonsense": 1}}', '{"power": 1}', '{"gate": NaN}'],
)
def test_switches_that_nobody_knows_are_refused_in_one_sentence(workspace, client, switches):
    answer = client.get(
        f"/compare/{all_tiles(workspace)[3].id}/side.json", params={"run": "good", "switches": switches}
    )
    assert answer.status_code == 422
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("run", ["../runs/good", "", "good/../bad", "nobody"])
def test_a_run_is_a_name_in_the_workspace_and_never_a_path(workspace, client, run):
    assert ask(client, "side", all_tiles(workspace)[3], run=run).status_code == 422


def test_a_tile_or_collection_that_is_not_there_answers_404(client):
    assert client.get("/compare/999/side.json", params={"run": "good"}).status_code == 404
    assert client.get("/compare/999/desk.json").status_code == 404


def test_another_sites_page_cannot_start_a_prediction(workspace, client):
    address, body = f"/compare/{all_tiles(workspace)[3].id}/compute", json.dumps({"run": "good"})
    own = {"Content-Type": "application/json"}
    assert client.post(address, content=body, headers={**own, "Origin": "http://elsewhere.example"}).status_code == 403
    assert client.post(address, content=body, headers={"Content-Type": "text/plain"}).status_code == 415
    assert client.post(address, content=body + " " * 20_000, headers=own).status_code == 413
    assert client.post(address, content='{"run": "good", "more": 1}', headers=own).status_code == 422
    assert client.post(address, content=body, headers={**own, "Origin": "http://testserver"}).status_code == 200


def test_beside_a_run_that_covers_less_both_are_judged_on_the_common_part(workspace, client, tmp_path):
    tile = all_tiles(workspace)[3]
    save(tmp_path / "theirs", tile.name, blobs(3, SIZE)[:30, :40])
    import_predictions(workspace, tmp_path / "theirs", name="theirs", collection_id=1, progress=SilentProgress())
    Predictor(workspace, "theirs").compute(tile, Switches(), SilentProgress())
    part = {"top": 0, "left": 0, "height": 30, "width": 40}
    codes = client.get("/compare/" + ask(client, "side", tile, run="theirs").json()["codes"]).content
    outside = np.frombuffer(codes, np.uint8).reshape(SIZE) == 7
    assert not outside[:30, :40].any()
    assert outside.sum() == SIZE[0] * SIZE[1] - 30 * 40
    assert ask(client, "side", all_tiles(workspace)[2], run="theirs").json()["state"] == "nothing"
    whole = ask(client, "scores", tile).json()
    beside = client.get(f"/compare/{tile.id}/scores.json", params={"run": "good", "other": "theirs"}).json()
    assert (whole["part"], beside["part"]) == (None, part)
    assert whole["scores"]["accuracy"] != beside["scores"]["accuracy"]
    assert ask(client, "scores", tile, run="theirs").json()["scores"]["accuracy"] == 1
