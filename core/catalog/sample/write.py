"""Writing the sample to a folder, as DeepGlobe's own pairs are laid out."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.atomic import write_bytes, write_json
from core.catalog.images import write_mask
from core.catalog.sample.scene import MAX_SIZE, MIN_SIZE, draw_scene
from core.errors import InputError
from core.progress import Progress, SilentProgress

FIRST_NAME = 9_000_001
"""Tile names count from here, far above DeepGlobe's (at most six digits), so that no sample passes for a real tile."""

MAX_TILES = 1000
MARKER = "synthetic.json"
JPEG_QUALITY = 92


def write_sample(
    folder: Path, tiles: int = 6, size: int = 2448, seed: int = 0, progress: Progress | None = None
) -> list[Path]:
    """Draw ``tiles`` scenes and write each as ``<id>_sat.jpg`` and ``<id>_mask.png``; returns the images' paths.

    Scene ``i`` is ``draw_scene(seed + i, size)``. ``synthetic.json`` beside them says what they are and lists the
    tiles drawn so far: a cancel between two scenes (``CancelledError`` from ``progress``) keeps the finished
    ones, and each file is there whole or not at all. Raises ``InputError`` for counts that make no sample, and
    when the folder cannot be written.
    """
    if not 1 <= tiles <= MAX_TILES:
        raise InputError(f"A sample has 1 to {MAX_TILES} tiles, not {tiles}; choose another number of tiles.")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"A sample tile is {MIN_SIZE} to {MAX_SIZE} pixels wide, not {size}; choose another size.")
    if seed < 0:
        raise InputError(f"A seed is 0 or more, not {seed}; choose another seed.")
    progress = progress or SilentProgress()
    written: list[Path] = []
    for index in range(tiles):
        progress.update(index, tiles, f"drawing scene {index + 1} of {tiles}")
        name = tile_name(seed, index)
        scene = draw_scene(seed + index, size)
        # The marker first: whatever stops us, no drawn tile lies there unmarked.
        names = [tile_name(seed, i) for i in range(index + 1)]
        write_json(folder / MARKER, {"synthetic": True, "seed": seed, "size": size, "tiles": names})
        path = folder / f"{name}_sat.jpg"
        write_mask(folder / f"{name}_mask.png", scene.raster)
        write_bytes(path, _jpeg(scene.image))
        written.append(path)
    progress.update(tiles, tiles, f"drew {tiles} scenes")
    return written


def tile_name(seed: int, index: int) -> str:
    """The name of scene ``index`` of the sample of ``seed``: digits, as DeepGlobe's names are.

    Samples of neighbouring seeds share scenes, and then share their names too, so that no scene can be trained on
    under one name and judged under another.
    """
    return str(FIRST_NAME + seed + index)


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    done, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    if not done:
        raise RuntimeError("OpenCV could not encode a scene as JPEG")
    return bytes(encoded.tobytes())
