from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from core.catalog.images import fingerprint, write_mask
from core.catalog.thumbnails import make_thumbnails, mask_thumbnail, thumbnail
from core.errors import InputError
from core.tables import Tile
from core.workspace import Workspace, open_workspace
from tests.core.catalog.pictures import blocks, noise, write_picture


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "ws")


def _tile(path: Path, **values: object) -> Tile:
    return Tile(name="a", image_path=str(path), fingerprint=fingerprint(path), **values)


def _pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content)))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_a_thumbnail_is_the_picture_in_small(workspace: Workspace, tmp_path: Path, suffix: str) -> None:
    picture = cv2.GaussianBlur(noise(1200, 800), (0, 0), 60) // 2 + 60
    picture[:400, :600] = (200, 40, 40)
    small = _pixels(thumbnail(workspace, _tile(write_picture(tmp_path / f"a{suffix}", picture)), 256)).astype(int)
    assert small.shape == (171, 256, 3)
    assert np.abs(small[10:75, 10:115] - (200, 40, 40)).max() < 12


def test_a_small_picture_is_not_enlarged(workspace: Workspace, tmp_path: Path) -> None:
    assert _pixels(thumbnail(workspace, _tile(write_picture(tmp_path / "a.jpg")), 1024)).shape == (48, 64, 3)


def test_a_thumbnail_is_made_once(workspace: Workspace, tmp_path: Path) -> None:
    tile = _tile(write_picture(tmp_path / "a.jpg"))
    first = thumbnail(workspace, tile, 128)
    Path(tile.image_path).unlink()
    assert thumbnail(workspace, tile, 128) == first


def test_a_jpeg_that_cannot_be_decoded_to_its_end_leaves_no_thumbnail(workspace: Workspace, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.jpg", noise(900, 900))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="damaged"):
        make_thumbnails(workspace, path, "f00d")
    assert not list(workspace.thumbnails.rglob("*.*"))


def test_a_masks_thumbnail_holds_whole_classes_only(workspace: Workspace, tmp_path: Path) -> None:
    image = write_picture(tmp_path / "a.jpg", noise(1200, 700))
    write_mask(tmp_path / "m.png", blocks(1200, 700))
    tile = _tile(image, mask_path=str(tmp_path / "m.png"), mask_fingerprint="beef", width=1200, height=700)
    small = mask_thumbnail(workspace, tile)
    assert small.shape == (299, 512)
    assert set(np.unique(small)) == {0, 1, 2, 3, 4, 5, 255}
    tile.mask_path = None
    with pytest.raises(InputError, match="without a mask"):
        mask_thumbnail(workspace, tile)
