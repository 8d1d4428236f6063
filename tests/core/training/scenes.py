"""Small labelled scenes that an encoder can tell apart: each class has a colour and a pattern of its own."""

from pathlib import Path

import cv2
import numpy as np

from core.catalog.images import write_mask
from core.classes import UNLABELLED

SIZE = 256
BLOCK = 64


def scene(seed, classes=(0, 1, 3, 4), size=SIZE):
    """An image (size, size, 3) and its class raster: a chequer of 64-pixel blocks of the given classes."""
    generator = np.random.default_rng(seed)
    blocks = generator.permutation(np.resize(classes, (size // BLOCK) ** 2)).reshape(size // BLOCK, -1)
    raster = np.kron(blocks, np.ones((BLOCK, BLOCK), np.uint8)).astype(np.uint8)
    colours = np.array([[150, 140, 140], [160, 150, 70], [150, 170, 90], [30, 80, 30], [20, 40, 90], [190, 170, 140]])
    rows = np.arange(size)[:, None] + np.zeros((1, size))
    stripes = (np.sin(rows / (1 + raster)) * 25)[..., None]
    noise = generator.normal(0, 8, (size, size, 3))
    return np.clip(colours[raster] + stripes + noise, 0, 255).astype(np.uint8), raster


def write_pair(folder: Path, name, image, raster=None):
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f"{name}_sat.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    if raster is not None:
        write_mask(folder / f"{name}_mask.png", raster)


def write_scenes(folder: Path, names=("1", "2", "3"), **options):
    for index, name in enumerate(names):
        write_pair(folder, name, *scene(index, **options))
    return folder


def only_a_patch(raster, side=48):
    """The raster with all but one square in the top left corner of each block unlabelled."""
    kept = np.full_like(raster, UNLABELLED)
    for top in range(0, raster.shape[0], BLOCK):
        for left in range(0, raster.shape[1], BLOCK):
            place = np.s_[top : top + side, left : left + side]
            kept[place] = raster[place]
    return kept
