from pathlib import Path

import cv2
import numpy as np
import pytest

from core.catalog import tile_pictures
from core.catalog.images import fingerprint
from core.catalog.tile_pictures import TilePictures
from core.tables import Tile
from core.workspace import open_workspace
from tests.core.catalog.pictures import noise, write_picture


def _tile(path: Path) -> Tile:
    picture = cv2.GaussianBlur(noise(2402, 1600), (0, 0), 20) * 3
    write_picture(path, picture)
    return Tile(name="a", image_path=str(path), fingerprint=fingerprint(path), width=2402, height=1600)


def test_a_picture_is_decoded_no_larger_than_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tile, pictures = _tile(tmp_path / "a.jpg"), TilePictures(open_workspace(tmp_path / "ws"))
    whole = cv2.cvtColor(cv2.imread(tile.image_path), cv2.COLOR_BGR2RGB)
    sizes = {}
    for longest in (100, 550, 900, 2402):
        shown = pictures.picture_of(tile, longest)[0]
        sizes[longest] = shown.shape[1]
        expected = cv2.resize(whole, shown.shape[1::-1], interpolation=cv2.INTER_AREA).astype(int)
        assert np.abs(shown[5:-5, 5:-5] - expected[5:-5, 5:-5]).mean() < 3
    assert sizes == {100: 128, 550: 601, 900: 1201, 2402: 2402}
    monkeypatch.setattr(tile_pictures, "read_image", None)
    assert pictures.picture_of(tile, 900)[0].shape[1] == 2402  # which is here already


def test_a_png_is_read_whole(tmp_path: Path) -> None:
    tile, pictures = _tile(tmp_path / "a.png"), TilePictures(open_workspace(tmp_path / "ws"))
    assert pictures.picture_of(tile, 900)[0].shape == (1600, 2402, 3)
