"""What a prediction may be told besides the image: the same for all that predicts, so that one serves for another."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from core.inference.tta import View, views
from core.progress import Progress

METRES_PER_PIXEL = (0.5, 0.5)
"""(y, x) of DeepGlobe's tiles, where nothing else is told."""


class Asked(TypedDict, total=False):
    """The keyword arguments of ``probabilities``, ``cell_probabilities`` and ``predict``; each may be left out.

    metres_per_pixel: (y, x); ``METRES_PER_PIXEL`` without it.
    tta: a name of ``core.inference.tta.views``, 'none' without it, or the views themselves; probabilities are averaged
        over them.
    fingerprint: of the tile's file; what predicts from cached features takes them from the cache, and puts those of the
        tile as it is there. A network has no use for it.
    features: of the tile as it is, ``(channels, rows, columns)`` float16, where the caller has them. Neither a network
        nor an ensemble, whose members may see with other encoders, has a use for them.
    progress: told once per view or window, and may raise ``CancelledError`` there.
    """

    metres_per_pixel: tuple[float, float]
    tta: str | Sequence[View]
    fingerprint: str | None
    features: NDArray[np.float16] | None
    progress: Progress | None


def asked_views(asked: Asked) -> tuple[View, ...]:
    """The views to average over. Raises ``InputError`` for a name that there is not."""
    tta = asked.get("tta", "none")
    return views(tta) if isinstance(tta, str) else tuple(tta)
