"""Likeness, duplicates and neighbours, judged on truth: scenes and real tiles, cut up and changed on purpose."""

import time
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.alike.duplicates import MIN_CORRELATION, NearDuplicate, near_duplicates
from core.catalog.alike.likeness_grid import project, snap_to_grid
from core.catalog.alike.looks import BORDER_SAMPLES, OUTLINE_SIDE, borders_of, outline_of
from core.catalog.alike.neighbours import find_neighbours
from core.catalog.images import read_image
from core.catalog.maps.mosaic import grid_columns
from core.catalog.sample import draw_scene
from core.catalog.splits import glnet_splits
from core.progress import SilentProgress
from tests.benchmarks.amount import Amount
from tests.benchmarks.browse.looking import class_likeness, milliseconds_a_tile
from tests.benchmarks.real_tiles import REAL_TILES
from tests.pieces import CHANGES, Found, Image, Piece, cut, judge_neighbours

SEEDS = range(10, 15)
"""Of scenes that no threshold was chosen on."""

SCENES = 8
"""Scenes a seed: one is cut up whole, of the others every second piece is there."""

BESIDE = {
    ("482365", "180902"): "right",
    ("162964", "4102"): "right",
    ("118757", "4102"): "below",
    ("8285", "999380"): "below",
}
"""Real tiles that lie side by side, as their owner never said: found by this finder, and confirmed by eye."""

Tiles = dict[str, Image]


def chapter(amount: Amount) -> str:
    """The chapter, in Markdown."""
    seeds = SEEDS[: 1 if amount.quick else None]
    real = dict(_real_tiles(4 if amount.quick else None))
    scenes = {str(seed): draw_scene(seed, amount.side).image for seed in range(SCENES)}
    parts = [
        "## Likeness, duplicates and neighbours",
        _scenes_among_others(seeds, amount.side, real),
        _real_mosaics(real, (4,) if amount.quick else (2, 4, 8)),
        _whole_tiles(real),
        _duplicates({**real, **scenes}),
        class_likeness(amount) if real else "The real tiles are not beside the project: likeness was not judged.",
        _seconds(((803,) if amount.quick else (803, 10_000)), milliseconds_a_tile(amount)),
    ]
    return "\n\n".join(part for part in parts if part)


def _real_tiles(most: int | None) -> Iterator[tuple[str, Image]]:
    paths = [*sorted(REAL_TILES.glob("*_sat.jpg")), *sorted((REAL_TILES.parent / "unlabelled").glob("*_sat.jpg"))]
    for path in paths[:most]:
        yield path.name.removesuffix("_sat.jpg"), read_image(path)


def _every_second(pieces: Sequence[Piece]) -> list[Piece]:
    """As on the fields of one colour of a chessboard, so that no two are neighbours."""
    return [piece for piece in pieces if (piece.row + piece.column) % 2]


def _scenes_among_others(seeds: Sequence[int], side: int, real: Tiles) -> str:
    others = [
        piece
        for number, image in enumerate(real.values())
        for piece in _every_second(cut(image, 4, picture=-1 - number))
    ]
    rows = []
    for seed in seeds:
        scenes = [draw_scene(100 * seed + number, side).image for number in range(SCENES)]
        for quality in (92, 75):
            pieces = cut(scenes[0], 4, picture=0, quality=quality)
            for number in range(1, SCENES):
                pieces += _every_second(cut(scenes[number], 4, picture=number, quality=quality))
            found = _judged([*pieces, *others], seed)
            rows.append(f"| {seed}, quality {quality} | {len(pieces) + len(others)} | {_row(found)} |")
    return (
        f"A drawn scene of {side} x {side} pixels is cut into 4 x 4 tiles, each through JPEG; shuffled, and mixed with "
        f"every second such tile of {SCENES - 1} other scenes and of {len(real)} real tiles, none of which has a "
        "neighbour there (bar: precision and recall .95 each).\n\n"
        f"| seed | tiles | {_HEAD} |\n|---|---|---|---|---|---|\n" + "\n".join(rows)
    )


_HEAD = "neighbours | found | precision | recall"


def _row(found: Found) -> str:
    precision = found.right / found.pairs if found.pairs else 1.0
    return f"{found.there} | {found.pairs} | {precision:.3f} | {found.right / max(1, found.there):.3f}"


def _judged(pieces: Sequence[Piece], seed: int, names: Sequence[str] = (), across: int = 0) -> Found:
    shuffled = [pieces[number] for number in np.random.default_rng(seed).permutation(len(pieces))]

    def beyond(place: tuple[int, int, int], side: str) -> tuple[int, int, int] | None:
        picture, row, column = place
        at_margin = (column if side == "right" else row) == across - 1
        for (first, second), where in BESIDE.items():
            if names and at_margin and where == side and names[picture] == first and second in names:
                return names.index(second), row if side == "right" else 0, column if side == "below" else 0
        return None

    borders = np.stack([borders_of(piece.image) for piece in shuffled])
    return judge_neighbours(borders, [piece.place for piece in shuffled], beyond)


def _real_mosaics(real: Tiles, cuts: Sequence[int]) -> str:
    if not real:
        return ""
    names = list(real)
    rows = []
    for across in cuts:
        for quality in (92, 75) if across < 8 else (92,):
            pieces = [
                piece
                for number, image in enumerate(real.values())
                for piece in cut(image, across, picture=number, quality=quality)
            ]
            size = next(iter(real.values())).shape[0] // across
            all_found = _judged(pieces, 0, names, across)
            alone = _judged(_every_second(pieces), 0)
            name = f"{across} x {across}, {size} px, quality {quality}"
            rows.append(f"| {name} | {_row(all_found)} | {alone.pairs} of {len(pieces) // 2} |")
    return (
        f"The same with {len(real)} real tiles, all cut up and mixed. Beside it how many pairs are found among every "
        "second piece, of which none has a neighbour: all of them false alarms. The thresholds were chosen on these "
        "tiles.\n\n"
        f"| pieces | {_HEAD} | found among pieces without neighbours |\n|---|---|---|---|---|---|\n" + "\n".join(rows)
    )


def _whole_tiles(real: Tiles) -> str:
    if not real:
        return ""
    names = list(real)
    borders = np.stack([borders_of(image) for image in real.values()])
    sizes = np.array([image.shape[:2] for image in real.values()], np.int64)
    pairs = find_neighbours(borders, sizes, SilentProgress())
    split = glnet_splits()
    lines = [
        f"| {names[pair.first]} ({split.get(names[pair.first], 'in no list')}) | {pair.side} | "
        f"{names[pair.second]} ({split.get(names[pair.second], 'in no list')}) | {pair.score:.2f} |"
        for pair in pairs
    ]
    return (
        f"Among the {len(real)} real tiles as they are, {len(pairs)} pairs are found. Seen side by side, roads, fields "
        "and rivers go on from one to the other. Beside each its split in GLNet's lists, on which most papers "
        "score: a pair on two sides leaks.\n\n"
        "| tile (GLNet's split) | goes on | in | score |\n|---|---|---|---|\n" + "\n".join(lines)
    )


def _duplicates(images: Tiles) -> str:
    outlines = [outline_of(image) for image in images.values()]
    count = len(outlines)
    rows = []
    for name, change in CHANGES.items():
        changed = [outline_of(change(image)) for image in images.values()]
        found = near_duplicates(np.stack([*outlines, *changed]), SilentProgress())
        right = [pair for pair in found if pair.second == pair.first + count]
        rows.append(f"| {name} | {len(right)} of {count} | {_least(right)} | {len(found) - len(right)} |")
    pieces = [
        outline_of(piece.image)
        for number, image in enumerate(images.values())
        for piece in cut(image, 4, picture=number)
    ]
    false = near_duplicates(np.stack(pieces), SilentProgress())
    return (
        f"Near duplicates: each of {count} tiles beside a copy of it that went through one change.\n\n"
        "| change | found | least correlation | other pairs |\n|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        f"Among {len(pieces)} pieces of these tiles (4 x 4), no two of which are the same, {len(false)} pairs were "
        f"taken for near duplicates (threshold {MIN_CORRELATION})."
    )


def _least(pairs: Sequence[NearDuplicate]) -> str:
    return f"{min(pair.score for pair in pairs):.3f}" if pairs else ""


def _seconds(counts: Sequence[int], per_tile: str) -> str:
    rows = []
    for count in counts:
        outlines, borders, vectors = _generated(count)
        sizes = np.full((count, 2), 2448, np.int64)
        points: list[NDArray[np.float64]] = []
        steps: dict[str, Callable[[], object]] = {
            "near": lambda outlines=outlines: near_duplicates(outlines, SilentProgress()),
            "neighbours": lambda borders=borders, sizes=sizes: find_neighbours(borders, sizes, SilentProgress()),
            "project": lambda vectors=vectors, points=points: points.append(project(vectors)),
            "snap": lambda points=points, count=count: snap_to_grid(points[0], grid_columns(count)),
        }
        rows.append(f"| {count:,} | " + " | ".join(_timed(step) for step in steps.values()) + " |")
    return (
        f"{per_tile} Then, once for the collection, in seconds, and in seconds of processor time (one run each; "
        "generated descriptors):\n\n"
        "| tiles | near duplicates | neighbours | likeness to a plane | plane to a grid |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
    )


def _timed(step: Callable[[], object]) -> str:
    start, used = time.perf_counter(), time.process_time()
    step()
    return f"{time.perf_counter() - start:.1f} ({time.process_time() - used:.1f})"


def _generated(count: int) -> tuple[NDArray[np.uint8], NDArray[np.float16], NDArray[np.float32]]:
    """Outlines, borders and embeddings of as many tiles: smooth noise, and twenty kinds."""
    generator = np.random.default_rng(0)
    outlines = np.stack(
        [
            cv2.resize(
                generator.integers(0, 256, (6, 6), np.uint8),
                (OUTLINE_SIDE, OUTLINE_SIDE),
                interpolation=cv2.INTER_CUBIC,
            )
            for _ in range(count)
        ]
    )
    steps = generator.normal(scale=4, size=(count, 4, BORDER_SAMPLES, 3)).astype(np.float32)
    borders = (100 + np.cumsum(steps, axis=2)).clip(1, 255).astype(np.float16)
    kinds = generator.normal(size=(20, 214))
    vectors = kinds[generator.integers(20, size=count)] + generator.normal(size=(count, 214))
    return outlines, borders, (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
