import base64
import errno
import io
import json
import os
import tempfile

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.classes import encode_colours
from core.errors import NotSavedError
from core.labels import changes, journal, raster, tile_locks
from core.labels.requests import MAX_BODY_BYTES
from core.labels.routes import label_routes
from tests.core.labels.painting import new_workspace

STROKE = {"client_key": "key-00001", "tool": "brush", "class_index": 3, "points": [[10, 10], [30, 20]], "radius": 4}


@pytest.fixture
def served(tmp_path):
    workspace, tiles = new_workspace(tmp_path, tiles=2)
    return workspace, tiles, TestClient(Starlette(routes=label_routes(workspace)))


def picture(png):
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGBA"))


def test_a_stroke_is_answered_with_the_box_as_it_is_on_disk(served):
    workspace, [tile, _], client = served
    answer = client.post(f"/labels/{tile.id}/strokes", json=STROKE)
    assert answer.status_code == 200
    reply = answer.json()
    box = reply["box"]
    patch = picture(base64.b64decode(reply["patch"]))
    current = journal.load(workspace, tile.id)
    part = current[box["top"] : box["top"] + box["height"], box["left"] : box["left"] + box["width"]]
    assert patch.shape[:2] == part.shape
    assert np.array_equal(patch[..., :3][part == 3], encode_colours(part)[part == 3])
    assert np.array_equal(patch[..., 3] == 255, part == 3)
    assert reply["counts"][3] == {"name": "forest", "instances": 1, "pixels": int((current == 3).sum())}
    assert (reply["previous"], reply["undo"], reply["redo"]) == (0, 1, 0)
    assert reply["saved_at"].endswith("+00:00")


def test_undo_redo_clear_and_the_raster_come_over_http(served):
    _, [tile, _], client = served
    client.post(f"/labels/{tile.id}/strokes", json=STROKE)
    painted = picture(client.get(f"/labels/{tile.id}/raster.png").content)
    assert client.post(f"/labels/{tile.id}/undo", json={"client_key": "key-00002"}).json()["redo"] == 1
    assert not picture(client.get(f"/labels/{tile.id}/raster.png").content)[..., 3].any()
    assert client.post(f"/labels/{tile.id}/redo", json={"client_key": "key-00003"}).json()["redo"] == 0
    assert np.array_equal(picture(client.get(f"/labels/{tile.id}/raster.png").content), painted)
    assert client.post(f"/labels/{tile.id}/clear", json={"client_key": "key-00004"}).json()["undo"] == 2
    assert client.get(f"/labels/{tile.id}/state.json").json()["counts"][3]["pixels"] == 0


def test_instances_of_the_other_tiles_are_counted_apart(served):
    _, [tile, other], client = served
    client.post(f"/labels/{tile.id}/strokes", json=STROKE)
    assert client.get(f"/labels/{other.id}/elsewhere.json").json() == {"instances": [0, 0, 0, 1, 0, 0]}
    assert client.get(f"/labels/{tile.id}/elsewhere.json").json() == {"instances": [0] * 6}


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://testserver.evil.example"])
def test_another_sites_page_cannot_paint(served, origin):
    workspace, [tile, _], client = served
    answer = client.post(f"/labels/{tile.id}/strokes", json=STROKE, headers={"Origin": origin})
    assert answer.status_code == 403
    assert "own pages" in answer.json()["error"]
    assert not raster.mask_path(workspace, tile).exists()


def test_our_own_page_can(served):
    _, [tile, _], client = served
    answer = client.post(f"/labels/{tile.id}/strokes", json=STROKE, headers={"Origin": "http://testserver"})
    assert answer.status_code == 200


def test_a_form_or_plain_text_is_refused_so_no_page_can_send_it_unasked(served):
    _, [tile, _], client = served
    body = json.dumps(STROKE)
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert (
            client.post(f"/labels/{tile.id}/strokes", content=body, headers={"Content-Type": kind}).status_code == 415
        )


def test_a_body_beyond_bounds_is_refused(served):
    _, [tile, _], client = served
    body = b" " * (MAX_BODY_BYTES + 1)
    answer = client.post(f"/labels/{tile.id}/strokes", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/labels/99/strokes", STROKE, 404, "no tile 99"),
        ("/labels/1/strokes", STROKE | {"class_index": 9}, 422, "class_index"),
        ("/labels/1/strokes", STROKE | {"points": [[-99, -99]]}, 422, "covers no pixel"),
        ("/labels/1/undo", {}, 422, "not understood"),
        ("/labels/1/import", {"client_key": "key-00009"}, 422, "without a mask"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_of_json(served, path, body, status, words):
    _, _, client = served
    answer = client.post(path, json=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_a_full_disk_asks_the_browser_to_keep_the_stroke_and_try_again(served, monkeypatch):
    _, [tile, _], client = served

    def full(*_arguments):
        raise NotSavedError("Could not write: No space left on device.")

    with monkeypatch.context() as patch:
        patch.setattr(raster, "save", full)
        assert client.post(f"/labels/{tile.id}/strokes", json=STROKE).status_code == 507
    assert client.post(f"/labels/{tile.id}/strokes", json=STROKE).json()["undo"] == 1


def test_a_read_only_disk_is_told_and_the_stroke_can_be_sent_again(served, monkeypatch):
    _, [tile, _], client = served

    def read_only(*_arguments, **_options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkstemp", read_only)
        answer = client.post(f"/labels/{tile.id}/strokes", json=STROKE)
    assert answer.status_code == 507
    assert "Read-only file system; nothing was changed there. Free some disk space" in answer.json()["error"]
    assert client.post(f"/labels/{tile.id}/strokes", json=STROKE).json()["undo"] == 1


def test_a_stroke_belongs_to_who_sends_it_on_the_sheet_that_they_mean(served):
    workspace, [tile, _], client = served
    ada = {"X-Tilewright-Annotator": "Ada"}
    client.post(f"/labels/{tile.id}/strokes?opinion=1", json=STROKE, headers=ada)
    assert client.get(f"/labels/{tile.id}/state.json").json()["undo"] == 0
    assert client.get(f"/labels/{tile.id}/state.json?opinion=1", headers=ada).json()["undo"] == 1
    assert client.get(f"/labels/{tile.id}/state.json?opinion=1").json()["undo"] == 0
    assert (journal.load(workspace, tile.id, opinion="Ada") == 3).any()
    undone = client.post(f"/labels/{tile.id}/undo?opinion=1", json={"client_key": "key-00002"}, headers=ada)
    assert undone.json()["redo"] == 1


@pytest.mark.parametrize("path", ["strokes", "undo", "redo", "clear", "import"])
def test_a_tile_that_another_tab_holds_is_not_changed(served, path):
    workspace, [tile, _], client = served
    tile_locks.take(workspace, tile.id, "", annotator="Ben", tab="tab-of-ben")
    body = STROKE if path == "strokes" else {"client_key": "key-00002"}
    for headers in ({"X-Tilewright-Tab": "another-tab"}, {}):
        answer = client.post(f"/labels/{tile.id}/{path}", json=body, headers=headers)
        assert answer.status_code == 423
        assert "Ben is labelling this tile" in answer.json()["error"]
    assert journal.state(workspace, tile.id).sequence == 0


def test_every_change_is_announced_and_what_changes_nothing_is_not(served):
    workspace, [tile, _], client = served
    heard = []
    end = changes.listen(lambda *change: heard.append(change))
    for number, path in enumerate(["strokes", "undo", "undo", "redo", "clear"]):
        key = {"client_key": f"key-1000{number}"}
        client.post(f"/labels/{tile.id}/{path}", json=STROKE if path == "strokes" else key)
    end()
    assert heard == [(workspace, tile.id, "")] * 4  # the second undo had nothing to take back
