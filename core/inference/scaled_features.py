"""A tile's features as an encoder sees them when the tile is larger or smaller than usual, brought to the usual cells.

The encoder and its cells stay what they are, in working pixels; the tile beneath them is resized. So a head finds at
every scale the statistics that it was trained on, of houses and fields that look nearer or farther away.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.inference.tta import View
from core.progress import Progress
from core.training.cell_grid import CellGrid
from core.training.features import FeatureExtractor, Features
from core.training.joined_features import Extractor, bring, part_grid


def scaled_features(
    extractor: Extractor, image: NDArray[np.uint8], grid: CellGrid, view: View, *, progress: Progress | None = None
) -> Features:
    """The features ``(channels, rows, columns)`` float16 of a view of a ``(height, width, 3)`` uint8 RGB tile.

    ``grid`` holds the tile's usual cells, made by the extractor: where the features are brought. A part of a joined
    extractor is scaled from its own resolution. Raises ``CancelledError`` between windows of a large tile.
    """
    found = np.empty((extractor.channels, *grid.cells), np.float16)
    start = 0
    for part in extractor.parts:
        usual = grid if len(extractor.parts) == 1 else part_grid(part, grid)
        maps = _of_part(part, image, usual, view, progress)
        bring(maps, _scaled(usual, view), into=found[start : start + len(maps)], grid=grid)
        start += len(maps)
    return found


def _of_part(
    part: FeatureExtractor, image: NDArray[np.uint8], usual: CellGrid, view: View, progress: Progress | None
) -> Features:
    resized = view.resized(image, usual.working)
    return part.extract(resized, _scaled(usual, view), transform=view.symmetry, progress=progress)


def _scaled(usual: CellGrid, view: View) -> CellGrid:
    return replace(usual, working=view.size(usual.working))
