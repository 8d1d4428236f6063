"""How much a chapter measures."""

from dataclasses import dataclass
from pathlib import Path

from core.training.feature_cache import FeatureCache


@dataclass(frozen=True, slots=True)
class Amount:
    """As much as the published page states, or with ``quick`` just enough to see that a chapter runs.

    ``kept`` is a folder for what may be used again: features where their time is not measured, what held-out heads
    said, and the cells of a long table that are done.
    """

    kept: Path
    quick: bool = False

    @property
    def side(self) -> int:
        """Of a tile or a drawn scene, pixels."""
        return 512 if self.quick else 2448

    @property
    def raster_side(self) -> int:
        """Of the large raster, pixels."""
        return 3000 if self.quick else 20_000

    @property
    def runs(self) -> int:
        """Repetitions that a median is taken of."""
        return 1 if self.quick else 3

    @property
    def cache(self) -> FeatureCache:
        """The kept features."""
        return FeatureCache(self.kept / "features")
