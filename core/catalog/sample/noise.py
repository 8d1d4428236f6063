"""Smooth random fields: the raw material of every region, relief and mottle in a sample scene."""

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""``(height, width)`` float32."""


def vary(rng: np.random.Generator, colours: NDArray[np.float64], amount: float = 1.0) -> NDArray[np.float64]:
    """RGB colours ``(..., 3)``, each a little lighter or darker, warmer or colder, greener or redder.

    Soils and plants differ along these axes, in this order of strength; independent channels would give pinks.
    """
    axes = np.array([[9.0, 9.0, 9.0], [3.8, 0.5, -3.8], [-1.5, 2.3, -1.0]])
    return np.asarray(colours + amount * rng.standard_normal(colours.shape) @ axes)


def smooth(rng: np.random.Generator, size: int, wavelength: float) -> Field:
    """Value noise, ``(size, size)``: normal deviates ``wavelength`` pixels apart, joined by cubic interpolation.

    Zero mean and unit deviation over many draws before the interpolation, which flattens it to about 0.6.
    """
    knots = int(np.ceil(size / wavelength)) + 4
    values = rng.standard_normal((knots, knots), dtype=np.float32)
    # A random phase, so that the knots of two fields do not fall on the same pixels.
    shift = rng.random(2)
    to_knots = np.array([[1 / wavelength, 0, 1 + shift[0]], [0, 1 / wavelength, 1 + shift[1]]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(values, to_knots, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT), np.float32
    )


def fractal(rng: np.random.Generator, size: int, wavelength: float, octaves: int, roughness: float = 0.5) -> Field:
    """A sum of ``octaves`` smooth fields, each of half the wavelength and ``roughness`` times the height.

    Wavelengths longer than 8 pixels are drawn on a coarser grid and enlarged, which saves most of the time.
    Scaled to about unit deviation.
    """
    total = np.zeros((size, size), np.float32)
    weight, power = 1.0, 0.0
    for _ in range(octaves):
        step = max(1, int(wavelength / 6))
        small = smooth(rng, size // step + 2 if step > 1 else size, wavelength / step)
        if step > 1:
            small = enlarge(small, size, step)
        total += np.float32(weight) * small
        power += weight**2
        weight *= roughness
        wavelength /= 2
    total *= np.float32(1 / (0.6 * np.sqrt(power)))
    return total


def enlarge(field: Field, size: int, step: int) -> Field:
    """Enlarge ``field`` ``step`` times linearly and cut ``(size, size)`` off it."""
    wide = cv2.resize(field, (field.shape[1] * step, field.shape[0] * step), interpolation=cv2.INTER_LINEAR)
    return np.asarray(wide[:size, :size], np.float32)


def scatter(rng: np.random.Generator, size: int, spacing: float) -> NDArray[np.float32]:
    """Points about ``spacing`` pixels apart, ``(n, 2)`` as x, y within the frame, in random order (a jittered grid)."""
    count = int(np.ceil(size / spacing))
    grid = np.stack(np.meshgrid(np.arange(count), np.arange(count)), -1).reshape(-1, 2).astype(np.float32)
    points = (grid + rng.random(grid.shape, dtype=np.float32) * np.float32(1.1)) * np.float32(spacing)
    points = points[(points < size - 1).all(axis=1)]
    return np.asarray(points[rng.permutation(len(points))], np.float32)
