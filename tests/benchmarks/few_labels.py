"""Heads on real tiles: leave one out at every label budget, against the usual training, and against LightGBM."""

import statistics
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from tests.benchmarks import cached_against_usual
from tests.benchmarks.amount import Amount
from tests.benchmarks.leave_one_out import LeaveOneOut, leave_one_out
from tests.benchmarks.lightgbm_rgb import Peer, lightgbm_leave_one_out
from tests.benchmarks.real_tiles import ABSENT, REAL_TILES, sparse_labels

SEEDS = (0, 1, 2, 3, 4)
BUDGETS = (20, 50)
PER_CLASS = 50  # of the comparisons
PEER_TILES = ("119", "2774", "6399")  # LightGBM takes minutes a fold: three folds tell enough of its speed


def leave_out(amount: Amount) -> str:
    """Leave one tile out over the real pairs: full masks, and 20 and 50 instances per class by five seeds."""
    title = "## Leave one tile out on 11 real DeepGlobe pairs, default recipe\n\n"
    if not REAL_TILES.is_dir():
        return title + ABSENT
    budgets, seeds, left_out = ((50,), (0,), PEER_TILES[:1]) if amount.quick else (BUDGETS, SEEDS, ())
    with tempfile.TemporaryDirectory() as scratch:
        cache = amount.cache.folder if amount.quick else Path(scratch) / "features"
        found = [leave_one_out(REAL_TILES, None, cache=cache, left_out=left_out)]
        few: dict[int, list[float]] = {}
        for per_class, seed in product(budgets, seeds):
            labels = sparse_labels(Path(scratch) / f"{per_class}-per-class-seed-{seed}", seed, per_class)
            found.append(leave_one_out(REAL_TILES, labels, cache=cache, left_out=left_out, timed=False))
            few.setdefault(per_class, []).append(found[-1].miou)
    rows = [
        f"| {r.labels} | {r.miou:.3f} | {r.accuracy:.3f} | {' | '.join(f'{v:.2f}' for v in r.iou.values())} "
        f"| {r.head_seconds:.1f} |"
        for r in found
    ]
    summary = " ".join(
        f"{per_class} per class: mean mIoU {statistics.mean(mious):.3f}, worst {min(mious):.3f}, of {len(mious)} draws."
        for per_class, mious in few.items()
    )
    return (
        title
        + "Train on ten, predict the eleventh, one confusion matrix over all eleven.\n\n"
        + f"| labels | mIoU | accuracy | {' | '.join(found[0].iou)} | head, s |\n|---|---|---|"
        + "---|" * (len(found[0].iou) + 1)
        + "\n"
        + "\n".join(rows)
        + f"\n\n{summary} {_speed(found[0])}"
    )


def _speed(found: LeaveOneOut) -> str:
    features = "not measured, they were kept" if found.features_seconds is None else f"{found.features_seconds} s"
    return (
        f"Features of a tile: {features}; a tile is predicted in {found.predict_seconds:.2f} s from the image and in "
        f"{found.predict_cached_seconds:.2f} s with cached features (means over the tiles, full masks)."
    )


def cached(amount: Amount) -> str:
    """A frozen encoder trained the usual way against the same on cached features."""
    if not REAL_TILES.is_dir():
        return f"## Cached features against a frozen encoder trained the usual way\n\n{ABSENT}"
    with tempfile.TemporaryDirectory() as scratch:
        labels = sparse_labels(Path(scratch), 0, PER_CLASS)
        return cached_against_usual.chapter(REAL_TILES, labels, epochs=1 if amount.quick else 3)


def against_lightgbm(amount: Amount) -> str:
    """The same labels and folds for both, in one run."""
    title = f"## Against LightGBM on pixels, {PER_CLASS} instances per class, seed 0\n\n"
    if not REAL_TILES.is_dir():
        return title + ABSENT
    left_out = PEER_TILES[:1] if amount.quick else PEER_TILES
    with tempfile.TemporaryDirectory() as scratch:
        labels = sparse_labels(Path(scratch) / "labels", 0, PER_CLASS)
        ours = leave_one_out(REAL_TILES, labels, cache=amount.cache.folder, left_out=left_out)
        peers = [
            lightgbm_leave_one_out(REAL_TILES, labels, features=features, left_out=left_out)
            for features in ("rgb", "texture")
        ]
    return (
        title
        + f"The same {len(left_out)} folds (left out: {', '.join(left_out)}) for both, in one run; seconds are means "
        + "over these tiles.\n\n"
        + "| | mIoU | accuracy | predict a tile, s | ours is faster by |\n|---|---|---|---|---|\n"
        + f"| head, default recipe, from the image | {ours.miou:.3f} | {ours.accuracy:.3f} "
        + f"| {ours.predict_seconds:.2f} | |\n"
        + "\n".join(_peer_rows(peers, ours))
    )


def _peer_rows(peers: Sequence[Peer], ours: LeaveOneOut) -> list[str]:
    return [
        f"| LightGBM on {peer.features} | {peer.miou:.3f} | {peer.accuracy:.3f} | {peer.predict_seconds:.1f} "
        f"| {peer.predict_seconds / ours.predict_seconds:.0f} times |"
        for peer in peers
    ]
