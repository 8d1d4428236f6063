"""Heads: what turns an encoder's features into class logits, cell by cell.

``ContextLinearHead`` looks at each cell through several square windows: the cell itself and the means of the
cells around it, since what surrounds a pixel tells what it is (a green cell amid houses is a garden, amid green
cells it is a field). It is linear in the joined means. A box mean and a linear map commute, so prediction maps
the features to one set of logits per window first and box-filters those few maps, instead of filtering hundreds
of feature channels: the same numbers (up to rounding) for a fraction of the work.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_CHANNELS_AT_ONCE = 64  # bounds the float64 running sums of a whole tile to some 12 MB
_LEAST = 1e-7  # keeps the logarithm of a probability finite
_NEVER = -1e4  # the logit of a class that nothing is known of


def box_mean(maps: Tensor, window: int) -> Tensor:
    """Mean over the ``window`` x ``window`` cells around each cell, of those that lie inside the map.

    Args:
        maps: ``(..., height, width)``.
        window: odd, in cells; 1 gives ``maps`` back, and a window larger than the map takes in what there is.

    Summed-area tables (Crow 1984) in float64, so the cost does not depend on the window.
    """
    if window == 1:
        return maps
    height, width = maps.shape[-2:]
    top, bottom = _reach(height, window, maps.device)
    left, right = _reach(width, window, maps.device)
    table = _summed_area_table(maps)
    rows = table[..., bottom, :] - table[..., top, :]
    sums = rows[..., right] - rows[..., left]
    return (sums / ((bottom - top)[:, None] * (right - left)[None, :])).to(maps.dtype)


def context_vectors(features: Tensor, cells: Tensor, windows: Sequence[int]) -> Tensor:
    """The joined window means of chosen cells: what ``ContextLinearHead`` is linear in.

    Args:
        features: ``(channels, height, width)``.
        cells: ``(n,)`` int64, flat indices into ``height x width``.
        windows: odd window sides in cells.

    Returns:
        ``(n, len(windows) * channels)`` float32, window by window.
    """
    channels = len(features)
    vectors = torch.empty((len(cells), len(windows), channels), dtype=torch.float32, device=features.device)
    for start in range(0, channels, _CHANNELS_AT_ONCE):
        part = slice(start, min(start + _CHANNELS_AT_ONCE, channels))
        vectors[:, :, part] = ContextTable(features[part]).means(cells, windows)
    return vectors.flatten(1)


class ContextTable:
    """Running sums of a tile's features, kept where vectors of its cells are asked for again and again.

    Takes 8 bytes a channel and cell, four times what float16 features do; reading a cell's vector then takes
    microseconds. The numbers are those of ``context_vectors``, bit for bit.
    """

    def __init__(self, features: Tensor) -> None:
        channels, self._height, self._width = features.shape
        corners = (self._height + 1) * (self._width + 1)
        # Channels last, so that the four corners of a window are read as four short rows.
        self._corners = torch.empty((corners, channels), dtype=torch.float64, device=features.device)
        for start in range(0, channels, _CHANNELS_AT_ONCE):
            part = slice(start, min(start + _CHANNELS_AT_ONCE, channels))
            self._corners[:, part] = _summed_area_table(features[part]).permute(1, 2, 0).flatten(0, 1)

    @property
    def size_bytes(self) -> int:
        """The memory it takes."""
        return self._corners.numel() * self._corners.element_size()

    def vectors(self, cells: Tensor, windows: Sequence[int]) -> Tensor:
        """As ``context_vectors`` of the same features."""
        return self.means(cells, windows).flatten(1)

    def means(self, cells: Tensor, windows: Sequence[int]) -> Tensor:
        """The window means of chosen cells, ``(n, len(windows), channels)`` float32."""
        rows, columns = cells // self._width, cells % self._width
        corners, device = self._corners, self._corners.device
        means = torch.empty((len(cells), len(windows), corners.shape[1]), dtype=torch.float32, device=device)
        for index, window in enumerate(windows):
            top, bottom = (edge[rows] * (self._width + 1) for edge in _reach(self._height, window, device))
            left, right = (edge[columns] for edge in _reach(self._width, window, device))
            sums = corners[bottom + right] - corners[top + right] - corners[bottom + left] + corners[top + left]
            area = (bottom - top) // (self._width + 1) * (right - left)
            means[:, index] = (sums / area[:, None]).float()
        return means


def _summed_area_table(maps: Tensor) -> Tensor:
    """``(..., height + 1, width + 1)`` float64: sums of everything above and left of each corner."""
    return F.pad(maps.double().cumsum(-2).cumsum(-1), (1, 0, 1, 0))


def _reach(length: int, window: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """First cell and one past the last cell of the window around each of ``length`` cells, clipped to the map."""
    centre = torch.arange(length, device=device)
    radius = window // 2
    return (centre - radius).clamp(min=0), (centre + radius + 1).clamp(max=length)


class ContextLinearHead(nn.Module):
    """Logits linear in the means of the features over several windows.

    ``weight`` is ``(windows, classes, channels)`` and ``bias`` ``(classes,)``: standardisation is folded in.
    """

    kind = "context-linear"

    def __init__(self, *, channels: int, classes: int, windows: Sequence[int]) -> None:
        super().__init__()
        self.channels = channels
        self.windows = tuple(windows)
        self.weight = nn.Parameter(torch.zeros(len(self.windows), classes, channels))
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, features: Tensor) -> Tensor:
        """``(N, channels, h, w)`` float features to ``(N, classes, h, w)`` logits."""
        logits = self.bias.view(1, -1, 1, 1)
        for weight, window in zip(self.weight, self.windows, strict=True):
            logits = logits + box_mean(F.conv2d(features, weight[:, :, None, None]), window)
        return logits

    def settings(self) -> dict[str, object]:
        """What it takes to build this head again, besides its tensors."""
        return {"channels": self.channels, "classes": len(self.bias), "windows": list(self.windows)}


class ConvolutionalHead(nn.Module):
    """A small network on the features: a bottleneck, three dilated 3 x 3 convolutions and window means, logits.

    Features are standardised by the buffers ``mean`` and ``std`` (per channel, of the training cells). Group
    normalisation, since a batch holds few tiles.
    """

    kind = "convolutional"
    DILATIONS = (1, 3, 9)
    WINDOWS = (15, 41)
    GROUPS = 8

    mean: Tensor
    std: Tensor

    def __init__(self, *, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.channels, self.classes, self.width = channels, classes, width
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        self.bottleneck = nn.Sequential(nn.Dropout2d(0.2), nn.Conv2d(channels, width, 1), *self._norm())
        self.around = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=d, dilation=d), *self._norm()) for d in self.DILATIONS
        )
        joined = width * (1 + len(self.DILATIONS) + len(self.WINDOWS))
        self.classify = nn.Sequential(nn.Dropout2d(0.2), nn.Conv2d(joined, classes, 1))

    def _norm(self) -> tuple[nn.Module, nn.Module]:
        return nn.GroupNorm(self.GROUPS, self.width), nn.GELU()

    def forward(self, features: Tensor) -> Tensor:
        """``(N, channels, h, w)`` float features to ``(N, classes, h, w)`` logits."""
        standard = (features - self.mean.view(1, -1, 1, 1)) / self.std.view(1, -1, 1, 1)
        narrow = self.bottleneck(standard)
        seen = [narrow, *(layer(narrow) for layer in self.around), *(box_mean(narrow, w) for w in self.WINDOWS)]
        logits: Tensor = self.classify(torch.cat(seen, dim=1))
        return logits

    def settings(self) -> dict[str, object]:
        """What it takes to build this head again, besides its tensors."""
        return {"channels": self.channels, "classes": self.classes, "width": self.width}


class NeighboursHead(nn.Module):
    """The labelled cells nearest to a cell vote on its class.

    Near is meant in a space of few dimensions, an affine map of the joined window means (``projection`` is
    ``(windows, dimensions, channels)``, ``offset`` ``(dimensions,)``). ``references`` ``(n, dimensions)`` are the
    labelled cells in it, with ``labels`` ``(n,)`` int64 and ``weights`` ``(n,)``; ``known`` ``(classes,)`` bool says
    which classes have any. Nothing here is trained by gradients.
    """

    kind = "neighbours"
    CELLS_AT_ONCE = 2048  # bounds the distances held at a time to some 32 MB

    references: Tensor
    labels: Tensor
    weights: Tensor
    known: Tensor

    def __init__(
        self, *, channels: int, classes: int, windows: Sequence[int], dimensions: int, references: int, neighbours: int
    ) -> None:
        super().__init__()
        self.channels, self.classes, self.windows = channels, classes, tuple(windows)
        self.neighbours = neighbours
        self.projection = nn.Parameter(torch.zeros(len(self.windows), dimensions, channels), requires_grad=False)
        self.offset = nn.Parameter(torch.zeros(dimensions), requires_grad=False)
        self.register_buffer("references", torch.zeros(references, dimensions))
        self.register_buffer("labels", torch.zeros(references, dtype=torch.int64))
        self.register_buffer("weights", torch.ones(references))
        self.register_buffer("known", torch.ones(classes, dtype=torch.bool))

    def forward(self, features: Tensor) -> Tensor:
        """``(N, channels, h, w)`` float features to ``(N, classes, h, w)`` log-probabilities.

        As with ``ContextLinearHead`` the features are mapped first and filtered then.
        """
        places = self.offset.view(1, -1, 1, 1)
        for weight, window in zip(self.projection, self.windows, strict=True):
            places = places + box_mean(F.conv2d(features, weight[:, :, None, None]), window)
        flat = places.permute(0, 2, 3, 1).flatten(0, 2)
        votes = torch.cat([self.votes(part) for part in torch.split(flat, self.CELLS_AT_ONCE)])
        number, _, height, width = places.shape
        return votes.view(number, height, width, self.classes).permute(0, 3, 1, 2)

    def votes(self, places: Tensor) -> Tensor:
        """Log-probabilities ``(m, classes)`` at ``places`` ``(m, dimensions)``.

        A neighbour's vote is its weight times a Gaussian of its distance, whose deviation is half the distance to the
        farthest neighbour that votes. One vote more is spread over the known classes, so that none has probability 0.
        """
        count = min(self.neighbours, len(self.references))
        # |p - r|^2 less |p|^2, which changes no order, so that one product of matrices finds the nearest.
        partial = torch.addmm(self.references.square().sum(dim=1), places, self.references.T, alpha=-2)
        nearest = partial.topk(count, dim=1, largest=False)
        squared = (nearest.values + places.square().sum(dim=1, keepdim=True)).clamp(min=0)
        strength = (
            self.weights[nearest.indices] * (-2 * squared / squared.amax(dim=1, keepdim=True).clamp(min=1e-9)).exp()
        )
        sums = torch.zeros((len(places), self.classes), dtype=strength.dtype, device=strength.device)
        sums.scatter_add_(1, self.labels[nearest.indices], strength)
        share = sums / sums.sum(dim=1, keepdim=True)
        share = (count * share + self.known / self.known.sum()) / (count + 1)
        return torch.where(self.known, share.clamp(min=_LEAST).log(), _NEVER)

    def settings(self) -> dict[str, object]:
        """What it takes to build this head again, besides its tensors."""
        return {
            "channels": self.channels,
            "classes": self.classes,
            "windows": list(self.windows),
            "dimensions": len(self.offset),
            "references": len(self.references),
            "neighbours": self.neighbours,
        }


class EnsembleHead(nn.Module):
    """Several heads on the same features, of any kinds: the mean of their probabilities.

    Raises ``ValueError`` without a member, or where members take different numbers of channels.
    """

    kind = "ensemble"

    def __init__(self, *, members: Sequence["Head"]) -> None:
        super().__init__()
        if len({member.channels for member in members}) != 1:
            raise ValueError("an ensemble needs members, and all on features of the same channels")
        self.channels: int = members[0].channels
        self.members = nn.ModuleList(members)

    def forward(self, features: Tensor) -> Tensor:
        """``(N, channels, h, w)`` float features to ``(N, classes, h, w)`` log-probabilities."""
        total = torch.zeros((), device=features.device)
        for member in self.members:
            total = total + member(features).softmax(dim=1)
        return (total / len(self.members)).clamp(min=_LEAST).log()

    def settings(self) -> dict[str, object]:
        """What it takes to build this head again, besides its tensors: kind and settings of each member."""
        return {"members": [{"kind": member.kind, "settings": member.settings()} for member in self._heads()]}

    def _heads(self) -> list["Head"]:
        return list(self.members)  # type: ignore[arg-type]  # ModuleList forgets what it holds


Head = ContextLinearHead | ConvolutionalHead | NeighboursHead | EnsembleHead


def _ensemble(*, members: Sequence[Mapping[str, Any]]) -> EnsembleHead:
    return EnsembleHead(members=[HEADS[member["kind"]](**member["settings"]) for member in members])


HEADS: dict[str, Callable[..., Head]] = {
    ContextLinearHead.kind: ContextLinearHead,
    ConvolutionalHead.kind: ConvolutionalHead,
    NeighboursHead.kind: NeighboursHead,
    EnsembleHead.kind: _ensemble,
}
"""How to build a head again from its ``settings()``, by its kind."""
