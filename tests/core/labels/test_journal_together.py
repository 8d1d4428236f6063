"""Threads and processes that paint on one tile at once."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
from sqlalchemy import select

from core.classes import UNLABELLED
from core.labels import journal, raster
from core.labels.rasterising import rasterise
from core.tables import LabelOperation
from tests.core.labels.painting import brush, is_on_disk, random_brush, strokes_of

ROOT = Path(__file__).parents[3]


def paint_many(workspace, tile_id, generator, times):
    for _ in range(times):
        journal.apply(workspace, tile_id, random_brush(generator))


def replayed(workspace, tile):
    """What the strokes say by themselves, painted again from their geometry."""
    expected = np.full((tile.height, tile.width), UNLABELLED, np.uint8)
    for row in strokes_of(workspace, tile):
        stroke = brush([tuple(p) for p in row.geometry["points"]], radius=row.geometry["radius"])
        box, mask = rasterise(stroke, expected.shape)
        expected[box.slices][mask] = row.class_index
    return expected


def test_threads_that_paint_at_once_lose_no_stroke(one):
    workspace, tile = one
    threads = [
        threading.Thread(target=paint_many, args=(workspace, tile.id, np.random.default_rng(seed), 10))
        for seed in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(strokes_of(workspace, tile)) >= 30  # some may change nothing
    assert is_on_disk(workspace, tile, replayed(workspace, tile))


PAINTER = """
import sys
from pathlib import Path
import numpy as np
from core.labels import journal
from core.workspace import open_workspace
from tests.core.labels.painting import random_brush
workspace = open_workspace(Path(sys.argv[1]))
generator = np.random.default_rng(int(sys.argv[3]))
print("ready", flush=True)
for _ in range(int(sys.argv[4])):
    stroke = random_brush(generator)
    journal.apply(workspace, int(sys.argv[2]), stroke)
    print(stroke.client_key, flush=True)
"""


def start_painter(workspace, tile, *, seed, times):
    command = [sys.executable, "-c", PAINTER, str(workspace.root), str(tile.id), str(seed), str(times)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": "."})


def test_processes_that_paint_at_once_lose_no_stroke(one):
    workspace, tile = one
    painters = [start_painter(workspace, tile, seed=seed, times=12) for seed in range(2)]
    keys = {key for painter in painters for key in painter.communicate()[0].split()[1:]}
    assert all(painter.returncode == 0 for painter in painters)
    assert len(keys) == 24
    assert {row.client_key for row in strokes_of(workspace, tile)} <= keys
    assert is_on_disk(workspace, tile, replayed(workspace, tile))


def test_a_killed_painter_loses_no_stroke_that_was_reported_saved(one):
    workspace, tile = one
    for seed in range(4):
        painter = start_painter(workspace, tile, seed=seed, times=10_000)
        reported = [painter.stdout.readline().strip() for _ in range(3 + 2 * seed)][1:]
        painter.kill()
        reported += painter.communicate()[0].split("\n")[:-1]  # whole lines that were still on their way
        current = journal.load(workspace, tile.id)
        assert is_on_disk(workspace, tile, current)
        with workspace.database.read() as session:
            known = set(session.scalars(select(LabelOperation.client_key)))
        changed = [key for key in reported if key in known]
        assert len(changed) >= len(reported) - 2  # only those that changed no pixel have no entry
    journal.apply(workspace, tile.id, brush([(1, 1), (59, 39)], class_index=0))
    journal.apply(workspace, tile.id, brush([(1, 1), (59, 39)], class_index=1))
    assert [path.name for path in raster.mask_path(workspace, tile).parent.iterdir()] == ["t0_mask.png"]
