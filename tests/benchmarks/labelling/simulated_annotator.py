"""How good a head gets for how many clicks, by tool: mIoU on real tiles that were never labelled.

For each seed some tiles are held out and the others are labelled by a simulated annotator (``annotator_tools.py``: what
it does and what that costs). At each budget of clicks the default head is fitted on the labels so far by ``fit``, as
the Train page does, and judged on the held-out tiles at full size: one confusion matrix, every pixel of the truth.

    python -m tests.benchmarks.labelling.simulated_annotator [--seeds 3] [--tools brush,superpixel] [--out FILE.json]
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from core.catalog.images import fingerprint, read_image, read_info, read_mask
from core.classes import CLASS_COUNT, UNLABELLED
from core.errors import InputError
from core.evaluation import confusion, scores
from core.inference.predict import load_segmenter
from core.labels import click_to_mask, superpixels
from core.labels.learner import RECIPE, Learner
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache, default_cache
from core.training.fit import FitRequest, fit
from core.training.joined_features import make_recipe_extractor
from core.training.live_features import FeatureSource
from core.training.recipe import load_recipe
from core.workspace import Workspace
from tests.benchmarks.labelling.annotator_region_tools import ClickToMask, WithSuggestions
from tests.benchmarks.labelling.annotator_tools import Brush, Desk, Superpixel, Tool
from tests.benchmarks.labelling.scratch_tiles import REAL_TILES, real_tiles

BUDGETS = (20, 50, 100, 200, 400, 800)
VALIDATION = ("180902", "2774")  # of GLNet's split 'val': always held out
TRAINING = ("10233", "104113", "119", "172307", "266", "3484", "482365", "6399", "855")  # of its split 'train'
ALSO_HELD_OUT = 2  # of TRAINING, others for each seed
MOST_SPOTS = 20 * max(BUDGETS)  # a tool that gets nowhere must end


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve; ``miou`` None where there was too little to fit on."""

    tool: str
    seed: int
    budget: int
    clicks: int
    seconds: float
    strokes: int
    labelled_share: float
    right_share: float
    miou: float | None
    held_out: tuple[str, ...]


TOOLS = ("brush", "superpixel", "click-to-mask", "click and suggestions")


def curve(tool: str, seed: int, budgets: Sequence[int], cache: Path) -> list[Point]:
    """One annotator with one tool."""
    torch.set_num_threads(1)  # one process a core
    generator = np.random.default_rng(seed)
    also = [TRAINING[number] for number in np.random.default_rng(100 + seed).permutation(len(TRAINING))]
    held_out = (*VALIDATION, *sorted(also[:ALSO_HELD_OUT]))
    points: list[Point] = []
    with tempfile.TemporaryDirectory() as folder:
        workspace, tiles = real_tiles(Path(folder), sorted(also[ALSO_HELD_OUT:]))
        _share(workspace, cache)
        truths = {t.id: read_mask(Path(str(t.mask_path)), shape=(t.height, t.width)).raster for t in tiles}
        desk = Desk(workspace, tiles, truths, generator)
        worker = _tool(tool, desk)
        spots = 0
        for budget in budgets:
            while desk.clicks < budget and spots < MOST_SPOTS and (spot := desk.next_spot()) is not None:
                worker.label(desk, spot)
                spots += 1
            run = Path(folder) / f"run-{budget}"
            miou = _judge(Path(folder) / "tiles", workspace.labels(tiles[0].collection_id), run, held_out, seed)
            points.append(_point(desk, tool=tool, seed=seed, budget=budget, miou=miou, held_out=held_out))
        workspace.database.close()
    return points


def _tool(name: str, desk: Desk) -> Tool:
    if name == "brush":
        return Brush()
    if name == "superpixel":
        return Superpixel()
    if name == "click-to-mask":
        return ClickToMask()
    extractor = make_recipe_extractor(RECIPE, device="cpu")
    source = FeatureSource(extractor, default_cache())
    learner = Learner(desk.workspace, desk.tiles[0].collection_id, source, say=_unheard, progress=SilentProgress())
    return WithSuggestions(learner)


def _unheard(_sentence: str) -> None:
    """Nobody watches the simulated annotator's learner."""


def _share(workspace: Workspace, cache: Path) -> None:
    """Superpixels and embeddings of a tile are the same in every workspace."""
    for own in (workspace.superpixels, workspace.embeddings):
        (cache / own.name).mkdir(parents=True, exist_ok=True)
        own.symlink_to(cache / own.name, target_is_directory=True)


def _look_ahead(name: str, cache: Path, *, clicks: bool) -> None:
    """Make what the server makes of a tile before anybody works on it."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        workspace, [tile] = real_tiles(Path(folder), [name])
        _share(workspace, cache)
        superpixels.prepare(workspace, tile)
        if clicks:
            click_to_mask.embed(workspace, tile)
        workspace.database.close()


def _judge(images: Path, labels: Path, run: Path, held_out: Sequence[str], seed: int) -> float | None:
    """Fit on the labels so far and score on the held-out tiles; None where ``fit`` says that they do not suffice."""
    request = FitRequest(
        data=images, labels=labels, out=run, recipe=load_recipe("head"), seed=seed, device="cpu", cache=default_cache()
    )
    try:
        fit(request, SilentProgress())
    except InputError:
        return None
    segmenter = load_segmenter(run, "cpu", FeatureCache(default_cache().folder))
    matrix = np.zeros((CLASS_COUNT, CLASS_COUNT + 1), np.int64)
    for name in held_out:
        path = REAL_TILES / f"{name}_sat.jpg"
        info = read_info(path)
        raster = segmenter.predict(
            read_image(path),
            metres_per_pixel=(info.metres_per_pixel_y, info.metres_per_pixel_x),
            fingerprint=fingerprint(path),
        )
        truth = read_mask(REAL_TILES / f"{name}_mask.png", shape=(info.height, info.width)).raster
        matrix += confusion.count(truth, raster)
    return scores.from_confusion(matrix).miou


def _point(desk: Desk, *, tool: str, seed: int, budget: int, miou: float | None, held_out: tuple[str, ...]) -> Point:
    known = {tile: raster != UNLABELLED for tile, raster in desk.labelled.items()}
    pixels = sum(int(mask.sum()) for mask in known.values())
    right = sum(int((desk.labelled[tile][mask] == desk.truths[tile][mask]).sum()) for tile, mask in known.items())
    return Point(
        tool=tool,
        seed=seed,
        budget=budget,
        clicks=desk.clicks,
        seconds=round(desk.seconds, 1),
        strokes=desk.strokes,
        labelled_share=round(pixels / sum(raster.size for raster in desk.labelled.values()), 4),
        right_share=round(right / max(pixels, 1), 4),
        miou=None if miou is None else round(miou, 4),
        held_out=held_out,
    )


def measure(*, seeds: int = 3, tools: Sequence[str] = TOOLS, budgets: Sequence[int] = BUDGETS) -> list[Point]:
    """All curves, one process a core."""
    with tempfile.TemporaryDirectory() as cache, ProcessPoolExecutor(max_workers=2) as pool:
        clicks = any("click" in tool for tool in tools)
        for made in [pool.submit(_look_ahead, name, Path(cache), clicks=clicks) for name in TRAINING]:
            made.result()
        # The slowest first, so that no core idles in the end.
        waiting = [
            pool.submit(curve, tool, seed, budgets, Path(cache)) for tool in reversed(tools) for seed in range(seeds)
        ]
        return [point for future in waiting for point in future.result()]


def table(points: Sequence[Point]) -> str:
    """Mean mIoU over the seeds by tool and clicks; then the minutes, by the cost model, and how much was labelled."""
    budgets = sorted({point.budget for point in points})
    lines = [
        f"| clicks | {' | '.join(map(str, budgets))} | minutes | labelled | of it right |",
        "|---|" + "---|" * (len(budgets) + 3),
    ]
    for tool in TOOLS:
        own = [point for point in points if point.tool == tool]
        if own:
            cells = [_mean([p.miou for p in own if p.budget == budget]) for budget in budgets]
            last = [p for p in own if p.budget == budgets[-1]]
            minutes = statistics.mean(p.seconds for p in last) / 60
            share, right = (
                statistics.mean(v) for v in zip(*((p.labelled_share, p.right_share) for p in last), strict=True)
            )
            lines.append(f"| {tool} | {' | '.join(cells)} | {minutes:.0f} | {share:.1%} | {right:.1%} |")
    held_out = sorted({(point.seed, point.held_out) for point in points})
    notes = [f"seed {seed}: {', '.join(names)}" for seed, names in held_out]
    return (
        "\n".join(lines)
        + f"\n\nMean mIoU (lowest to highest) over the seeds, on tiles never labelled: {'; '.join(notes)}."
    )


def _mean(values: Sequence[float | None]) -> str:
    found = [value for value in values if value is not None]
    if len(found) < len(values):
        return "too little"
    return f"{statistics.mean(found):.3f} ({min(found):.2f} to {max(found):.2f})"


def main() -> None:
    """Print the table; keep the points where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--budgets", default=",".join(map(str, BUDGETS)))
    parser.add_argument("--out", type=Path, help="a JSON file for the points")
    options = parser.parse_args()
    if not REAL_TILES.is_dir():
        raise SystemExit("The real tiles are not beside the project; nothing was measured.")
    budgets = [int(budget) for budget in options.budgets.split(",")]
    points = measure(seeds=options.seeds, tools=options.tools.split(","), budgets=budgets)
    if options.out:
        options.out.write_text(json.dumps([asdict(point) for point in points], indent=1) + "\n")
    print(table(points))


if __name__ == "__main__":
    main()
