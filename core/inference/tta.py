"""Test-time augmentation: the symmetries of the square, and their exact inverses.

Land cover seen from above has no up and no left, so every rotation by 90 degrees and every mirror image of a
tile is as good a tile. Averaging the class probabilities over them takes out what the network owes to the
orientation. Only whole-pixel moves are used: nothing is interpolated, and going back is exact.

The eight symmetries form the dihedral group of order eight (D4).
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError

Pixel = TypeVar("Pixel", bound=np.generic)


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
TTA_NAMES = tuple(_SETS)


def transforms(name: str) -> tuple[Dihedral, ...]:
    """The symmetries to average over: ``none`` (1), ``flips`` (4: as is, both mirrors, half turn) or ``d4`` (all 8).

    The first one always leaves the image as it is. ``flips`` never swaps height and width.
    Raises ``InputError`` for another name.
    """
    if name not in _SETS:
        raise InputError(f"There is no test-time augmentation '{name}'; choose one of {', '.join(TTA_NAMES)}.")
    return _SETS[name]
