import io
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.labels import edits, journal, tile_locks
from core.labels.routes import label_routes
from core.labels.team_routes import team_routes
from tests.core.labels.painting import brush, new_workspace

STROKE = {"client_key": "key-00001", "tool": "brush", "class_index": 3, "points": [[10, 10], [30, 20]], "radius": 4}


@pytest.fixture
def served(tmp_path):
    workspace, [tile] = new_workspace(tmp_path)
    return workspace, tile, TestClient(Starlette(routes=[*label_routes(workspace), *team_routes(workspace)]))


def person(name, tab):
    return {"X-Tilewright-Annotator": quote(name), "X-Tilewright-Tab": tab}


ADA, ADAS_OTHER_TAB, BEN = person("Ada", "tab-ada-1"), person("Ada", "tab-ada-2"), person("Björn", "tab-bjo-1")


def test_a_lock_is_answered_with_its_holder_and_where_the_tile_stands(served):
    _, tile, client = served
    mine = client.post(f"/labels/{tile.id}/lock", json={"take_over": False}, headers=BEN).json()
    assert mine["mine"]
    assert (mine["status"], mine["comment"]) == ("new", "")
    theirs = client.post(f"/labels/{tile.id}/lock", json={}, headers=ADA).json()
    assert not theirs["mine"]
    assert theirs["holder"] == mine["holder"] | {"same_person": False}
    assert theirs["holder"]["annotator"] == "Björn"
    assert theirs["holder"]["expires"].endswith("+00:00")


def test_ones_own_other_tab_is_told_so(served):
    _, tile, client = served
    client.post(f"/labels/{tile.id}/lock", json={}, headers=ADA)
    other = client.post(f"/labels/{tile.id}/lock", json={}, headers=ADAS_OTHER_TAB).json()
    assert (other["mine"], other["holder"]["same_person"]) == (False, True)


def test_a_stroke_whose_pixels_are_still_looked_for_when_the_tile_is_taken_over_is_not_written(served, monkeypatch):
    workspace, tile, client = served
    client.post(f"/labels/{tile.id}/lock", json={}, headers=ADA)
    prepare = edits.prepare

    def slowly(*arguments):
        tile_locks.take_over(workspace, tile.id, "", annotator="Björn", tab="tab-bjo-1")
        return prepare(*arguments)

    monkeypatch.setattr(edits, "prepare", slowly)
    refused = client.post(f"/labels/{tile.id}/strokes", json=STROKE, headers=ADA)
    assert refused.status_code == 423
    assert "Björn is labelling this tile" in refused.json()["error"]
    assert journal.state(workspace, tile.id).sequence == 0


def test_a_stroke_without_the_lock_is_refused_until_the_tile_is_taken_over_or_unlocked(served):
    _, tile, client = served
    client.post(f"/labels/{tile.id}/lock", json={}, headers=ADA)
    refused = client.post(f"/labels/{tile.id}/strokes", json=STROKE, headers=BEN)
    assert refused.status_code == 423
    assert "Ada is labelling this tile" in refused.json()["error"]
    assert client.post(f"/labels/{tile.id}/lock", json={"take_over": True}, headers=BEN).json()["mine"]
    assert client.post(f"/labels/{tile.id}/strokes", json=STROKE, headers=BEN).status_code == 200
    assert client.post(f"/labels/{tile.id}/undo", json={"client_key": "key-00002"}, headers=ADA).status_code == 423
    client.post(f"/labels/{tile.id}/unlock", json={}, headers=BEN)
    assert client.post(f"/labels/{tile.id}/undo", json={"client_key": "key-00002"}, headers=ADA).status_code == 200


def test_a_first_stroke_takes_the_lock_and_puts_the_tile_in_work(served):
    workspace, tile, client = served
    client.post(f"/labels/{tile.id}/strokes", json=STROKE, headers=ADA)
    assert tile_locks.holder(workspace, tile.id, "").annotator == "Ada"
    assert client.post(f"/labels/{tile.id}/lock", json={}, headers=ADA).json()["status"] == "in work"


def test_a_stroke_on_an_approved_tile_puts_it_back_in_work(served):
    _, tile, client = served
    for status in ("done", "approved"):
        client.post(f"/labels/{tile.id}/status", json={"status": status}, headers=BEN)
    client.post(f"/labels/{tile.id}/strokes", json=STROKE, headers=ADA)
    assert client.post(f"/labels/{tile.id}/lock", json={}, headers=ADA).json()["status"] == "in work"


def test_a_status_is_set_with_its_comment_and_a_wrong_step_is_one_sentence(served):
    _, tile, client = served
    refused = client.post(f"/labels/{tile.id}/status", json={"status": "approved"}, headers=ADA)
    assert refused.status_code == 422
    assert "'new' cannot become 'approved'" in refused.json()["error"]
    client.post(f"/labels/{tile.id}/status", json={"status": "done"}, headers=ADA)
    sent = {"status": "sent back", "comment": "the river"}
    assert client.post(f"/labels/{tile.id}/status", json=sent, headers=BEN).json() == sent


@pytest.mark.parametrize(
    ("path", "body"),
    [("lock", {"take_over": "perhaps"}), ("unlock", {"all": True}), ("status", {"status": "finished"})],
)
def test_a_body_that_is_not_understood_is_refused(served, path, body):
    _, tile, client = served
    answer = client.post(f"/labels/{tile.id}/{path}", json=body, headers=ADA)
    assert answer.status_code == 422
    assert "not understood" in answer.json()["error"]


def test_a_lock_without_a_tabs_key_is_refused(served):
    _, tile, client = served
    assert client.post(f"/labels/{tile.id}/lock", json={}).status_code == 422


def test_an_opinion_is_painted_beside_a_locked_tile_and_compared_with_its_labels(served):
    workspace, tile, client = served
    client.post(f"/labels/{tile.id}/strokes", json=STROKE, headers=ADA)
    theirs = STROKE | {"client_key": "key-00003", "class_index": 4, "points": [[20, 15], [30, 20]]}
    assert client.post(f"/labels/{tile.id}/strokes?opinion=1", json=theirs, headers=BEN).status_code == 200
    assert client.get(f"/labels/{tile.id}/opinions.json").json() == {"opinions": ["Björn"]}
    compared = client.get(f"/labels/{tile.id}/agreement.json", params={"with": "Björn"}).json()
    labels, opinion = journal.load(workspace, tile.id), journal.load(workspace, tile.id, opinion="Björn")
    both = int(((labels != 255) & (opinion != 255)).sum())
    assert (compared["agreement"], compared["both_labelled_pixels"]) == (0, both)
    assert compared["kappa_by_class"]["urban"] is None
    picture = client.get(f"/labels/{tile.id}/agreement.png", params={"with": "Björn"}).content
    with Image.open(io.BytesIO(picture)) as image:
        strong = np.asarray(image.convert("RGBA"))[..., 3] > 200
    assert strong.sum() == both


def test_an_agreement_with_nobody_is_one_sentence(served):
    workspace, tile, client = served
    journal.apply(workspace, tile.id, brush([(10, 10)]))
    answer = client.get(f"/labels/{tile.id}/agreement.json", params={"with": "Nobody"})
    assert answer.status_code == 422
    assert "Nobody has no second opinion" in answer.json()["error"]
