"""How far the switches of a prediction look, in pixels of a raster, and where its blocks are cut for them."""

import math
from dataclasses import dataclass

import numpy as np

from core.classes import CLASS_COUNT
from core.errors import InputError
from core.inference.raster_source import blocks
from core.inference.regions import smallest_in_pixels
from core.inference.switches import Switches

CORE = 1536
"""The longest side of a block, in the raster's pixels, without what it sees around itself."""
MOST_REFINED = 384
"""The farthest that a block looks beyond its border for the refinement, in pixels: memory grows with its square."""
MOST_OF_REGIONS = 256
"""The farthest that it looks for the whole of a small region."""
CRF_DEVIATIONS = 3.0
"""How many of the CRF's lengths away a pixel is still heard. Measured on a block of 1000 x 1000 pixels of real tiles,
with 40 m at 0.5 m a pixel, as the share of its pixels that come out otherwise than from the whole at once: 0.60 % at
one length, 0.21 % at two, 0.06 % at three and 0.02 % at four; 0.66 % at three where the grid's cells lie otherwise."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A block along one axis: pixels ``first`` to ``last`` are its own, ``decided_`` and ``seen_`` what lies around.

    The refinement is given what is seen, small regions are looked for in what is decided. All ends are exclusive.
    """

    first: int
    last: int
    decided_first: int
    decided_last: int
    seen_first: int
    seen_last: int

    @property
    def seen(self) -> slice:
        """In the raster."""
        return slice(self.seen_first, self.seen_last)

    @property
    def decided(self) -> slice:
        """In what is seen."""
        return slice(self.decided_first - self.seen_first, self.decided_last - self.seen_first)

    @property
    def own(self) -> slice:
        """In what is decided."""
        return slice(self.first - self.decided_first, self.last - self.decided_first)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far beyond its border a block looks, by axis (rows, columns), in pixels.

    ``refined`` is for the refinement, ``regions`` for small regions. What a block sees begins at a multiple of
    ``cell``, rounded to one of ``grain``: the CRF's grid and its working pixels then lie as they would over the whole
    raster. ``notes`` are sentences on what is bounded.
    """

    refined: tuple[int, int]
    regions: tuple[int, int]
    cell: tuple[float, float]
    grain: tuple[int, int]
    notes: tuple[str, ...]

    @property
    def is_none(self) -> bool:
        """Whether every pixel is decided by itself."""
        return not any((*self.refined, *self.regions))

    def pieces(self, length: int, axis: int) -> list[Piece]:
        """The blocks along an axis of ``length`` pixels, evenly long; axis 0 are the rows."""
        found = []
        for first, last in blocks(length, CORE):
            before, behind = max(first - self.regions[axis], 0), min(last + self.regions[axis], length)
            aligned = max(before - self.refined[axis], 0) // self.cell[axis] * self.cell[axis]
            start = int(aligned / self.grain[axis]) * self.grain[axis]
            found.append(Piece(first, last, before, behind, start, min(behind + self.refined[axis], length)))
        return found


def find_reach(switches: Switches, metres_per_pixel: tuple[float, float]) -> Reach:
    """How far these switches look on a raster of so many metres a pixel, (rows, columns).

    Raises ``InputError`` for a gate, which asks about a picture as a whole.
    """
    if switches.gate:
        raise InputError(
            "A gate asks which classes occur on a tile at all, and on a large raster it would take out, everywhere, "
            "the ones that cover little of it; leave out --gate, or cut the raster into tiles."
        )
    notes = []
    refined = _refinement(switches, metres_per_pixel)
    if max(refined) > MOST_REFINED:
        notes.append(
            f"This refinement hears pixels up to {max(refined)} pixels away, and blocks of the raster look "
            f"{MOST_REFINED} beyond their borders: along these the classes may differ a little from a refinement of "
            "the whole at once."
        )
    regions = _regions(switches, metres_per_pixel)
    if regions > MOST_OF_REGIONS:
        notes.append(
            f"Regions that reach from a block of the raster more than {MOST_OF_REGIONS} pixels beyond its border are "
            "kept, however few pixels they have."
        )
    rows, columns = (min(one, MOST_REFINED) for one in refined)
    side = min(regions, MOST_OF_REGIONS)
    return Reach((rows, columns), (side, side), *_lattice(switches, metres_per_pixel), tuple(notes))


def _refinement(switches: Switches, metres_per_pixel: tuple[float, float]) -> tuple[int, int]:
    """How far it looks without a bound."""
    if switches.refinement == "guided":
        rows, columns = switches.guided.radius(metres_per_pixel)
        return 2 * rows, 2 * columns  # a box filter of what a box filter gave
    if switches.refinement == "crf":
        farthest = CRF_DEVIATIONS * max(switches.crf.bilateral_metres, switches.crf.smooth_metres)
        rows, columns = (math.ceil(farthest / side) for side in metres_per_pixel)
        return rows, columns
    return 0, 0


def _lattice(switches: Switches, metres_per_pixel: tuple[float, float]) -> tuple[tuple[float, float], tuple[int, int]]:
    """The cells of the CRF's grid where they are small enough to begin at one, and its working pixels."""
    if switches.refinement != "crf":
        return (1.0, 1.0), (1, 1)
    from core.inference.bilateral_grid import place_cell  # noqa: PLC0415  # its compiler takes a second to load

    crf = switches.crf
    down, across = (place_cell(crf.bilateral_metres / side) for side in metres_per_pixel)
    rows, columns = (max(1, round(crf.working_metres / side)) for side in metres_per_pixel)
    if max(down, across) > MOST_REFINED:
        return (1.0, 1.0), (rows, columns)
    return (down, across), (rows, columns)


def _regions(switches: Switches, metres_per_pixel: tuple[float, float]) -> int:
    """A region of n pixels reaches n pixels at most, and so does the small one beside it that it is filled from."""
    smallest = np.broadcast_to(switches.min_region, CLASS_COUNT)
    if switches.class_regions:
        smallest = np.array(smallest_in_pixels(switches.class_regions, metres_per_pixel))
    return 2 * int(smallest.max())
