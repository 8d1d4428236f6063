"""Do the intervals hold what they say, and how often is a difference seen where there is none: by simulation.

Two laws of tiles. *Alike*: every class on every tile, found at .7 +- .1. *Patchy*, as DeepGlobe's: class shares as in
its 803 tiles but few classes a tile (Dirichlet), missing below 0.5 %, and hit rates that differ widely from tile to
tile (beta). A score's truth is that of 200 000 tiles of the law. Two predictions without a difference are two draws of
the hit rates on the same tiles.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from core.classes import CLASS_NAMES
from core.evaluation.bootstrap import draw_tiles, drawn_interval
from core.evaluation.intervals import paired_differences, score_intervals
from core.evaluation.scores import class_ious, mean_iou
from tests.benchmarks.amount import Amount

TILES = (3, 5, 11, 30, 100)
_PIXELS = 1_000_000
_SHARES = np.array([0.108, 0.579, 0.084, 0.111, 0.033, 0.085])  # Demir et al. 2018, table 3, without the unknown
_FOUND = np.array([0.80, 0.85, 0.50, 0.75, 0.75, 0.60])  # mean hit rates by class
_DRAWS = 400

Span = tuple[float, float]


@dataclass(frozen=True)
class Law:
    """How tiles and hit rates are drawn: ``shares`` (tiles, 6) and ``hits`` (tiles, 6) of a generator and a number."""

    name: str
    shares: Callable[[np.random.Generator, int], np.ndarray]
    hits: Callable[[np.random.Generator, int], np.ndarray]

    def tiles(self, generator: np.random.Generator, count: int, *, predictions: int = 1) -> list[np.ndarray]:
        """One ``(count, 6, 7)`` int64 stack of confusions a prediction, all of the same tiles."""
        pixels = np.round(self.shares(generator, count) * _PIXELS).astype(np.int64)
        return [_confusions(generator, pixels, self.hits(generator, count)) for _ in range(predictions)]


def _patchy_shares(generator: np.random.Generator, count: int) -> np.ndarray:
    shares = generator.dirichlet(2 * _SHARES, count)
    return np.where(shares < 0.005, 0, shares)


LAWS = (
    Law("alike", lambda g, n: g.dirichlet(np.ones(6), n), lambda g, n: g.normal(0.7, 0.1, (n, 6)).clip(0, 1)),
    Law("patchy", _patchy_shares, lambda g, n: g.beta(3 * _FOUND, 3 * (1 - _FOUND), (n, 6))),
)


def _confusions(generator: np.random.Generator, pixels: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Of each class its share is hit, and the misses go to the other classes at random."""
    count = len(pixels)
    to = generator.dirichlet(np.full(6, 0.5), (count, 6)) * (1 - np.eye(6))
    to /= np.maximum(to.sum(axis=2, keepdims=True), 1e-12)
    matrices = np.zeros((count, 6, 7), np.int64)
    matrices[:, :, :6] = np.round(pixels[..., None] * (1 - hits[..., None]) * to)
    matrices[:, range(6), range(6)] = pixels - matrices.sum(axis=2)
    return matrices


def chapter(amount: Amount) -> str:
    """Coverage and false alarms by the number of tiles, ours beside the bootstrap's."""
    trials, others = (60, 20) if amount.quick else (4000, 400)
    rows = []
    for law in LAWS:
        truth = class_ious(law.tiles(np.random.default_rng(0), 200_000)[0].sum(axis=0))
        rows += [_row(law, tiles, truth, trials, others) for tiles in TILES]
    head = (
        "| tiles are | tiles | held: mean IoU | classes | percentile | BCa | Student, bootstrap | false alarms: "
        "mean IoU | classes | percentile | a worse one told |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
    )
    return (
        "## Intervals and verdicts, by simulation\n\n"
        f"Coverage of 95 % intervals and false alarms of the paired verdict, in %, of {trials} trials each (so that 95 "
        f"is known to +- {_noise(95, trials):.1f} and 5 to the same, one standard error), of {others} for the "
        "bootstrap's ways. *mean IoU*, *classes*: ours, Student's t with the jackknife over tiles and as many "
        "degrees of freedom as effective tiles less one. The bootstrap's are of the mean IoU (*Student* is the wider "
        "of percentile and Student's t with the bootstrap's standard error, on each side). Last: how often "
        "'better' is said of a prediction whose rival lost a tenth of its hits.\n\n" + head + "\n".join(rows)
    )


def _row(law: Law, tiles: int, truth: np.ndarray, trials: int, others: int) -> str:
    mean = float(mean_iou(truth))
    held, held_by_class, alarms, alarms_by_class, seen = [], [], [], [], []
    for a, b in _pairs(law, tiles, trials):
        found = score_intervals(list(a))
        held.append(_holds(found.miou, mean))
        held_by_class += [_holds(span, truth[CLASS_NAMES.index(name)]) for name, span in found.iou.items()]
        differences = paired_differences(list(a), list(b))
        alarms.append(differences.miou.verdict != "cannot tell")
        alarms_by_class += [one.verdict != "cannot tell" for one in differences.iou.values()]
        seen.append(paired_differences(list(a), list(_worse(a))).miou.verdict == "better")
    bootstrap = {name: [] for name in ("percentile", "bca", "student")}
    bootstrap_alarms = []
    for a, b in _pairs(law, tiles, others):
        for name, span in _bootstrap_spans(a).items():
            bootstrap[name].append(_holds(span, mean))
        low, high = np.quantile(_drawn(a) - _drawn(b), [0.025, 0.975])
        bootstrap_alarms.append(low > 0 or high < 0)
    cells = [held, held_by_class, *bootstrap.values(), alarms, alarms_by_class, bootstrap_alarms, seen]
    return f"| {law.name} | {tiles} | " + " | ".join(f"{100 * np.mean(cell):.1f}" for cell in cells) + " |"


def _pairs(law: Law, tiles: int, trials: int) -> Iterator[Sequence[np.ndarray]]:
    for trial in range(trials):
        yield law.tiles(np.random.default_rng([1, tiles, trial]), tiles, predictions=2)


def _worse(tiles: np.ndarray) -> np.ndarray:
    """The same tiles where a tenth of the hits went to the next class."""
    worse = tiles.copy()
    lost = tiles[:, range(6), range(6)] // 10
    worse[:, range(6), range(6)] -= lost
    worse[:, range(6), [1, 2, 3, 4, 5, 0]] += lost
    return worse


def _drawn(tiles: np.ndarray) -> np.ndarray:
    """The mean IoU of every draw; two predictions of as many tiles are drawn alike."""
    return mean_iou(class_ious(np.tensordot(draw_tiles(len(tiles), _DRAWS), tiles, axes=1)))


def _bootstrap_spans(tiles: np.ndarray) -> dict[str, Span]:
    """Percentile, BCa (Efron 1987) and the wider of percentile and Student's with the bootstrap's standard error."""
    value, drawn = float(mean_iou(class_ious(tiles.sum(axis=0)))), _drawn(tiles)
    without = mean_iou(class_ious(tiles.sum(axis=0) - tiles))
    away = without.mean() - without
    skew = float((away**3).sum() / max(6 * (away**2).sum() ** 1.5, 1e-30))
    bias = norm.ppf(np.clip((drawn < value).mean() + (drawn == value).mean() / 2, 1e-3, 1 - 1e-3))
    tails = bias + norm.ppf([0.025, 0.975])
    bca = np.quantile(drawn, norm.cdf(bias + tails / (1 - skew * tails)))
    percentile = np.quantile(drawn, [0.025, 0.975])
    student = drawn_interval(value, drawn, tiles=len(tiles), lowest=0.0, highest=1.0)
    return {"percentile": tuple(percentile), "bca": tuple(bca), "student": student}


def _holds(span: Span | None, truth: float) -> bool:
    return span is not None and span[0] <= truth <= span[1]


def _noise(percent: float, trials: int) -> float:
    return float(np.sqrt(percent * (100 - percent) / trials))
