from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from affine import Affine
from httpx import Response
from PIL import Image
from pyproj import Transformer
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.catalog.catalogue import collection, index_folder, tiles
from core.catalog.geography import drawing as geo_drawing
from core.catalog.geography.footprints import to_plane
from core.catalog.geography.routes import geo_routes
from core.catalog.images import read_image, write_mask
from core.catalog.routes import CHECK_FIRST, FOREVER, map_version
from core.catalog.tile_pictures import TilePictures
from core.classes import PALETTE
from core.progress import SilentProgress
from core.workspace import Workspace, open_workspace
from tests.core.catalog.geography.geo_pictures import corners, placed_rows, smooth, source_pixels, write_geotiff
from tests.core.catalog.pictures import SHARED

REAL = SHARED / "open/naip-georeferenced"

# A picture of 120 x 90 pixels in each, at ground resolutions of 1 to 60 m.
PLACES = {
    "north-up": ("EPSG:32633", Affine(2, 0, 500_000, 0, -2, 5_000_000)),
    "other-zone": ("EPSG:32634", Affine(2, 0, 300_000, 0, -2, 5_000_000)),
    "non-square": ("EPSG:26917", Affine(23.59, 0, 671_664, 0, -29.46, 4_374_596)),
    "rotated": ("EPSG:32719", Affine.translation(350_000, 6_300_000) @ Affine.rotation(33) @ Affine.scale(3, -3)),
    "south-up": ("EPSG:32633", Affine(2, 0, 520_000, 0, 2, 5_100_000)),
    "degrees": ("EPSG:4326", Affine(2e-5, 0, 11, 0, -2e-5, 60)),
    "feet": ("EPSG:2263", Affine(3, 0, 980_000, 0, -3, 200_000)),
    "antimeridian": ("EPSG:32660", Affine(60, 0, 829_500, 0, -60, 200_000)),
    "polar": ("EPSG:3413", Affine(40, 0, 300_000, 0, -40, -1_500_000)),
}


def _open(folder: Path, data: Path) -> tuple[Workspace, TestClient]:
    workspace = open_workspace(folder)
    index_folder(workspace, data, SilentProgress())
    return workspace, TestClient(Starlette(routes=geo_routes(workspace, TilePictures(workspace))))


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TestClient]:
    folder = tmp_path_factory.mktemp("ground")
    for name, (crs, transform) in PLACES.items():
        write_geotiff(folder / "data" / f"{name}.tif", crs, transform)
    _, client = _open(folder / "ws", folder / "data")
    return folder / "data", client


def _map(client: TestClient, zoom: int, box: tuple[int, int, int, int], query: str = "") -> np.ndarray:
    """The map's pixels left, top, right, bottom (multiples of 256) as RGBA."""
    left, top, right, bottom = box
    picture = np.zeros((bottom - top, right - left, 4), np.uint8)
    for y in range(top, bottom, 256):
        for x in range(left, right, 256):
            wrapped = (x // 256) % 2**zoom
            answer = client.get(f"/geo/1/{zoom}/{wrapped}/{y // 256}.png{query}")
            assert answer.status_code == 200
            content = np.asarray(Image.open(BytesIO(answer.content)).convert("RGBA"))
            picture[y - top : y - top + 256, x - left : x - left + 256] = content
    return picture


def _zoom(path: Path) -> int:
    """The zoom at which a picture is about as large on the map as it is."""
    at_0 = corners(path, 0)
    return round(np.log2(read_image(path).shape[0] / np.hypot(*(at_0[3] - at_0[0]))))


def _around(points: np.ndarray) -> tuple[int, int, int, int]:
    low, high = points.min(axis=0), points.max(axis=0)
    return (
        int(low[0] // 256) * 256, int(low[1] // 256) * 256, int(high[0] // 256 + 1) * 256, int(high[1] // 256 + 1) * 256
    )  # fmt: skip


def _judge(path: Path, client: TestClient) -> None:
    """The corners and the contents of one picture on the map, against pyproj."""
    zoom = _zoom(path)
    expected = corners(path, zoom)
    if np.ptp(expected[:, 0]) > 128 * 2**zoom:  # pyproj's longitudes jump at the antimeridian
        expected[:, 0] += np.where(expected[:, 0] < 128 * 2**zoom, 256 * 2**zoom, 0)
    box = _around(expected)
    picture = _map(client, zoom, box)
    rows, columns = np.nonzero(picture[..., 3] > 127)
    there = np.column_stack((columns, rows)) + 0.5 + box[:2]
    middle = expected.mean(axis=0)
    for corner in expected:
        outward = (corner - middle) / np.hypot(*(corner - middle))
        found = there[np.argmax(there @ outward)] + 0.5 * np.round(outward)
        assert np.abs(found - corner).max() <= 1, (path.name, corner, found)
    left, top = np.maximum((middle - box[:2]).astype(int) - 200, 0)  # a part of a large one says enough
    part = picture[top : top + 400, left : left + 400]
    corner = (box[0] + left, box[1] + top)
    _judge_contents(path, zoom, (*corner, corner[0] + part.shape[1], corner[1] + part.shape[0]), part)


def _judge_contents(path: Path, zoom: int, box: tuple[int, int, int, int], picture: np.ndarray) -> None:
    under = source_pixels(path, zoom, box).astype(np.float32)
    rgb = read_image(path)
    inside = (under > 3).all(axis=-1) & (under[..., 0] < rgb.shape[1] - 3) & (under[..., 1] < rgb.shape[0] - 3)
    inside &= picture[..., 3] == 255
    errors = {}
    for shift_x, shift_y in [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]:
        where_x, where_y = under[..., 0] - 0.5 + shift_x, under[..., 1] - 0.5 + shift_y
        expected = cv2.remap(rgb, where_x, where_y, cv2.INTER_LINEAR).astype(int)
        errors[shift_x, shift_y] = np.abs(expected - picture[..., :3])[inside].mean()
    assert min(errors, key=lambda shift: errors[shift]) == (0, 0), (path.name, errors)


@pytest.mark.parametrize("name", PLACES)
def test_the_corners_and_contents_of_a_picture_are_where_pyproj_says(
    ground: tuple[Path, TestClient], name: str
) -> None:
    folder, client = ground
    _judge(folder / f"{name}.tif", client)


@pytest.mark.real
def test_the_corners_of_real_files_are_where_pyproj_says(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip("the real GeoTIFFs are not beside this checkout")
    for number, path in enumerate(
        sorted(REAL.glob("*.tif"))
    ):  # one at a time: two dates of a place lie over each other
        data = tmp_path / f"data{number}"
        data.mkdir()
        (data / path.name).symlink_to(path)
        _, client = _open(tmp_path / f"ws{number}", data)
        _judge(path, client)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, TestClient, Path]:
    """Two tiles: one with a given mask, four bands and no data in its right half, one plain beside it."""
    folder = tmp_path_factory.mktemp("labelled")
    pixels = np.concatenate([smooth(120, 90), 255 - smooth(120, 90)[:1]])
    pixels[:, :, 60:] = 0
    path = write_geotiff(
        folder / "data/a.tif", "EPSG:32633", Affine(2, 0, 500_000, 0, -2, 5_000_000), pixels=pixels, nodata=0
    )
    write_mask(path.with_name("a_mask.png"), np.repeat(np.arange(6, dtype=np.uint8), 20)[None].repeat(90, axis=0))
    write_geotiff(folder / "data/b.tif", "EPSG:32633", Affine(2, 0, 500_300, 0, -2, 5_000_000))
    workspace, client = _open(folder / "ws", folder / "data")
    return workspace, client, path


ZOOM = 16
COLOURS = "colours=2fae84,e8912d,a873e0,9aa3ad"


def _middle(path: Path) -> str:
    x, y = (corners(path, ZOOM).mean(axis=0) // 256).astype(int)
    return f"{ZOOM}/{x}/{y}.png"


def _rgba(answer: Response) -> np.ndarray:
    assert answer.status_code == 200
    return np.asarray(Image.open(BytesIO(answer.content)).convert("RGBA"))


def test_what_has_no_data_is_seen_through(labelled: tuple[Workspace, TestClient, Path]) -> None:
    _, client, path = labelled
    box = _around(corners(path, ZOOM))
    picture = _map(client, ZOOM, box)
    under = source_pixels(path, ZOOM, box)
    inside = (under[..., 1] > 2) & (under[..., 1] < 88)
    assert (picture[inside & (under[..., 0] > 2) & (under[..., 0] < 58)][:, 3] == 255).all()
    assert (picture[inside & (under[..., 0] > 62) & (under[..., 0] < 118)][:, 3] == 0).all()


def test_other_bands_and_stretches_are_drawn_when_the_address_asks(
    labelled: tuple[Workspace, TestClient, Path],
) -> None:
    _, client, path = labelled
    address = f"/geo/1/{_middle(path)}"
    usual, infrared = _rgba(client.get(address)).copy(), _rgba(client.get(f"{address}?bands=4,2,3"))
    whole = (usual[..., 3] == 255) & (infrared[..., 3] == 255)
    assert whole.sum() > 500
    usual[..., 0] = 255 - usual[..., 0]  # the fourth band is the first one's negative
    assert np.abs(infrared[whole].astype(int) - usual[whole]).mean() < 4  # usual ones come from JPEG thumbnails
    assert not _rgba(client.get(f"{address}?bands=4,1,9")).any()


def test_given_masks_lie_over_their_images_by_nearest_neighbour(
    labelled: tuple[Workspace, TestClient, Path],
) -> None:
    _, client, path = labelled
    box = _around(corners(path, ZOOM))
    under = source_pixels(path, ZOOM, box)
    picture = np.zeros((box[3] - box[1], box[2] - box[0], 4), np.uint8)
    for y in range(box[1], box[3], 256):
        for x in range(box[0], box[2], 256):
            answer = client.get(f"/geo/1/mask/{ZOOM}/{x // 256}/{y // 256}.png")
            picture[y - box[1] : y - box[1] + 256, x - box[0] : x - box[0] + 256] = _rgba(answer)
    inside = (under > 1).all(axis=-1) & (under[..., 0] < 119) & (under[..., 1] < 89)
    inside &= np.abs(under[..., 0] % 20 - 10) < 9  # off the borders of the classes
    expected = PALETTE[(under[..., 0] // 20).clip(0, 5).astype(int)]
    assert (picture[inside][:, :3] == expected[inside]).all()
    assert (picture[inside][:, 3] == 255).all()
    assert len(np.unique(picture[picture[..., 3] > 0], axis=0)) == 6


def test_labels_made_here_are_drawn_and_others_are_not(labelled: tuple[Workspace, TestClient, Path]) -> None:
    workspace, client, path = labelled
    assert not _rgba(client.get(f"/geo/1/labels/{_middle(path)}"))[..., 3].any()
    workspace.labels(1).mkdir(parents=True)
    write_mask(workspace.labels(1) / "a_mask.png", np.full((90, 120), 4, np.uint8))
    blue = _rgba(client.get(f"/geo/1/labels/{_middle(path)}?palette=deepglobe"))
    assert (blue[blue[..., 3] > 0][:, :3] == PALETTE[4]).all()
    assert blue[..., 3].any()


def test_outlines_are_drawn_in_the_colours_of_their_splits(labelled: tuple[Workspace, TestClient, Path]) -> None:
    workspace, client, path = labelled
    split = {tile.name: tile.split for tile in tiles(workspace, 1)}["a"]
    colour = {"train": (0x2F, 0xAE, 0x84), "val": (0xE8, 0x91, 0x2D)}[split]
    box = _around(corners(path, ZOOM))
    x, y = box[0] // 256, box[1] // 256
    picture = _rgba(client.get(f"/geo/1/outlines/{ZOOM}/{x}/{y}.png?{COLOURS}"))
    drawn = picture[picture[..., 3] == 255][:, :3]
    assert len(drawn) > 100
    assert ((drawn == colour).all(axis=1)).any()
    for query in ("", "?colours=red", f"?{COLOURS}&shown=x"):
        assert client.get(f"/geo/1/outlines/{ZOOM}/{x}/{y}.png{query}").status_code == 422


def test_a_map_tile_is_kept_and_not_sent_twice(labelled: tuple[Workspace, TestClient, Path]) -> None:
    workspace, client, path = labelled
    version = map_version(collection(workspace, 1))
    first = client.get(f"/geo/1/{_middle(path)}?v={version}")
    assert first.headers["cache-control"] == FOREVER
    assert client.get(f"/geo/1/{_middle(path)}").headers["cache-control"] == CHECK_FIRST
    again = client.get(f"/geo/1/{_middle(path)}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/geo/9/0/0/0.png", 404),
        ("/geo/1/25/0/0.png", 404),
        ("/geo/1/3/8/0.png", 404),
        ("/geo/1/mask/3/0/8.png", 404),
        ("/geo/1/0/0/0.png?bands=1", 422),
        ("/geo/1/at.json?longitude=x&latitude=1", 422),
        ("/geo/1/at.json?longitude=1&latitude=nan", 422),
        ("/geo/1/at.json?longitude=1&latitude=91", 422),
    ],
)
def test_what_is_not_there_or_makes_no_sense_is_said_in_one_sentence(
    labelled: tuple[Workspace, TestClient, Path], path: str, status: int
) -> None:
    answer = labelled[1].get(path)
    assert answer.status_code == status
    assert answer.json()["error"].endswith(".")


def test_a_point_is_told_in_the_tiles_own_coordinates(labelled: tuple[Workspace, TestClient, Path]) -> None:
    _, client, _ = labelled
    longitude, latitude = Transformer.from_crs(32633, 4326, always_xy=True).transform(500_050, 4_999_900)
    found = client.get(f"/geo/1/at.json?longitude={longitude}&latitude={latitude}").json()
    assert (found["name"], found["crs"]) == ("a", "EPSG:32633")
    assert [found[key] for key in ("x", "y", "column", "row")] == pytest.approx([500_050, 4_999_900, 25, 50], abs=1e-3)
    off = f"/geo/1/at.json?longitude={longitude - 0.001}&latitude={latitude}"
    assert client.get(off).json() is None
    assert client.get(f"{off}&reach={0.002 / 360}").json() == {"tile": found["tile"], "name": "a"}
    assert client.get(f"{off}&reach=0").json() is None


def test_a_file_that_vanished_shows_as_stripes_and_is_asked_again(tmp_path: Path) -> None:
    path = write_geotiff(
        tmp_path / "data/a.tif", "EPSG:32633", Affine(2, 0, 500_000, 0, -2, 5_000_000), size=(700, 600)
    )
    _, client = _open(tmp_path / "ws", tmp_path / "data")
    path_of_map = _middle(path)
    path.unlink()
    answer = client.get(f"/geo/1/{path_of_map}")
    assert answer.headers["cache-control"] == "no-store"
    assert set(np.unique(_rgba(answer)[..., 0])) <= set(range(60, 120))


def test_seven_hundred_tiles_on_one_map_tile_are_not_warped_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = open_workspace(tmp_path / "ws")
    placed_rows(workspace, [("EPSG:32633", 14 + number % 50 * 0.03, 49 + number // 50 * 0.02) for number in range(700)])
    client = TestClient(Starlette(routes=geo_routes(workspace, TilePictures(workspace))))
    warped = []
    monkeypatch.setattr(geo_drawing, "reproject", lambda *arguments, **_: warped.append(arguments))
    x, y = (to_plane(np.array([14.75, 49.4])) * 2**7).astype(int)
    assert _rgba(client.get(f"/geo/1/7/{x}/{y}.png"))[..., 3].any()
    assert warped == []
    monkeypatch.setattr(geo_drawing, "SPECK", 0)
    assert client.get(f"/geo/1/7/{x}/{y}.png").status_code == 200
    assert 0 < len(warped) <= geo_drawing.MAX_WARPED


def test_a_tile_that_others_hide_can_be_drawn_alone(tmp_path: Path) -> None:
    place = Affine(2, 0, 500_000, 0, -2, 5_000_000)
    for name, grey in (("early", 60), ("late", 200)):
        path = write_geotiff(
            tmp_path / f"data/{name}.tif", "EPSG:32633", place, pixels=np.full((3, 90, 120), grey, np.uint8)
        )
    workspace, client = _open(tmp_path / "ws", tmp_path / "data")
    early = {tile.name: tile.id for tile in tiles(workspace, 1)}["early"]
    for query, grey in (("", 200), (f"?only={early}", 60)):
        picture = _rgba(client.get(f"/geo/1/{_middle(path)}{query}"))
        assert np.abs(picture[picture[..., 3] == 255][:, :3].astype(int) - grey).max() <= 2
    assert not _rgba(client.get(f"/geo/1/{_middle(path)}?only=x")).any()
