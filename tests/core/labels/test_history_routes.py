import io

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.labels import changes, tile_locks
from core.labels.history_routes import history_routes
from core.labels.routes import label_routes
from tests.core.labels.painting import new_workspace

SQUARE = {"client_key": "key-00001", "tool": "rectangle", "class_index": 3, "points": [[10, 10], [20, 20]]}
ADA = {"X-Tilewright-Annotator": "Ada%20L", "X-Tilewright-Tab": "tab-of-ada"}


@pytest.fixture
def served(tmp_path):
    workspace, tiles = new_workspace(tmp_path, tiles=2)
    return workspace, tiles[0].id, TestClient(Starlette(routes=label_routes(workspace) + history_routes(workspace)))


def picture(answer):
    assert answer.status_code == 200
    with Image.open(io.BytesIO(answer.content)) as image:
        return np.asarray(image.convert("RGBA"))


def keep(client, tile, name, *, key="key-00009"):
    return client.post(f"/labels/{tile}/versions", json={"client_key": key, "name": name}, headers=ADA)


def test_provenance_tells_kinds_people_and_single_pixels(served):
    _, tile, client = served
    client.post(f"/labels/{tile}/strokes", json=SQUARE, headers=ADA)
    summary = client.get(f"/labels/{tile}/provenance.json").json()
    assert summary == {
        "kinds": [{"name": "outline", "colour": "#e69f00", "pixels": 100, "share": 1.0}],
        "annotators": [{"name": "Ada L", "pixels": 100, "share": 1.0}],
    }
    pixel = client.get(f"/labels/{tile}/provenance.json?x=12.5&y=15").json()
    assert (pixel["kind"], pixel["tool"], pixel["annotator"], pixel["detail"]) == ("outline", "rectangle", "Ada L", "")
    assert pixel["when"].endswith("+00:00")
    assert client.get(f"/labels/{tile}/provenance.json?x=1&y=1").json() == {}
    shown = picture(client.get(f"/labels/{tile}/provenance.png"))
    assert tuple(shown[15, 12]) == (0xE6, 0x9F, 0, 255)
    assert shown[..., 3].astype(bool).sum() == 100


def test_a_version_is_kept_listed_compared_and_restored(served):
    _, tile, client = served
    client.post(f"/labels/{tile}/strokes", json=SQUARE)
    saved = keep(client, tile, "before").json()
    assert (saved["name"], saved["annotator"]) == ("before", "Ada L")
    assert client.get(f"/labels/{tile}/versions.json").json() == {"versions": [saved]}
    client.post(f"/labels/{tile}/clear", json={"client_key": "key-00002"})
    where = f"/labels/{tile}/versions/{saved['id']}"
    assert picture(client.get(f"{where}/raster.png"))[..., 3].astype(bool).sum() == 100
    assert picture(client.get(f"{where}/diff.png"))[..., 3].astype(bool).sum() == 100
    diff = client.get(f"{where}/diff.json").json()
    assert {kind["name"]: kind["pixels"] for kind in diff["kinds"]} == {
        "same": 2300, "labelled since": 0, "removed since": 100, "class changed": 0
    }  # fmt: skip
    assert diff["classes"][3] == {"name": "forest", "gained": 0, "lost": 100}
    answer = client.post(f"/labels/{tile}/restore", json={"client_key": "key-00003", "version": saved["id"]}).json()
    assert (answer["undo"], answer["counts"][3]["pixels"]) == (3, 100)


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("get", "versions/99/raster.png", None, "There is no version 99"),
        ("get", "versions/99/diff.json", None, "There is no version 99"),
        ("post", "restore", {"client_key": "key-00009", "version": 99}, "There is no version 99"),
        ("post", "versions", {"client_key": "key-00009", "name": " "}, "needs a name"),
        ("post", "versions", {"client_key": "key-00009"}, "not understood"),
        ("get", "provenance.json?x=5", None, "two numbers"),
        ("get", "provenance.json?x=a&y=b", None, "two numbers"),
        ("get", "provenance.json?x=99&y=99", None, "There is no pixel at"),
    ],
)
def test_what_is_not_there_is_one_sentence_of_json(served, method, path, body, words):
    _, tile, client = served
    options = {} if body is None else {"json": body}
    answer = getattr(client, method)(f"/labels/{tile}/{path}", **options)
    assert answer.status_code == 422
    assert words in answer.json()["error"]


def test_the_same_name_twice_is_refused(served):
    _, tile, client = served
    keep(client, tile, "before")
    client.post(f"/labels/{tile}/strokes", json=SQUARE, headers=ADA)
    answer = keep(client, tile, "before", key="key-00010")
    assert (answer.status_code, "choose another name" in answer.json()["error"]) == (422, True)


def test_a_second_opinion_has_versions_and_provenance_of_its_own(served):
    _, tile, client = served
    client.post(f"/labels/{tile}/strokes?opinion=1", json=SQUARE, headers=ADA)
    own = client.get(f"/labels/{tile}/provenance.json?opinion=1", headers=ADA).json()
    assert own["annotators"][0]["pixels"] == 100
    assert client.get(f"/labels/{tile}/provenance.json", headers=ADA).json()["annotators"] == []
    client.post(f"/labels/{tile}/versions?opinion=1", json={"client_key": "key-00005", "name": "mine"}, headers=ADA)
    assert client.get(f"/labels/{tile}/versions.json").json() == {"versions": []}


def test_nobody_restores_a_tile_that_somebody_else_labels(served):
    workspace, tile, client = served
    saved = keep(client, tile, "before").json()
    tile_locks.take(workspace, tile, "", annotator="Ben", tab="tab-of-ben")
    body = {"client_key": "key-00006", "version": saved["id"]}
    assert client.post(f"/labels/{tile}/restore", json=body, headers=ADA).status_code == 423


def test_a_restored_version_is_announced(served):
    workspace, tile, client = served
    client.post(f"/labels/{tile}/strokes", json=SQUARE)
    saved = keep(client, tile, "before").json()
    client.post(f"/labels/{tile}/clear", json={"client_key": "key-00002"})
    heard = []
    end = changes.listen(lambda *change: heard.append(change))
    client.post(f"/labels/{tile}/restore", json={"client_key": "key-00003", "version": saved["id"]})
    end()
    assert heard == [(workspace, tile, "")]
