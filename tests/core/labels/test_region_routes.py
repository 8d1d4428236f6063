import base64
import io

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.labels import click_to_mask, superpixels
from core.labels.ahead import ahead_of
from core.labels.region_routes import mask_png, pieces_png, region_routes
from tests.core.labels.pictured import four_fields, workspace_of

needs_model = pytest.mark.skipif(click_to_mask.available() is not None, reason=click_to_mask.available() or "")
LONG = 120


@pytest.fixture
def served(tmp_path):
    workspace, tiles = workspace_of(tmp_path, four_fields(101, 133), four_fields(64, 64))
    yield workspace, tiles, TestClient(Starlette(routes=region_routes(workspace)))
    ahead_of(workspace).stop()


@pytest.fixture
def without_model(tmp_path, monkeypatch):
    monkeypatch.setattr(click_to_mask, "WEIGHTS", tmp_path / "none")


def picture(png):
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image if image.mode == "RGB" else image.convert("RGBA"))


def test_superpixels_are_computing_first_and_then_a_picture_of_their_numbers(served, without_model):
    workspace, [tile, _], client = served
    address = f"/labels/{tile.id}/superpixels/medium.png"
    answer = client.get(address)
    assert (answer.status_code, answer.json()) == (202, {"state": "computing"})
    assert ahead_of(workspace).wait(LONG)
    rgb = picture(client.get(address).content).astype(int)
    assert rgb.shape == (51, 67, 3)
    ids = rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]
    assert np.array_equal(ids, superpixels.ids(workspace, tile, "medium"))


def test_numbers_above_a_byte_and_above_two_survive_the_picture():
    ids = np.array([[0, 255, 256], [65535, 65536, 2**24 - 1]], np.int32)
    rgb = picture(pieces_png(ids)).astype(int)
    assert np.array_equal(rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2], ids)


def test_a_mask_is_white_inside_and_transparent_outside():
    mask = np.array([[True, False, True]])
    assert picture(mask_png(mask)).tolist() == [[[255] * 4, [0] * 4, [255] * 4]]


def test_an_image_that_cannot_be_read_is_told_and_not_computed_for_ever(served, without_model):
    workspace, [tile, _], client = served
    address = f"/labels/{tile.id}/superpixels/fine.png"
    (workspace.root.parent / "t0_sat.png").write_bytes(b"")
    assert client.get(address).status_code == 202
    assert ahead_of(workspace).wait(LONG)
    answer = client.get(address)
    assert answer.status_code == 422
    assert "0 bytes" in answer.json()["error"]


def test_a_grain_that_is_none_is_one_sentence(served):
    _, [tile, _], client = served
    answer = client.get(f"/labels/{tile.id}/superpixels/dust.png")
    assert answer.status_code == 422
    assert "fine, medium, coarse" in answer.json()["error"]


def test_without_the_model_the_tool_says_why_and_how_to_get_it(served, without_model):
    _, [tile, _], client = served
    state = client.get(f"/labels/{tile.id}/click.json").json()
    assert (state["available"], state["state"]) == (False, "unavailable")
    assert "npm" in state["reason"]
    answer = client.post(f"/labels/{tile.id}/click", json={"points": [[5, 5]], "signs": [1]})
    assert (answer.status_code, answer.json()["error"]) == (503, state["reason"])


def test_ahead_prepares_this_tile_and_the_next_and_passes_over_unknown_ones(served, without_model):
    workspace, [tile, other], client = served
    assert client.post(f"/labels/{tile.id}/ahead", json={"tiles": [other.id, 999]}).status_code == 200
    assert ahead_of(workspace).wait(LONG)
    assert superpixels.is_ready(workspace, tile)
    assert superpixels.is_ready(workspace, other)


@needs_model
def test_a_click_is_answered_with_its_box_and_mask_once_the_tile_was_seen(served):
    workspace, [tile, _], client = served
    client.post(f"/labels/{tile.id}/ahead", json={"tiles": []})
    assert ahead_of(workspace).wait(LONG)
    assert client.get(f"/labels/{tile.id}/click.json").json() == {"available": True, "reason": None, "state": "ready"}
    reply = client.post(f"/labels/{tile.id}/click", json={"points": [[100, 80]], "signs": [1]}).json()
    box = reply["box"]
    inside = picture(base64.b64decode(reply["mask"]))[..., 3] == 255
    assert inside.shape == (box["height"], box["width"])
    assert inside[80 - box["top"], 100 - box["left"]]
    shown = click_to_mask.region(workspace, tile, points=[(100, 80)], signs=[1])
    assert np.array_equal(shown[1], inside)


@pytest.mark.parametrize(
    "body", [{"points": [], "signs": []}, {"points": [[1, 1]], "signs": [2]}, {"points": [[1, 1]]}]
)
@needs_model
def test_a_click_that_is_not_understood_is_refused(served, body):
    _, [tile, _], client = served
    assert client.post(f"/labels/{tile.id}/click", json=body).status_code == 422
