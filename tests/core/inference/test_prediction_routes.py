"""What a browser gets of kept predictions."""

import io
import zipfile

import numpy as np
import pytest
import rasterio
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.catalog.maps.mosaic import ZOOM_OFFSET, lay_out
from core.classes import UNLABELLED
from core.inference import store
from core.inference.prediction_routes import download_url, map_url, prediction_routes, prediction_url
from core.inference.switches import Switches
from tests.pages.runs_on_disk import SIZE, add_run, all_tiles, keep_predictions, make_workspace


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    add_run(made, "first")
    keep_predictions(made, "first", wrong=0.1, switches=Switches("d4"))
    return made


@pytest.fixture
def client(workspace):
    return TestClient(Starlette(routes=prediction_routes(workspace)))


def test_a_prediction_is_found_by_run_switches_and_tile(workspace, client):
    tile = all_tiles(workspace)[0]
    found = store.find(workspace, "first", tile, Switches("d4"))
    assert client.get(prediction_url("first", Switches("d4"), tile.id)).content == found.path.read_bytes()
    answer = client.get(prediction_url("first", Switches(), tile.id))
    assert answer.status_code == 404
    assert "not been made" in answer.json()["error"]


@pytest.mark.parametrize(("form", "ending"), [("png", "_mask.png"), ("geotiff", "_mask.tif")])
def test_all_of_a_collection_comes_in_one_zip_with_what_each_was_made_from(client, form, ending):
    answer = client.get(download_url("first", Switches("d4").key, 1, form))
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
        content = archive.read(f"0{ending}")
    assert [name for name in names if name.endswith(ending)] == [f"{index}{ending}" for index in range(6)]
    assert "about/0.json" in names
    with rasterio.MemoryFile(content) as file, file.open() as source:
        assert source.shape == SIZE


def test_the_map_shows_the_predictions_where_its_tiles_lie_and_nothing_between(workspace, client):
    mosaic = lay_out(all_tiles(workspace))
    (store.folder(workspace, "first", Switches("d4"), 1) / "2_mask.png").unlink()
    address = map_url(workspace, "first", Switches("d4").key, 1)
    answer = client.get(address.format(z=ZOOM_OFFSET, x=0, y=0))
    shown = np.asarray(Image.open(io.BytesIO(answer.content)))
    for place in mosaic.places:
        part = shown[place.top : place.top + SIZE[0], place.left : place.left + SIZE[1]]
        found = store.find(workspace, "first", place.tile, Switches("d4"))
        if found is None:
            assert (part == UNLABELLED).all()
        elif part.shape == SIZE:
            assert np.array_equal(part, store.load(found, place.tile))
    assert (shown[:, SIZE[1] : mosaic.cell_width] == UNLABELLED).all()
    assert (
        client.get(
            address.format(z=ZOOM_OFFSET, x=0, y=0), headers={"If-None-Match": answer.headers["etag"]}
        ).status_code
        == 304
    )
    assert client.get(address.format(z=ZOOM_OFFSET, x=9, y=0)).status_code == 404
    (store.folder(workspace, "first", Switches("d4"), 1) / "3_mask.png").unlink()
    assert map_url(workspace, "first", Switches("d4").key, 1) != address  # browsers ask anew


@pytest.mark.parametrize(
    "address",
    [
        "/predictions/first/..%2flooks/map/1/12/0/0.png",
        "/predictions/first/plain/map/99999/12/0/0.png",
        "/predictions/first/..%2f..%2flabels/1.png",
        "/predictions/first/..%2flooks/collection/1.zip",
        "/predictions/..%2fruns/plain/1.png",
        "/predictions/first/plain/99999.png",
        "/predictions/first/plain/collection/99999.zip",
        "/predictions/first/plain/collection/1.zip?format=exe",
    ],
)
def test_an_address_that_names_nothing_is_a_sentence_and_never_a_path(client, address):
    answer = client.get(address)
    assert answer.status_code == 404
    assert "/predictions/first" not in answer.text
