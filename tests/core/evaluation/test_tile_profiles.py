"""The figures of one tile."""

import numpy as np
import pytest

from core.evaluation.tile_profiles import COLOUR_STATISTICS, colour_statistics, profile
from tests.core.evaluation.profiles import drawn_tile


def statistics(image):
    return dict(zip(COLOUR_STATISTICS, colour_statistics(image).tolist(), strict=True))


def flat(colour, size=64):
    return np.full((size, size, 3), colour, np.uint8)


def test_a_grey_tile_has_no_colour_no_contrast_and_no_edges():
    found = statistics(flat((119, 119, 119)))
    assert found["lightness"] == pytest.approx(50, abs=0.5)
    for name in ("contrast", "green to red", "blue to yellow", "colourfulness", "sharpness"):
        assert found[name] == pytest.approx(0, abs=0.05)


def test_red_and_yellow_lie_on_the_positive_sides():
    assert statistics(flat((200, 60, 60)))["green to red"] > 20
    assert statistics(flat((60, 60, 200)))["blue to yellow"] < -20


def test_a_blurred_tile_is_less_sharp_at_the_same_lightness():
    rough = np.random.default_rng(0).integers(60, 180, (64, 64, 1), np.uint8).repeat(3, axis=2)
    smooth = np.full_like(rough, int(rough.mean()))
    assert statistics(rough)["sharpness"] > 50 > statistics(smooth)["sharpness"]


def test_features_and_predictions_are_means_over_the_cells():
    seen = drawn_tile(1)
    found = profile(seen)
    assert found.feature_means == pytest.approx(seen.features.astype(np.float64).mean(axis=(1, 2)))
    assert (found.feature_squares >= found.feature_means**2).all()
    assert found.class_shares.sum() == pytest.approx(1, abs=1e-5)
    assert 1 / 6 < found.confidence <= 1


def test_without_a_run_nothing_is_predicted():
    seen = drawn_tile(1)
    found = profile(type(seen)(seen.image, seen.features, None))
    assert found.confidence is None
    assert found.class_shares is None
