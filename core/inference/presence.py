"""Which classes occur on a tile at all, and the gate that takes out those that do not.

A class that is nowhere on a tile can only be wrong there. A network that was trained with a presence head (``presence``
in its recipe) says of a patch which classes occur in it; of a tile it says the most that it says of any of its windows.
Where there is no such head the tile's mean probability of the class stands in: a class that is there is somewhere sure.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from core.classes import CLASS_COUNT
from core.inference.network import NetworkSegmenter
from core.inference.windows import starts
from core.training.cell_grid import cell_grid
from core.training.context_crops import make_tile_context
from core.training.patches import working_image

Presence = NDArray[np.float32]
"""``(6,)`` float32 between 0 and 1: how surely each class occurs on a tile."""


def mean_presence(probabilities: NDArray[np.float32]) -> Presence:
    """The mean of (6, height, width) probabilities over the tile: the share of it that a class may have."""
    return np.asarray(probabilities.mean(axis=(1, 2), dtype=np.float64), np.float32)


@torch.inference_mode()
def head_presence(
    segmenter: NetworkSegmenter, image: NDArray[np.uint8], *, metres_per_pixel: tuple[float, float]
) -> Presence | None:
    """What a network's presence head says of a tile (height, width, 3) uint8; None for one without that head.

    The head is asked about windows of the size of the patches that it was trained on, spread evenly over the tile.
    """
    recipe, network = segmenter.recipe, segmenter.network
    grid = cell_grid(
        (image.shape[0], image.shape[1]), metres_per_pixel=metres_per_pixel, resolution_m=recipe.resolution_m
    )
    working = working_image(image, grid)
    context = make_tile_context(working, network.needs_context)
    height, width = working.shape[:2]
    side = recipe.patch
    padded = np.pad(working, ((0, max(0, side - height)), (0, max(0, side - width)), (0, 0)), mode="symmetric")
    most = np.zeros(CLASS_COUNT, np.float32)
    for top in starts(padded.shape[0], side):
        for left in starts(padded.shape[1], side):
            window = np.ascontiguousarray(padded[top : top + side, left : left + side])
            images = torch.from_numpy(window).to(segmenter.device).permute(2, 0, 1)[None]
            place = context.cut([(top, left)], (side, side)).to(segmenter.device) if network.needs_place else None
            told = network(images, place).presence
            if told is None:
                return None
            most = np.maximum(most, told[0].float().sigmoid().cpu().numpy())
    return most


def gate_absent(probabilities: NDArray[np.float32], presence: Presence, least: float) -> NDArray[np.float32]:
    """Take out the classes whose presence is below ``least``: a new array (6, height, width) that sums to 1.

    The likeliest class of all always stays, so that something is left to choose.
    """
    stays = presence >= least
    stays[presence.argmax()] = True
    gated = probabilities * stays.astype(np.float32)[:, None, None]
    total = gated.sum(axis=0)
    # Where only absent classes had any probability, nothing is known but which classes there are.
    lost = total <= 0
    if lost.any():
        gated[:, lost] = (stays / stays.sum()).astype(np.float32)[:, None]
        total[lost] = 1
    gated /= total
    return np.asarray(gated, np.float32)
