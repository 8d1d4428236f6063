"""From the pixels of an image to what an encoder reads: colours taken away or scaled, further channels joined.

It is part of the network, so that training and prediction cannot differ. ``widen`` lets a pretrained first convolution
take the further channels (D12, D20) and give the same as before until it is trained.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from models.errors import ModelError
from models.network_context import Context

STANDARDS = ("encoder", "tile", "training", "none")
EXTRA_CHANNELS = {"excess-green": 1, "local-variance": 1, "position": 2}
"""Names of further channels, and how many each brings."""

_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601
_VARIANCE_WINDOW = 9
_LEAST_DEVIATION = 1.0  # of 255 grey levels: a blank tile is not blown up to noise
_COLOURS = 3


class NetworkInput(nn.Module):
    """Scales RGB in 0..255 and joins further channels.

    ``mean`` and ``std`` are buffers ``(1, 3, 1, 1)`` in 0..255: those that the encoder was trained with
    (``standardise`` 'encoder'), those of the training tiles ('training', set once by ``set_statistics``), or 0 and 255
    ('none'; 'tile' takes each tile's own from the context). Grey is the luminance of BT.601 in all three channels;
    it is taken before scaling by an encoder's figures, and after scaling by the tiles' own, which are of colours.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        standardise: str,
        grey: bool,
        extra_channels: Sequence[str],
    ) -> None:
        super().__init__()
        if standardise not in STANDARDS:
            raise ModelError(f"There is no standard called {standardise!r}; choose one of {', '.join(STANDARDS)}.")
        unknown = [name for name in extra_channels if name not in EXTRA_CHANNELS]
        if unknown or len(set(extra_channels)) < len(extra_channels):
            raise ModelError(
                f"The further channels {', '.join(extra_channels)} cannot be had; each of "
                f"{', '.join(EXTRA_CHANNELS)} may stand there once."
            )
        if grey and "excess-green" in extra_channels:
            raise ModelError("Excess green needs colours; set grey to false, or leave excess-green out.")
        self.standardise, self.grey, self.extra_channels = standardise, grey, tuple(extra_channels)
        own = standardise == "encoder"
        self.register_buffer("mean", torch.tensor(list(mean) if own else [0.0] * 3).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(list(std) if own else [1.0] * 3).view(1, 3, 1, 1) * 255)

    @property
    def added(self) -> int:
        """Number of further channels."""
        return sum(EXTRA_CHANNELS[name] for name in self.extra_channels)

    def set_statistics(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        """Take mean and deviation of RGB in 0..255 over the training tiles."""
        if self.standardise != "training":
            raise ValueError(f"a network that is standardised by '{self.standardise}' takes no statistics")
        self.mean.copy_(torch.as_tensor(mean).view(1, 3, 1, 1))
        self.std.copy_(torch.as_tensor(deviation).view(1, 3, 1, 1).clamp(min=_LEAST_DEVIATION))

    def forward(self, images: Tensor, context: Context | None) -> Tensor:
        """``(N, 3, H, W)`` RGB in 0..255, uint8 or float, to ``(N, 3 + added, H, W)`` float32."""
        colours = images.float()
        mean, std = self.mean, self.std
        if self.standardise == "tile":
            place = _given(context)
            mean = place.mean.view(-1, 3, 1, 1)
            std = place.deviation.view(-1, 3, 1, 1).clamp(min=_LEAST_DEVIATION)
        of_tiles = self.standardise in {"tile", "training"}
        seen = _grey(colours) if self.grey and not of_tiles else colours
        seen = (seen - mean) / std
        if self.grey and of_tiles:
            seen = _grey(seen)
        return torch.cat([seen, *(self._extra(name, colours, context) for name in self.extra_channels)], dim=1)

    def _extra(self, name: str, colours: Tensor, context: Context | None) -> Tensor:
        if name == "excess-green":
            return excess_green(colours)
        if name == "local-variance":
            return local_deviation(colours)
        return positions(_given(context).boxes, colours.shape[-2], colours.shape[-1])


def excess_green(colours: Tensor) -> Tensor:
    """Woebbecke et al. 1995: 2g - r - b of the shares of each colour, -1 to 2; 0 for black. ``(N, 1, H, W)``."""
    shares = colours / colours.sum(dim=1, keepdim=True).clamp(min=1e-3)
    return 2 * shares[:, 1:2] - shares[:, 0:1] - shares[:, 2:3]


def local_deviation(colours: Tensor) -> Tensor:
    """Standard deviation of the brightness over 9 x 9 pixels, in tenths of its whole range. ``(N, 1, H, W)``."""
    brightness = colours.mean(dim=1, keepdim=True) / 255
    around = _VARIANCE_WINDOW // 2
    mean, square = (
        F.avg_pool2d(maps, _VARIANCE_WINDOW, stride=1, padding=around, count_include_pad=False)
        for maps in (brightness, brightness.square())
    )
    return (square - mean.square()).clamp(min=0).sqrt() * 10


def positions(boxes: Tensor, height: int, width: int) -> Tensor:
    """Row and column of each pixel in its tile, -1 to 1 from edge to edge: ``(N, 2, height, width)``."""
    top, left, bottom, right = boxes.float().view(-1, 4, 1, 1).unbind(1)
    down = (torch.arange(height, device=boxes.device) + 0.5).view(1, -1, 1) / height
    across = (torch.arange(width, device=boxes.device) + 0.5).view(1, 1, -1) / width
    rows = (top + (bottom - top) * down).expand(-1, -1, width)
    columns = (left + (right - left) * across).expand(-1, height, -1)
    return torch.stack([rows, columns], dim=1) * 2 - 1


class WidenedConvolution(nn.Module):
    """A first convolution that takes further channels: the pretrained one on RGB plus one of zero weights on the rest.

    The same as one convolution over all channels; two, so that the new weights can be trained beside frozen ones.
    """

    def __init__(self, known: nn.Conv2d, added: int) -> None:
        super().__init__()
        self.known = known
        self.added = copy.deepcopy(known)  # of the same class: timm's have paddings of their own
        self.added.in_channels = added
        self.added.bias = None
        self.added.weight = nn.Parameter(torch.zeros(known.out_channels, added, *known.kernel_size))

    def forward(self, images: Tensor) -> Tensor:
        """``(N, 3 + added, H, W)``."""
        total: Tensor = self.known(images[:, :_COLOURS]) + self.added(images[:, _COLOURS:])
        return total


def widen(encoder: nn.Module, added: int) -> list[str]:
    """Let an encoder's convolutions on RGB take further channels; returns the names of the new weights in it.

    Raises ``ModelError`` where there is no convolution of three channels.
    """
    found = [
        name
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Conv2d) and module.in_channels == _COLOURS and module.groups == 1
    ]
    if not found:
        raise ModelError("This encoder has no first convolution that could take further channels; leave them out.")
    for name in found:
        parent, _, last = name.rpartition(".")
        holder = encoder.get_submodule(parent)
        setattr(holder, last, WidenedConvolution(encoder.get_submodule(name), added))  # type: ignore[arg-type]
    return [f"{name}.added.weight" for name in found]


def _grey(colours: Tensor) -> Tensor:
    weights = torch.tensor(_LUMINANCE, device=colours.device, dtype=colours.dtype).view(1, 3, 1, 1)
    return (colours * weights).sum(dim=1, keepdim=True).expand(-1, 3, -1, -1)


def _given(context: Context | None) -> Context:
    if context is None:
        raise ValueError("this network must be told where its images lie in their tiles: give a context")
    return context
