"""A run's validation tiles, found again by what its card says of them, and judged as anybody would predict them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.catalog.discover import discover, find_mask
from core.catalog.images import fingerprint, read_image, read_info, read_mask
from core.classes import UNLABELLED, ClassRaster
from core.errors import InputError
from core.evaluation import confusion
from core.inference.predict import AnySegmenter
from core.progress import Progress


@dataclass(frozen=True, slots=True)
class ValidationTile:
    """A tile with labels that a run was judged with: ``truth`` is (height, width) uint8."""

    name: str
    image_path: Path
    image_fingerprint: str
    truth: ClassRaster

    def predicted(self, segmenter: AnySegmenter) -> NDArray[np.float32]:
        """What a segmenter says of it, ``(6, height, width)`` float32; from cached features where there are any."""
        info = read_info(self.image_path)
        return segmenter.probabilities(
            read_image(self.image_path),
            metres_per_pixel=(info.metres_per_pixel_y, info.metres_per_pixel_x),
            fingerprint=self.image_fingerprint,
        )


def find_validation_tiles(known: Mapping[str, str], data: Path, labels: Path | None) -> list[ValidationTile]:
    """The tiles of a card (name to fingerprint) in a folder, with their masks beside them or in ``labels``.

    Raises ``InputError`` where one is not there, was changed since, or has no labels.
    """
    found = {tile.name: tile for tile in discover(data).tiles}
    tiles = []
    for name, image_fingerprint in known.items():
        tile = found.get(name)
        if tile is None or fingerprint(tile.image_path) != image_fingerprint:
            raise InputError(
                f"The validation tile {name} is not in {data} as it was when the run was trained; name the folder of "
                "then with --data."
            )
        mask = (find_mask(labels, name) if labels else None) or tile.mask_path
        if mask is None:
            raise InputError(f"The validation tile {name} has no mask to judge by; give its folder with --labels.")
        info = read_info(tile.image_path)
        truth = read_mask(mask, shape=(info.height, info.width)).raster
        if not (truth != UNLABELLED).any():
            raise InputError(f"Nothing is labelled on the validation tile {name}; label some of it first.")
        tiles.append(ValidationTile(name, tile.image_path, image_fingerprint, truth))
    return tiles


def judge_tiles(
    segmenter: AnySegmenter, tiles: Sequence[ValidationTile], progress: Progress
) -> dict[str, confusion.Confusion]:
    """The confusion ``(6, 7)`` of each tile by name; may raise ``CancelledError`` between tiles."""
    matrices = {}
    for index, tile in enumerate(tiles):
        progress.update(index, len(tiles), f"Judging tile {tile.name}")
        raster = tile.predicted(segmenter).argmax(axis=0).astype(np.uint8)
        matrices[tile.name] = confusion.count(tile.truth, raster)
    return matrices
