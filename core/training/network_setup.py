"""What a network is trained with, made from a recipe: the network, its sampler and its patches."""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from core.errors import InputError
from core.training.glnet_learner import GlnetLearner, check_recipe
from core.training.network_learner import NetworkLearner
from core.training.patch_batches import PatchMaker
from core.training.patch_sampling import PatchSampler, Sampler, TileSampler
from core.training.patches import WorkingTile
from core.training.recipe import Recipe
from core.training.recipe_hints import NO_METADATA_IN_NETWORKS
from core.training.recipe_settings import BOTH_BRANCHES
from core.training.team import ALONE, Team
from models.build import TrainableNetwork, build_network, settings_of
from models.errors import ModelError
from models.glnet import GlnetNetwork


def make_network(recipe: Recipe, tiles: Sequence[WorkingTile], *, seed: int) -> TrainableNetwork:
    """The recipe's network, untrained but for its encoder. Raises ``InputError`` where it cannot be made."""
    if recipe.tile_metadata:
        raise InputError(NO_METADATA_IN_NETWORKS)
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


def make_sampler(recipe: Recipe, tiles: Sequence[WorkingTile], *, seed: int) -> Sampler:
    """The recipe's sampler of patches, or of whole tiles."""
    if recipe.decoder == BOTH_BRANCHES:
        return TileSampler(tiles, side=_side(recipe, tiles), seed=seed)
    return PatchSampler(
        tiles,
        side=recipe.patch,
        sampler=recipe.sampler,
        hard=recipe.hard_patches,
        one_class=recipe.one_class_patches,
        seed=seed,
    )


def make_learner(
    network: TrainableNetwork,
    recipe: Recipe,
    *,
    shares: NDArray[np.float64],
    device: torch.device,
    tell: Callable[[str], None],
    team: Team = ALONE,
) -> NetworkLearner[Any]:
    """What takes steps with the network. Raises ``InputError`` for what the recipe cannot ask of GLNet."""
    if isinstance(network, GlnetNetwork):
        check_recipe(recipe, team)
        return GlnetLearner(network, recipe, shares=shares, device=device, tell=tell, team=team)
    return NetworkLearner(network, recipe, shares=shares, device=device, tell=tell, team=team)


def make_patches(recipe: Recipe, tiles: Sequence[WorkingTile], network: TrainableNetwork) -> PatchMaker:
    """What makes the network's batches."""
    place = network.needs_place or network.needs_context != "none"
    return PatchMaker(tiles, recipe, place=place, side=_side(recipe, tiles))


def memory_bytes(device: torch.device) -> int:
    """The most that torch has held on the GPU; on a CPU what the process holds now."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return int(psutil.Process().memory_info().rss)


def _side(recipe: Recipe, tiles: Sequence[WorkingTile]) -> int:
    """Pixels of a patch's side; of the largest tile's where whole tiles are trained on."""
    if recipe.decoder != BOTH_BRANCHES:
        return recipe.patch
    return int(max(max(tile.image.shape[:2]) for tile in tiles))


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
