"""Kill -9 of the server at random moments while several people paint.

After each kill the files are opened before anything can mend them, the server is started anew, and every tile must be
what a second opinion (``sheet_model.py``) says: all that was answered is there; the one operation a tile that was sent
and not answered is there wholly or not at all. In half of the cases the browser lives on and sends it again with its
key, which must count once; in the others it never comes. Then a few steps back and forth must be right too.

    python -m tests.benchmarks.labelling.kill_nine [--kills 50] [--whole-app-kills 3] [--seed 0]
"""

import argparse
import json
import random
import sqlite3
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from PIL import Image

from core.workspace import DATABASE_NAME
from tests.benchmarks.labelling.http_painter import HttpPainter, Operation
from tests.benchmarks.labelling.label_server import LabelServer, free_port
from tests.benchmarks.labelling.scratch_tiles import grey_tiles

SIZES = ((2448, 2448), (2448, 2448), (544, 509))
PAINTING_SECONDS = (0.15, 1.6)  # between a start and its kill
STEPS_BACK = 3
FINAL_STEPS_BACK = 200
ALWAYS_UNDONE = 200


@dataclass
class KillReport:
    """What came of the kills. ``unanswered`` operations were in the air; ``problems`` must stay empty."""

    kills: int = 0
    answered: int = 0
    unanswered: int = 0
    unanswered_there: int = 0
    sent_again: int = 0
    leftover_temporaries: int = 0
    files_opened: int = 0
    undo_and_redo_steps: int = 0
    seconds_to_start: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class KillingSpree:
    """One server, some painters, and what they went through together."""

    def __init__(self, folder: Path, *, sizes: tuple[tuple[int, int], ...] = SIZES, seed: int = 0) -> None:
        workspace, tiles = grey_tiles(folder, sizes)
        self.server = LabelServer(workspace.root, free_port())
        self.database = workspace.root / DATABASE_NAME
        self.masks = {
            workspace.labels(tile.collection_id) / f"{tile.name}_mask.png": (tile.width, tile.height) for tile in tiles
        }
        self.painters = [
            HttpPainter(self.server.url, tile.id, (tile.height, tile.width), seed * 100 + number)
            for number, tile in enumerate(tiles)
        ]
        self.report = KillReport()
        self._random = random.Random(seed)
        workspace.database.close()  # the server alone has it from here on

    def run(self, kills: int, *, whole_app: bool = False) -> KillReport:
        """Paint and kill so many times."""
        self.server.whole_app = whole_app
        try:
            self._start()
            for _ in range(kills):
                self._paint_and_kill()
                self.open_files()
                self._start()
                for painter in self.painters:
                    self.check_after_start(painter)
                self.report.kills += 1
            for painter in self.painters:
                self._back_and_forth(painter, FINAL_STEPS_BACK)
            self.report.answered = sum(painter.answered for painter in self.painters)
        finally:
            self.server.kill()
        return self.report

    def _start(self) -> None:
        self.report.seconds_to_start.append(round(self.server.start(), 2))

    def _paint_and_kill(self) -> None:
        stopped = threading.Event()
        threads = [threading.Thread(target=painter.paint_until, args=[stopped]) for painter in self.painters]
        for thread in threads:
            thread.start()
        time.sleep(self._random.uniform(*PAINTING_SECONDS))
        self.server.kill()
        stopped.set()
        for thread in threads:
            thread.join()

    def open_files(self) -> None:
        """Every mask opens whole, nothing else calls itself a mask, and the database is sound."""
        for folder in {path.parent for path in self.masks}:
            for path in folder.iterdir() if folder.is_dir() else ():
                if path.name.startswith(".") and path.suffix == ".part":
                    self.report.leftover_temporaries += 1
                elif path not in self.masks:
                    self._problem(f"{path.name} lies among the masks")
        for path, size in self.masks.items():
            if not path.exists():
                continue
            try:
                with Image.open(path) as image:
                    image.load()
                    if image.size != size:
                        self._problem(f"{path.name} is {image.size}, its tile {size}")
                self.report.files_opened += 1
            except OSError as error:
                self._problem(f"{path.name} is half-written: {error}")
        self._open_database()

    def _open_database(self) -> None:
        """The database is sound, and its journal knows every operation that was answered and changed something."""
        with closing(sqlite3.connect(self.database)) as connection:
            verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
            known = {key for (key,) in connection.execute("SELECT client_key FROM label_operation")}
        if verdict != "ok":
            self._problem(f"integrity_check: {verdict}")
        for painter in self.painters:
            lost = painter.changed_keys - known
            if lost:
                self._problem(f"tile {painter.tile_id}: {len(lost)} answered operations are not in the journal")

    def check_after_start(self, painter: HttpPainter) -> None:
        """What was answered is there; what was not, wholly or not at all; undo and redo are right."""
        pending = painter.pending
        if pending is not None:
            self.report.unanswered += 1
            self._settle_pending(painter, pending)
        self._check(painter, "after the start")
        self._back_and_forth(painter, STEPS_BACK)

    def _settle_pending(self, painter: HttpPainter, pending: Operation) -> None:
        """Find out whether the unanswered operation is there; in half of the cases send it again."""
        there = self._agrees(painter, with_pending=pending)
        self.report.unanswered_there += there
        if self._random.random() < 0.5:
            painter.send(pending)
            self.report.sent_again += 1
        elif there:
            painter.settle(pending)
        else:
            painter.pending = None

    def _agrees(self, painter: HttpPainter, *, with_pending: Operation | None = None) -> bool:
        """Whether the server's raster and depths are what the model says."""
        expected = painter.model
        if with_pending is not None:
            expected = expected.copy()
            expected.perform(with_pending.path, with_pending.body)
        raster, state = painter.seen()
        done, redo = len(expected.done), len(expected.undone)
        # Older strokes are compacted; this many can always be undone.
        depths = state["redo"] == redo and min(done, ALWAYS_UNDONE) <= state["undo"] <= done
        return depths and bool((raster == expected.raster).all())

    def _check(self, painter: HttpPainter, when: str) -> None:
        if self._agrees(painter):
            return
        raster, state = painter.seen()
        model = painter.model
        self._problem(
            f"tile {painter.tile_id} {when}: {(raster != model.raster).sum()} pixels differ; undo {state['undo']} for "
            f"{len(model.done)}, redo {state['redo']} for {len(model.undone)}"
        )

    def _back_and_forth(self, painter: HttpPainter, most: int) -> None:
        steps = min(most, len(painter.model.done))
        for path in ("undo", "redo"):
            for _ in range(steps):
                painter.send(painter.step(path))
                self.report.undo_and_redo_steps += 1
                if steps <= STEPS_BACK:
                    self._check(painter, f"after {path}")
            self._check(painter, f"after {steps} times {path}")

    def _problem(self, sentence: str) -> None:
        self.report.problems.append(f"kill {self.report.kills + 1}: {sentence}")


def main() -> None:
    """Print the report as JSON; exit status 1 where there was a problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--whole-app-kills", type=int, default=3, help="more kills, of the app with its pages")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        spree = KillingSpree(Path(folder), seed=options.seed)
        spree.run(options.kills)
        if options.whole_app_kills:
            spree.run(options.whole_app_kills, whole_app=True)
    print(json.dumps(asdict(spree.report), indent=2))
    raise SystemExit(1 if spree.report.problems else 0)


if __name__ == "__main__":
    main()
