"""Test-time augmentation: a tile seen in several ways, and the way back from each.

Land cover seen from above has no up and no left, so every rotation by 90 degrees and every mirror image of a
tile is as good a tile. Averaging the class probabilities over them takes out what the network owes to the
orientation. These are whole-pixel moves: nothing is interpolated, and going back is exact. The eight symmetries
form the dihedral group of order eight (D4).

Nor is the ground resolution at which a network looks the only good one: fields are told by what is coarse, houses by
what is fine. ``scales`` averages over three of them, and ``all`` over every symmetry at each.
"""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import InputError

Pixel = TypeVar("Pixel", bound=np.generic)
Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True, slots=True)
class Dihedral:
    """One symmetry of the square: a mirror image left to right or not, then quarter turns against the clock."""

    quarter_turns: int
    mirrored: bool

    @property
    def swaps_axes(self) -> bool:
        """Whether height and width change places, which matters for tiles that are not square."""
        return self.quarter_turns % 2 == 1

    def forward(self, image: NDArray[Pixel]) -> NDArray[Pixel]:
        """Move an image (height, width, ...) of any dtype; contiguous, and (width, height, ...) where the axes swap."""
        moved = image[:, ::-1] if self.mirrored else image
        return np.ascontiguousarray(np.rot90(moved, self.quarter_turns, axes=(0, 1)))

    def inverse(self, maps: NDArray[Pixel]) -> NDArray[Pixel]:
        """Move maps (channels, height, width) of a moved image back to where the image was; contiguous."""
        moved = np.rot90(maps, -self.quarter_turns, axes=(1, 2))
        return np.ascontiguousarray(moved[:, :, ::-1] if self.mirrored else moved)


_GROUP = tuple(Dihedral(turns, mirrored) for mirrored in (False, True) for turns in range(4))
_IDENTITY, _HALF_TURN = _GROUP[0], _GROUP[2]
_LEFT_RIGHT, _UPSIDE_DOWN = _GROUP[4], _GROUP[6]

_SETS: dict[str, tuple[Dihedral, ...]] = {
    "none": (_IDENTITY,),
    "flips": (_IDENTITY, _LEFT_RIGHT, _UPSIDE_DOWN, _HALF_TURN),
    "d4": _GROUP,
}
SCALES = (1.0, 0.8, 1.25)
"""How many times larger than usual a tile is seen; the last makes up pixels where the tile has none that fine."""


@dataclass(frozen=True, slots=True)
class View:
    """A way to look at a tile: ``scale`` times as large as usual, then moved by ``symmetry``."""

    symmetry: Dihedral
    scale: float = 1.0

    def size(self, working: Size) -> Size:
        """The size at which a tile is seen that is usually seen at ``working``."""
        return max(1, round(working[0] * self.scale)), max(1, round(working[1] * self.scale))

    def resized(self, image: NDArray[np.uint8], working: Size) -> NDArray[np.uint8]:
        """The tile ``(height, width, 3)`` uint8 at ``size(working)``, not moved; straight from the pixels it has."""
        return np.asarray(_resize(image, self.size(working)), np.uint8)

    def forward(self, image: NDArray[np.uint8], working: Size) -> NDArray[np.uint8]:
        """The tile ``(height, width, 3)`` uint8, of any size, as it is seen; contiguous."""
        return self.symmetry.forward(self.resized(image, working))

    def inverse(self, maps: NDArray[np.float32], working: Size) -> NDArray[np.float32]:
        """Maps ``(channels, height, width)`` float32 of what ``forward`` gave, moved back and at the size ``working``.

        Maps that sum to 1 over the channels still do.
        """
        back = self.symmetry.inverse(maps)
        if back.shape[1:] == working:
            return back
        return np.stack([np.asarray(_resize(plane, working), np.float32) for plane in back])


_VIEWS: dict[str, tuple[View, ...]] = {
    **{name: tuple(View(symmetry) for symmetry in symmetries) for name, symmetries in _SETS.items()},
    "scales": tuple(View(_IDENTITY, scale) for scale in SCALES),
    "all": tuple(View(symmetry, scale) for scale in SCALES for symmetry in _GROUP),
}
TTA_NAMES = tuple(_VIEWS)


def views(name: str) -> tuple[View, ...]:
    """What to average over: the symmetries of ``transforms``, ``scales`` (3) or ``all`` (24: both together).

    The first one always leaves the tile as it is. Raises ``InputError`` for another name.
    """
    if name not in _VIEWS:
        raise InputError(f"There is no test-time augmentation '{name}'; choose one of {', '.join(TTA_NAMES)}.")
    return _VIEWS[name]


def transforms(name: str) -> tuple[Dihedral, ...]:
    """The symmetries alone: ``none`` (1), ``flips`` (4: as is, both mirrors, half turn) or ``d4`` (all 8).

    The first one always leaves the image as it is. ``flips`` never swaps height and width.
    Raises ``InputError`` for another name.
    """
    if name not in _SETS:
        raise InputError(f"There is no set of symmetries '{name}'; choose one of {', '.join(_SETS)}.")
    return _SETS[name]


def _resize(image: NDArray[np.uint8] | NDArray[np.float32], size: Size) -> NDArray[np.generic]:
    """An image (height, width, ...) at another size: area averaging where it shrinks, else linear interpolation."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    resized = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized)
