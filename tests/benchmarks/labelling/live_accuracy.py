"""What the live head loses against the full fit: real tiles, each left out in turn.

python -m tests.benchmarks.labelling.live_accuracy [--per-class 50]

Ten tiles are labelled one after another with the squares of a simulated annotator, and after each the live head is
refitted; then it is compared with the full fit of the recipe 'head' (20,000 cells, 100 iterations from nothing) on the
whole tile that was left out. Also: how far the score by cells, which is shown while painting, is from the one at full
size.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from core.catalog.images import read_mask
from core.classes import CLASS_COUNT
from core.evaluation import confusion
from core.evaluation.intervals import paired_differences
from core.evaluation.scores import from_confusion
from core.inference.predict import head_logits
from core.inference.upsampling import class_raster
from core.labels.learner import RECIPE
from core.labels.simulated import simulate_instances
from core.progress import SilentProgress
from core.training.cells import balanced_sample, label_cells
from core.training.feature_cache import default_cache
from core.training.joined_features import make_recipe_extractor
from core.training.linear import TrainingCells, fit_linear
from core.training.live import LiveTrainer, NeedsLabelsError
from core.training.live_features import FeatureSource
from models.heads import context_vectors
from tests.benchmarks.labelling.scratch_tiles import REAL_TILES, real_tiles

CPU = torch.device("cpu")


class Bench:
    """The tiles, their truth, their simulated labels, and the vectors of every labelled cell."""

    def __init__(self, folder: Path, per_class: int) -> None:
        names = sorted(path.name.removesuffix("_sat.jpg") for path in REAL_TILES.glob("*_sat.jpg"))
        self.workspace, self.tiles = real_tiles(folder, names)
        extractor = make_recipe_extractor(RECIPE, device="cpu")
        self.source = FeatureSource(extractor, default_cache())
        self.truth = {t.id: read_mask(Path(str(t.mask_path)), shape=(t.height, t.width)).raster for t in self.tiles}
        painted = simulate_instances({str(i): raster for i, raster in self.truth.items()}, per_class=per_class, seed=0)
        self.features, self.labels, self.cells, self.vectors = {}, {}, {}, {}
        for tile in self.tiles:
            features = self.source.read(tile, SilentProgress())
            labels = label_cells(painted[str(tile.id)], self.source.grid(tile))
            cells = np.flatnonzero(labels.weights.ravel() > 0)
            self.features[tile.id], self.labels[tile.id], self.cells[tile.id] = features, labels, cells
            self.vectors[tile.id] = context_vectors(torch.from_numpy(features), torch.from_numpy(cells), RECIPE.windows)

    def some(self, tile_id: int, cells: torch.Tensor) -> torch.Tensor:
        """The vectors of some labelled cells."""
        return self.vectors[tile_id][torch.from_numpy(np.searchsorted(self.cells[tile_id], cells.numpy()))]

    def full_fit(self, ids: list[int]):
        """The head that ``fit`` with the recipe 'head' would give."""
        chosen, stands_for = balanced_sample(
            [self.labels[i].classes for i in ids], limit=RECIPE.max_cells, generator=np.random.default_rng(0)
        )
        classes = [self.labels[i].classes.ravel()[c].astype(np.int64) for i, c in zip(ids, chosen, strict=True)]
        weights = [self.labels[i].weights.ravel()[c] for i, c in zip(ids, chosen, strict=True)]
        joined = np.concatenate(classes)
        cells = TrainingCells(
            torch.cat([self.some(i, torch.from_numpy(c)) for i, c in zip(ids, chosen, strict=True)]),
            torch.from_numpy(joined),
            torch.from_numpy((np.concatenate(weights) * stands_for[joined]).astype(np.float32)),
        )
        return fit_linear(
            cells,
            windows=RECIPE.windows,
            l2=RECIPE.l2,
            balance=RECIPE.balance,
            iterations=RECIPE.iterations,
            report=lambda *_: None,
        )

    def live_fit(self, ids: list[int]):
        """The head after tile upon tile was labelled."""
        trainer = LiveTrainer(RECIPE, self.some)
        head = None
        for i in ids:
            trainer.learn_from(i, self.labels[i])
            try:
                head = trainer.fit()
            except NeedsLabelsError:
                continue
        return head

    def score(self, head, tile) -> tuple[np.ndarray, np.ndarray]:
        """Confusion with the truth by pixels, and by cells as while painting."""
        grid = self.source.grid(tile)
        logits = head_logits(head, self.features[tile.id], CPU)
        by_pixel = confusion.count(self.truth[tile.id], class_raster(logits.numpy(), grid))
        by_cell = np.zeros((CLASS_COUNT, CLASS_COUNT + 1), np.int64)
        counts = label_cells(self.truth[tile.id], grid).counts.reshape(-1, CLASS_COUNT)
        np.add.at(by_cell.T, logits.argmax(dim=0).numpy().ravel(), counts)
        return by_pixel, by_cell


def main() -> None:
    """Print one line a tile, then the comparison over all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-class", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.per_class)
        live, full, by_cell = [], [], []
        for left_out in bench.tiles:
            ids = [tile.id for tile in bench.tiles if tile is not left_out]
            pixels, cells = bench.score(bench.live_fit(ids), left_out)
            live.append(pixels)
            by_cell.append(cells)
            full.append(bench.score(bench.full_fit(ids), left_out)[0])
            scores = [from_confusion(matrices[-1]).miou for matrices in (live, full, by_cell)]
            print(
                f"{left_out.name}: live {scores[0]:.3f}, full {scores[1]:.3f}, live by cells {scores[2]:.3f}",
                flush=True,
            )
        pooled = [from_confusion(np.sum(matrices, axis=0)).miou for matrices in (live, full, by_cell)]
        difference = paired_differences(live, full).miou
    low, high = difference.interval
    print(f"pooled over {len(live)} tiles: live {pooled[0]:.4f}, full {pooled[1]:.4f}, live by cells {pooled[2]:.4f}")
    print(f"live minus full {difference.value:+.4f} [{low:+.4f}, {high:+.4f}]: {difference.verdict}")


if __name__ == "__main__":
    main()
