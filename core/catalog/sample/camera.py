"""What lies between the ground and the file: light, haze, the tint of the season, lens and sensor."""

import cv2
import numpy as np

from core.catalog.sample.ground import Picture
from core.catalog.sample.noise import fractal


def expose(rng: np.random.Generator, picture: Picture) -> Picture:
    """The picture as a satellite would deliver it on one day, ``(size, size, 3)`` uint8 RGB.

    The tint, brightness, contrast and haze are drawn once a scene, so that one ground colour looks different in
    the next: it is what keeps a classifier of single pixels from carrying over.
    """
    size = len(picture)
    # Skies and seasons differ between warm and cold far more than between green and purple.
    tint = rng.normal(0, 0.065) * np.array([1, 0.1, -1]) + rng.normal(0, 0.035) * np.array([-0.5, 1, -0.5])
    gain = np.exp(tint + rng.normal(0.10, 0.11))
    haze = rng.uniform(0.04, 0.26)
    veil = np.array([124, 128, 126]) + rng.normal(0, 9, 3)
    gamma = np.exp(rng.normal(0, 0.07))
    # Saturation mixes the channels with their mean.
    mixing = np.eye(3) + (rng.uniform(0.55, 1.0) - 1) * (np.eye(3) - 1 / 3)
    levels = np.arange(256) / 255
    curve = np.clip(levels**gamma, 0, 1) * 255
    table = np.clip(curve[:, None] * gain * (1 - haze) + veil * haze, 0, 255).astype(np.uint8)
    exposed = cv2.LUT(cv2.transform(picture, mixing), np.ascontiguousarray(table[None]))
    exposed = cv2.GaussianBlur(exposed, (0, 0), rng.uniform(0.55, 0.8))

    coarse = size // 16 + 2
    light = 4.0 * fractal(rng, coarse, coarse * 0.7, octaves=2)
    noise = np.asarray(cv2.resize(light, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
    noise += np.float32(rng.uniform(1.2, 2.2)) * rng.standard_normal((size, size), dtype=np.float32)
    shift = cv2.merge([noise, noise, noise])
    return np.asarray(cv2.add(exposed, shift, dtype=cv2.CV_8U), np.uint8)
