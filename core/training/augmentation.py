"""Changes in colour, scale, angle and shape that make many patches of one. The only module that uses albumentations.

What becomes of a patch depends on its seed alone, never on what was made before it. Seen from above a scene has no up
and no left, so all eight flips and quarter turns are right here (they would not be for pictures taken upright).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.classes import UNLABELLED, ClassRaster
from core.training.patch_sampling import PatchSampler
from core.training.patches import Move, WorkingTile, cut_patch
from core.training.recipe import Recipe

_Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Geometry:
    """How far a preset changes scale (from 1 / ``zoom`` to ``zoom``) and how often, and how often it turns freely."""

    zoom: float
    zoom_chance: float
    turn_chance: float


_GEOMETRY = {
    "none": _Geometry(1.0, 0.0, 0.0),
    "light": _Geometry(1.0, 0.0, 0.0),
    "medium": _Geometry(1.4, 0.5, 0.3),
    "heavy": _Geometry(2.0, 0.8, 0.7),
}


class Augmentation:
    """The augmentation of a recipe. Not to be shared between threads: albumentations keeps its generator in the object.

    Where the network sees a patch's surroundings or its place in the tile, patches turn by quarter turns only: these
    can be turned with the patch, but not by any angle.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._geometry, self._dihedral = _GEOMETRY[recipe.augmentation], recipe.dihedral
        self._free = recipe.surroundings == "none" and "position" not in recipe.extra_channels
        self._change = _changes(recipe.augmentation)

    def move(self, seed: int) -> Move:
        """How the patch of this seed lies on its tile."""
        generator = np.random.default_rng([seed, 1])
        turns, mirrored = (int(generator.integers(n)) for n in (4, 2))
        turned, zoomed = generator.random(2) < (self._geometry.turn_chance, self._geometry.zoom_chance)
        angle, zoom = generator.uniform(-45, 45), generator.uniform(-1, 1)
        return Move(
            quarter_turns=turns if self._dihedral else 0,
            mirrored=bool(mirrored and self._dihedral),
            angle=float(angle) if turned and self._free else 0.0,
            scale=self._geometry.zoom**zoom if zoomed else 1.0,
        )

    def change(self, image: _Image, classes: ClassRaster, seed: int) -> tuple[_Image, ClassRaster]:
        """The cut patch ``(side, side, 3)`` uint8 and its classes, changed in colour and shape; same sizes."""
        if self._change is None:
            return image, classes
        self._change.set_random_seed(seed)
        changed = self._change(image=image, mask=classes)
        return np.ascontiguousarray(changed["image"]), np.ascontiguousarray(changed["mask"])


def _changes(preset: str) -> Any:
    """The preset's albumentations pipeline, None for no change.

    Straight field borders tell classes apart, so bending (elastic, grid) comes seldom. What bends in from outside
    the patch is unlabelled.
    """
    if preset == "none":
        return None
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else the import asks the network for a newer version
    import albumentations as A  # noqa: N812, PLC0415

    bent = {"border_mode": cv2.BORDER_CONSTANT, "fill": 0, "fill_mask": UNLABELLED}
    presets: dict[str, Callable[[], list[Any]]] = {
        "light": lambda: [
            A.RandomBrightnessContrast(brightness_limit=0.1, contrast_limit=0.1, p=0.5),
            A.RandomGamma(gamma_limit=(90, 110), p=0.3),
        ],
        "medium": lambda: [
            A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=0.7),
            A.RandomGamma(gamma_limit=(80, 125), p=0.4),
            A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 1.2), p=0.15),
            A.GaussNoise(std_range=(0.01, 0.04), p=0.25),
        ],
        "heavy": lambda: [
            A.OneOf([A.ElasticTransform(alpha=60, sigma=8, **bent), A.GridDistortion(**bent)], p=0.2),
            A.RandomBrightnessContrast(brightness_limit=0.3, contrast_limit=0.3, p=0.8),
            A.RandomGamma(gamma_limit=(70, 140), p=0.5),
            A.CLAHE(clip_limit=3.0, p=0.2),
            A.FancyPCA(alpha=0.1, p=0.2),
            A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 2.0), p=0.2),
            A.GaussNoise(std_range=(0.01, 0.08), p=0.3),
        ],
    }
    return A.Compose(presets[preset]())


def preview(
    image: _Image, mask: ClassRaster, recipe: Recipe, seed: int, count: int
) -> list[tuple[_Image, ClassRaster]]:
    """Patches as a fit with this recipe would see them, for people to look at.

    ``image`` is a tile ``(height, width, 3)`` uint8 RGB and ``mask`` its class raster, both at the recipe's
    resolution; patches come from where something is labelled, from anywhere where nothing is.
    """
    labelled = mask if (mask != UNLABELLED).any() else np.zeros_like(mask)
    sampler = PatchSampler(
        [WorkingTile("preview", image, labelled)],
        side=recipe.patch,
        sampler=recipe.sampler,
        hard=0.0,
        one_class=recipe.one_class_patches,
        seed=seed,
    )
    tile, augmentation = WorkingTile("preview", image, mask), Augmentation(recipe)
    patches = []
    for draw in sampler.epoch(count):
        cut = cut_patch(tile, row=draw.row, column=draw.column, side=recipe.patch, move=augmentation.move(draw.seed))
        patches.append(augmentation.change(*cut, draw.seed))
    return patches
