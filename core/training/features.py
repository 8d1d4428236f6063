"""From a tile to the features of its cells: one pass of a frozen encoder, every stage brought to one grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from core.errors import InputError
from core.inference.tta import Dihedral, transforms
from core.progress import Progress, SilentProgress
from core.training.cell_grid import CellGrid, cell_grid
from core.training.onnx_encoder import encode, memory_held
from models.encoders import Encoder, create_encoder
from models.errors import ModelError

Features = NDArray[np.float16]
"""``(channels, rows, columns)`` float16, one vector per cell."""

WHOLE_UP_TO = 1536
"""Working images up to this side take one pass; larger ones go in windows, so that memory stays bounded."""
WINDOW = 1280
"""The longest side of a window; a tile is parted into windows of even size."""
HALO = 128
"""What a window sees beyond itself on each side, in working pixels; a multiple of every stride."""
ALIGNMENT = 32
"""Images are padded to a multiple of this, the coarsest stride, so that all stages line up."""
COLOUR_CHANNELS = 6
METADATA_CHANNELS = 7
"""Mean and deviation of a tile's three colours, and its ground sampling distance."""
LAYOUT = "2"
"""Part of every cache key; a change in what the channels mean changes it."""
_LEAST_DEVIATION = 1.0
"""Of a tile's colour, of 255: a tile of one colour is not blown up into its noise."""
_Of = TypeVar("_Of")
_Scaling = tuple[Tensor, Tensor]
"""Factor and offset by colour, ``(1, 3, 1, 1)`` float32."""

AS_IT_IS = transforms("none")[0]

Standardise = Literal["encoder", "tile", "none"]
"""How colours are scaled for the encoder: as it was trained, by each tile's own mean and deviation, or to 0..1 only."""


@dataclass(frozen=True, slots=True)
class FeatureExtractor:
    """A frozen encoder at one ground resolution on one device.

    A cell's vector holds the mean and the standard deviation of its colours (3 + 3, of RGB in 0..1), then the
    encoder's stages from fine to coarse: finer ones averaged over the cell, coarser ones interpolated. Then, of the
    stages of ``texture``, the standard deviation within the cell, 0 where a stage has one value a cell: two covers
    that are alike in the mean may differ in how much they vary.

    ``stages`` are the encoder's that are taken, 1 the finest; empty takes all. ``cell_m`` is the side of a cell on the
    ground, as ``cell_grid`` has it.

    With ``grey`` all three colours are the tile's luma (ITU-R BT.601). With ``standardise`` 'tile' the tile's own mean
    and deviation per colour are brought to those that the encoder expects, for the cells' colours as well, so that a
    hazy or a dark tile looks like any other.

    With ``tile_metadata`` the vector ends with what ``metadata_of`` says of the whole tile, the same in all its cells.
    """

    encoder: Encoder
    resolution_m: float
    device: torch.device
    grey: bool = False
    standardise: Standardise = "encoder"
    stages: tuple[int, ...] = ()
    texture: tuple[int, ...] = ()
    cell_m: float | None = None
    tile_metadata: bool = False

    @property
    def channels(self) -> int:
        """Length of a cell's vector."""
        of_stages = self.encoder.card.channels
        metadata = METADATA_CHANNELS if self.tile_metadata else 0
        textures = sum(of_stages[stage - 1] for stage in self.texture)
        return COLOUR_CHANNELS + sum(self._taken(of_stages)) + textures + metadata

    @property
    def sees_whole_tile(self) -> bool:
        """Whether a cell's vector depends on the whole tile, so that parts of one cannot be seen one by one."""
        return self.standardise == "tile" or self.tile_metadata

    @property
    def identity(self) -> str:
        """Tells these features from those of any other encoder, weights, resolution, colours or arithmetic."""
        arithmetic = "bf16" if self.device.type == "cuda" else "fp32"
        colours = ("-grey" if self.grey else "") + (f"-{self.standardise}" if self.standardise != "encoder" else "")
        stages = "-stages" + ".".join(map(str, self.stages)) if self.stages else ""
        texture = "-texture" + ".".join(map(str, self.texture)) if self.texture else ""
        cells = "" if self.cell_m is None else f"-cells{self.cell_m:g}m"
        metadata = "-metadata" if self.tile_metadata else ""
        seen = f"{colours}{stages}{texture}{cells}{metadata}"
        return f"{self.encoder.identity}-{self.resolution_m:g}m-{arithmetic}-{LAYOUT}{seen}"

    @property
    def parts(self) -> tuple["FeatureExtractor", ...]:
        """The extractors whose features are joined: itself alone; see ``JoinedExtractor``."""
        return (self,)

    @property
    def encoder_identity(self) -> str:
        """Digest of the encoder's name and weights."""
        return self.encoder.identity

    @property
    def encoder_parameters(self) -> int:
        """Parameters of the encoder."""
        return self.encoder.card.parameters

    @property
    def encoder_licence(self) -> str:
        """Licence of the encoder's weights."""
        return self.encoder.card.licence

    def join(self, parts: Sequence[Features], grid: CellGrid) -> Features:  # noqa: ARG002
        """The features of a tile from those of its ``parts``: the only ones there are."""
        return parts[0]

    def grid(self, size: tuple[int, int], metres_per_pixel: tuple[float, float]) -> CellGrid:
        """The cells of a tile of ``size`` (height, width) with ``metres_per_pixel`` (y, x)."""
        return cell_grid(size, metres_per_pixel=metres_per_pixel, resolution_m=self.resolution_m, cell_m=self.cell_m)

    def extract(
        self,
        image: NDArray[np.uint8],
        grid: CellGrid,
        *,
        transform: Dihedral = AS_IT_IS,
        progress: Progress | None = None,
    ) -> Features:
        """Features of a ``(height, width, 3)`` uint8 RGB tile.

        With a ``transform`` the encoder sees the moved image and its maps are moved back: the cells stay where
        they are. Raises ``CancelledError`` between windows.
        """
        working = _resized(image, grid.working)
        if self.grey:
            working = np.repeat(cv2.cvtColor(working, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        moved = transform.forward(_aligned(working))
        scaling = self._scaling(working)
        with memory_held():
            maps = self._encode(torch.from_numpy(moved), grid.cell, scaling, progress or SilentProgress())
        rows, columns = grid.cells
        found = np.ascontiguousarray(transform.inverse(maps)[:, :rows, :columns])
        if not self.tile_metadata:
            return found
        metadata = np.broadcast_to(metadata_of(working, grid)[:, None, None], (METADATA_CHANNELS, rows, columns))
        return np.concatenate([found, metadata])

    def _taken(self, of_stages: Sequence[_Of]) -> Sequence[_Of]:
        """Of what there is for every stage of the encoder, what belongs to those that are taken."""
        return [of_stages[stage - 1] for stage in self.stages] if self.stages else of_stages

    def _scaling(self, working: NDArray[np.uint8]) -> _Scaling | None:
        """What takes the pixels of a tile to those that the encoder is given; None for as they are."""
        if self.standardise == "encoder":
            return None
        mean, deviation = self.encoder.mean, self.encoder.std
        if self.standardise == "none":  # the encoder subtracts its mean and divides by its deviation: undone before
            return deviation / 255, mean
        own, spread = (
            torch.from_numpy(figure).float().view(1, 3, 1, 1).to(self.device) for figure in cv2.meanStdDev(working)
        )
        factor = deviation / spread.clamp(min=_LEAST_DEVIATION)
        return factor, mean - own * factor

    def _encode(self, image: Tensor, cell: int, scaling: _Scaling | None, progress: Progress) -> Features:
        height, width = image.shape[:2]
        if max(height, width) <= WHOLE_UP_TO:
            return self._encode_window(image, cell, scaling)
        joined = METADATA_CHANNELS if self.tile_metadata else 0  # when all windows are done
        maps = np.empty((self.channels - joined, height // cell, width // cell), np.float16)
        windows = [(rows, columns) for rows in _spans(height) for columns in _spans(width)]
        for index, ((top, bottom), (left, right)) in enumerate(windows):
            progress.update(index, len(windows), "Encoding a large tile")
            seen_top, seen_left = max(top - HALO, 0), max(left - HALO, 0)
            seen = self._encode_window(image[seen_top : bottom + HALO, seen_left : right + HALO], cell, scaling)
            row, column = (top - seen_top) // cell, (left - seen_left) // cell
            rows, columns = (bottom - top) // cell, (right - left) // cell
            maps[:, top // cell : bottom // cell, left // cell : right // cell] = seen[
                :, row : row + rows, column : column + columns
            ]
        return maps

    def _encode_window(self, image: Tensor, cell: int, scaling: _Scaling | None) -> Features:
        rows, columns = image.shape[0] // cell, image.shape[1] // cell
        batch = image.to(self.device).permute(2, 0, 1)[None]
        given = batch if scaling is None else batch.float() * scaling[0] + scaling[1]
        colours = _colours(given if self.standardise == "tile" else batch, cell)
        deepest = max(self.stages + self.texture) if self.stages else None
        stages = encode(self.encoder, given, deepest)
        means = [_to_cells(stage, rows, columns) for stage in self._taken(stages)]
        textures = [_texture(stages[number - 1], rows, columns) for number in self.texture]
        maps = torch.cat([colours, *means, *textures], dim=1)
        # float16 ends at 65504; no encoder here comes near, but one by a local file might.
        return maps[0].clamp(-65_000, 65_000).half().cpu().numpy()


def metadata_of(working: NDArray[np.uint8], grid: CellGrid) -> NDArray[np.float16]:
    """What is known of a tile as a whole: late fusion of metadata, DeepGlobe having none of its own.

    Args:
        working: the ``(height, width, 3)`` uint8 RGB tile at working size.
        grid: its cells, which know the metres of a pixel.

    Returns:
        ``(7,)`` float16: mean and standard deviation of red, green and blue in 0..1, and the binary logarithm of the
        ground sampling distance in metres (the geometric mean of both directions).

    Raises ``ValueError`` for a grid that does not know how large the tile's pixels are.
    """
    if grid.metres_per_pixel is None:
        raise ValueError("this grid does not know how large its tile's pixels are; make it by cell_grid")
    mean, deviation = (figure.ravel() / 255 for figure in cv2.meanStdDev(working))
    return np.array([*mean, *deviation, np.log2(grid.metres_per_pixel).mean()], np.float16)


def view_name(transform: Dihedral) -> str:
    """What the identity of features gains when the encoder saw the tile moved; empty for the tile as it is."""
    if transform == AS_IT_IS:
        return ""
    return f"-view{transform.quarter_turns}{'m' if transform.mirrored else ''}"


def make_extractor(
    *,
    encoder: str,
    weights: str,
    resolution_m: float,
    device: str,
    grey: bool = False,
    standardise: Standardise = "encoder",
    stages: tuple[int, ...] = (),
    texture: tuple[int, ...] = (),
    cell_m: float | None = None,
) -> FeatureExtractor:
    """Load an encoder for feature extraction.

    Raises ``InputError`` when the encoder or its weights cannot be had, it has no such stage, or there is no such
    device.
    """
    where = choose_device(device)
    try:
        loaded = create_encoder(encoder, weights).to(where)
    except ModelError as error:
        raise InputError(str(error)) from error
    count = len(loaded.card.channels)
    for setting, named in (("stages", stages), ("texture_stages", texture)):
        if named and max(named) > count:
            raise InputError(
                f"The encoder {encoder} has {count} stages and no stage {max(named)}; mend the recipe's {setting}."
            )
    return FeatureExtractor(loaded, resolution_m, where, grey, standardise, stages, texture, cell_m)


def choose_device(name: str) -> torch.device:
    """'auto' (a GPU where there is one), 'cpu' or 'cuda'. Raises ``InputError`` for a GPU that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("This machine has no CUDA GPU that torch can use; choose the device cpu or auto.")
    if name not in {"cpu", "cuda"}:
        raise InputError(f"There is no device '{name}'; choose auto, cpu or cuda.")
    return torch.device(name)


def _resized(image: NDArray[np.uint8], working: tuple[int, int]) -> NDArray[np.uint8]:
    if image.shape[:2] == working:
        return image
    # Area averaging: shrinking by any other rule lets crop rows alias.
    return np.asarray(cv2.resize(image, (working[1], working[0]), interpolation=cv2.INTER_AREA), np.uint8)


def _aligned(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    below, right = -image.shape[0] % ALIGNMENT, -image.shape[1] % ALIGNMENT
    return np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")


def _spans(length: int) -> list[tuple[int, int]]:
    """A side in pieces of even length, up to ``WINDOW`` and whole multiples of ``ALIGNMENT``."""
    step = -(-length // -(-length // WINDOW) // ALIGNMENT) * ALIGNMENT
    return [(start, min(start + step, length)) for start in range(0, length, step)]


def _colours(batch: Tensor, cell: int) -> Tensor:
    scaled = batch.float() / 255
    mean = F.avg_pool2d(scaled, cell)
    variance = F.avg_pool2d(scaled.square(), cell) - mean.square()
    return torch.cat([mean, variance.clamp(min=0).sqrt()], dim=1)


def _to_cells(stage: Tensor, rows: int, columns: int) -> Tensor:
    if stage.shape[-2] > rows:
        return F.adaptive_avg_pool2d(stage, (rows, columns))
    if stage.shape[-2] < rows:
        return F.interpolate(stage, size=(rows, columns), mode="bilinear", align_corners=False)
    return stage


def _texture(stage: Tensor, rows: int, columns: int) -> Tensor:
    if stage.shape[-2] <= rows:
        return stage.new_zeros((*stage.shape[:2], rows, columns))
    variance = _to_cells(stage.square(), rows, columns) - _to_cells(stage, rows, columns).square()
    return variance.clamp(min=0).sqrt()
