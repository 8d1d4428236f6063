"""What training will see, as pictures for people: patches with their labels outlined, or the views of a tile."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.images import read_image, read_info, read_mask
from core.classes import CLASS_COUNT, ClassRaster
from core.inference.tta import transforms
from core.screen_colours import Palette, class_colours
from core.training.augmentation import preview
from core.training.cell_grid import cell_grid
from core.training.patches import working_classes, working_image
from core.training.recipe import Recipe

Picture = NDArray[np.uint8]

_DARK = (20, 20, 20)


def patch_pictures(
    image_path: Path,
    mask_path: Path,
    recipe: Recipe,
    *,
    seed: int,
    count: int,
    side: int,
    palette: Palette = Palette.DEEPGLOBE,
) -> list[Picture]:
    """``count`` patches of a labelled tile as a network is trained on them, ``(side, side, 3)`` uint8 RGB each.

    Their labels are outlined in the colours of ``palette``.
    Raises ``InputError`` when image or mask cannot be read.
    """
    info = read_info(image_path)
    metres = (info.metres_per_pixel_y, info.metres_per_pixel_x)
    grid = cell_grid((info.height, info.width), metres_per_pixel=metres, resolution_m=recipe.resolution_m)
    image = working_image(read_image(image_path), grid)
    classes = working_classes(read_mask(mask_path, shape=grid.size).raster, grid)
    return [outlined(*patch, side=side, palette=palette) for patch in preview(image, classes, recipe, seed, count)]


def outlined(image: Picture, classes: ClassRaster, *, side: int, palette: Palette = Palette.DEEPGLOBE) -> Picture:
    """A patch at ``(side, side, 3)`` with a line in each class's colour inside the edge of its labels.

    A dark line lies beneath, so that the colours show on any ground.
    """
    picture = np.ascontiguousarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA))
    labels = cv2.resize(classes, (side, side), interpolation=cv2.INTER_NEAREST)
    width = max(1, side // 160)
    colours = class_colours(palette)
    for index in range(CLASS_COUNT):
        contours, _ = cv2.findContours((labels == index).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, _DARK, 2 * width + 1)
        cv2.drawContours(picture, contours, -1, colours[index], width)
    return np.asarray(picture, np.uint8)


def view_pictures(image_path: Path, recipe: Recipe, *, side: int) -> list[Picture]:
    """A tile as the encoder sees it for a head: once, or once for each of the recipe's views; each ``side`` wide."""
    image = read_image(image_path)
    height = max(1, round(image.shape[0] * side / image.shape[1]))
    small = np.asarray(cv2.resize(image, (side, height), interpolation=cv2.INTER_AREA), np.uint8)
    views = transforms("none" if recipe.kind == "convolutional" else recipe.views)
    return [view.forward(small) for view in views]
