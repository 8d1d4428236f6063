"""What a tile looks like in a few figures: its colours, its features, and what a run predicts on it.

Made for comparing tiles, not pixels: pixels of one tile are alike, so that a tile counts as one.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.inference.tile_observer import Observed

COLOUR_STATISTICS = (
    "lightness",
    "contrast",
    "green to red",
    "blue to yellow",
    "colourfulness",
    "sharpness",
)
"""In the order of ``TileProfile.colours``: mean and standard deviation of L* (0 to 100), means of a*, b* and of the
chroma in CIELAB (D65), and the mean absolute Laplacian of the grey image at full size, in grey levels of 255."""

_LAB_SIDE = 768
"""The longest side at which colours are taken: their means over a tile need no more."""


@dataclass(frozen=True, slots=True)
class TileProfile:
    """The figures of one tile.

    ``colours`` is float64 (6,) as ``COLOUR_STATISTICS``. ``feature_means`` and ``feature_squares`` are float64
    (channels,), the means over the cells of each feature and of its square. ``confidence`` is the mean over the cells
    of the greatest class probability, ``class_shares`` float64 (6,) the mean probabilities; both None without a run.
    """

    colours: NDArray[np.float64]
    feature_means: NDArray[np.float64]
    feature_squares: NDArray[np.float64]
    confidence: float | None
    class_shares: NDArray[np.float64] | None


def profile(seen: Observed) -> TileProfile:
    """The figures of a tile as it was seen."""
    cells = seen.features.reshape(len(seen.features), -1).astype(np.float64)
    confidence = shares = None
    if seen.probabilities is not None:
        confidence = float(seen.probabilities.max(axis=0).mean(dtype=np.float64))
        shares = seen.probabilities.mean(axis=(1, 2), dtype=np.float64)
    return TileProfile(
        colours=colour_statistics(seen.image),
        feature_means=cells.mean(axis=1),
        feature_squares=np.square(cells).mean(axis=1),
        confidence=confidence,
        class_shares=shares,
    )


def colour_statistics(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """``COLOUR_STATISTICS`` of a ``(height, width, 3)`` uint8 RGB image: float64 (6,)."""
    scale = min(1.0, _LAB_SIDE / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float64)
    edges = cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_16S)
    return np.array(
        [
            lab[:, 0].mean(),
            lab[:, 0].std(),
            lab[:, 1].mean(),
            lab[:, 2].mean(),
            np.hypot(lab[:, 1], lab[:, 2]).mean(),
            cv2.mean(np.abs(edges))[0],
        ]
    )
