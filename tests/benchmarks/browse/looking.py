"""What it takes to look at a tile, and whether the likest tiles are of the same class."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from core.catalog.alike.looks import centred
from core.catalog.catalogue import collections, index_folder
from core.catalog.images import read_image, read_mask
from core.catalog.sample import write_sample
from core.classes import CLASS_COUNT, CLASS_NAMES
from core.inference.tile_looks import RESOLUTION_M, look_at_collection
from core.labels.queue_facts import embedding
from core.progress import SilentProgress
from core.training.joined_features import make_recipe_extractor
from core.training.recipe import load_recipe
from core.workspace import open_workspace
from tests.benchmarks.amount import Amount
from tests.benchmarks.real_tiles import REAL_TILES

ACROSS = 4
METRES = (0.5, 0.5)


class Moments(SilentProgress):
    """When the first tile was looked at and when the first comparison began: by the clock, and of processor time."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[tuple[float, float]] = []

    def update(self, done: float, total: float, message: str) -> None:
        """Note the time."""
        begins = ("Looking at", "Near duplicates")
        if len(self.moments) < len(begins) and message.startswith(begins[len(self.moments)]):
            self.moments.append((time.perf_counter(), time.process_time()))
        super().update(done, total, message)


def milliseconds_a_tile(amount: Amount) -> str:
    """How long the job looks at a tile, in a sentence."""
    with tempfile.TemporaryDirectory() as scratch:
        data = REAL_TILES if REAL_TILES.is_dir() and not amount.quick else Path(scratch) / "sample"
        if data != REAL_TILES:
            write_sample(data, tiles=3, size=amount.side, seed=0, progress=SilentProgress())
        workspace = open_workspace(Path(scratch) / "workspace")
        index_folder(workspace, data, SilentProgress())
        [home] = collections(workspace)
        moments = Moments()
        result = look_at_collection(workspace, collection_id=home.id, device="cpu", progress=moments)
        count = result["looked_at"]
        clock, used = (1000 * (after - before) / count for before, after in zip(*moments.moments, strict=True))
    size = f"{amount.side} x {amount.side}"
    kind = "real tiles of 2448 x 2448 with masks" if data == REAL_TILES else f"drawn tiles of {size}"
    threads = torch.get_num_threads()
    return (
        f"Looking at {count} {kind} on the CPU took {clock:.0f} ms a tile, {used:.0f} ms of processor time (two "
        f"readers, {threads} threads)."
    )


def class_likeness(amount: Amount) -> str:
    """How often the likest tile shares the dominant class: whole tiles, and pieces of them against other tiles."""
    extractor = replace(make_recipe_extractor(load_recipe(), device="cpu").parts[0], resolution_m=RESOLUTION_M)
    rows = []
    for across in (1, ACROSS):
        vectors, dominant, tile_of = [], [], []
        for number, path in enumerate(sorted(REAL_TILES.glob("*_sat.jpg"))[: 3 if amount.quick else None]):
            image = read_image(path)
            raster = read_mask(path.with_name(path.name.replace("_sat.jpg", "_mask.png")), image.shape[:2]).raster
            side = image.shape[0] // across
            for top in range(0, side * across, side):
                for left in range(0, side * across, side):
                    piece = np.ascontiguousarray(image[top : top + side, left : left + side])
                    grid = extractor.grid(piece.shape[:2], METRES)
                    vectors.append(embedding(extractor.extract(piece, grid)))
                    classes = raster[top : top + side, left : left + side].ravel()
                    dominant.append(int(np.bincount(classes, minlength=256)[:CLASS_COUNT].argmax()))
                    tile_of.append(number)
        rows.append(_row(np.stack(vectors), np.array(dominant), np.array(tile_of), across))
    return (
        "Likeness: how often the likest tile (by the embedding, another tile's) has the same dominant class. Chance is "
        "how often any other tile's has. Eleven tiles are few: a tile more or less is nine points.\n\n"
        "| | n | classes | same dominant class | by chance |\n|---|---|---|---|---|\n" + "\n".join(rows)
    )


def _row(vectors: np.ndarray, dominant: np.ndarray, tile_of: np.ndarray, across: int) -> str:
    unit = centred(vectors)
    likeness = unit @ unit.T
    other = tile_of[:, None] != tile_of
    nearest = np.where(other, likeness, -2).argmax(axis=1)
    same = float((dominant[nearest] == dominant).mean())
    chance = float(np.mean([(dominant[row] == one).mean() for row, one in zip(other, dominant, strict=True)]))
    name = "whole tiles" if across == 1 else f"pieces, {across} x {across} a tile"
    counts = ", ".join(f"{n} {CLASS_NAMES[k]}" for k, n in enumerate(np.bincount(dominant, minlength=CLASS_COUNT)) if n)
    return f"| {name} | {len(dominant)} | {counts} | {same:.2f} | {chance:.2f} |"
