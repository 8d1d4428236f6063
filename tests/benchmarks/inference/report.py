"""All that issue 5 wants shown, as chapters for RESULTS.md: each measures, and gives its text."""

import argparse
from pathlib import Path
from typing import Any

from tests.benchmarks import presets
from tests.benchmarks.amount import Amount
from tests.benchmarks.inference import (
    big_raster,
    cuda_paths,
    dense_crf,
    monai_windows,
    one_tile,
    resize_against_patches,
    speed_paths,
    switches_table,
)
from tests.benchmarks.real_tiles import ABSENT, REAL_TILES

CRF_TILE = "104113"
QUICK_TILES = ("104113", "2774", "119")
PRESETS_BUDGET = 420.0


def tile(amount: Amount) -> str:
    """The default preset on one tile."""
    if amount.quick:
        return one_tile.chapter(one_tile.measure(runs=1, drawn=amount.side))
    return one_tile.chapter(one_tile.measure())


def windows(amount: Amount) -> str:
    """Windows against MONAI's."""
    return monai_windows.chapter(monai_windows.measure(runs=amount.runs, side=amount.side if amount.quick else 2448))


def crf(amount: Amount) -> str:
    """Our CRF against pydensecrf2's."""
    if not REAL_TILES.is_dir():
        return f"## Dense CRF against pydensecrf2\n\n{ABSENT}"
    found = dense_crf.figures(
        REAL_TILES, amount.kept / "said", tile=CRF_TILE, size=amount.side, runs=amount.runs, cache=amount.cache
    )
    return dense_crf.chapter(found)


def raster(amount: Amount) -> str:
    """A large raster end to end."""
    return raster_chapter(big_raster.measure(amount.raster_side))


def raster_chapter(found: dict[str, Any]) -> str:
    """The figures of a large raster in Markdown."""
    side = found["side"]
    return (
        f"## A raster of {side:,} x {side:,} end to end\n\n"
        f"Made up from {found['tiles']} tiles, default head, each raster in a process of its own; the tile's figures "
        "are medians of 3, the raster's of 1.\n\n"
        "| | large raster | one tile | ratio |\n|---|---|---|---|\n"
        f"| s a megapixel (bar: within 25 %) | {found['seconds_per_megapixel']:.3f} "
        f"| {found['seconds_per_megapixel_of_a_tile']:.3f} | {found['ratio']:.2f} |\n"
        f"| of processor time | | | {found['ratio_of_processor_time']:.2f} |\n"
        f"| peak memory, MB (bar: 1 500) | {found['peak_mb']:.0f} | {found['peak_mb_of_a_tile']:.0f} "
        f"| {found['peak_mb'] / found['peak_mb_of_a_tile']:.2f} |\n\n"
        f"{found['seconds']:.0f} s in all. Seams: predicted once more with its blocks elsewhere, "
        f"{found['disagreement_near_borders']:.3%} of the pixels within {big_raster.NEAR} of a border of blocks get "
        f"another class and {found['disagreement_elsewhere']:.3%} of the others; {found['changes_at_borders']:.3%} of "
        f"the pixels at a border differ from the one below, and {found['changes_elsewhere']:.3%} elsewhere."
    )


def speed(amount: Amount) -> str:
    """The same network in several ways."""
    return speed_paths.chapter(speed_paths.measure(runs=amount.runs, side=amount.side))


def cuda(amount: Amount) -> str:
    """Frames a second on a GPU."""
    return cuda_paths.chapter(cuda_paths.measure(runs=amount.runs))


def switches(amount: Amount) -> str:
    """What each switch gives."""
    if not REAL_TILES.is_dir():
        return f"## What each switch gives\n\n{ABSENT}"
    tta = ("none",) if amount.quick else ("none", "flips", "d4")
    only = QUICK_TILES if amount.quick else ()
    kept = amount.kept / "said"
    tiles = switches_table.keep_held_out(REAL_TILES, kept, cache=amount.cache, only=only, tta=tta)
    return switches_table.table(switches_table.measure(tiles, kept, tta=tta), len(tiles))


def networks(amount: Amount) -> str:
    """What the network presets cost."""
    options = argparse.Namespace(
        device="auto",
        out=Path("unused"),
        data=None,
        presets=["unet"] if amount.quick else list(presets.PRESETS),
        set=["patch=128", "batch_size=2"] if amount.quick else [],
        steps=20,
        tile_side=amount.side,
        budget=60.0 if amount.quick else PRESETS_BUDGET,
    )
    return f"## What the network presets cost\n\n{presets.as_table(presets.measure_all(options))}"


def sights(amount: Amount) -> str:
    """Resized tiles against patches."""
    return resize_against_patches.report(amount)
