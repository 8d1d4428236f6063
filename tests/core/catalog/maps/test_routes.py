import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.catalog import routes
from core.catalog.alike import layouts
from core.catalog.alike.layouts import CLASS_SHARE, LIKENESS
from core.catalog.catalogue import collection, index_folder, tiles
from core.catalog.maps import map_layouts
from core.catalog.maps import routes as map_routes
from core.catalog.maps.map_layouts import laid_out
from core.catalog.maps.mosaic import GROUND, ZOOM_OFFSET, Place, lay_out
from core.catalog.tile_pictures import TilePictures
from core.classes import PALETTE
from core.progress import SilentProgress
from core.tables import Tile
from core.workspace import Workspace, open_workspace
from tests.core.catalog.pictures import blocks, noise, write_pair, write_picture

SHAPE = (48, 64)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three tiles of 64 x 48, the last without a mask, and one of 600 x 300."""
    write_pair(tmp_path / "data", "1", seed=1)
    write_pair(tmp_path / "data", "2", seed=2)
    write_picture(tmp_path / "data" / "3_sat.jpg", noise(seed=3))
    write_picture(tmp_path / "data" / "4_sat.png", noise(600, 300))
    opened = open_workspace(tmp_path / "ws")
    index_folder(opened, tmp_path / "data", SilentProgress())
    return opened


@pytest.fixture
def client(workspace: Workspace) -> TestClient:
    return TestClient(Starlette(routes=map_routes.map_routes(workspace, TilePictures(workspace))))


def _rgb(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content)).convert("RGB")).astype(int)


def _rgba(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content)).convert("RGBA"))


def _whole(client: TestClient, zoom: int, path: str, size: tuple[int, int]) -> np.ndarray:
    """The map at a zoom, put together from its map tiles."""
    rows = []
    for y in range(-(-size[1] // 256)):
        pieces = [client.get(path.format(z=zoom + ZOOM_OFFSET, x=x, y=y)) for x in range(-(-size[0] // 256))]
        rows.append(np.hstack([_rgba(piece.content) for piece in pieces]))
    return np.vstack(rows)


def _place(workspace: Workspace, name: str, kind: str = "name") -> Place:
    mosaic = laid_out(workspace, collection(workspace, 1), kind)[2]
    return next(place for place in mosaic.places if place.tile.name == name)


@pytest.mark.parametrize(
    "path",
    [
        "/map/9/12/0/0.jpg",
        "/map/1/13/0/0.jpg",
        "/map/1/12/999/0.jpg",
        "/map/1/0/0/0.jpg",
        "/map/9/tiles.json",
        "/map/1/12/0/0.jpg?layout=weather",
        "/map/1/layout.json?layout=likeness",
        "/map/9/prepare.json",
    ],
)
def test_what_is_not_there_answers_404_with_one_sentence(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"].endswith(".")


def test_the_map_shows_each_tile_in_its_place_on_the_ground(client: TestClient, workspace: Workspace) -> None:
    picture = _rgb(client.get(f"/map/1/{ZOOM_OFFSET}/0/0.jpg").content)
    place = _place(workspace, "1")
    assert picture[place.top : place.top + 48, place.left : place.left + 64].std() > 30
    assert np.abs(picture[place.top + 48 + 12 : place.top + 100, :60] - GROUND).max() < 12


def test_masks_lie_over_the_images_exactly(client: TestClient, workspace: Workspace) -> None:
    rgba = _rgba(client.get(f"/map/1/mask/{ZOOM_OFFSET}/0/0.png").content)
    place = _place(workspace, "1")
    inside = rgba[place.top : place.top + 48, place.left : place.left + 64]
    labelled = blocks() != 255
    assert (inside[..., 3] == np.where(labelled, 255, 0)).all()
    assert (inside[labelled][:, :3] == PALETTE[blocks()[labelled]]).all()


def test_borders_are_drawn_where_classes_meet_and_across_map_tiles(client: TestClient, workspace: Workspace) -> None:
    mosaic = lay_out(tiles(workspace, 1))
    path = "/map/1/mask/{z}/{x}/{y}.png"
    filled = _whole(client, 0, path, (mosaic.width, mosaic.height))
    borders = _whole(client, 0, path + "?style=borders", (mosaic.width, mosaic.height))
    colours = np.pad(filled.astype(np.int64) @ [1, 256, 65536, 1 << 24], 1, constant_values=-1)
    inner = colours[1:-1, 1:-1]
    beside = (colours[:-2, 1:-1], colours[2:, 1:-1], colours[1:-1, :-2], colours[1:-1, 2:])
    expected = (filled[..., 3] > 0) & np.logical_or.reduce([(inner != other) & (other >= 0) for other in beside])
    edge = np.ones_like(expected)
    edge[1:-1, 1:-1] = False  # beyond the whole map nothing lies: there a class ends too
    assert ((borders[..., 3] > 0) == expected)[~edge].all()
    assert 0 < (borders[..., 3] > 0).mean() < (filled[..., 3] > 0).mean()


def test_labels_painted_here_lie_over_the_map_and_come_anew_when_they_change(
    client: TestClient, workspace: Workspace
) -> None:
    folder = workspace.labels(1)
    assert _rgba(client.get(f"/map/1/labels/{ZOOM_OFFSET}/0/0.png").content)[..., 3].max() == 0
    write_picture(folder / "3_mask.png", np.full((*SHAPE, 3), (0, 255, 0), np.uint8))
    first = client.get(f"/map/1/labels/{ZOOM_OFFSET}/0/0.png")
    place = _place(workspace, "3")
    tile_y, tile_x = divmod(place.top, 256)[0], divmod(place.left, 256)[0]
    shown = client.get(f"/map/1/labels/{ZOOM_OFFSET}/{tile_x}/{tile_y}.png")
    top, left = place.top - 256 * tile_y, place.left - 256 * tile_x
    assert (_rgba(shown.content)[top + 5, left + 5] == (0, 255, 0, 255)).all()
    time.sleep(0.02)  # the clock of the file system
    (folder / "3_mask.png").unlink()
    again = client.get(f"/map/1/labels/{ZOOM_OFFSET}/0/0.png")
    assert again.headers["etag"] != first.headers["etag"]


def test_another_layout_puts_the_same_tiles_elsewhere(
    client: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.array([tile.id for tile in reversed(tiles(workspace, 1))])
    monkeypatch.setattr(map_layouts, "kept_layout", lambda *_: layouts.KeptLayout(ids))
    by_name = client.get("/map/1/layout.json").json()
    by_likeness = client.get(f"/map/1/layout.json?layout={LIKENESS}").json()
    assert by_name.pop("order") == [0, 1, 2, 3]
    assert by_likeness.pop("order") == [3, 2, 1, 0]
    assert by_name == by_likeness
    first = client.get(f"/map/1/{ZOOM_OFFSET}/0/0.jpg?layout={LIKENESS}").content
    assert first != client.get(f"/map/1/{ZOOM_OFFSET}/0/0.jpg").content
    assert _rgb(first)[100:250, 100:250].std() > 30  # the large tile, where a small one was


def test_by_class_share_the_tiles_of_which_nothing_is_known_come_last(client: TestClient) -> None:
    order = client.get(f"/map/1/layout.json?layout={CLASS_SHARE}").json()["order"]
    assert sorted(order[:2]) == [0, 1]
    assert order[2:] == [2, 3]


def test_a_layout_has_another_version_when_a_tile_lies_elsewhere_and_only_then(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.array([tile.id for tile in tiles(workspace, 1)])
    versions = []
    for order in (ids, ids.copy(), ids[::-1], ids[:3]):
        monkeypatch.setattr(map_layouts, "kept_layout", lambda *_, order=order: layouts.KeptLayout(order))
        versions.append(laid_out(workspace, collection(workspace, 1), LIKENESS)[1].version)
    assert versions[0] == versions[1] == versions[3]  # the fourth tile, which the order does not know, goes last
    assert versions[2] != versions[0]


def test_names_splits_and_sizes_come_once_for_all_tiles(client: TestClient, workspace: Workspace) -> None:
    shown = collection(workspace, 1)
    answer = client.get(f"/map/1/tiles.json?v={map_routes.tiles_version(shown)}")
    assert answer.headers["cache-control"] == routes.FOREVER
    content = answer.json()
    assert content["names"] == ["1", "2", "3", "4"]
    assert content["widths"] == [64, 64, 64, 600]
    assert content["heights"] == [48, 48, 48, 300]
    splits = ("train", "val", "test", "")
    assert [splits[int(split)] for split in content["splits"]] == [tile.split for tile in tiles(workspace, 1)]


def test_an_unchanged_map_tile_is_not_sent_twice_and_may_be_kept_under_its_version(
    client: TestClient, workspace: Workspace
) -> None:
    path = f"/map/1/{ZOOM_OFFSET}/0/0.jpg"
    first = client.get(path)
    assert first.headers["cache-control"] == routes.CHECK_FIRST
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    version = routes.map_version(collection(workspace, 1))
    assert client.get(f"{path}?v={version}").headers["cache-control"] == routes.FOREVER


def test_a_file_that_vanished_shows_stripes_which_nobody_keeps(client: TestClient, workspace: Workspace) -> None:
    four = next(tile for tile in tiles(workspace, 1) if tile.name == "4")
    Path(four.image_path).unlink()
    place = _place(workspace, "4")
    version = routes.map_version(collection(workspace, 1))
    x, y = place.left // 256, place.top // 256
    answer = client.get(f"/map/1/{ZOOM_OFFSET}/{x}/{y}.jpg?v={version}")
    assert answer.headers["cache-control"] == "no-store"
    inside = _rgb(answer.content)[place.top - 256 * y + 10 :, place.left - 256 * x + 10 :]
    assert np.ptp(inside, axis=2).max() < 12  # grey
    assert {70, 110} & set(inside.ravel().tolist())


@pytest.fixture
def many(tmp_path: Path) -> Workspace:
    """A hundred tiles of 64 x 64, each of one colour, and masks of one class each: seen from far away."""
    for number in range(100):
        colour = np.full((64, 64, 3), (2 * number, 255 - 2 * number, 90), np.uint8)
        write_picture(tmp_path / "data" / f"{number + 1}_sat.png", colour)
        mask = np.full((64, 64, 3), PALETTE[number % 6], np.uint8)
        write_picture(tmp_path / "data" / f"{number + 1}_mask.png", mask)
    opened = open_workspace(tmp_path / "ws")
    index_folder(opened, tmp_path / "data", SilentProgress())
    return opened


def test_from_far_away_every_tile_is_drawn_from_the_contact_sheet(many: Workspace) -> None:
    client = TestClient(Starlette(routes=map_routes.map_routes(many, TilePictures(many))))
    zoom = lay_out(tiles(many, 1)).min_zoom
    path = f"/map/1/{zoom + ZOOM_OFFSET}/0/0.jpg"
    assert client.get(path).headers["cache-control"] == "no-store"  # nothing is prepared yet
    assert client.get("/map/1/prepare.json").json() == {"left": 0, "of": 100}
    for tile in tiles(many, 1):  # from here on no file of a tile is asked
        Path(tile.image_path).unlink()
    answer = client.get(path)
    assert answer.headers["cache-control"] == routes.CHECK_FIRST
    _check_colours(many, zoom, _rgb(answer.content))
    again = TestClient(Starlette(routes=map_routes.map_routes(many, TilePictures(many))))
    assert again.get(path).content == answer.content  # the sheet is kept in the workspace


def _check_colours(many: Workspace, zoom: int, picture: np.ndarray) -> None:
    shrink = 2.0**-zoom
    for place in lay_out(tiles(many, 1)).places:
        number = int(place.tile.name) - 1
        y, x = int((place.top + 32) / shrink), int((place.left + 32) / shrink)
        assert np.abs(picture[y, x] - (2 * number, 255 - 2 * number, 90)).max() < 25


def test_masks_from_far_away_hold_whole_classes_only(many: Workspace) -> None:
    client = TestClient(Starlette(routes=map_routes.map_routes(many, TilePictures(many))))
    mosaic = lay_out(tiles(many, 1))
    while client.get("/map/1/mask/prepare.json").json()["left"]:
        pass
    rgba = _rgba(client.get(f"/map/1/mask/{mosaic.min_zoom + ZOOM_OFFSET}/0/0.png").content)
    shrink = 2.0**-mosaic.min_zoom
    for place in mosaic.places:
        y, x = int((place.top + 32) / shrink), int((place.left + 32) / shrink)
        assert tuple(rgba[y, x]) == (*PALETTE[(int(place.tile.name) - 1) % 6].tolist(), 255)
    known = {(*PALETTE[index].tolist(), 255) for index in range(6)}
    assert {tuple(colour) for colour in rgba[rgba[..., 3] > 0]} <= known


def test_a_tile_that_came_since_is_added_to_the_sheet_and_others_are_not_drawn_again(
    many: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = TestClient(Starlette(routes=map_routes.map_routes(many, TilePictures(many))))
    client.get("/map/1/prepare.json")
    write_picture(tmp_path / "data" / "101_sat.png", np.full((64, 64, 3), 200, np.uint8))
    index_folder(many, tmp_path / "data", SilentProgress())
    read: list[str] = []
    really_read = TilePictures.micro

    def watched(self: TilePictures, tile: Tile) -> np.ndarray:
        read.append(tile.name)
        return really_read(self, tile)

    monkeypatch.setattr(TilePictures, "micro", watched)
    fresh = TestClient(Starlette(routes=map_routes.map_routes(many, TilePictures(many))))
    assert fresh.get("/map/1/prepare.json").json() == {"left": 0, "of": 101}
    assert read == ["101"]


def test_a_map_tile_of_a_known_version_asks_nothing_of_the_database(
    client: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/map/1/{ZOOM_OFFSET}/0/0.jpg?v={routes.map_version(collection(workspace, 1))}"
    first = client.get(path)
    monkeypatch.setattr(workspace.database.__class__, "read", None)
    assert client.get(path).content == first.content
    monkeypatch.undo()
    assert client.get("/map/1/12/0/0.jpg?v=another").headers["cache-control"] == routes.CHECK_FIRST
