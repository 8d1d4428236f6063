"""What surrounds a patch, cut from its tile: the one way to make a ``Context``, for training and for prediction.

``TileContext`` is made once for a tile's working image (the tile at the recipe's resolution) and then asked for the
context of any patches of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.network_context import GLOBAL_SIDE, SCALES, Context

Surroundings = Literal["none", "global", "two-scales"]

_COARSEST = max(SCALES)


@dataclass(frozen=True)
class TileContext:
    """A working image ``(height, width, 3)`` uint8 RGB made ready for ``cut``; see ``make_tile_context``.

    ``mean`` and ``deviation`` are ``(3,)`` float32 over its pixels, of RGB in 0..255. ``reduced`` holds what the
    surroundings are cut from: the small tile for 'global', the tile at a half and a quarter for 'two-scales'.
    """

    size: tuple[int, int]
    surroundings: Surroundings
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    reduced: tuple[NDArray[np.uint8], ...]

    def cut(self, corners: Sequence[tuple[int, int]], size: tuple[int, int]) -> Context:
        """The context of patches of ``size`` (height, width), whose top left pixels lie at ``corners`` (top, left).

        A patch may stick out over the tile's edge. On the CPU, images as uint8.
        """
        return Context(
            torch.tensor([self._box(corner, size) for corner in corners], dtype=torch.float32).view(-1, 4),
            torch.from_numpy(np.tile(self.mean, (len(corners), 1))),
            torch.from_numpy(np.tile(self.deviation, (len(corners), 1))),
            self._images(corners, size),
        )

    def _box(self, corner: tuple[int, int], size: tuple[int, int]) -> list[float]:
        ends = [(start, start + length) for start, length in zip(corner, size, strict=True)]
        (top, bottom), (left, right) = ((a / n, b / n) for (a, b), n in zip(ends, self.size, strict=True))
        return [top, left, bottom, right]

    def _images(self, corners: Sequence[tuple[int, int]], size: tuple[int, int]) -> torch.Tensor | None:
        if self.surroundings == "none":
            return None
        if self.surroundings == "global":
            small = torch.from_numpy(self.reduced[0]).permute(2, 0, 1)
            return small[None].expand(len(corners), -1, -1, -1)
        cuts = [[self._around(corner, size, level) for level in range(len(SCALES))] for corner in corners]
        return torch.from_numpy(np.ascontiguousarray(np.array(cuts, np.uint8).transpose(0, 1, 4, 2, 3)))

    def _around(self, corner: tuple[int, int], size: tuple[int, int], level: int) -> NDArray[np.uint8]:
        """The ``size`` pixels of a reduced tile that show ``SCALES[level]`` times the patch's extent."""
        scale, image = SCALES[level], self.reduced[level]
        rows, columns = (
            _mirrored(round((start - (scale - 1) * length / 2) / scale), length, reach)
            for start, length, reach in zip(corner, size, image.shape[:2], strict=True)
        )
        return np.asarray(image[rows[:, None], columns])


def make_tile_context(working: NDArray[np.uint8], surroundings: Surroundings) -> TileContext:
    """Make a working image ``(height, width, 3)`` uint8 RGB ready; some 10 ms at 1224 x 1224."""
    mean, deviation = cv2.meanStdDev(working)
    if surroundings == "global":
        reduced: tuple[NDArray[np.uint8], ...] = (_small(working, (GLOBAL_SIDE, GLOBAL_SIDE)),)
    elif surroundings == "two-scales":
        height, width = working.shape[:2]
        # Padded to whole blocks, so that a pixel of a reduced tile is the mean of exactly 2 x 2 or 4 x 4 pixels.
        whole = np.pad(working, ((0, -height % _COARSEST), (0, -width % _COARSEST), (0, 0)), mode="edge")
        reduced = tuple(_small(whole, (whole.shape[0] // s, whole.shape[1] // s)) for s in SCALES)
    else:
        reduced = ()
    return TileContext(
        (working.shape[0], working.shape[1]),
        surroundings,
        mean.ravel().astype(np.float32),
        deviation.ravel().astype(np.float32),
        reduced,
    )


def _small(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA), np.uint8)


def _mirrored(start: int, count: int, length: int) -> NDArray[np.int64]:
    """Indices ``start`` to ``start + count`` into ``length`` pixels, mirrored at both ends as often as need be."""
    place = np.arange(start, start + count) % (2 * length)
    return np.minimum(place, 2 * length - 1 - place)
