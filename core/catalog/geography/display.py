"""What of a tile's bands is shown on the geographic map, and the pictures it is drawn from.

Pictures are RGB where a tile shows something everywhere. Where it does not they are RGBA with the colours multiplied by
the alpha, so that averaging and warping never mix the colour of what has no data into what has.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog import thumbnails
from core.catalog.images import count_bands, read_image, read_valid
from core.catalog.pyramid import LevelCache, Levels
from core.catalog.tile_pictures import TilePictures
from core.errors import InputError
from core.tables import Tile
from core.workspace import Workspace

SPECK = 16
"""Side of a speck in pixels: tiles that are no longer than this on the map are drawn from theirs."""

OWN_DISPLAY_FROM = 64
"""Bands of one's own choice show from tiles of this many pixels on the map; below, decoding them all whole would take
minutes, and they are plain grey."""

OWN_BYTES = 192 * 2**20
"""Bound of the pyramids that the geographic map keeps for itself: of tiles with no data somewhere, and of bands of
one's own choice: 6 DeepGlobe tiles of 32 MB. It comes to ``core.catalog.pyramid.BOUND_BYTES``, within which all others
are shared with the other routes."""

_FACTS_KEPT = 60_000
"""Specks (45 MB), and whether tiles have no data somewhere."""

_GREY = np.full((SPECK, SPECK, 3), (128, 132, 138), np.uint8)
_BANDS = re.compile(r"(\d{1,2}),(\d{1,2}),(\d{1,2})")
_STRETCH = re.compile(r"(\d{1,2}(?:\.\d{1,2})?)-(\d{1,3}(?:\.\d{1,2})?)")


@dataclass(frozen=True, slots=True)
class Display:
    """Which bands are red, green and blue, and from which percentiles each is stretched; None: as read_image does."""

    bands: tuple[int, int, int] | None = None
    percentiles: tuple[float, float] | None = None

    @property
    def is_usual(self) -> bool:
        """Whether tiles look as everywhere else in the program."""
        return self.bands is None and self.percentiles is None

    def to_query(self) -> dict[str, str]:
        """What an address says of it; ``from_query`` reads it back."""
        query = {}
        if self.bands is not None:
            query["bands"] = ",".join(map(str, self.bands))
        if self.percentiles is not None:
            query["stretch"] = "{:g}-{:g}".format(*self.percentiles)
        return query

    @staticmethod
    def from_query(query: Mapping[str, str]) -> "Display":
        """What an address asks for by ``bands=4,1,2`` and ``stretch=2-98``. Raises ``InputError`` for anything else."""
        bands, percentiles = None, None
        if text := query.get("bands", ""):
            found = _BANDS.fullmatch(text)
            if found is None or not all(map(int, found.groups())):
                raise InputError(f"'bands' names three bands from 1, such as 4,1,2, not {text[:20]!r}.")
            bands = (int(found[1]), int(found[2]), int(found[3]))
        if text := query.get("stretch", ""):
            found = _STRETCH.fullmatch(text)
            if found is None or not float(found[1]) < float(found[2]) <= 100:
                raise InputError(f"'stretch' is two percentiles such as 2-98, not {text[:20]!r}.")
            percentiles = (float(found[1]), float(found[2]))
        return Display(bands, percentiles)


class GeoPictures:
    """The pictures of tiles for the geographic map, within a bound of memory. Safe between threads."""

    def __init__(self, workspace: Workspace, shared: TilePictures) -> None:
        self._workspace = workspace
        self._shared = shared
        self._own = LevelCache(max_bytes=OWN_BYTES)
        self._specks: dict[str, NDArray[np.uint8]] = {}
        self._shows_all: dict[str, bool] = {}
        self._lock = Lock()

    def levels(self, tile: Tile, display: Display, longest: int) -> Levels:
        """The pyramid to draw a tile from that is to be ``longest`` pixels long: ``(h, w, 3 or 4)`` uint8.

        Plain grey where it is too small for bands of one's own choice, and nothing where it has no such bands. Raises
        ``InputError`` where its file can no longer be read.
        """
        if display.is_usual:
            if self._is_shown_whole(tile):
                return self._shared.picture_of(tile, longest)
            small = next((size for size in thumbnails.INDEXED_SIZES if size >= longest), None)
            key = f"{tile.fingerprint}-{small or ''}"
            return self._own.get(key, lambda: _with_alpha(self._shared.picture_of(tile, longest)[0], tile))
        if longest <= OWN_DISPLAY_FROM:
            return [_GREY]
        key = f"{tile.fingerprint}{sorted(display.to_query().items())}"
        return self._own.get(key, lambda: _in_display(tile, display))

    def specks(
        self, fingerprints: Sequence[str], display: Display, find: Callable[[list[int]], Mapping[int, Tile]]
    ) -> list[NDArray[np.uint8]]:
        """(16, 16, 3) uint8 each, squeezed from the smallest thumbnail; plain grey for bands of one's own choice.

        Decoding thousands of whole files for these would take minutes. What has no data is not told apart here.
        ``find`` gives the tiles of those that have to be read, by their place in ``fingerprints``; one that it does
        not find any more is grey.
        """
        if not display.is_usual:
            return [_GREY] * len(fingerprints)
        with self._lock:
            specks = [self._specks.get(one) for one in fingerprints]
        missing = [number for number, speck in enumerate(specks) if speck is None]
        tiles = find(missing) if missing else {}
        read = {number: self._read_speck(tiles[number]) for number in missing if number in tiles}
        with self._lock:
            while self._specks and len(self._specks) + len(read) > _FACTS_KEPT:
                self._specks.pop(next(iter(self._specks)))
            self._specks |= {fingerprints[number]: speck for number, speck in read.items()}
        return [read.get(number, _GREY) if speck is None else speck for number, speck in enumerate(specks)]

    def _is_shown_whole(self, tile: Tile) -> bool:
        """Whether a tile has data everywhere: read once, which decodes its mask or alpha where it has one."""
        known = self._shows_all.get(tile.fingerprint)
        if known is None:
            known = read_valid(Path(tile.image_path)) is None
            with self._lock:
                while len(self._shows_all) >= _FACTS_KEPT:
                    self._shows_all.pop(next(iter(self._shows_all)))
                self._shows_all[tile.fingerprint] = known
        return known

    def _read_speck(self, tile: Tile) -> NDArray[np.uint8]:
        try:
            content = thumbnails.thumbnail(self._workspace, tile, thumbnails.INDEXED_SIZES[0])
        except InputError:
            return _GREY
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_REDUCED_COLOR_8)
        if bgr is None:
            return _GREY
        small = cv2.resize(bgr, (SPECK, SPECK), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)


def _in_display(tile: Tile, display: Display) -> NDArray[np.uint8]:
    path = Path(tile.image_path)
    if display.bands is not None and max(display.bands) > count_bands(path):
        return np.zeros((1, 1, 4), np.uint8)
    return _with_alpha(read_image(path, bands=display.bands, percentiles=display.percentiles), tile)


def _with_alpha(rgb: NDArray[np.uint8], tile: Tile) -> NDArray[np.uint8]:
    """``(h, w, 4)``: the colours times the alpha, and the alpha, averaged to the picture's size."""
    valid = read_valid(Path(tile.image_path))
    alpha = np.full(rgb.shape[:2], 255, np.uint8)
    if valid is not None:
        size = (rgb.shape[1], rgb.shape[0])
        alpha = np.asarray(cv2.resize(valid.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA), np.uint8)
        rgb = np.asarray(cv2.multiply(rgb, cv2.merge([alpha] * 3), scale=1 / 255), np.uint8)
    return np.dstack((rgb, alpha))
