"""A run from image to probabilities as one torch module of ops that ONNX has names for, of any height and width.

What prediction does with cv2 and numpy (bringing a tile to its ground resolution, padding, joining features, making
probabilities as large as the tile) is done here by tensors whose sizes are only known when the graph runs. A tile goes
through in one piece; our own prediction parts large ones, which changes the last digits along the seams.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from core.training.cell_grid import cell_grid
from core.training.features import ALIGNMENT, FeatureExtractor
from models.checkpoint import TrainedNetwork
from models.encoders import Encoder
from models.heads import Head
from models.network_context import Context

_LEAST = 1e-7  # as in core.inference.network
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as cv2 has it
_LARGEST_HALF = 65_000.0  # as in core.training.features
_REFERENCE = 4096  # pixels of the tile by which the side of a cell is found


class HeadPipeline(nn.Module):
    """Encoders, cells, head: ``(H, W, 3)`` uint8 RGB to probabilities ``(6, H, W)`` float32.

    ``metres_per_pixel`` is that of the images, the same in both directions.
    """

    def __init__(self, parts: Sequence[FeatureExtractor], head: Head, metres_per_pixel: float) -> None:
        super().__init__()
        self.parts = [_PartGrid.of(part, metres_per_pixel) for part in parts]
        self.cells = nn.ModuleList(
            _Cells(part, grid.cell, metres_per_pixel) for part, grid in zip(parts, self.parts, strict=True)
        )
        self.head = head

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        pixels = image.permute(2, 0, 1)[None].float()
        size = _size(pixels)
        grids = [grid.on(size) for grid in self.parts]
        first = grids[0]
        maps = [cells(grid.resized(pixels), grid) for cells, grid in zip(self.cells, grids, strict=True)]
        joined = torch.cat([maps[0], *(_brought(m, g, first) for m, g in zip(maps[1:], grids[1:], strict=True))], dim=1)
        logits: Tensor = self.head(joined.float())
        for axis in (0, 1):
            logits = _interpolated(logits, axis, size[axis], first.working[axis], first.cell)
        return logits.softmax(dim=1)[0]


class NetworkPipeline(nn.Module):
    """A network, or several: as ``HeadPipeline``; ``resolution_m`` is what the network sees."""

    def __init__(self, network: TrainedNetwork, resolution_m: float, metres_per_pixel: float) -> None:
        super().__init__()
        self.network = network
        self.part = _PartGrid(min(1.0, metres_per_pixel / resolution_m), 1)

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        pixels = image.permute(2, 0, 1)[None].float()
        size = _size(pixels)
        grid = self.part.on(size)
        working = grid.resized(pixels)
        padded = working
        for axis in (0, 1):
            padded = _mirrored(padded, axis, self.network.smallest, self.network.alignment)
        context = _whole_tile(working, padded) if self.network.needs_place else None
        found: Tensor = self.network(padded, context).logits.float().softmax(dim=1)
        found = found[:, :, : working.shape[2], : working.shape[3]]
        if self.part.ratio == 1:
            return found[0]
        logits = found.clamp(min=_LEAST).log()
        for axis in (0, 1):
            logits = _interpolated(logits, axis, size[axis], grid.working[axis], 1)
        return logits.softmax(dim=1)[0]


@dataclass(frozen=True)
class _Grid:
    """``CellGrid`` of a tile whose size is only known when the graph runs; ``working`` are int64 scalars."""

    working: tuple[Tensor, Tensor]
    cell: int
    ratio: float

    def resized(self, pixels: Tensor) -> Tensor:
        """The tile ``(1, 3, H, W)`` at its working size, in whole grey levels."""
        if self.ratio == 1:
            return pixels
        for axis in (0, 1):
            pixels = _averaged(pixels, axis, self.working[axis])
        return torch.floor(pixels + 0.5)

    def cells(self, axis: int) -> Tensor:
        """Rows or columns of cells."""
        return torch.div(self.working[axis] + self.cell - 1, self.cell, rounding_mode="floor")


@dataclass(frozen=True)
class _PartGrid:
    """What is known of a part's cells before a tile is there: working pixels to a pixel, and a cell's side in them."""

    ratio: float
    cell: int

    @classmethod
    def of(cls, part: FeatureExtractor, metres_per_pixel: float) -> "_PartGrid":
        side = cell_grid(
            (_REFERENCE, _REFERENCE),
            metres_per_pixel=(metres_per_pixel, metres_per_pixel),
            resolution_m=part.resolution_m,
            cell_m=part.cell_m,
        ).cell
        return cls(min(1.0, metres_per_pixel / part.resolution_m), side)

    def on(self, size: tuple[Tensor, Tensor]) -> _Grid:
        height, width = (torch.clamp(torch.round(n.double() * self.ratio), min=1).long() for n in size)
        return _Grid((height, width), self.cell, self.ratio)


class _Cells(nn.Module):
    """The features of one part: working image ``(1, 3, h, w)`` to maps ``(1, channels, rows, columns)`` float16.

    ``metres_per_pixel`` is that of the images.
    """

    def __init__(self, part: FeatureExtractor, cell: int, metres_per_pixel: float) -> None:
        super().__init__()
        self.encoder: Encoder = part.encoder
        self.cell, self.grey, self.standardise = cell, part.grey, part.standardise
        strides = part.encoder.card.strides
        self.taken = [number - 1 for number in part.stages] or list(range(len(strides)))
        self.texture = [number - 1 for number in part.texture]
        self.strides = strides
        self.tile_metadata, self.log_metres = part.tile_metadata, math.log2(metres_per_pixel)

    def forward(self, working: Tensor, grid: _Grid) -> Tensor:
        if self.grey:
            luma = working.new_tensor(_LUMA).view(1, 3, 1, 1)
            working = torch.floor((working * luma).sum(dim=1, keepdim=True) + 0.5).repeat(1, 3, 1, 1)
        aligned = working
        for axis in (0, 1):
            aligned = _edge_padded(aligned, axis, ALIGNMENT)
        given = self._scaled(aligned, working)
        colours = (given if self.standardise == "tile" else aligned) / 255
        encoder = self.encoder
        stages = encoder.backbone((given - encoder.mean) / encoder.std)[-len(self.strides) :]
        spread = (F.avg_pool2d(colours.square(), self.cell) - F.avg_pool2d(colours, self.cell).square()).clamp(min=0)
        maps = [F.avg_pool2d(colours, self.cell), spread.sqrt()]
        maps += [self._to_cells(stages[index], index) for index in self.taken]
        for index in self.texture:
            mean, square = self._to_cells(stages[index], index), self._to_cells(stages[index].square(), index)
            within = self.strides[index] < self.cell
            maps.append((square - mean.square()).clamp(min=0).sqrt() if within else torch.zeros_like(mean))
        if self.tile_metadata:
            maps.append(self._metadata(working).expand(-1, -1, *maps[0].shape[2:]))
        joined = torch.cat(maps, dim=1).clamp(-_LARGEST_HALF, _LARGEST_HALF).half()
        return joined[:, :, : grid.cells(0), : grid.cells(1)]

    def _metadata(self, working: Tensor) -> Tensor:
        """``core.training.features.metadata_of``, ``(1, 7, 1, 1)``."""
        mean, deviation = _statistics(working)
        return torch.cat([mean / 255, deviation / 255, mean.new_tensor([self.log_metres])]).view(1, -1, 1, 1)

    def _scaled(self, aligned: Tensor, working: Tensor) -> Tensor:
        encoder = self.encoder
        if self.standardise == "encoder":
            return aligned
        if self.standardise == "none":
            return aligned * (encoder.std / 255) + encoder.mean
        mean, deviation = _statistics(working)
        factor = encoder.std / deviation.clamp(min=1).view(1, 3, 1, 1)
        return aligned * factor + (encoder.mean - mean.view(1, 3, 1, 1) * factor)

    def _to_cells(self, stage: Tensor, index: int) -> Tensor:
        stride = self.strides[index]
        if stride < self.cell:
            return F.avg_pool2d(stage, self.cell // stride)
        if stride > self.cell:
            return F.interpolate(stage, scale_factor=stride // self.cell, mode="bilinear", align_corners=False)
        return stage


def _size(pixels: Tensor) -> tuple[Tensor, Tensor]:
    shape = torch._shape_as_tensor(pixels)  # the one way to a size that the graph computes
    return shape[2], shape[3]


def _statistics(working: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation ``(3,)`` of a tile's colours."""
    mean = working.mean(dim=(0, 2, 3))
    deviation = (working - mean.view(1, 3, 1, 1)).square().mean(dim=(0, 2, 3)).sqrt()
    return mean, deviation


def _whole_tile(working: Tensor, padded: Tensor) -> Context:
    """Where the padded tile lies in the tile: from its corner to beyond its far edges."""
    (height, width), (tall, wide) = _size(working), _size(padded)
    ends = [torch.zeros(()), torch.zeros(()), tall.double() / height.double(), wide.double() / width.double()]
    mean, deviation = _statistics(working)
    return Context(torch.stack([end.float() for end in ends])[None], mean[None], deviation[None], None)


def _edge_padded(maps: Tensor, axis: int, multiple: int) -> Tensor:
    length = _size(maps)[axis]
    padded = torch.div(length + multiple - 1, multiple, rounding_mode="floor") * multiple
    place = torch.minimum(torch.arange(padded), length - 1)  # type: ignore[call-overload]
    return maps.index_select(axis + 2, place)


def _mirrored(maps: Tensor, axis: int, least: int, multiple: int) -> Tensor:
    """Padded below or to the right by mirroring, as often as need be, to a whole multiple and at least ``least``."""
    length = _size(maps)[axis]
    padded = torch.div(length + multiple - 1, multiple, rounding_mode="floor") * multiple
    place = torch.arange(torch.clamp(padded, min=least)) % (2 * length)  # type: ignore[call-overload]
    return maps.index_select(axis + 2, torch.minimum(place, 2 * length - 1 - place))


def _averaged(maps: Tensor, axis: int, count: Tensor) -> Tensor:
    """Area averaging to ``count`` along an axis: differences of the running sum at the edges of the target's pixels.

    The sums are float64, in which those of any tile's grey levels are exact.
    """
    dim, length = axis + 2, _size(maps)[axis]
    step = length.double() / count.double()
    edges = torch.arange(count + 1).double() * step  # type: ignore[call-overload]
    whole = torch.minimum(edges.floor().long(), length - 1)
    values = maps.double()
    before = values.cumsum(dim) - values
    shape = [1, 1, 1, 1]
    shape[dim] = -1
    part = (edges - whole.double()).view(shape)
    at_edges = before.index_select(dim, whole) + values.index_select(dim, whole) * part
    inner = torch.arange(count)  # type: ignore[call-overload]
    sums: Tensor = at_edges.index_select(dim, inner + 1) - at_edges.index_select(dim, inner)
    return (sums / step).float()


def _interpolated(maps: Tensor, axis: int, pixels: Tensor, working: Tensor, cell: int) -> Tensor:
    """As ``CellGrid.interpolation`` along one axis: from cell centres to the tile's ``pixels``."""
    dim, cells = axis + 2, _size(maps)[axis]
    centres = torch.arange(pixels).double() + 0.5  # type: ignore[call-overload]
    place = centres * (working.double() / pixels.double()) / cell - 0.5
    return _between(maps, dim, torch.minimum(place.clamp(min=0), (cells - 1).double()), cells)


def _between(maps: Tensor, dim: int, place: Tensor, cells: Tensor) -> Tensor:
    """Linear interpolation at float places along an axis."""
    lower = place.floor().long()
    upper = torch.minimum(lower + 1, cells - 1)
    shape = [1, 1, 1, 1]
    shape[dim] = -1
    share = (place - lower.double()).float().view(shape)
    return maps.index_select(dim, lower) * (1 - share) + maps.index_select(dim, upper) * share


def _brought(maps: Tensor, own: _Grid, target: _Grid) -> Tensor:
    """Maps on one grid of the tile as they are on another, as ``core.training.joined_features`` brings them."""
    if own.ratio == target.ratio and own.cell == target.cell:
        return maps
    coarser = own.ratio / target.ratio * target.cell / own.cell > 1
    found = maps.float()
    for axis in (0, 1):
        cells, count = own.cells(axis), target.cells(axis)
        step = own.working[axis].double() / target.working[axis].double() * (target.cell / own.cell)
        numbers = torch.arange(count).double()  # type: ignore[call-overload]
        if not coarser:
            place = torch.minimum((numbers * step + step / 2 - 0.5).clamp(min=0), (cells - 1).double())
            found = _between(found, axis + 2, place, cells)
            continue
        # A target cell is the mean over what it covers of the cells that there are.
        sources = torch.arange(cells).double()  # type: ignore[call-overload]
        low, high = numbers[:, None] * step, (numbers[:, None] + 1) * step
        share = (torch.minimum(high, sources[None] + 1) - torch.maximum(low, sources[None])).clamp(min=0)
        share = (share / share.sum(dim=1, keepdim=True)).float()
        found = share @ found if axis == 0 else found @ share.T
    return found.half()
