import base64
import zlib
from pathlib import Path

import numpy as np
import pytest

from core.catalog.geography.drawing import map_tile
from core.catalog.geography.footprints import to_plane
from core.catalog.geography.outlines import MAX_SHOWN_TEXT, draw_outlines, read_shown, shown_text
from core.errors import InputError
from core.workspace import open_workspace
from tests.core.catalog.geography.geo_pictures import placed_rows

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 90, 90)]


def test_which_tiles_pass_goes_through_an_address_and_back() -> None:
    passes = np.random.default_rng(0).random(10_000) < 0.3
    text = shown_text(passes)
    assert len(text) < 2500
    assert (read_shown(text, 10_000) == passes).all()
    assert read_shown("", 3).all()


def test_what_would_be_too_long_for_an_address_is_not_written() -> None:
    assert shown_text(np.random.default_rng(0).random(200_000) < 0.5) is None


def _packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(content, 9)).decode()


@pytest.mark.parametrize(
    "text",
    ["!", "abcd", _packed(b"\0"), _packed(b"\0" * 10**7)[:MAX_SHOWN_TEXT]],
    ids=["signs", "no-zlib", "of-another-collection", "bomb"],
)
def test_text_that_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="reload"):
        read_shown(text, 100)


def _picture(tmp_path: Path, zoom: int, shown: tuple[bool, bool]) -> np.ndarray:
    """Two tiles, half of a map tile apart."""
    apart = 180 / 2**zoom
    places = placed_rows(
        open_workspace(tmp_path / "ws"), [("EPSG:32633", 15.0, 50.0), ("EPSG:32633", 15.0 + apart, 50.0)]
    )
    x, y = (to_plane(np.array([15.0 + apart / 2, 49.99])) * 2**zoom).astype(int)
    tile = map_tile(places, zoom, int(x), int(y), 5)
    return draw_outlines(places, tile, np.array([0, 2], np.int8), COLOURS, np.array(shown))


@pytest.mark.parametrize("zoom", [11, 7], ids=["lines", "discs"])
def test_outlines_have_the_colours_of_their_splits(tmp_path: Path, zoom: int) -> None:
    picture = _picture(tmp_path, zoom, (True, True))
    opaque = {tuple(colour) for colour in picture[picture[..., 3] == 255][:, :3].tolist()}
    assert opaque <= {COLOURS[0], COLOURS[2]}
    assert opaque
    assert (picture[..., 3] == 0).mean() > 0.8


def test_tiles_that_do_not_pass_are_dimmed_instead(tmp_path: Path) -> None:
    picture = _picture(tmp_path, 11, (False, True))
    assert not (picture[..., 0] > 200).any()
    assert ((picture[..., 3] > 100) & (picture[..., 3] < 200)).sum() > 500


def test_a_crowd_of_small_tiles_does_not_hide_the_picture(tmp_path: Path) -> None:
    corners = [("EPSG:32633", 15 + n % 20 * 0.028, 50 - n // 20 * 0.018) for n in range(200)]
    places = placed_rows(open_workspace(tmp_path / "ws"), corners)
    for zoom, most in ((5, 128), (12, 255)):
        x, y = (to_plane(np.array([15.2, 49.9])) * 2**zoom).astype(int)
        tile = map_tile(places, zoom, int(x), int(y), 5)
        picture = draw_outlines(places, tile, np.zeros(200, np.int8), COLOURS, np.ones(200, np.bool_))
        assert 0 < picture[..., 3].max() <= most
