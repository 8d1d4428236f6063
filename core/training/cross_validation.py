"""Score a recipe on tiles that it never saw: every tile is left out once, and judged by a fit on the others.

Everything goes through what the command line uses (``fit``, ``load_segmenter``), so the figure is the product's. A
left-out tile is judged on the mask beside its image, whatever sparse labels the fits learn from.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.catalog.discover import TileFile, discover
from core.catalog.images import fingerprint, read_image, read_info, read_mask
from core.classes import CLASS_COUNT, CLASS_NAMES, ClassRaster
from core.errors import InputError
from core.evaluation import confusion, scores
from core.inference.predict import AnySegmenter, load_segmenter
from core.progress import Progress
from core.training.feature_cache import FeatureCache, default_cache
from core.training.fit import FitRequest, fit
from core.training.folds import PartProgress, dominant_class, part_tiles
from core.training.recipe import Recipe

LEAVE_ONE_OUT = 0
"""As the number of folds: as many as there are tiles."""

OnFold = Callable[[Path, Sequence[TileFile], dict[str, Any]], None]
"""Sees a fold's run folder before it goes, the tiles that were left out, and what ``fit`` said."""


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """What the folds gave: the confusion of every judged tile by name, and the seconds it all took.

    ``head_seconds`` is the mean time to train, by fold; ``instances`` the mean over the folds of the labelled instances
    that a class had to learn from, over the classes with any.
    """

    matrices: dict[str, confusion.Confusion]
    seconds: float
    head_seconds: float
    instances: float

    @property
    def scores(self) -> scores.Scores:
        """The scores of one confusion over all tiles."""
        return scores.from_confusion(np.sum(list(self.matrices.values()), axis=0))


def cross_validate(
    data: Path,
    labels: Path | None,
    *,
    recipe: Recipe,
    progress: Progress,
    folds: int = LEAVE_ONE_OUT,
    seed: int = 0,
    device: str = "auto",
    cache: FeatureCache | None = None,
    only: Sequence[str] = (),
    groups: Sequence[Sequence[str]] = (),
    on_fold: OnFold | None = None,
) -> CrossValidation:
    """Fit and judge fold by fold, each run in a temporary folder.

    ``labels`` None learns from the masks beside the images. Where the recipe names ``train_tiles`` these alone take
    part; ``only`` judges fewer tiles than take part. The same ``seed`` parts the tiles alike; ``groups`` are parts by
    the names of their tiles, in place of ``folds``. Raises ``InputError``
    where fewer than two tiles have a mask, there are fewer than folds, or a fit refuses its labels; ``CancelledError``.
    """
    tiles = judged_tiles(data, recipe)
    if folds > len(tiles):
        raise InputError(
            f"{folds} folds need as many tiles with a mask, and {data} has {len(tiles)}; take fewer folds."
        )
    names = [tile.name for tile in tiles]
    parts = [[names.index(name) for name in group] for group in groups] or _parts(tiles, folds, seed)
    if only:
        parts = [kept for part in parts if (kept := [index for index in part if tiles[index].name in only])]
    cache = cache or default_cache()
    began = time.perf_counter()
    matrices: dict[str, confusion.Confusion] = {}
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, part in enumerate(parts):
            left_out = [tiles[index] for index in part]
            others = tuple(tile.name for index, tile in enumerate(tiles) if index not in part)
            step = PartProgress(progress, number, len(parts), f"Without {', '.join(tile.name for tile in left_out)}")
            request = FitRequest(
                data=data,
                labels=labels,
                out=Path(scratch) / str(number),
                recipe=recipe.model_copy(update={"train_tiles": others}),
                seed=seed,
                device=device,
                cache=cache,
            )
            results.append(fit(request, step))
            matrices |= _judged(request.out, left_out, device, cache, step)
            if on_fold is not None:
                on_fold(request.out, left_out, results[-1])
    return CrossValidation(
        matrices,
        seconds=time.perf_counter() - began,
        head_seconds=float(np.mean([result["head_seconds"] for result in results])),
        instances=float(np.mean([_instances(result) for result in results])),
    )


def judged_tiles(data: Path, recipe: Recipe) -> list[TileFile]:
    """The tiles that can be left out and judged: those with a mask beside the image that the recipe lets train.

    Raises ``InputError`` where there are fewer than two.
    """
    tiles = [
        tile
        for tile in discover(data).tiles
        if tile.mask_path is not None
        and (not recipe.train_tiles or tile.name in recipe.train_tiles)
        and tile.name not in recipe.validation_tiles
    ]
    if len(tiles) < 2:
        raise InputError(
            f"Leaving tiles out needs at least two with a mask beside the image to judge by, and {data} has "
            f"{len(tiles)}; add tiles with masks."
        )
    return tiles


def truth_of(tile: TileFile) -> ClassRaster:
    """The mask beside a tile's image, ``(height, width)`` uint8. Raises ``InputError`` where it cannot be read."""
    if tile.mask_path is None:
        raise ValueError(f"tile {tile.name} has no mask")
    info = read_info(tile.image_path)
    return read_mask(tile.mask_path, shape=(info.height, info.width)).raster


def judge(segmenter: AnySegmenter, tile: TileFile) -> confusion.Confusion:
    """The confusion ``(6, 7)`` of a tile's mask and its prediction, from cached features where there are any."""
    info = read_info(tile.image_path)
    raster = segmenter.predict(
        read_image(tile.image_path),
        metres_per_pixel=(info.metres_per_pixel_y, info.metres_per_pixel_x),
        fingerprint=fingerprint(tile.image_path),
    )
    return confusion.count(truth_of(tile), raster)


def _judged(
    run: Path, tiles: Sequence[TileFile], device: str, cache: FeatureCache, progress: Progress
) -> dict[str, confusion.Confusion]:
    segmenter = load_segmenter(run, device, cache)
    matrices = {}
    for tile in tiles:
        progress.update(1, 1, f"Judging tile {tile.name}")
        matrices[tile.name] = judge(segmenter, tile)
    return matrices


def _instances(result: dict[str, Any]) -> float:
    """Labelled instances of a class that a fit learnt from, in the mean over the classes with any label."""
    return float(np.mean([amount["instances"] for amount in result["classes"].values() if amount["pixels"]]))


def _parts(tiles: Sequence[TileFile], folds: int, seed: int) -> list[list[int]]:
    if folds == LEAVE_ONE_OUT:
        return [[index] for index in range(len(tiles))]
    dominant = []
    for tile in tiles:
        pixels = np.bincount(truth_of(tile).ravel(), minlength=256)[:CLASS_COUNT]
        dominant.append(dominant_class(dict(zip(CLASS_NAMES, pixels.tolist(), strict=True))))
    return part_tiles(dominant, folds, seed=seed)
