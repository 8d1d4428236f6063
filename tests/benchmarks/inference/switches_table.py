"""What each switch gives on real tiles: the change of the mean IoU with its interval, class by class, and its cost.

Every tile is predicted by a head that never saw it (leave one tile out, default recipe); what the head said is kept in
a folder, so that the table can be drawn again without training. Offsets are fitted for each tile on the others. The
intervals are by jackknife over tiles, paired with no switches (``core.evaluation.intervals``).

    python -m tests.benchmarks.inference.switches_table --data DIR --kept DIR [--only TILE]... [--tta flips]...
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.atomic import write_json
from core.catalog.discover import TileFile, discover
from core.classes import CLASS_NAMES, ClassRaster
from core.evaluation.confusion import Confusion, count
from core.evaluation.intervals import PairedDifferences, interval_of_miou, paired_differences
from core.evaluation.scores import from_confusion
from core.inference.compact import read_compact, write_compact
from core.inference.crf import CrfParameters
from core.inference.guided_filter import GuidedParameters
from core.inference.predict import load_segmenter
from core.inference.presence import mean_presence
from core.inference.switches import Switches
from core.inference.thresholds import Sample, fit_offsets
from core.inference.tile_prediction import MeanLook, TileImage, finish, look, open_tile
from core.progress import SilentProgress
from core.training.cross_validation import cross_validate, truth_of
from core.training.feature_cache import FeatureCache, default_cache
from core.training.recipe import load_recipe

NONE = "none"
TTA = "TTA "


@dataclass(frozen=True, slots=True)
class Variant:
    """A row of the table: a name, its switches, and whether offsets are fitted for it on the other tiles."""

    name: str
    switches: Switches = field(default_factory=Switches)
    fitted_offsets: bool = False


def refinements() -> tuple[Variant, ...]:
    """The variants worth trying on probabilities that were kept; the first is no switches at all."""
    guided = [(8, 8), (4, 8), (16, 8), (32, 8), (64, 8), (32, 4), (32, 16)]
    by_class = (900.0, 2500.0, 2500.0, 900.0, 400.0, 900.0)
    crf = {
        "default": CrfParameters(),
        "weak": CrfParameters(bilateral_weight=2, smooth_weight=0.5),
        "strong": CrfParameters(bilateral_weight=8, smooth_weight=2),
        "as in pydensecrf's readme": CrfParameters(bilateral_weight=10, smooth_metres=1.5, smooth_weight=3),
        "wide": CrfParameters(bilateral_metres=80),
        "near": CrfParameters(bilateral_metres=20),
        "20 grey levels": CrfParameters(bilateral_grey_levels=20),
        "8 grey levels": CrfParameters(bilateral_grey_levels=8),
        "20 iterations": CrfParameters(iterations=20),
    }
    everywhere = {area: (float(area),) * len(CLASS_NAMES) for area in (100, 400, 2500, 10_000)}
    return (
        Variant(NONE),
        *(Variant(f"guided, {r} m, {g} grey levels", _guided(r, g)) for r, g in guided),
        *(Variant(f"CRF, {name}", Switches(refinement="crf", crf=chosen)) for name, chosen in crf.items()),
        *(Variant(f"regions from {area} m²", Switches(class_regions=all_)) for area, all_ in everywhere.items()),
        Variant("regions by class", Switches(class_regions=by_class)),
        *(Variant(f"gate {least:g}", Switches(gate=least)) for least in (0.005, 0.01, 0.02, 0.05)),
        Variant("offsets", fitted_offsets=True),
        *(Variant(f"abstain below {least:g}", Switches(abstain=least)) for least in (0.35, 0.5)),
        Variant("guided, regions by class", Switches(refinement="guided", class_regions=by_class)),
        Variant("CRF, regions by class", Switches(refinement="crf", class_regions=by_class)),
        Variant("offsets, CRF", Switches(refinement="crf"), fitted_offsets=True),
    )


def _guided(radius: float, levels: float) -> Switches:
    return Switches(refinement="guided", guided=GuidedParameters(radius_metres=radius, edge_grey_levels=levels))


def keep_held_out(
    data: Path, kept: Path, *, cache: FeatureCache, only: Sequence[str] = (), tta: Sequence[str] = (NONE,)
) -> list[TileFile]:
    """Let a head that never saw a tile say what it is, for all tiles with a mask, or ``only`` these.

    What it says is kept as ``<kept>/<tta>/<tile>.zip``, how long it took beside it; tiles that are there
    already are not done again. Returns the tiles.
    """
    tiles = [t for t in discover(data).tiles if t.mask_path is not None and (not only or t.name in only)]
    missing = [
        t.name
        for t in tiles
        if not all(_kept(kept, name, t).is_file() and _seconds_path(kept, name, t).is_file() for name in tta)
    ]

    def keep(run: Path, left_out: Sequence[TileFile], _: dict[str, Any]) -> None:
        segmenter = load_segmenter(run, "cpu", cache)
        for tile in left_out:
            image = open_tile(tile.image_path)
            for name in tta:
                print(f"Asking a head that never saw {tile.name}, TTA {name}", file=sys.stderr, flush=True)
                begun = time.perf_counter()
                said = look(segmenter, image, tta=name, progress=SilentProgress())
                write_json(_seconds_path(kept, name, tile), time.perf_counter() - begun)
                write_compact(_kept(kept, name, tile), said.compact)

    if missing:
        cross_validate(
            data,
            None,
            recipe=load_recipe("head", []),
            progress=SilentProgress(),
            device="cpu",
            cache=cache,
            only=missing,
            on_fold=keep,
        )
    return tiles


def measure(tiles: Sequence[TileFile], kept: Path, *, tta: Sequence[str] = (NONE,)) -> dict[str, dict[str, Any]]:
    """By variant: ``miou``, ``change`` with ``interval`` and ``verdict``, ``classes`` (changes), added ``seconds``."""
    offsets = _offsets_by_tile(tiles, kept)
    matrices: dict[str, list[Confusion]] = {}
    seconds: dict[str, list[float]] = {}
    for tile in tiles:
        print(f"Trying every switch on {tile.name}", file=sys.stderr, flush=True)
        image, truth = open_tile(tile.image_path), truth_of(tile)
        for name, work in _works(tile, image, kept, offsets[tile.name], tta).items():
            begun = time.perf_counter()
            raster = work()
            seconds.setdefault(name, []).append(time.perf_counter() - begun + _asking(kept, name, tile))
            matrices.setdefault(name, []).append(count(truth, raster))
    plain = statistics.median(seconds[NONE])
    return {
        name: _figures(found, matrices[NONE], statistics.median(seconds[name]) - plain)
        for name, found in matrices.items()
    }


def _asking(kept: Path, name: str, tile: TileFile) -> float:
    """What a row's TTA took longer to ask the head than asking it once, from cached features."""
    tta = name.removeprefix(TTA).partition(",")[0] if name.startswith(TTA) else NONE
    asked, once = (json.loads(_seconds_path(kept, one, tile).read_text()) for one in (tta, NONE))
    return float(asked - once)


def _seconds_path(kept: Path, tta: str, tile: TileFile) -> Path:
    return _kept(kept, tta, tile).with_suffix(".json")


def _works(
    tile: TileFile, image: TileImage, kept: Path, offsets: tuple[float, ...], tta: Sequence[str]
) -> dict[str, Callable[[], ClassRaster]]:
    """By name, what makes a tile's raster from what is kept of it."""
    works: dict[str, Callable[[], ClassRaster]] = {
        variant.name: partial(_finished, kept, NONE, tile, image, _with_offsets(variant, offsets))
        for variant in refinements()
    }
    for name in tta:
        if name != NONE:
            works[f"{TTA}{name}"] = partial(_finished, kept, name, tile, image, Switches())
            works[f"{TTA}{name}, CRF"] = partial(_finished, kept, name, tile, image, Switches(refinement="crf"))
    return works


def _finished(kept: Path, tta: str, tile: TileFile, image: TileImage, switches: Switches) -> ClassRaster:
    return finish(_said(kept, tta, tile), image, switches)[0]


def _with_offsets(variant: Variant, offsets: tuple[float, ...]) -> Switches:
    if not variant.fitted_offsets:
        return variant.switches
    return Switches(refinement=variant.switches.refinement, offsets=offsets)


def _offsets_by_tile(tiles: Sequence[TileFile], kept: Path) -> dict[str, tuple[float, ...]]:
    """For each tile the offsets that fit the others best."""
    samples = {t.name: Sample.of_tile(_said(kept, NONE, t).probabilities, truth_of(t), pixels=20_000) for t in tiles}
    return {name: fit_offsets([one for other, one in samples.items() if other != name]).offsets for name in samples}


def _said(kept: Path, tta: str, tile: TileFile) -> MeanLook:
    compact = read_compact(_kept(kept, tta, tile))
    if compact is None:
        raise FileNotFoundError(f"nothing is kept of tile {tile.name} with TTA {tta} in {kept}")
    probabilities = compact.expand()
    return MeanLook(probabilities, mean_presence(probabilities))


def _kept(kept: Path, tta: str, tile: TileFile) -> Path:
    return kept / tta / f"{tile.name}.zip"


def _figures(found: Sequence[Confusion], plain: Sequence[Confusion], seconds: float) -> dict[str, Any]:
    scores = from_confusion(np.sum(found, axis=0))
    change: PairedDifferences = paired_differences(found, plain)
    assert change.miou is not None
    return {
        "miou": scores.miou,
        "miou_interval": interval_of_miou(found),
        "change": change.miou.value,
        "interval": change.miou.interval,
        "verdict": change.miou.verdict,
        "classes": {name: one.value for name, one in change.iou.items()},
        "seconds": seconds,
    }


def table(figures: Mapping[str, Mapping[str, Any]], tiles: int) -> str:
    """The figures in Markdown, best change first."""
    names = [name for name in CLASS_NAMES if name in figures[NONE]["classes"]]
    rows = [
        f"| {name} | {one['miou']:.3f} | {one['change'] * 100:+.2f} | {one['interval'][0] * 100:+.2f} to "
        f"{one['interval'][1] * 100:+.2f} | {one['verdict']} | "
        + " | ".join(f"{one['classes'][each] * 100:+.1f}" for each in names)
        + f" | {one['seconds']:+.2f} |"
        for name, one in sorted(figures.items(), key=lambda item: -item[1]["change"])
        if name != NONE
    ]
    plain = figures[NONE]
    low, high = plain["miou_interval"]
    return (
        "## What each switch gives\n\n"
        f"Leave one tile out, n = {tiles} real tiles, default recipe. Without switches the mean IoU is "
        f"{plain['miou']:.3f} ({low:.3f} to {high:.3f}). Changes are in points of 100, intervals by jackknife over "
        "tiles; seconds are what a tile of 2448 x 2448 takes longer (medians over the tiles), for TTA with asking the "
        "head again, whose features of other views are not cached.\n\n"
        f"| switch | mIoU | change | 95 % interval | | {' | '.join(names)} | added s |\n"
        f"|---|---|---|---|---|{'---|' * len(names)}---|\n" + "\n".join(rows)
    )


def main() -> None:
    """Print the table, or the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kept", type=Path, required=True, help="a folder for what the heads say")
    parser.add_argument("--only", action="append", default=[], help="a tile's name; all with a mask when left out")
    parser.add_argument("--tta", action="append", default=[], choices=("flips", "d4"), help="rows for these as well")
    parser.add_argument("--cache", type=Path, help="a feature cache to keep; the user's when left out")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    tta = (NONE, *options.tta)
    cache = FeatureCache(options.cache) if options.cache else default_cache()
    tiles = keep_held_out(options.data, options.kept, cache=cache, only=options.only, tta=tta)
    figures = measure(tiles, options.kept, tta=tta)
    print(json.dumps(figures) if options.json else table(figures, len(tiles)))


if __name__ == "__main__":
    main()
