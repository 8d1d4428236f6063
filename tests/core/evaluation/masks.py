"""Small generated masks for the tests of evaluation."""

from pathlib import Path

import numpy as np
from PIL import Image

from core.classes import ClassRaster, encode_colours


def blobs(seed: int, shape: tuple[int, int] = (48, 40)) -> ClassRaster:
    """Blocks of random classes, some of them unlabelled."""
    values = np.random.default_rng(seed).choice(np.array([0, 1, 2, 3, 4, 5, 255], np.uint8), (6, 5))
    return np.kron(values, np.ones((shape[0] // 6, shape[1] // 5), np.uint8))


def worsen(raster: ClassRaster, share: float, seed: int) -> ClassRaster:
    """The raster with a share of the pixels replaced at random; nothing is left unlabelled but by the draw."""
    generator = np.random.default_rng(seed)
    noise = generator.choice(np.array([0, 1, 2, 3, 4, 5, 255], np.uint8), raster.shape)
    return np.where(generator.random(raster.shape) < share, noise, raster).astype(np.uint8)


def save(folder: Path, name: str, raster: ClassRaster) -> None:
    """Write ``<name>_mask.png`` in the DeepGlobe palette."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(encode_colours(raster)).save(folder / f"{name}_mask.png")


def save_pairs(root: Path, count: int, shares: dict[str, float]) -> None:
    """Write ``truth`` and one folder of predictions for each named share of wrong pixels."""
    for tile in range(count):
        truth = blobs(tile)
        save(root / "truth", str(tile), truth)
        for name, share in shares.items():
            save(root / name, str(tile), worsen(truth, share, seed=100 + tile))
