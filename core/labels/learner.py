"""The live head of one collection: from labels on disk to a suggestion for one tile and a score on held-out ones.

Runs in a process of its own (``learning_process.py``). Labels and truths are read again only where their files changed.
A tile whose labels or image cannot be read is left out, and said so; it never stops the others from teaching.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from torch import Tensor

from core.catalog.images import read_mask
from core.classes import CLASS_COUNT
from core.errors import InputError
from core.evaluation.confusion import Confusion
from core.evaluation.intervals import few_tiles_note
from core.inference.predict import head_logits, upsampled_probabilities
from core.inference.upsampling import class_raster
from core.labels import raster as raster_file
from core.labels import suggestions
from core.labels.learning_tiles import HOW_TO_BE_JUDGED, LearningTiles, learning_tiles
from core.labels.live_scores import HeldOutScore, score
from core.progress import Progress
from core.tables import LabelOperation, Tile
from core.training.cell_grid import CellGrid
from core.training.cells import label_cells
from core.training.live import LiveTrainer, NeedsLabelsError
from core.training.live_features import FeatureSource, LiveFeatures
from core.training.recipe import PRESETS
from core.workspace import Workspace
from models.heads import ContextLinearHead

RECIPE = PRESETS["head"]
_Stamp = tuple[int, int, int]


class OvertakenError(Exception):
    """Something newer came in; what was being done is not worth finishing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A new suggestion: its id, the tile's last operation that it knows, whether the head is a new one.

    ``sentence`` says what it was learnt from; ``stages`` is seconds by what was done.
    """

    suggestion: str
    sequence: int
    refitted: bool
    sentence: str
    stages: dict[str, float]


@dataclass(slots=True)
class _Stages:
    """Seconds by what was done."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 4)


class Learner:
    """The live head of one collection, and what it takes to refit it quickly.

    ``say`` is told, in a sentence, of work that takes long; ``progress`` may stop it by raising ``CancelledError``.
    """

    def __init__(
        self,
        workspace: Workspace,
        collection_id: int,
        source: FeatureSource,
        *,
        say: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self.collection_id = collection_id
        self._workspace, self._source, self._say, self._progress = workspace, source, say, progress
        self._features = LiveFeatures(source, progress)
        self._trainer = LiveTrainer(RECIPE, self._vectors)
        self._tiles = LearningTiles((), (), frozenset())
        self._by_id: dict[int, Tile] = {}
        self._read: dict[int, _Stamp] = {}
        self._truths: dict[Path, tuple[_Stamp, NDArray[np.int64]]] = {}
        self._left_out: dict[int, str] = {}
        self._head: ContextLinearHead | None = None

    @property
    def held_bytes(self) -> int:
        """The memory that features and vectors take."""
        return self._features.held_bytes + self._trainer.held_bytes

    def answer(self, tile: Tile) -> Answer:
        """Refit the head, if any labels changed, and keep a suggestion for one tile.

        Raises ``NeedsLabelsError`` where there is too little to learn from, and ``InputError`` for a tile whose image
        cannot be read.
        """
        stages = _Stages()
        with stages.of("read"):
            sequence = self._sequence(tile)
            self._tell_of_long_work(tile)
            self._features.prepare(tile)
            changed = self._read_labels()
        with stages.of("fit"):
            refitted = changed or self._head is None
            if refitted:
                self._head = None
                self._head = self._fit(tile)
            head = self._checked_head()
        with stages.of("predict"):
            grid = self._source.grid(tile)
            logits = self._logits(head, tile)
            raster = class_raster(logits.numpy(), grid)
            confidence = _confidence(logits, grid)
        with stages.of("write"):
            suggestion = suggestions.put(
                self._workspace,
                tile,
                raster,
                confidence,
                source=suggestions.LIVE,
                sequence=sequence,
                seconds=stages.seconds,
            )
        return Answer(suggestion, sequence, refitted, self.sentence(tile), stages.seconds)

    def score(self, may_go_on: Callable[[], bool]) -> HeldOutScore | None:
        """Score the head on the held-out tiles, whole ones; None where there are none.

        Raises ``OvertakenError`` where ``may_go_on``, asked before each tile, said no.

        Every labelled pixel counts, with the prediction at its cell, which differs little from the score at full size
        (measured in tests/benchmarks/labelling/live_learning.py).
        """
        head = self._checked_head()
        matrices: list[Confusion] = []
        for held_out in self._tiles.held_out:
            if not may_go_on():
                raise OvertakenError
            try:
                self._tell_of_long_work(held_out.tile)
                counts = self._truth(held_out.truth, held_out.tile)
                predicted = self._logits(head, held_out.tile).argmax(dim=0).numpy().ravel()
            except (InputError, FileNotFoundError) as error:
                self._left_out[held_out.tile.id] = str(error)
                continue
            matrix = np.zeros((CLASS_COUNT, CLASS_COUNT + 1), np.int64)
            np.add.at(matrix.T, predicted, counts)
            matrices.append(matrix)
        return score(matrices)

    def sentence(self, tile: Tile) -> str:
        """What the head was learnt from and is judged on, what that means for one tile, and what had to be left out."""
        count = len(self._trainer.tiles)
        parts = [f"Learnt from {self._trainer.labelled_cells:,} cells of {count} tile{'s' if count > 1 else ''}."]
        if tile.id in self._tiles.never_train:
            parts.append("This tile is held out: what is painted on it judges the live head and never trains it.")
        parts.append(_judged_on(self._tiles))
        if self._left_out:
            parts.append(f"Left out: {' '.join(self._left_out.values())}")
        return " ".join(parts).strip()

    def _read_labels(self) -> bool:
        """Bring the labels up to date; whether any changed, or a tile came or went."""
        self._tiles = learning_tiles(self._workspace, self.collection_id)
        self._by_id = {tile.id: tile for tile in self._tiles.training}
        gone = self._trainer.tiles - self._by_id.keys()
        for tile_id in gone:
            self._trainer.forget(tile_id)
            self._read.pop(tile_id, None)
        self._left_out.clear()
        changed = [self._read_labels_of(tile) for tile in self._tiles.training]
        return any(changed) or bool(gone)

    def _read_labels_of(self, tile: Tile) -> bool:
        path = raster_file.mask_path(self._workspace, tile)
        try:
            stamp = _stamp(path)
            if self._read.get(tile.id) == stamp:
                return False
            stored = raster_file.read(path, (tile.height, tile.width))
            self._tell_of_long_work(tile)
            self._features.of(tile)  # here, where it may fail without harm to the other tiles
        except (InputError, FileNotFoundError) as error:
            self._left_out[tile.id] = str(error)
            stored = None
        if stored is None:
            was_there = tile.id in self._trainer.tiles
            self._trainer.forget(tile.id)
            self._read.pop(tile.id, None)
            return was_there
        self._trainer.learn_from(tile.id, label_cells(stored.raster, self._source.grid(tile)))
        self._read[tile.id] = stamp
        return True

    def _truth(self, path: Path, tile: Tile) -> NDArray[np.int64]:
        """Labelled pixels by class in each cell of a held-out tile, ``(cells, 6)``."""
        stamp = _stamp(path)
        known = self._truths.get(path)
        if known is None or known[0] != stamp:
            raster = read_mask(path, shape=(tile.height, tile.width)).raster
            counts = label_cells(raster, self._source.grid(tile)).counts.reshape(-1, CLASS_COUNT)
            self._truths[path] = known = (stamp, counts)
        return known[1]

    def _vectors(self, tile_id: int, cells: Tensor) -> Tensor:
        return self._features.vectors(self._by_id[tile_id], cells, RECIPE.windows)

    def _logits(self, head: ContextLinearHead, tile: Tile) -> Tensor:
        return head_logits(head, self._features.of(tile), self._source.extractor.device)

    def _fit(self, tile: Tile) -> ContextLinearHead:
        try:
            return self._trainer.fit()
        except NeedsLabelsError as error:
            if tile.id not in self._tiles.never_train:
                raise
            raise NeedsLabelsError(
                "This tile is held out: what is painted on it judges the live head and never trains it; "
                "label two classes on other tiles, then the model suggests the rest here too."
            ) from error

    def _checked_head(self) -> ContextLinearHead:
        if self._head is None:
            raise ValueError("there is no head before the first fit")
        return self._head

    def _tell_of_long_work(self, tile: Tile) -> None:
        self._progress.update(0, 1, f"Reading tile {tile.name}")
        if not self._source.on_disk(tile):
            self._say(f"Computing the features of tile {tile.name}; once for each tile, it takes some seconds.")

    def _sequence(self, tile: Tile) -> int:
        """The last operation on the tile's labels, asked for before they are read: they may only be newer."""
        newest = select(func.max(LabelOperation.id)).where(
            LabelOperation.tile_id == tile.id, LabelOperation.opinion == ""
        )
        with self._workspace.database.read() as session:
            return session.scalar(newest) or 0


def _judged_on(tiles: LearningTiles) -> str:
    """What the score rests on, and how far it is to be trusted."""
    scored, in_all = len(tiles.held_out), tiles.held_out_in_all
    if not scored:
        return HOW_TO_BE_JUDGED
    of_all = f" of {in_all}" if in_all > scored else ""
    what = (
        "1 whole tile of the split 'val', which never trains it"
        if in_all == 1
        else (f"{scored}{of_all} whole tiles of the split 'val', which never train it")
    )
    return f"Judged on {what}. {few_tiles_note(scored) or ''}"


def _confidence(logits: Tensor, grid: CellGrid) -> suggestions.Confidence:
    """The greatest probability, 255 certain, at every fourth pixel of the tile."""
    height, width = (-(-side // suggestions.CONFIDENCE_STEP) for side in grid.size)
    probabilities = upsampled_probabilities(logits, replace(grid, size=(height, width)))
    confidence: suggestions.Confidence = np.round(probabilities.max(axis=0) * 255).astype(np.uint8)
    return confidence


def _stamp(path: Path) -> _Stamp:
    """What changes whenever a file is replaced."""
    status = path.stat()
    return status.st_mtime_ns, status.st_ino, status.st_size
