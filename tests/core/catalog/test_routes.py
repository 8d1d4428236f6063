from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.catalog import routes, tile_pictures
from core.catalog.catalogue import index_folder, tiles
from core.catalog.routes import tile_routes
from core.classes import PALETTE
from core.progress import SilentProgress
from core.tables import Tile
from core.workspace import Workspace, open_workspace
from tests.core.catalog.pictures import blocks, noise, write_pair, write_picture


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    write_pair(tmp_path / "data", "1")
    write_picture(tmp_path / "data" / "2_sat.png", noise(600, 300))
    opened = open_workspace(tmp_path / "ws")
    index_folder(opened, tmp_path / "data", SilentProgress())
    return opened


@pytest.fixture
def client(workspace: Workspace) -> TestClient:
    return TestClient(Starlette(routes=tile_routes(workspace)))


def _tile(workspace: Workspace, name: str) -> Tile:
    return next(tile for tile in tiles(workspace, 1) if tile.name == name)


def _pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content)))


def test_the_facts_of_a_tile_are_given(client: TestClient, workspace: Workspace) -> None:
    two = _tile(workspace, "2")
    facts = client.get(f"/tiles/{two.id}/info.json").json()
    assert facts == {
        "id": two.id,
        "name": "2",
        "width": 600,
        "height": 300,
        "metres_per_pixel_x": 0.5,
        "metres_per_pixel_y": 0.5,
        "max_zoom": 2,
        "synthetic": False,
        "split": two.split,
        "has_mask": False,
    }


@pytest.mark.parametrize("size", [128, 256, 512])
def test_thumbnails_come_in_their_sizes(client: TestClient, workspace: Workspace, size: int) -> None:
    answer = client.get(f"/tiles/{_tile(workspace, '2').id}/thumbnail.jpg?size={size}")
    assert answer.headers["content-type"] == "image/jpeg"
    assert _pixels(answer.content).shape == (size // 2, size, 3)


@pytest.mark.parametrize("size", ["64", "-1", "1e9", "99999999999", "x"])
def test_no_other_thumbnail_size_is_made(client: TestClient, workspace: Workspace, size: str) -> None:
    answer = client.get(f"/tiles/{_tile(workspace, '2').id}/thumbnail.jpg?size={size}")
    assert answer.status_code == 422
    assert "pixels" in answer.json()["error"]


def test_map_tiles_are_the_image_and_smaller_at_its_edge(client: TestClient, workspace: Workspace) -> None:
    base = f"/tiles/{_tile(workspace, '2').id}"
    assert _pixels(client.get(f"{base}/2/0/0.jpg").content).shape == (256, 256, 3)
    assert _pixels(client.get(f"{base}/2/2/1.jpg").content).shape == (44, 88, 3)
    assert _pixels(client.get(f"{base}/0/0/0.jpg").content).shape == (75, 150, 3)


@pytest.mark.parametrize(
    "path",
    [
        "/tiles/99/info.json",
        "/tiles/99/thumbnail.jpg",
        "/tiles/99/mask.png",
        "/tiles/99/0/0/0.jpg",
        "/tiles/2/3/0/0.jpg",
        "/tiles/2/2/3/0.jpg",
        "/tiles/2/mask.png",
    ],
)
def test_what_is_not_there_answers_404_with_one_sentence(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"].endswith((".", "page."))


@pytest.mark.parametrize("path", ["/tiles/../1/info.json", "/tiles/1%2f../info.json", "/tiles/-1/info.json"])
def test_only_numbers_are_ids(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_mask_is_palette_coloured_and_see_through_where_unlabelled(client: TestClient, workspace: Workspace) -> None:
    content = client.get(f"/tiles/{_tile(workspace, '1').id}/mask.png").content
    rgba = np.asarray(Image.open(BytesIO(content)).convert("RGBA"))
    labelled = blocks() != 255
    assert (rgba[..., 3] == np.where(labelled, 255, 0)).all()
    assert (rgba[labelled][:, :3] == PALETTE[blocks()[labelled]]).all()


def test_a_reduced_mask_keeps_its_proportions(client: TestClient, workspace: Workspace) -> None:
    content = client.get(f"/tiles/{_tile(workspace, '1').id}/mask.png?size=32").content
    assert Image.open(BytesIO(content)).size == (32, 24)


def test_an_unchanged_picture_is_not_sent_twice(client: TestClient, workspace: Workspace) -> None:
    tile = _tile(workspace, "2")
    for path in (f"/tiles/{tile.id}/thumbnail.jpg", f"/tiles/{tile.id}/0/0/0.jpg"):
        first = client.get(path)
        assert first.headers["cache-control"] == routes.CHECK_FIRST
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_an_address_with_the_right_version_may_be_kept_for_ever(client: TestClient, workspace: Workspace) -> None:
    tile = _tile(workspace, "2")
    path = f"/tiles/{tile.id}/thumbnail.jpg?v="
    assert client.get(path + tile.fingerprint).headers["cache-control"] == routes.FOREVER
    assert client.get(path + "older").headers["cache-control"] == routes.CHECK_FIRST


def test_a_file_that_vanished_answers_one_sentence(client: TestClient, workspace: Workspace) -> None:
    two = _tile(workspace, "2")
    Path(two.image_path).unlink()
    answer = client.get(f"/tiles/{two.id}/2/0/0.jpg")
    assert answer.status_code == 422
    assert "2_sat.png cannot be read" in answer.json()["error"]


def test_concurrent_requests_for_one_tile_decode_it_once(
    client: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    really_read = tile_pictures.read_image
    monkeypatch.setattr(tile_pictures, "read_image", lambda path: reads.append(path) or really_read(path))
    two = _tile(workspace, "2").id
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda x: client.get(f"/tiles/{two}/2/{x % 3}/0.jpg"), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(reads) == 1
