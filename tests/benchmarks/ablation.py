"""The default recipe and one change at a time on real tiles: which of its settings earn their place."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.progress import SilentProgress
from core.training.ablation import Study, ablate
from core.training.recipe import DEFAULT_PRESET, load_recipe
from core.training.techniques import built_in
from tests.benchmarks.amount import Amount
from tests.benchmarks.real_tiles import ABSENT, REAL_TILES, sparse_labels

PER_CLASS = 50
DRAWS = (0, 1)
_TITLE = f"## Ablation: the default recipe and one change at a time, {PER_CLASS} instances per class\n\n"
_HEADER = (
    "| row | technique | mIoU | worst | change | 95 % interval | verdict | fit, s |\n"
    "|---|---|---:|---:|---:|---|---|---:|"
)


def chapter(amount: Amount) -> str:
    """All variations on cached features; what an earlier call finished in ``amount.kept`` is not repeated."""
    if not REAL_TILES.is_dir():
        return _TITLE + ABSENT
    draws = DRAWS[:1] if amount.quick else DRAWS
    variations = built_in(load_recipe(DEFAULT_PRESET), networks=False)
    study = Study(
        data=REAL_TILES,
        out=amount.kept / "ablation.json",
        variations=variations[:2] if amount.quick else variations,
        labels=tuple(sparse_labels(amount.kept / f"labels-{PER_CLASS}-{draw}", draw, PER_CLASS) for draw in draws),
        cache=amount.cache,
    )
    return text(ablate(study, SilentProgress())["table"], draws=len(draws))


def text(rows: Sequence[Mapping[str, Any]], *, draws: int) -> str:
    """The chapter of a table that ``ablate`` returned."""
    verdicts = [row["difference"]["verdict"] for row in rows if row["difference"]]
    return (
        f"{_TITLE}Leave one tile out over the real tiles, {draws} draws of {PER_CLASS} instances per class, one fit "
        "each; the interval is over tiles and draws, against the row named base.\n\n"
        + "\n".join([_HEADER, *map(_line, rows)])
        + f"\n\nOf {len(verdicts)} changes {verdicts.count('better')} are better beyond doubt and "
        f"{verdicts.count('worse')} worse. The base's settings were chosen on these tiles, which flatters it."
    )


def _line(row: Mapping[str, Any]) -> str:
    if row["failed"]:
        return f"| {row['name']} | {row['techniques']} | | | | | {row['failed']} | |"
    change = row["difference"]
    told = ["", "", ""]
    if change is not None:
        low, high = change["interval"]
        told = [f"{change['value']:+.3f}", f"{low:+.3f} to {high:+.3f}", change["verdict"]]
    score = [f"{row['miou']:.3f}", f"{row['worst']:.3f}"]
    return f"| {row['name']} | {row['techniques']} | {' | '.join([*score, *told])} | {row['head_seconds']:.2f} |"
