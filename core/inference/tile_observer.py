"""What a run, or the encoder alone, sees of a workspace's tile, cell by cell (see ``core/training/cell_grid.py``)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.catalog.images import read_image
from core.inference import store
from core.inference.predict import AnySegmenter, Probabilities, Segmenter
from core.progress import Progress
from core.tables import Tile
from core.training.feature_cache import FeatureCache, tile_features
from core.training.features import Features
from core.training.joined_features import Extractor, make_recipe_extractor
from core.training.recipe import load_recipe
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Observed:
    """A tile as it was seen.

    ``image`` is (height, width, 3) uint8 RGB, ``features`` (channels, rows, columns) float16, ``probabilities``
    (6, rows, columns) float32 of the cells, None where no run was asked.
    """

    image: NDArray[np.uint8]
    features: Features
    probabilities: Probabilities | None


@dataclass(frozen=True, slots=True)
class TileObserver:
    """What looks at tiles: a run, or the encoder of the usual recipe alone.

    A run of a network or an ensemble sees pixels, so the features beside it are the usual encoder's.
    """

    extractor: Extractor
    cache: FeatureCache
    segmenter: AnySegmenter | None

    @classmethod
    def open(cls, workspace: Workspace, run: str | None) -> "TileObserver":
        """Load a run of the workspace, or for None the usual encoder. Raises ``InputError`` as ``open_segmenter``."""
        cache = FeatureCache(workspace.features)
        segmenter = None if run is None else store.open_segmenter(workspace, run)
        if not isinstance(segmenter, Segmenter):
            return cls(make_recipe_extractor(load_recipe(), device="auto"), cache, segmenter)
        return cls(segmenter.extractor, cache, segmenter)

    def observe(self, tile: Tile, progress: Progress) -> Observed:
        """Look at one tile, with features from the cache where they are there.

        Raises ``InputError`` when the image cannot be read or the cache not be written, ``CancelledError``.
        """
        image = read_image(Path(tile.image_path))
        metres = (tile.metres_per_pixel_y, tile.metres_per_pixel_x)
        features = tile_features(
            self.cache,
            self.extractor,
            fingerprint=tile.fingerprint,
            grid=self.extractor.grid((tile.height, tile.width), metres),
            read=lambda: image,
            progress=progress,
        )
        if self.segmenter is None:
            return Observed(image, features, None)
        probabilities = self.segmenter.cell_probabilities(
            image, metres_per_pixel=metres, features=features, fingerprint=tile.fingerprint
        )
        return Observed(image, features, probabilities)
