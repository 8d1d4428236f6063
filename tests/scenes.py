"""Small synthetic scenes for tests: quick, deterministic, and of all six classes."""

from functools import lru_cache
from pathlib import Path

import cv2

from core.catalog.images import write_mask
from core.catalog.sample import Scene, draw_scene


@lru_cache(maxsize=32)
def small_pair(seed: int, size: int = 256) -> Scene:
    """``draw_scene`` kept in memory. Its arrays are read-only, since every test gets the same ones."""
    scene = draw_scene(seed, size)
    scene.image.setflags(write=False)
    scene.raster.setflags(write=False)
    return scene


def write_pairs(folder: Path, count: int, size: int) -> list[Path]:
    """Write scenes 0..count-1 as ``<id>_sat.jpg`` and ``<id>_mask.png`` with ids 1..count; the images' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(count):
        scene = small_pair(index, size)
        path = folder / f"{index + 1}_sat.jpg"
        if not cv2.imwrite(str(path), cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92]):
            raise OSError(f"could not write {path}")
        write_mask(folder / f"{index + 1}_mask.png", scene.raster)
        paths.append(path)
    return paths
