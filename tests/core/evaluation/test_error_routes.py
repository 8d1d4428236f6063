"""What a browser gets of errors and confidence."""

import io

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.catalog.catalogue import collections
from core.evaluation.confidence import confidence_run
from core.evaluation.error_regions import judged_tile
from core.evaluation.error_routes import CROP, confused_url, crop_url, error_routes, layer_url
from core.inference import store
from core.inference.switches import Switches
from core.labels.strokes import Box
from core.progress import SilentProgress
from tests.core.evaluation.sure_runs import make_sure_workspace
from tests.pages.runs_on_disk import SIZE, all_tiles

PLAIN = Switches()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return make_sure_workspace(tmp_path_factory.mktemp("errors"))


@pytest.fixture(scope="module")
def client(workspace):
    return TestClient(Starlette(routes=error_routes(workspace)))


def pair_of(workspace, tile):
    return judged_tile(workspace, "sure", tile, store.kept(workspace, "sure", tile, PLAIN).path)


def test_confused_pixels_are_shown_where_they_are_and_may_be_kept_for_ever(workspace, client):
    tile = all_tiles(workspace)[3]
    pair = pair_of(workspace, tile)
    wrong = (pair.truth != pair.prediction) & (pair.truth != 255)
    true_class, predicted = int(pair.truth[wrong][0]), int(pair.prediction[wrong][0])
    address = confused_url("sure", PLAIN, tile.id, true_class=true_class, predicted=predicted, version=pair.version)
    answer = client.get(address)
    assert "immutable" in answer.headers["cache-control"]
    alpha = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))[..., 3]
    assert alpha.shape == SIZE
    assert (alpha[(pair.truth == true_class) & (pair.prediction == predicted)] == 255).all()
    again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_a_crop_is_square_and_stays_inside_the_tile(workspace, client):
    tile = all_tiles(workspace)[3]
    answer = client.get(crop_url("sure", PLAIN, tile.id, predicted=1, box=Box(50, 50, 10, 10)))
    assert Image.open(io.BytesIO(answer.content)).size == (CROP, CROP)


def test_a_layer_is_there_once_the_job_has_run(workspace, client):
    tile = all_tiles(workspace)[3]
    address = layer_url("sure", PLAIN, tile.id, "entropy")
    assert client.get(address).status_code == 404
    home = collections(workspace)[0].id
    confidence_run(workspace, run="sure", collection_id=home, switches=PLAIN, progress=SilentProgress())
    assert Image.open(io.BytesIO(client.get(address).content)).size == SIZE


@pytest.mark.parametrize(
    "address",
    [
        "/errors/nobody/plain/4/0-1.png",
        "/errors/sure/..%2F..%2Fplain/4/0-1.png",
        "/errors/sure/plain/99/0-1.png",
        "/errors/sure/plain/4/7-1.png",
        "/errors/sure/plain/4/0-9.png",
        "/errors/sure/plain/4/1.jpg?top=0&left=0&height=0&width=5",
        "/errors/sure/plain/4/1.jpg?top=50&left=0&height=90&width=5",
        "/errors/sure/plain/4/1.jpg?top=-1&left=0&height=5&width=5",
        "/errors/sure/plain/4/1.jpg?top=0",
        "/confidence/sure/plain/4/secrets.png",
        "/confidence/sure/plain/99/entropy.png",
    ],
)
def test_a_wrong_address_is_answered_with_one_sentence(client, address):
    answer = client.get(address)
    assert answer.status_code == 404
    if answer.headers["content-type"].startswith("application/json"):
        assert answer.json()["error"].endswith(".")
