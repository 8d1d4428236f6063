"""The benchmark's own yardstick, the exact CRF, and what it says of ours."""

import cv2
import numpy as np

from core.inference.crf import CrfParameters
from tests.benchmarks.inference.dense_crf import against_exact, exact, ours


def scene(size):
    """Two fields and what a model that is often unsure says of them."""
    generator = np.random.default_rng(0)
    truth = (np.arange(size) > size // 2).astype(int)[None].repeat(size, axis=0)
    image = (80 + 90 * truth[..., None] + generator.normal(0, 4, (size, size, 3))).clip(0, 255).astype(np.uint8)
    logits = np.stack([cv2.GaussianBlur(plane, (0, 0), 2) * 6 for plane in generator.normal(0, 1, (6, size, size))])
    logits[0] += 1.2 * (truth == 0)
    logits[1] += 1.2 * (truth == 1)
    exponentials = np.exp(logits)
    return (exponentials / exponentials.sum(axis=0)).astype(np.float32), image


def test_a_crf_without_weights_leaves_probabilities_as_they_are():
    probabilities, image = scene(20)
    nothing = CrfParameters(bilateral_weight=0, smooth_weight=0)
    np.testing.assert_allclose(exact(probabilities, image, nothing), probabilities, atol=1e-4)


def test_ours_is_near_the_exact_one_where_it_changes_much():
    probabilities, image = scene(160)
    found = against_exact(
        probabilities, image, CrfParameters(bilateral_metres=10, smooth_metres=1), crfs={"ours": ours}
    )
    assert found["changed"] > 0.1
    assert found["ours"] > 0.95
    assert found["ours, marginals"] < 0.03
