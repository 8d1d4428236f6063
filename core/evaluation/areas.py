"""How many hectares of each class there are: as mapped, and as they truly are by what is known of the map's errors.

Counting the pixels of a map gives the areas of the map, wrong by its errors: a class that is often missed comes out too
small. The stratified estimator puts that right by the confusion matrix (Olofsson et al. 2014, "Good practices for
estimating area and assessing accuracy of land change", Remote Sensing of Environment 148, equations 9 to 11): every
mapped class is a stratum, of which the matrix says what is truly there.

Two intervals stand beside an estimate. The formula's (equation 11) takes the judged pixels for drawn one by one, which
those of whole tiles are not: with millions of them it is far too narrow. The interval over tiles leaves out one judged
tile after the other (``jackknife``), and is the one to go by. Both take the judged tiles to stand for the area that is
estimated.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, CLASS_NAMES, UNLABELLED, ClassRaster
from core.evaluation.confusion import Confusion
from core.evaluation.intervals import few_tiles_note
from core.evaluation.jackknife import estimate, left_out, tile_weights

STRATA = (*CLASS_NAMES, "unlabelled")
"""What a pixel can be mapped as, in the order of the columns of a ``Confusion``."""

SQUARE_METRES_A_HECTARE = 10_000.0
NORMAL_95 = 1.96
"""Half the width of a 95 % interval in standard errors, as Olofsson et al. take it."""

_WORTH_A_WORD = 0.001  # of the whole area

ASSUMPTION = (
    "The judged tiles stand for the area: where a class was mapped, as much of it is wrong as on them. Tiles that the "
    "run learnt from are mapped better than that."
)


@dataclass(frozen=True, slots=True)
class Stratified:
    """Areas of the true classes ``(classes,)`` and their standard errors, in the unit of the mapped areas."""

    areas: NDArray[np.float64]
    errors: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassArea:
    """The area of a class, all in hectares; ``over_tiles`` and ``by_formula`` are 95 % intervals of ``estimated``."""

    name: str
    counted: float
    estimated: float
    over_tiles: tuple[float, float]
    by_formula: tuple[float, float]

    @property
    def counted_is(self) -> str:
        """How what was counted stands to the interval over tiles: 'too small', 'too large' or 'within it'."""
        low, high = self.over_tiles
        return "too small" if self.counted < low else "too large" if self.counted > high else "within it"


@dataclass(frozen=True, slots=True)
class AreaEstimate:
    """The areas of all classes in one piece of land, and what has to be said of them.

    ``unmapped`` are the hectares that the prediction left unlabelled; ``notes`` are warnings, a sentence each.
    """

    classes: tuple[ClassArea, ...]
    total: float
    unmapped: float
    judged_tiles: int
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The estimate as a JSON-able dictionary, in hectares."""
        return {**asdict(self), "sentence": self.sentence, "unit": "hectares", "assumption": ASSUMPTION}

    @property
    def sentence(self) -> str:
        """What the estimate says of the counted areas, in one sentence."""
        wrong = [f"{one.name} {one.counted_is}" for one in self.classes if one.counted_is != "within it"]
        if wrong:
            return f"Counting the map's pixels makes {', '.join(wrong)}, by more than the judged tiles could be off."
        return (
            "No counted area lies outside the interval of its estimate: the judged tiles do not show them to be wrong."
        )


def stratified_areas(mapped: NDArray[np.float64], matrix: NDArray[np.float64]) -> Stratified:
    """Estimate the areas of the true classes from those of the mapped ones (Olofsson et al. 2014, eq. 9 to 11).

    Args:
        mapped: ``(strata,)``, the area mapped as each stratum, in any unit.
        matrix: ``(strata, classes)``, judged pixels: rows what they are mapped as, columns what they truly are.

    Raises ``ValueError`` where a mapped stratum has fewer than two judged pixels: nothing is known of it then.
    """
    judged = matrix.sum(axis=1)
    there = mapped > 0
    if (judged[there] < 2).any():
        raise ValueError("every mapped stratum needs at least two judged pixels")
    shares = matrix[there] / judged[there, None]
    variances = shares * (1 - shares) / (judged[there, None] - 1)
    return Stratified(mapped[there] @ shares, np.sqrt(mapped[there] ** 2 @ variances))


def estimate_areas(mapped: NDArray[np.float64], matrices: Sequence[Confusion]) -> AreaEstimate:
    """Estimate class areas from the mapped ones and the confusion of each judged tile.

    Args:
        mapped: ``(7,)`` square metres mapped as each of ``STRATA``.
        matrices: ``(6, 7)`` each; those of tiles without a labelled pixel tell nothing and are left out.

    A mapped class that no judged pixel was predicted as stays as it was counted, and a note says so. Raises
    ``ValueError`` where no pixel is judged, or none is mapped.
    """
    judged = [matrix for matrix in matrices if matrix.any()]
    if not judged or mapped.sum() <= 0:
        raise ValueError("an estimate needs judged pixels and a mapped area")
    tiles = np.stack(judged).transpose(0, 2, 1).astype(np.float64)  # rows what they are mapped as
    known = tiles.sum(axis=0)
    unseen = (mapped > 0) & (known.sum(axis=1) < 2)
    stays = np.where(unseen, mapped, 0.0)[:CLASS_COUNT]  # what was left unlabelled is none of the classes
    seen = np.where(unseen, 0.0, mapped)
    found = stratified_areas(seen, known)
    estimated = found.areas + stays
    total = float(mapped.sum())
    reach = NORMAL_95 * found.errors
    by_formula = np.clip(np.stack([estimated - reach, estimated + reach], axis=1), 0, total)
    over_tiles = np.clip(_intervals_over_tiles(seen, tiles, found.areas) + stays[:, None], 0, total)
    return AreaEstimate(
        classes=tuple(
            ClassArea(
                name,
                counted=_hectares(mapped[i]),
                estimated=_hectares(estimated[i]),
                over_tiles=(_hectares(over_tiles[i, 0]), _hectares(over_tiles[i, 1])),
                by_formula=(_hectares(by_formula[i, 0]), _hectares(by_formula[i, 1])),
            )
            for i, name in enumerate(CLASS_NAMES)
        ),
        total=_hectares(total),
        unmapped=_hectares(mapped[CLASS_COUNT]),
        judged_tiles=len(tiles),
        notes=(*_notes(mapped, unseen, known, len(tiles)), *_too_wide(over_tiles, total)),
    )


def stratum_pixels(raster: ClassRaster) -> NDArray[np.int64]:
    """How many pixels of a raster (or of a selection of its pixels) are mapped as each of ``STRATA``: ``(7,)``."""
    counts = np.bincount(raster.ravel(), minlength=256)
    return np.append(counts[:CLASS_COUNT], counts[UNLABELLED]).astype(np.int64)


def _intervals_over_tiles(
    mapped: NDArray[np.float64], tiles: NDArray[np.float64], estimated: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``(6, 2)``: the 95 % intervals by the jackknife over tiles; the whole range where one tile alone has the class.

    A mapped class of which only the tile that is left out tells something keeps its row.
    """
    known = tiles.sum(axis=0)

    def areas(counts: NDArray[Any]) -> NDArray[np.float64]:
        rows = np.where(counts.sum(axis=-1, keepdims=True) > 0, counts, known)
        shares = rows / np.maximum(rows.sum(axis=-1, keepdims=True), 1)
        return np.asarray(np.einsum("s,...sc->...c", mapped, shares), np.float64)

    without, weights = left_out(tiles, areas), tile_weights(tiles.sum(axis=1))
    found = [
        estimate(float(estimated[i]), without[:, i], weights[:, i], about_value=False).interval(
            lowest=0.0, highest=float(mapped.sum())
        )
        for i in range(CLASS_COUNT)
    ]
    return np.array(found)


def _too_wide(intervals: NDArray[np.float64], total: float) -> list[str]:
    """The warning that the tiles differ too much to say anything."""
    wide = int((intervals[:, 1] - intervals[:, 0] > total / 2).sum())
    if 2 * wide < CLASS_COUNT:
        return []
    return [
        f"The judged tiles differ so much that {wide} of {CLASS_COUNT} intervals span half of the area or more: these "
        "estimates say little, so judge more tiles before you use them."
    ]


def _notes(mapped: NDArray[np.float64], unseen: NDArray[np.bool_], known: NDArray[np.float64], tiles: int) -> list[str]:
    said = []
    few = few_tiles_note(tiles)
    if few:
        said.append(few)
    left = [name for name, missing in zip(CLASS_NAMES, unseen, strict=False) if missing]
    if left:
        said.append(
            f"No judged pixel was predicted as {' or '.join(left)}, so nothing is known of those areas' errors: they "
            "stay as counted."
        )
    if unseen[CLASS_COUNT]:
        said.append("What the prediction left unlabelled was never judged, and is part of no class.")
    much = mapped > _WORTH_A_WORD * mapped.sum()
    never = [name for i, name in enumerate(CLASS_NAMES) if known[:, i].sum() == 0 and much[i] and not unseen[i]]
    if never:
        said.append(
            f"The judged tiles hold no true {' or '.join(never)}, so that the estimate of it is nothing, whatever was "
            "mapped: judge on tiles that have it."
        )
    return said


def _hectares(square_metres: float) -> float:
    return float(square_metres) / SQUARE_METRES_A_HECTARE
