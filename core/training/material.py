"""What heads on cached features learn from: the features of labelled cells, tile by tile and view by view.

Only the chosen cells' vectors are ever held in float32. Features of whole tiles, where a head needs them, stay on disk
in float16 and are read as they are used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from core.catalog.images import read_image, read_mask
from core.classes import CLASS_COUNT, UNLABELLED
from core.errors import InputError
from core.inference.tta import Dihedral, transforms
from core.labels import superpixels
from core.progress import PartProgress, Progress
from core.training.cells import LabelledCells, balanced_sample
from core.training.convolutional import TrainingTile
from core.training.feature_cache import FeatureCache, tile_features
from core.training.features import AS_IT_IS, Features
from core.training.fitted import FitTask
from core.training.joined_features import Extractor
from core.training.linear import TrainingCells
from core.training.onnx_encoder import memory_held
from core.training.propagation import GRAIN, spread, with_spread
from core.training.training_data import LabelledTile
from models.heads import context_vectors

UNKNOWN_REGION = -1

Chosen = tuple[list[NDArray[np.int64]], NDArray[np.float64]]
"""The flat indices of chosen cells by tile, and for each class the number of its cells that one of them stands for."""


@dataclass(frozen=True, slots=True)
class TileSource:
    """Features and superpixels of labelled tiles, from the cache where they are there."""

    extractor: Extractor
    cache: FeatureCache
    progress: Progress

    def features(self, tile: LabelledTile, *, transform: Dihedral = AS_IT_IS, mapped: bool = False) -> Features:
        """The features of a tile, ``(channels, rows, columns)`` float16; ``mapped`` ones stay on disk."""
        return tile_features(
            self.cache,
            self.extractor,
            fingerprint=tile.image_fingerprint,
            grid=tile.grid,
            read=lambda: read_image(tile.image_path),
            transform=transform,
            progress=self.progress,
            mapped=mapped,
        )

    def spread_labels(self, tile: LabelledTile) -> LabelledCells:
        """The labelled cells of a tile with its labels spread over their superpixels.

        Raises ``InputError`` for a tile that is too large to be cut into superpixels.
        """
        height, width = tile.grid.size
        if height * width > superpixels.MAX_PIXELS:
            raise InputError(
                f"Tile {tile.name} has {height * width:,} pixels and labels are spread over the superpixels of up to "
                f"{superpixels.MAX_PIXELS:,}; cut it into smaller tiles, or set propagate to false."
            )
        if tile.grid.metres_per_pixel is None:
            raise ValueError("the grid of a labelled tile knows how large its pixels are")
        metres = float(np.sqrt(np.prod(tile.grid.metres_per_pixel)))
        pieces = self.cache.fetch_pieces(
            fingerprint=tile.image_fingerprint,
            identity=f"superpixels-{superpixels.METHOD}-{GRAIN}-{metres:.4g}m",
            shape=((height + 1) // 2, (width + 1) // 2),
            compute=lambda: (
                superpixels.cut(read_image(tile.image_path), metres_per_pixel=metres).ids(GRAIN).astype(np.uint16)
            ),
        )
        raster = read_mask(tile.mask_path, shape=tile.grid.size).raster
        return with_spread(tile.cells, spread(raster, pieces), tile.grid)


@dataclass(frozen=True, slots=True)
class Material:
    """What the heads learn from, on the device, and the features of the validation tiles, on disk.

    A convolutional head has ``tiles``, every other one ``cells``. ``labels`` are the classes of the training tiles'
    cells, ``(rows, columns)`` uint8 with 255, spread ones among them.
    """

    cells: TrainingCells | None
    tiles: tuple[TrainingTile, ...]
    labels: tuple[NDArray[np.uint8], ...]
    validation: tuple[Features, ...]


@memory_held()
def read_material(task: FitTask, source: TileSource) -> Material:
    """Read what the recipe's head learns from, computing the features that are not in the cache.

    Raises ``InputError`` for an image that cannot be read, and ``CancelledError``.
    """
    tiles = task.tiles
    labels = [_labels(number, task, source) for number in range(len(tiles.training))]
    if task.recipe.kind == "convolutional":
        cells, whole = None, tuple(_whole_tiles(task, source, labels))
    else:
        cells, whole = _all_cells(task, source, labels), ()
    validation = []
    for number, tile in enumerate(tiles.validation, start=len(tiles.training)):
        part = _part(task, source, number, f"Reading the features of validation tile {tile.name}")
        validation.append(part.features(tile, mapped=True))
    count = len(tiles.training) + len(tiles.validation)
    task.progress.update(count, count, "Read all features")
    return Material(cells, whole, tuple(labelled.classes for labelled in labels), tuple(validation))


def regions(classes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The connected labelled region of each cell, ``(rows, columns)`` int64, numbered from 0; -1 without a label.

    Cells of one class that touch, corners included, are of one region.
    """
    found = np.full(classes.shape, UNKNOWN_REGION, np.int64)
    first = 0
    for index in range(CLASS_COUNT):
        numbers, count = ndimage.label(classes == index, structure=np.ones((3, 3)))
        inside = numbers > 0
        found[inside] = numbers[inside] - 1 + first
        first += count
    return found


def draws_by_view(
    classes: list[NDArray[np.uint8]], *, views: int, limit: int, generator: np.random.Generator
) -> list[Chosen]:
    """The training cells of each view of the tiles, at most about ``limit`` in all.

    Where all views of all labelled cells fit, every view gives the same ones. Else each gives a balanced draw of its
    own of an equal share, so that between them they show as many different cells as there is room for.
    """
    share = limit // views
    if sum(int((c != UNLABELLED).sum()) for c in classes) <= share:
        return [balanced_sample(classes, limit=share, generator=generator)] * views
    return [balanced_sample(classes, limit=share, generator=generator) for _ in range(views)]


def _labels(number: int, task: FitTask, source: TileSource) -> LabelledCells:
    tile = task.tiles.training[number]
    if not task.recipe.propagate:
        return tile.cells
    _tell(task, number, f"Spreading the labels of tile {tile.name}")
    return source.spread_labels(tile)


def _all_cells(task: FitTask, source: TileSource, labels: Sequence[LabelledCells]) -> TrainingCells:
    recipe = task.recipe
    views = transforms(recipe.views)
    draws = draws_by_view(
        [labelled.classes for labelled in labels],
        views=len(views),
        limit=recipe.max_cells,
        generator=np.random.default_rng(task.seed),
    )
    device, windows = source.extractor.device, recipe.windows
    count = sum(len(cells) for chosen, _ in draws for cells in chosen)
    # By far the largest array of a fit, filled in place: joining parts would take twice its memory.
    vectors = torch.empty((count, len(windows) * source.extractor.channels), device=device)
    columns: list[tuple[NDArray[np.generic], ...]] = []
    filled = 0
    for number, (tile, labelled) in enumerate(zip(task.tiles.training, labels, strict=True)):
        part = _part(task, source, number, f"Reading the features of tile {tile.name}")
        region = regions(labelled.classes).ravel()
        for view, (chosen, stands_for) in zip(views, draws, strict=True):
            cells = chosen[number]
            features = torch.from_numpy(part.features(tile, transform=view)).to(device)
            vectors[filled : filled + len(cells)] = context_vectors(
                features, torch.from_numpy(cells).to(device), windows
            )
            filled += len(cells)
            classes = labelled.classes.ravel()[cells].astype(np.int64)
            weights = (labelled.weights.ravel()[cells] * stands_for[classes] / len(views)).astype(np.float32)
            columns.append((classes, weights, np.full(len(cells), number), region[cells]))
    of_class, weight, of_tile, of_region = (
        torch.from_numpy(np.concatenate(column)).to(device) for column in zip(*columns, strict=True)
    )
    return TrainingCells(vectors, of_class, weight, tiles=of_tile, instances=of_region)


def _whole_tiles(task: FitTask, source: TileSource, labels: Sequence[LabelledCells]) -> list[TrainingTile]:
    whole = []
    for number, (tile, labelled) in enumerate(zip(task.tiles.training, labels, strict=True)):
        part = _part(task, source, number, f"Reading the features of tile {tile.name}")
        parts = (part.features(tile, mapped=True), labelled.classes.astype(np.int64), labelled.weights)
        whole.append(TrainingTile(*(torch.from_numpy(part).to(source.extractor.device) for part in parts)))
    return whole


def _part(task: FitTask, source: TileSource, number: int, sentence: str) -> TileSource:
    """The source for one tile: what it tells of its own steps moves the whole on by this tile's part."""
    _tell(task, number, sentence)
    total = len(task.tiles.training) + len(task.tiles.validation)
    return replace(source, progress=PartProgress(task.progress, number, total, sentence))


def _tell(task: FitTask, number: int, sentence: str) -> None:
    task.progress.update(number, len(task.tiles.training) + len(task.tiles.validation), sentence)
