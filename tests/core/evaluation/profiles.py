"""Tile profiles and observed tiles that are drawn, for the tests of drift."""

import numpy as np

from core.evaluation.tile_profiles import TileProfile
from core.inference.tile_observer import Observed


def drawn_profile(seed, *, shift=0.0, channels=8):
    """A tile whose features and colours lie ``shift`` standard deviations from where they usually are."""
    generator = np.random.default_rng(seed)
    means = generator.normal(shift, 1, channels)
    return TileProfile(
        colours=generator.normal(50 + 10 * shift, 10, 6),
        feature_means=means,
        feature_squares=means**2 + 1,
        confidence=float(generator.uniform(0.5, 0.9)),
        class_shares=generator.dirichlet(np.ones(6)),
    )


def drawn_tile(seed, *, shift=0.0, size=32):
    """What an observer would see of a tile."""
    generator = np.random.default_rng(seed)
    colour = np.clip(generator.normal(90 + 30 * shift, 8, (size, size, 3)), 0, 255).astype(np.uint8)
    features = generator.normal(shift, 0.3, (8, 4, 4)).astype(np.float16)
    logits = np.exp(generator.normal(0, 1, (6, 4, 4)))
    return Observed(colour, features, (logits / logits.sum(axis=0)).astype(np.float32))
