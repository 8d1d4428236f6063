"""GLNet's feature pyramid (Chen et al. 2019), as its released code has it.

On the encoder's last four stages (C2 to C5 of a ResNet): 1 x 1 laterals to 256 channels, the coarser level enlarged
bilinearly and added; on each level a 3 x 3 convolution to 256 and one to 128; all four enlarged to the finest (1/4 of
the image) and joined to 512 channels, which a 3 x 3 classifier reads. No normalisation and no activation in between,
weights drawn from N(0, 0.01), biases 0. A pyramid that is ``doubled`` reads at each of these steps another branch's
maps of the same step beside its own, and brings the joined 1024 channels back to 512 by one more 3 x 3 convolution.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

PYRAMID, LEVEL = 256, 128
"""Channels of the pyramid, and of each level as it is joined."""
STAGES = 4
JOINED = STAGES * LEVEL
_DEVIATION = 0.01


class Readings(NamedTuple):
    """All that a pyramid makes of an encoder's stages, fine to coarse; ``joined`` is ``(N, 512, ...)`` at the finest.

    ``stages`` are the encoder's own four maps, ``pyramid`` and ``smooth`` have 256 channels, ``narrow`` 128.
    """

    stages: list[Tensor]
    pyramid: list[Tensor]
    smooth: list[Tensor]
    narrow: list[Tensor]
    joined: Tensor

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Readings":
        """Every map changed."""
        stages, pyramid, smooth, narrow = ([change(maps) for maps in step] for step in self.steps())
        return Readings(stages, pyramid, smooth, narrow, change(self.joined))

    def steps(self) -> tuple[list[Tensor], ...]:
        """What another branch's pyramid reads."""
        return self.stages, self.pyramid, self.smooth, self.narrow


class GlnetFpn(nn.Module):
    """The pyramid over stages of ``channels`` (four, fine to coarse).

    ``norm`` makes what follows each 3 x 3 convolution, for its number of channels; GLNet has nothing there.
    """

    def __init__(self, channels: Sequence[int], norm: Callable[[int], nn.Module], *, doubled: bool = False) -> None:
        super().__init__()
        times = 2 if doubled else 1
        self.laterals = nn.ModuleList(nn.Conv2d(times * c, PYRAMID, 1) for c in channels)
        self.smooth, self.narrow = (
            nn.ModuleList(nn.Sequential(nn.Conv2d(times * PYRAMID, width, 3, padding=1), norm(width)) for _ in channels)
            for width in (PYRAMID, LEVEL)
        )
        self.join = nn.Conv2d(2 * JOINED, JOINED, 3, padding=1) if doubled else None
        draw_as_glnet(self)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The encoder's maps, fine to coarse, to the four levels, coarse first, and all joined ``(N, 512, ...)``."""
        readings = self.read(features)
        return [*reversed(readings.narrow), readings.joined]

    def read(self, features: Sequence[Tensor], other: Readings | None = None) -> Readings:
        """What the pyramid makes of the encoder's maps; a doubled one reads ``other``, brought to its maps' sizes."""
        stages = list(features[-STAGES:])
        beside = _beside(other, "stages", stages)
        pyramid = [self.laterals[-1](beside[-1])]
        for index in range(STAGES - 2, -1, -1):
            lateral = self.laterals[index](beside[index])
            pyramid.insert(0, _enlarged(pyramid[0], lateral) + lateral)
        smooth = [layer(maps) for layer, maps in zip(self.smooth, _beside(other, "pyramid", pyramid), strict=True)]
        narrow = [layer(maps) for layer, maps in zip(self.narrow, _beside(other, "smooth", smooth), strict=True)]
        levels = _beside(other, "narrow", narrow)
        # Coarse first, as the released weights of the classifier expect it.
        joined = torch.cat([_enlarged(level, levels[0]) for level in reversed(levels)], dim=1)
        return Readings(stages, pyramid, smooth, narrow, joined if self.join is None else self.join(joined))


def draw_as_glnet(module: nn.Module) -> None:
    """Weights of all convolutions from N(0, 0.01), biases 0."""
    for convolution in module.modules():
        if isinstance(convolution, nn.Conv2d):
            nn.init.normal_(convolution.weight, std=_DEVIATION)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)


def _beside(other: Readings | None, step: str, maps: list[Tensor]) -> list[Tensor]:
    """The maps, each with the other branch's of the same step and level beside it."""
    if other is None:
        return maps
    theirs: list[Tensor] = getattr(other, step)
    return [torch.cat([own, _enlarged(their, own)], dim=1) for own, their in zip(maps, theirs, strict=True)]


def _enlarged(maps: Tensor, like: Tensor) -> Tensor:
    if maps.shape[-2:] == like.shape[-2:]:
        return maps
    return F.interpolate(maps, size=like.shape[-2:], mode="bilinear", align_corners=False)
