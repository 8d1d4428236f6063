"""The beginning of a fit, run for a forecast: what it shows of the pace, and what it leaves out.

The fit itself is run, so that a forecast follows every change of the code. A head on cached features is tried as it is
and stopped when its pace is known; a network is trained for a few steps and validated once.
"""

import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.classes import UNLABELLED
from core.errors import CancelledError
from core.progress import Progress
from core.training.feature_cache import FeatureCache
from core.training.features import Features
from core.training.fit import fit_task
from core.training.fitted import FitTask, Fitted
from core.training.recipe import Recipe
from core.training.recipe_settings import BOTH_BRANCHES, STAGE_EPOCHS
from core.training.training_data import LabelledTile, TrainingData

HEAD_SECONDS = 12.0
"""How long the training of a head is tried: most end within it."""
HEAD_STEPS = 3
FEWER_CELLS = 8
NETWORK_STEPS = 3
ENCODED = 2
"""Tiles that are encoded; the first also warms the encoder up."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial of ``TrainingData`` showed.

    ``reading_seconds`` go before the training, without those of encoding. ``training_seconds`` are of one whole
    training on the trial's tiles, ``judging_seconds`` of judging a tile after it at full size. ``how`` says in words
    what was tried.
    """

    fitted: Fitted
    reading_seconds: float
    training_seconds: float
    ledger: "Ledger"
    how: str
    at_most: bool = False  # training was stopped, and may settle sooner than at its last step
    judging_seconds: float = 0.0


def try_head(recipe: Recipe, tiles: TrainingData, *, seed: int, device: str, cache: Path, progress: Progress) -> Trial:
    """Begin the fit of a head on cached features."""
    once = recipe.model_copy(update={"members": 1, "folds": 1, "pseudo_rounds": 0})
    if recipe.folds > 1 and not tiles.validation:  # then it is training tiles that are judged at the end
        tiles = replace(tiles, validation=tiles.training[:1])
    watch, ledger = _Watch(progress, stop_after=HEAD_SECONDS), Ledger()
    began = time.perf_counter()
    fitted = _run(once, tiles, seed=seed, device=device, cache=_TrialCache(cache, ledger=ledger), watch=watch)
    reading = max(0.0, watch.began - began - ledger.seconds)
    if not watch.stopped:
        after = max(0.0, time.perf_counter() - watch.began - fitted.training_seconds)
        judging = after / len(tiles.validation) if tiles.validation else 0.0
        return Trial(fitted, reading, fitted.training_seconds, ledger, "one whole training", judging_seconds=judging)
    tried, steps = f"{watch.seconds:.0f} s of training", None
    if recipe.kind == "linear":
        # How many iterations it takes to settle hardly depends on the number of cells, so few of them tell.
        few = once.model_copy(update={"max_cells": max(100, recipe.max_cells // FEWER_CELLS)})
        second = _Watch(progress, stop_after=HEAD_SECONDS)
        alone = TrainingData(tiles.training, (), ())
        _run(few, alone, seed=seed, device=device, cache=_TrialCache(cache, ledger=ledger), watch=second)
        steps = None if second.stopped else second.steps_done
        tried += f", and a {FEWER_CELLS}th of its cells to the end" if steps else ""
    return Trial(fitted, reading, watch.pace_to(steps), ledger, tried, at_most=steps is None)


def try_network(
    recipe: Recipe, tiles: TrainingData, *, seed: int, device: str, cache: Path, progress: Progress
) -> Trial:
    """Train a network for a few steps, with its encoder where it will be trained at some time, and validate once."""
    short = {"folds": 1, "members": 1, "epochs": 1, "steps": NETWORK_STEPS, "unfreeze_after": 0.0, "swa_after": 1.0}
    staged = recipe.decoder == BOTH_BRANCHES
    if staged:  # a step of its later stages is over all patches of its tiles
        short |= {"epochs": 3, "steps": 1, "batch_size": 1}
    watch, ledger = _Watch(progress, stop_after=None), Ledger()
    began = time.perf_counter()
    fitted = _run(
        recipe.model_copy(update=short),
        tiles,
        seed=seed,
        device=device,
        cache=_TrialCache(cache, ledger=ledger),
        watch=watch,
    )
    if staged:
        shares = [epochs / sum(STAGE_EPOCHS) for epochs in STAGE_EPOCHS]
        step = recipe.batch_size * sum(s * t for s, t in zip(shares, watch.epoch_seconds(), strict=True))
        after_steps, steps = 0.0, recipe.steps or -(-len(tiles.training) // recipe.batch_size)
    else:
        step = watch.shortest_step() or fitted.training_seconds / NETWORK_STEPS
        after_steps = max(0.0, fitted.training_seconds - NETWORK_STEPS * step) if tiles.validation else 0.0
        windows = sum(labelled_windows(tile, recipe.patch) for tile in tiles.training)
        steps = recipe.steps or -(-windows // recipe.batch_size)
    tried = "one tile in each of three stages" if staged else f"{NETWORK_STEPS} steps"
    return Trial(
        fitted,
        max(0.0, watch.began - began),
        recipe.epochs * (steps * step + after_steps),
        ledger,
        tried + (" and one validation" if tiles.validation else ""),
    )


def labelled_windows(tile: LabelledTile, patch: int) -> int:
    """How many patches, side by side, cover everything that is labelled on a tile."""
    side = max(1, patch // tile.grid.cell)
    rows, columns = np.nonzero(tile.cells.classes != UNLABELLED)
    return len({*zip((rows // side).tolist(), (columns // side).tolist(), strict=True)})


@dataclass(slots=True)
class Ledger:
    """What a trial's cache did: seconds of encoding by the features' shape, and what was lent instead of encoded."""

    encoded: dict[tuple[int, ...], list[float]] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)  # by the extractor's identity
    most_lent_bytes: int = 0
    _lenders: dict[tuple[int, ...], Features] = field(default_factory=dict)
    _lent: list["weakref.ref[Features]"] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """All encoding in the trial."""
        return sum(map(sum, self.encoded.values()))

    def missing(self, tiles: Sequence[LabelledTile], cache: FeatureCache) -> tuple[int, float]:
        """How many tiles lack features still, and the seconds that encoding them will take."""
        lacking: set[str] = set()
        seconds = 0.0
        for identity, shape in self.shapes.items():
            for tile in tiles:
                if not cache.holds(fingerprint=tile.image_fingerprint, extractor_identity=identity):
                    lacking.add(tile.name)
                    seconds += min(self.encoded.get(shape, [0.0]))
        return len(lacking), seconds

    def encode(self, shape: tuple[int, ...], compute: Callable[[], Features]) -> Features:
        """Run the encoder, and keep what it gives to be lent."""
        began = time.perf_counter()
        features = compute()
        self.encoded.setdefault(shape, []).append(time.perf_counter() - began)
        self._lenders[shape] = features
        return features

    def lend(self, shape: tuple[int, ...], *, in_memory: bool) -> Features:
        """A view of its own on features that are there; while the fit holds it, a real one would take up memory."""
        view = self._lenders[shape].view()
        if not in_memory:
            return view
        self._lent = [*(one for one in self._lent if one() is not None), weakref.ref(view)]
        held = sum(features.nbytes for one in self._lent if (features := one()) is not None)
        self.most_lent_bytes = max(self.most_lent_bytes, held)
        return view


@dataclass(frozen=True, slots=True)
class _TrialCache(FeatureCache):
    """Encodes ``ENCODED`` tiles of those that are missing, for good, and lends their features to the others."""

    ledger: Ledger = field(default_factory=Ledger)

    def fetch(
        self,
        *,
        fingerprint: str,
        extractor_identity: str,
        shape: tuple[int, int, int],
        compute: Callable[[], Features],
        mapped: bool = False,
    ) -> Features:
        """As ``FeatureCache.fetch``, but what is missing may be another tile's."""
        self.ledger.shapes[extractor_identity] = shape
        held = self.holds(fingerprint=fingerprint, extractor_identity=extractor_identity)
        if not held and len(self.ledger.encoded.get(shape, [])) >= ENCODED:
            return self.ledger.lend(shape, in_memory=not mapped)
        return FeatureCache.fetch(
            self,
            fingerprint=fingerprint,
            extractor_identity=extractor_identity,
            shape=shape,
            compute=lambda: self.ledger.encode(shape, compute),
            mapped=mapped,
        )


class _Watch:
    """Stands between the fit and whoever watches: notes the pace of the training, and may stop it."""

    def __init__(self, progress: Progress, *, stop_after: float | None) -> None:
        self._progress, self._stop_after = progress, stop_after
        self._steps: list[tuple[float, float, float]] = []  # done, total, moment
        self._has_model = False
        self._ends: list[float] = []
        self.began = self._last = time.perf_counter()
        self._training = False
        self.stopped = False

    @property
    def seconds(self) -> float:
        """How long training went on."""
        return self._last - self.began

    def training_begins(self) -> None:
        """What comes now is training."""
        self.began, self._training = time.perf_counter(), True

    def update(self, done: float, total: float, message: str) -> None:
        """Note a step; raises ``CancelledError`` when enough was seen."""
        self._progress.update(done, total, f"Trying: {message}")
        self._last = time.perf_counter()
        if not self._training:
            return
        if self._steps and self._steps[-1][1] != total:
            self._steps.clear()  # another phase, with a pace of its own
        self._steps.append((done, total, self._last))
        enough = self._stop_after is not None and self.seconds > self._stop_after
        if enough and self._has_model and done - self._steps[0][0] >= HEAD_STEPS:
            self.stopped = True
            raise CancelledError

    def metrics(self, values: dict[str, Any]) -> None:
        """From the first point of the curve on there is a model that a stopped fit hands over."""
        self._has_model = True
        self._ends.append(values.get("seconds") or 0.0)

    def epoch_seconds(self) -> list[float]:
        """Seconds of each epoch, with its validation."""
        return [end - start for start, end in zip([0.0, *self._ends], self._ends, strict=False)]

    @property
    def steps_done(self) -> float:
        """The last step that was told."""
        return self._steps[-1][0] if self._steps else 0.0

    def pace_to(self, steps: float | None) -> float:
        """Seconds that a training would have taken that was not stopped, to so many steps or to the last one."""
        first, last = self._steps[0], self._steps[-1]
        pace = (last[2] - first[2]) / (last[0] - first[0])
        return self.seconds + max(0.0, (last[1] if steps is None else steps) - last[0]) * pace

    def shortest_step(self) -> float | None:
        """Seconds of a step without what the first ones have on top; None where no two steps were told."""
        gaps = [
            (after[2] - before[2]) / (after[0] - before[0])
            for before, after in zip(self._steps, self._steps[1:], strict=False)
            if after[0] > before[0]
        ]
        return min(gaps, default=None)


@dataclass(frozen=True, slots=True)
class _TrialTask(FitTask):
    """A task that tells its watch when the training begins."""

    def begin(self) -> None:
        FitTask.begin(self)
        if isinstance(self.progress, _Watch):
            self.progress.training_begins()


def _run(recipe: Recipe, tiles: TrainingData, *, seed: int, device: str, cache: FeatureCache, watch: _Watch) -> Fitted:
    with tempfile.TemporaryDirectory(prefix="tilewright-forecast-") as scratch:
        task = _TrialTask(
            recipe=recipe, tiles=tiles, out=Path(scratch) / "run", seed=seed, device=device, cache=cache, progress=watch
        )
        return fit_task(task)
