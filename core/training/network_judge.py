"""What a network that is still in training makes of a labelled tile."""

from typing import cast

import torch

from core.catalog.images import read_image, read_info, read_mask
from core.evaluation import confusion
from core.inference.network import NetworkSegmenter
from core.training.recipe import Recipe
from core.training.runs import RunCard
from core.training.training_data import LabelledTile
from models.checkpoint import TrainedNetwork


def judge_network(
    network: TrainedNetwork, tile: LabelledTile, *, recipe: Recipe, device: torch.device
) -> confusion.Confusion:
    """The confusion of a tile's labels and the prediction at full size, as anybody would predict it."""
    # There is no card before the run has ended, and predicting reads none.
    segmenter = NetworkSegmenter(cast(RunCard, None), recipe, network, device)
    info = read_info(tile.image_path)
    metres = (info.metres_per_pixel_y, info.metres_per_pixel_x)
    predicted = segmenter.predict(read_image(tile.image_path), metres_per_pixel=metres)
    return confusion.count(read_mask(tile.mask_path, shape=tile.grid.size).raster, predicted)
