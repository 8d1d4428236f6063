"""GLNet's feature pyramid (Chen et al. 2019), as its released code has it.

On the encoder's last four stages (C2 to C5 of a ResNet): 1 x 1 laterals to 256 channels, the coarser level enlarged
bilinearly and added; on each level a 3 x 3 convolution to 256 and one to 128; all four enlarged to the finest (1/4 of
the image) and joined to 512 channels, which a 3 x 3 classifier reads. No normalisation and no activation in between,
weights drawn from N(0, 0.01), biases 0.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

PYRAMID, LEVEL = 256, 128
"""Channels of the pyramid, and of each level as it is joined."""
STAGES = 4
_DEVIATION = 0.01


class GlnetFpn(nn.Module):
    """The pyramid over stages of ``channels`` (four, fine to coarse).

    ``norm`` makes what follows each 3 x 3 convolution, for its number of channels; GLNet has nothing there.
    """

    def __init__(self, channels: Sequence[int], norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(c, PYRAMID, 1) for c in channels)
        self.smooth = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(PYRAMID, PYRAMID, 3, padding=1),
                norm(PYRAMID),
                nn.Conv2d(PYRAMID, LEVEL, 3, padding=1),
                norm(LEVEL),
            )
            for _ in channels
        )
        draw_as_glnet(self)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The encoder's maps, fine to coarse, to the four levels, coarse first, and all joined ``(N, 512, ...)``."""
        stages = features[-STAGES:]
        pyramid = self.laterals[-1](stages[-1])
        levels = [self.smooth[-1](pyramid)]
        for index in range(STAGES - 2, -1, -1):
            lateral = self.laterals[index](stages[index])
            pyramid = _enlarged(pyramid, lateral) + lateral
            levels.append(self.smooth[index](pyramid))
        return [*levels, torch.cat([_enlarged(level, levels[-1]) for level in levels], dim=1)]


def draw_as_glnet(module: nn.Module) -> None:
    """Weights of all convolutions from N(0, 0.01), biases 0."""
    for convolution in module.modules():
        if isinstance(convolution, nn.Conv2d):
            nn.init.normal_(convolution.weight, std=_DEVIATION)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)


def _enlarged(maps: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(maps, size=like.shape[-2:], mode="bilinear", align_corners=False)
