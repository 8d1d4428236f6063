"""Features of several encoders and ground resolutions, joined cell by cell.

Every part is a ``FeatureExtractor`` of its own, with its own file in the cache, so that recipes share what they have in
common. The cells are those of the first part; the maps of the others are brought there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import InputError
from core.inference.tta import Dihedral
from core.progress import Progress
from core.training.cell_grid import CellGrid
from core.training.features import AS_IT_IS, FeatureExtractor, Features, Standardise, make_extractor
from core.training.recipe import Recipe
from models.encoders import HUB, NO_WEIGHTS, PACKAGED, encoder_card
from models.errors import ModelError

_CHANNELS_AT_ONCE = 64  # bounds the float32 copy of a part's maps


@dataclass(frozen=True, slots=True)
class JoinedExtractor:
    """Several extractors as one; the first gives the cells.

    ``channels``, ``identity``, ``grid`` and ``extract`` mean what they do for a ``FeatureExtractor``. A cell's vector
    is that of the first part, then those of the others. ``feature_cache.tile_features`` reads the parts from the cache.
    """

    parts: tuple[FeatureExtractor, ...]

    @property
    def channels(self) -> int:
        """Length of a cell's vector."""
        return sum(part.channels for part in self.parts)

    @property
    def identity(self) -> str:
        """Tells these features from any others, as the parts' identities do theirs."""
        return f"joined-{sha256('|'.join(part.identity for part in self.parts).encode()).hexdigest()[:16]}"

    @property
    def device(self) -> torch.device:
        """Where the encoders are."""
        return self.parts[0].device

    @property
    def encoder_identity(self) -> str:
        """Digests of the encoders' names and weights, in order, joined by '+'."""
        return "+".join(dict.fromkeys(part.encoder.identity for part in self.parts))

    @property
    def encoder_parameters(self) -> int:
        """Parameters of all encoders together."""
        return sum({part.encoder.identity: part.encoder.card.parameters for part in self.parts}.values())

    @property
    def encoder_licence(self) -> str:
        """Licences of the encoders' weights."""
        return ", ".join(dict.fromkeys(part.encoder.card.licence for part in self.parts))

    def grid(self, size: tuple[int, int], metres_per_pixel: tuple[float, float]) -> CellGrid:
        """The cells of a tile of ``size`` (height, width) with ``metres_per_pixel`` (y, x)."""
        return self.parts[0].grid(size, metres_per_pixel)

    def extract(
        self,
        image: NDArray[np.uint8],
        grid: CellGrid,
        *,
        transform: Dihedral = AS_IT_IS,
        progress: Progress | None = None,
    ) -> Features:
        """Features of a ``(height, width, 3)`` uint8 RGB tile; as ``FeatureExtractor.extract``."""
        maps = [
            part.extract(image, part_grid(part, grid), transform=transform, progress=progress) for part in self.parts
        ]
        return self.join(maps, grid)

    def join(self, parts: Sequence[Features], grid: CellGrid) -> Features:
        """The features of a tile from those of its ``parts``, each on its own grid."""
        joined = np.empty((self.channels, *grid.cells), np.float16)
        start = 0
        for part, maps in zip(self.parts, parts, strict=True):
            bring(maps, part_grid(part, grid), into=joined[start : start + len(maps)], grid=grid)
            start += len(maps)
        return joined


Extractor = FeatureExtractor | JoinedExtractor


def part_grid(part: FeatureExtractor, grid: CellGrid) -> CellGrid:
    """The cells of a part of an extractor on the tile of ``grid``."""
    if grid.metres_per_pixel is None:
        raise ValueError("this grid does not know how large its tile's pixels are; make it by cell_grid")
    return part.grid(grid.size, grid.metres_per_pixel)


def make_recipe_extractor(recipe: Recipe, *, device: str) -> FeatureExtractor | JoinedExtractor:
    """The extractor of a recipe for heads: every encoder at every resolution that it names.

    A further encoder takes the weights that an installed package carries, else those of the hub; 'none' where the
    recipe has none. ``name@weights`` says which instead, a .safetensors file among them. Raises ``InputError`` for an
    encoder or weights that cannot be had, for one that is named twice, and for a scaling that features cannot have.
    """
    if recipe.standardise == "training":
        raise InputError(
            "Features are kept and shared between runs, so they cannot be scaled by one run's training tiles "
            "(standardise is 'training'); choose 'encoder', 'tile' or 'none', or train a decoder."
        )
    scaling: Standardise = recipe.standardise
    loaded = [
        make_extractor(
            encoder=name,
            weights=weights,
            resolution_m=recipe.resolution_m,
            device=device,
            grey=recipe.grey,
            standardise=scaling,
            stages=recipe.stages,
            texture=recipe.texture_stages,
            cell_m=recipe.cell_m,
        )
        for name, weights in recipe_encoders(recipe)
    ]
    resolutions = (recipe.resolution_m, *recipe.more_resolutions_m)
    parts = tuple(replace(one, resolution_m=metres) for one, metres in product(loaded, resolutions))
    if len({part.identity for part in parts}) < len(parts):
        raise InputError(
            "The recipe names an encoder or a resolution twice (encoder with more_encoders, resolution_m with "
            "more_resolutions_m), and the same features would be joined to themselves; name each once."
        )
    parts = (replace(parts[0], tile_metadata=recipe.tile_metadata), *parts[1:])  # once: all parts see the same tile
    return parts[0] if len(parts) == 1 else JoinedExtractor(parts)


def recipe_encoders(recipe: Recipe) -> list[tuple[str, str]]:
    """Names and weights of a recipe's encoders. Raises ``InputError`` for a name that is none."""
    pairs = [(recipe.encoder, recipe.weights)]
    for entry in recipe.more_encoders:
        name, given, weights = entry.partition("@")
        pairs.append((name, weights if given else _usual_weights(name, recipe)))
    return pairs


def _usual_weights(name: str, recipe: Recipe) -> str:
    if recipe.weights == NO_WEIGHTS:
        return NO_WEIGHTS
    try:
        return PACKAGED if PACKAGED in encoder_card(name).weights_sources else HUB
    except ModelError as error:
        raise InputError(str(error)) from error


def bring(maps: Features, own: CellGrid, *, into: Features, grid: CellGrid) -> None:
    """Write maps ``(channels, rows, columns)`` on one grid of a tile as they are on another, into ``into``."""
    if own.working == grid.working and own.cell == grid.cell:
        into[:] = maps
        return
    down, across = (torch.from_numpy(between(own, grid, axis)) for axis in (0, 1))
    for start in range(0, len(maps), _CHANNELS_AT_ONCE):
        part = slice(start, start + _CHANNELS_AT_ONCE)
        into[part] = (down @ torch.from_numpy(maps[part]).float() @ across.T).half().numpy()


def between(source: CellGrid, target: CellGrid, axis: int) -> NDArray[np.float32]:
    """What takes values on one grid of a tile to another grid of it, along one axis.

    Returns ``(target cells, source cells)`` float32; rows sum to 1. To finer cells it interpolates linearly between
    the centres, to coarser ones it takes the mean over what they cover, so that nothing is left out.
    """
    cells, target_cells = source.cells[axis], target.cells[axis]
    # A target cell, in source cells.
    step = source.working[axis] / target.working[axis] * target.cell / source.cell
    edges = np.arange(target_cells + 1) * step
    if step > 1:
        covered = np.minimum(edges[1:, None], np.arange(1, cells + 1)) - np.maximum(edges[:-1, None], np.arange(cells))
        share = np.maximum(covered, 0)
        share /= share.sum(axis=1, keepdims=True)
    else:
        place = np.clip(edges[:-1] + step / 2 - 0.5, 0, cells - 1)
        share = np.maximum(1 - np.abs(place[:, None] - np.arange(cells)), 0)
    matrix: NDArray[np.float32] = share.astype(np.float32)
    return matrix
