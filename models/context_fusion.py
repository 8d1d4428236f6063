"""Two ways to read a patch with what surrounds it, joined to the decoder's map before the classifier.

``GlobalBranch``: the whole tile made small goes through the same encoder and a small pyramid of its own; the features
at the patch's place are cut out and joined (global and local branch of Chen et al. 2019, GLNet; there each branch has
an encoder of its own, here they share one, for a few labels do not train two). ``ScaleFusion``: the surroundings at
two larger scales go through the same encoder and decoder; at each place the three readings are weighed by a softmax
and a small convolution sharpens the sum (locality-aware context fusion of Li et al. 2021, FCtL).
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from models.network_context import SCALES

GLOBAL_CHANNELS = 64
_FINEST = 2  # the stage at 1/4 of the image, where encoders give the image itself first
_MOST_HIDDEN = 32

Norm = Callable[[int], nn.Module]


class GlobalBranch(nn.Module):
    """Joins features of the whole tile to the patch's; ``stages`` are the encoder's channels, the image's first."""

    def __init__(self, *, stages: Sequence[int], channels: int, norm: Norm) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(c, GLOBAL_CHANNELS, 1) for c in stages[_FINEST:])
        self.smooth = _convolution(GLOBAL_CHANNELS, GLOBAL_CHANNELS, norm)
        self.join = _convolution(channels + GLOBAL_CHANNELS, channels, norm)

    def forward(self, local: Tensor, features: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """The patch's map joined with the tile's features at its place.

        Args:
            local: ``(N, channels, h, w)``, the decoder's map of the patch.
            features: the encoder's maps of the small tile, fine to coarse, the image itself first.
            boxes: ``(N, 4)``, the patch's top, left, bottom, right as shares of its tile.
        """
        pyramid = self.laterals[-1](features[-1])
        for lateral, stage in zip(self.laterals[-2::-1], features[-2 : _FINEST - 1 : -1], strict=True):
            finer = lateral(stage)
            pyramid = _enlarged(pyramid, finer.shape[-2:]) + finer
        there = cut_box(self.smooth(pyramid), boxes, (local.shape[-2], local.shape[-1]))
        joined: Tensor = self.join(torch.cat([local, there], dim=1))
        return joined


class ScaleFusion(nn.Module):
    """Weighs the patch's map and those of its surroundings at ``SCALES`` times its extent, place by place."""

    def __init__(self, *, channels: int, norm: Norm) -> None:
        super().__init__()
        readings = 1 + len(SCALES)
        hidden = min(channels, _MOST_HIDDEN)
        self.weigh = nn.Sequential(
            nn.Conv2d(readings * channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, readings, 1)
        )
        # Alike at first: every reading begins with the same say.
        nn.init.zeros_(self.weigh[2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.weigh[2].bias)  # type: ignore[arg-type]
        self.enhance = _convolution(channels, channels, norm)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """``(N, channels, h, w)`` of the patch and of each scale, all of the same size, to one of that size."""
        own = maps[0]
        readings = [own, *(_middle(around, scale) for around, scale in zip(maps[1:], SCALES, strict=True))]
        weights = self.weigh(torch.cat(readings, dim=1)).softmax(dim=1)
        fused = sum(reading * weights[:, index : index + 1] for index, reading in enumerate(readings))
        enhanced: Tensor = fused + self.enhance(fused)
        return enhanced


def cut_box(maps: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The part of ``(N, C, h, w)`` inside each box (shares of height and width), bilinear at ``size`` (h, w)."""
    top, left, bottom, right = boxes.float().unbind(1)  # a place in half precision would be off by pixels
    zero = torch.zeros_like(top)
    # grid_sample's places run from -1 to 1 over the whole map: x' = (right - left) x + (left + right - 1).
    across = torch.stack([right - left, zero, left + right - 1], dim=1)
    down = torch.stack([zero, bottom - top, top + bottom - 1], dim=1)
    grid = F.affine_grid(torch.stack([across, down], dim=1), [len(maps), 1, *size], align_corners=False)
    cut = F.grid_sample(maps.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return cut.to(maps.dtype)


def _middle(around: Tensor, scale: int) -> Tensor:
    """The middle of a map that shows ``scale`` times the patch's extent, enlarged to the patch's place and size."""
    low, high = 0.5 - 0.5 / scale, 0.5 + 0.5 / scale
    box = torch.tensor([[low, low, high, high]], device=around.device).expand(len(around), -1)
    return cut_box(around, box, (around.shape[-2], around.shape[-1]))


def _convolution(before: int, after: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), norm(after), nn.ReLU(inplace=True))


def _enlarged(maps: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(maps, size=(size[0], size[1]), mode="bilinear", align_corners=False)
