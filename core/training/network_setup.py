"""What a network is trained with, made from a recipe: the network, its sampler and its patches."""

from collections.abc import Sequence

import cv2
import numpy as np
import psutil
import torch

from core.errors import InputError
from core.training.patch_batches import PatchMaker
from core.training.patch_sampling import PatchSampler
from core.training.patches import WorkingTile
from core.training.recipe import Recipe
from models.errors import ModelError
from models.networks import SegmentationNetwork, build_network, settings_of


def make_network(recipe: Recipe, tiles: Sequence[WorkingTile], *, seed: int) -> SegmentationNetwork:
    """The recipe's network, untrained but for its encoder. Raises ``InputError`` where it cannot be made."""
    try:
        network = build_network(**settings_of(recipe), seed=seed)
    except ModelError as error:
        raise InputError(str(error)) from error
    if recipe.patch % network.alignment or recipe.patch < network.smallest:
        raise InputError(
            f"The encoder {recipe.encoder} with the decoder {recipe.decoder} needs patches whose side is a multiple of "
            f"{network.alignment} and at least {network.smallest}; patch is {recipe.patch}."
        )
    if recipe.standardise == "training":
        network.set_statistics(*_statistics(tiles))
    return network


def make_sampler(recipe: Recipe, tiles: Sequence[WorkingTile], *, seed: int) -> PatchSampler:
    """The recipe's sampler of patches."""
    return PatchSampler(
        tiles,
        side=recipe.patch,
        sampler=recipe.sampler,
        hard=recipe.hard_patches,
        one_class=recipe.one_class_patches,
        seed=seed,
    )


def make_patches(recipe: Recipe, tiles: Sequence[WorkingTile], network: SegmentationNetwork) -> PatchMaker:
    """What makes the network's batches."""
    return PatchMaker(tiles, recipe, place=network.needs_place or network.needs_context != "none")


def memory_bytes(device: torch.device) -> int:
    """The most that torch has held on the GPU; on a CPU what the process holds now."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return int(psutil.Process().memory_info().rss)


def _statistics(tiles: Sequence[WorkingTile]) -> tuple[list[float], list[float]]:
    """Mean and deviation of RGB in 0..255 over all pixels of the tiles."""
    total, squares, pixels = np.zeros(3), np.zeros(3), 0
    for tile in tiles:
        mean, deviation = (part.ravel() for part in cv2.meanStdDev(tile.image))
        area = tile.image.shape[0] * tile.image.shape[1]
        total += mean * area
        squares += (deviation**2 + mean**2) * area
        pixels += area
    mean = total / pixels
    return mean.tolist(), np.sqrt(np.maximum(squares / pixels - mean**2, 0)).tolist()
