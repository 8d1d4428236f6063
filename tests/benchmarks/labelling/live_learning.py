"""How soon the model has learnt from a stroke, and whether the brush feels it: 9 labelled real tiles, the whole app.

python -m tests.benchmarks.labelling.live_learning [--repeats 24] [--strokes 60]

Prints medians and 95th percentiles. 'Stroke to suggestion on disk' begins when the stroke is sent and ends with the
time of the suggestion's note, the last of its files; the stages in between are what the learner noted. The processor
time of the learner for one refit is given beside it: on a machine that does nothing else, it and the wait for the next
stroke are all there is. The brush is measured with learning off, then on, at a stroke every 150 ms. Features are taken
from the user's cache, as after a first visit of each tile.
"""

import argparse
import json
import os
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

import numpy as np
import psutil

from core.catalog.images import read_mask
from core.labels import journal, suggestions
from core.labels.learner import RECIPE
from core.labels.learning_process import QUIET_SECONDS
from core.labels.simulated import simulate_instances
from core.progress import SilentProgress
from core.tables import Tile
from core.training.feature_cache import FeatureCache
from core.training.joined_features import make_recipe_extractor
from core.training.live_features import FeatureSource
from core.workspace import Workspace, feature_cache_folder
from tests.benchmarks.labelling.label_server import LabelServer, free_port
from tests.benchmarks.labelling.scratch_tiles import REAL_TILES, real_tiles

PACE_SECONDS = 0.15
PER_CLASS = 50
PATIENCE_SECONDS = 400.0


class Painter:
    """Sends brush strokes to one tile, as the canvas does."""

    def __init__(self, url: str, tile: Tile) -> None:
        self.url, self.tile = url, tile
        self._generator = np.random.default_rng(0)

    def ask(self, path: str, body: dict | None = None) -> dict:
        """GET, or POST where there is a body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "X-Tilewright-Tab": "a-bench-mark"}
        request = urllib.request.Request(f"{self.url}/labels/{self.tile.id}/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
            return json.load(reply)

    def stroke(self) -> tuple[float, dict]:
        """Brush somewhere; the seconds until the answer, and the answer."""
        start = self._generator.uniform(200, 2200, 2)
        path = start + np.cumsum(self._generator.normal(0, 12, (40, 2)), axis=0)
        body = {
            "client_key": str(uuid.uuid4()),
            "tool": "brush",
            "class_index": int(self._generator.integers(6)),
            "points": path.clip(0, 2447).round(1).tolist(),
            "radius": 20,
        }
        begun = time.perf_counter()
        answer = self.ask("strokes", body)
        return time.perf_counter() - begun, answer

    def wait_until_ready(self) -> None:
        """Look at the tile, as a canvas does, until there is a suggestion and nothing is on the way."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (answer := self.ask("suggestion.json"))["state"] != "ready":
            if time.monotonic() > deadline:
                raise TimeoutError(f"no suggestion: {answer['sentence']}")
            time.sleep(0.3)


def keep_features(workspace: Workspace, tiles: list[Tile]) -> None:
    """Have the features of all tiles in the user's cache, and use it in this workspace."""
    workspace.features.symlink_to(feature_cache_folder(), target_is_directory=True)
    extractor = make_recipe_extractor(RECIPE, device="cpu")
    source = FeatureSource(extractor, FeatureCache(workspace.features))
    for tile in tiles:
        source.read(tile, SilentProgress())


def label_nine(workspace: Workspace, tiles: list[Tile]) -> list[Tile]:
    """Give the tiles that train the squares of a simulated annotator; the others are held out by their masks."""
    training = [tile for tile in tiles if tile.split == "train"]
    truth = {t.name: read_mask(Path(str(t.mask_path)), shape=(t.height, t.width)).raster for t in training}
    painted = simulate_instances(truth, per_class=PER_CLASS, seed=0)
    for tile in training:
        journal.replace(workspace, tile.id, painted[tile.name], tool="import")
    return training


def learn_time(workspace: Workspace, painter: Painter, learner: psutil.Process) -> dict[str, float]:
    """Seconds from one stroke to the suggestion that knows it, by stage, and the learner's processor time."""
    before = sum(learner.cpu_times()[:2])
    sent = time.time()
    _, answer = painter.stroke()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (note := suggestions.current(workspace, painter.tile)) is None or note.sequence < answer["sequence"]:
        if time.monotonic() > deadline:
            raise TimeoutError("the suggestion was not renewed")
        time.sleep(0.02)
    path = workspace.suggestions(painter.tile.collection_id) / str(painter.tile.id) / f"{note.id}.json"
    on_disk = path.stat().st_mtime - sent
    painter.wait_until_ready()
    time.sleep(0.5)  # let it score
    used = sum(learner.cpu_times()[:2]) - before
    stages = {"wait for the next stroke": QUIET_SECONDS, **note.seconds}
    return {"stroke to suggestion on disk": on_disk, **stages, "processor time of the learner, with scoring": used}


def latencies(painter: Painter, strokes: int) -> list[float]:
    """Seconds of each stroke, at a steady pace."""
    seconds = []
    for _ in range(strokes):
        begun = time.perf_counter()
        seconds.append(painter.stroke()[0])
        time.sleep(max(0.0, PACE_SECONDS - (time.perf_counter() - begun)))
    return seconds


def row(name: str, seconds: list[float]) -> str:
    """One line of the table, in milliseconds."""
    middle, high = np.percentile(seconds, [50, 95]) * 1000
    return f"{name:45} median {middle:7.0f} ms   p95 {high:7.0f} ms   n {len(seconds)}"


def measure(*, repeats: int, strokes: int, port: int | None = None) -> tuple[dict[str, list[float]], str]:
    """Run the app on a scratch workspace: seconds by what took them, and a line on the circumstances."""
    names = sorted(path.name.removesuffix("_sat.jpg") for path in REAL_TILES.glob("*_sat.jpg"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        workspace, tiles = real_tiles(Path(folder), names)
        keep_features(workspace, tiles)
        training = label_nine(workspace, tiles)
        server = LabelServer(workspace.root, port or free_port(), whole_app=True)
        server.start()
        try:
            painter = Painter(server.url, training[0])
            painter.ask("learning", {"on": False})
            off = latencies(painter, strokes)
            painter.ask("learning", {"on": True})
            painter.wait_until_ready()
            learner = _learner(server)
            timed = [learn_time(workspace, painter, learner) for _ in range(repeats + 1)][1:]
            on = latencies(painter, strokes)
            memory = learner.memory_info().rss / 2**20
        finally:
            server.kill()
    seconds = {stage: [each[stage] for each in timed] for stage in timed[0]}
    seconds |= {"brush to answer, learning off": off, "brush to answer, learning on": on}
    load = os.getloadavg()[0]
    circumstances = (
        f"{len(training)} labelled tiles, {os.cpu_count()} cores, load {load:.1f} at the end, "
        f"memory of the learner {memory:.0f} MB"
    )
    return seconds, circumstances


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=24)
    parser.add_argument("--strokes", type=int, default=60)
    parser.add_argument("--port", type=int, help="by default a free one")
    options = parser.parse_args()
    seconds, circumstances = measure(repeats=options.repeats, strokes=options.strokes, port=options.port)
    print(circumstances)
    for what, values in seconds.items():
        print(row(what, values))


def _learner(server: LabelServer) -> psutil.Process:
    assert server.process is not None
    children = psutil.Process(server.process.pid).children(recursive=True)
    return next(child for child in children if "learn" in child.cmdline())


if __name__ == "__main__":
    main()
