"""A frozen encoder trained the usual way against the same on cached features: seconds an epoch, and the score.

Both ways train the same head (a linear map of the cell's features) with the same AdamW steps, tile after tile, from a
torch ``DataLoader``; one reads the image and runs the frozen encoder on it in every epoch, as segmentation frameworks
do, the other reads what the encoder saw from disk. A third row is what Tilewright does: the chosen cells' vectors
are gathered once, and an epoch is one L-BFGS iteration over all of them.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from core.catalog.images import read_image
from core.classes import CLASS_COUNT, UNLABELLED
from core.evaluation import scores
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache, tile_features
from core.training.features import Features
from core.training.joined_features import Extractor, make_recipe_extractor
from core.training.linear import TrainingCells, fit_linear
from core.training.recipe import load_recipe
from core.training.training_data import LabelledTile, gather
from models.heads import context_vectors

HELD_OUT = ("2774", "6399")
RATE = 1e-2


@dataclass(frozen=True, slots=True)
class Way:
    """One way to train: median seconds an epoch, and the mean IoU by cell on tiles that were held out."""

    name: str
    epoch_seconds: float
    miou: float


class _Tiles(Dataset[tuple[Tensor, Tensor]]):
    """A tile's features ``(channels, rows, columns)`` and the classes of its cells, 255 where unlabelled."""

    def __init__(
        self, tiles: Sequence[LabelledTile], extractor: Extractor, cache: FeatureCache, *, cached: bool
    ) -> None:
        self._tiles, self._extractor, self._cache, self._cached = tiles, extractor, cache, cached

    def __len__(self) -> int:
        return len(self._tiles)

    def features(self, index: int) -> Features:
        tile = self._tiles[index]
        if not self._cached:
            return self._extractor.extract(read_image(tile.image_path), tile.grid)
        return tile_features(
            self._cache,
            self._extractor,
            fingerprint=tile.image_fingerprint,
            grid=tile.grid,
            read=lambda: read_image(tile.image_path),
            progress=SilentProgress(),
        )

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        classes = torch.from_numpy(self._tiles[index].cells.classes.astype(np.int64))
        return torch.from_numpy(self.features(index)).float(), classes


def measure(data: Path, labels: Path, *, epochs: int) -> list[Way]:
    """The three ways on the same labels, one after the other in this process."""
    recipe = load_recipe("head", [f"validation_tiles={','.join(HELD_OUT)}"])
    tiles = gather(data, labels, recipe)
    extractor = make_recipe_extractor(recipe, device="cpu")
    with tempfile.TemporaryDirectory() as scratch:
        cache = FeatureCache(Path(scratch))
        judged = _Tiles(tiles.validation, extractor, cache, cached=True)
        usual = _Tiles(tiles.training, extractor, cache, cached=False)
        cached = _Tiles(tiles.training, extractor, cache, cached=True)
        held_out = [judged.features(index) for index in range(len(judged))]
        for index in range(len(cached)):
            cached.features(index)  # fill the cache: what it takes is what one epoch of the usual way takes

        def score(head: nn.Module) -> float:
            matrix = np.zeros((CLASS_COUNT, CLASS_COUNT + 1), np.int64)
            for tile, features in zip(tiles.validation, held_out, strict=True):
                with torch.inference_mode():
                    logits = head(torch.from_numpy(features).float()[None])[0]
                np.add.at(matrix.T, logits.argmax(dim=0).numpy().ravel(), tile.cells.counts.reshape(-1, CLASS_COUNT))
            return float(scores.from_confusion(matrix).miou or 0)

        ways = []
        for name, dataset in (("usual: encoder in every epoch", usual), ("the same on cached features", cached)):
            probe, seconds = _train(dataset, epochs)
            ways.append(Way(name, seconds, score(probe)))
        ways.append(_tilewright(tiles.training, cached, score))
    return ways


def _train(dataset: _Tiles, epochs: int) -> tuple[nn.Module, float]:
    torch.manual_seed(0)
    first, _ = dataset[0]
    probe = nn.Sequential(nn.BatchNorm2d(len(first), affine=False), nn.Conv2d(len(first), CLASS_COUNT, 1))
    optimizer = torch.optim.AdamW(probe.parameters(), lr=RATE)
    loader = DataLoader(dataset, batch_size=1, shuffle=True, generator=torch.Generator().manual_seed(0))
    seconds = []
    for _ in range(epochs):
        probe.train()
        start = time.perf_counter()
        for features, classes in loader:
            optimizer.zero_grad()
            F.cross_entropy(probe(features), classes, ignore_index=UNLABELLED).backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    return probe.eval(), statistics.median(seconds)


def _tilewright(training: Sequence[LabelledTile], cached: _Tiles, score: Callable[[nn.Module], float]) -> Way:
    recipe = load_recipe("head")
    vectors, classes, weights = [], [], []
    for index, tile in enumerate(training):
        labelled: NDArray[np.int64] = np.flatnonzero(tile.cells.classes.ravel() != UNLABELLED)
        features = torch.from_numpy(cached.features(index)).float()
        vectors.append(context_vectors(features, torch.from_numpy(labelled), recipe.windows))
        classes.append(torch.from_numpy(tile.cells.classes.ravel()[labelled].astype(np.int64)))
        weights.append(torch.from_numpy(tile.cells.weights.ravel()[labelled]))
    cells = TrainingCells(torch.cat(vectors), torch.cat(classes), torch.cat(weights))
    iterations = []
    start = time.perf_counter()
    head = fit_linear(
        cells,
        windows=recipe.windows,
        l2=recipe.l2,
        balance=recipe.balance,
        iterations=recipe.iterations,
        report=lambda done, _loss, _head: iterations.append(done),
    )
    seconds = (time.perf_counter() - start) / max(iterations)
    return Way("Tilewright's head, one iteration", seconds, score(head))


def chapter(data: Path, labels: Path, *, epochs: int = 3) -> str:
    """The table for RESULTS.md."""
    ways = measure(data, labels, epochs=epochs)
    rows = [
        f"| {way.name} | {way.epoch_seconds:.3f} | {ways[0].epoch_seconds / way.epoch_seconds:.0f} | {way.miou:.3f} |"
        for way in ways
    ]
    return (
        "## Cached features against a frozen encoder trained the usual way\n\n"
        f"50 instances per class; mIoU by cell on {' and '.join(HELD_OUT)}, which nothing was trained on, after "
        f"{epochs} epochs of AdamW each, and of the whole fit for the last row. Seconds are medians over the epochs, "
        "each over nine tiles.\n\n"
        "| | s an epoch | times faster | mIoU |\n|---|---|---|---|\n" + "\n".join(rows)
    )
