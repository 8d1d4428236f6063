"""What a run makes of each tile, for choosing what to label next: how sure it is, which classes it sees, where it lies.

Per tile, from the cells of the features (see ``core/training/cell_grid.py``):

- uncertainty: the mean over the cells of the entropy of their class probabilities, divided by log 6, so 0 to 1
  (C. E. Shannon, A mathematical theory of communication, 1948; as a rule for choosing: B. Settles, Active learning
  literature survey, 2009, section 3.1);
- class shares: the mean over the cells of the class probabilities, six that sum to 1;
- embedding: the mean over the cells of the feature vectors, scaled to length 1.

A job computes them and writes each tile's when it is done, so a cancel keeps what there is. Without a run the encoder
alone gives the embeddings: such facts have no uncertainty and no shares.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from core.catalog.catalogue import collection, tiles
from core.catalog.images import fingerprint
from core.classes import CLASS_COUNT
from core.errors import InputError
from core.inference import imported, store
from core.inference.tile_observer import TileObserver
from core.progress import Progress
from core.tables import Tile, TileFacts, now
from core.training.features import Features
from core.training.runs import list_runs, weights_file
from core.workspace import Workspace

KIND = "queue"
"""What kind of job computes facts."""

_ENCODER_ALONE = "encoder"
"""Stands for the run's weights in the fingerprint of facts that were made without a run."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a tile: ``run`` and what needs one are None where the encoder alone was asked.

    ``uncertainty`` is 0 to 1, ``class_shares`` float64 (6,) that sum to 1, ``embedding`` float32 of length 1.
    """

    run: str | None
    uncertainty: float | None
    class_shares: NDArray[np.float64] | None
    embedding: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class KnownFacts:
    """The facts of a collection's tiles by id, and how far they can be trusted.

    ``newest_run`` is the finished run that was made last (None: there is none). ``missing`` counts the tiles without
    facts, or whose image changed since; ``stale`` those whose facts were not made by ``newest_run`` as it is now.
    """

    by_tile: dict[int, Facts]
    newest_run: str | None
    missing: int
    stale: int


def known_facts(workspace: Workspace, collection_id: int) -> KnownFacts:
    """Read the facts of a collection."""
    members = tiles(workspace, collection_id)
    query = select(TileFacts).join(Tile, Tile.id == TileFacts.tile_id).where(Tile.collection_id == collection_id)
    with workspace.database.read() as session:
        rows = {row.tile_id: row for row in session.scalars(query)}
    rows = {tile.id: rows[tile.id] for tile in members if tile.id in rows and _is_of(rows[tile.id], tile)}
    newest = newest_run(workspace)
    made_by = _made_by(workspace, newest)
    return KnownFacts(
        by_tile={tile_id: _facts(row) for tile_id, row in rows.items()},
        newest_run=newest,
        missing=len(members) - len(rows),
        stale=sum((row.run or None) != newest or made_by not in row.fingerprint for row in rows.values()),
    )


def newest_run(workspace: Workspace) -> str | None:
    """The finished run that was made last, by name; imported ones have no network to ask."""
    finished = [run for run in list_runs(workspace.runs) if run.card.state == "finished"]
    return next((run.name for run in finished if not imported.is_imported(run.folder)), None)


def queue_facts_arguments(collection_id: int, run: str | None) -> list[str]:
    """The command line of the job, after ``python -m core``."""
    return ["queue-facts", "--collection", str(collection_id), *(["--run", run] if run else ["--encoder-only"])]


def compute_facts(workspace: Workspace, *, collection_id: int, run: str | None, progress: Progress) -> dict[str, Any]:
    """Compute the facts of every tile of a collection that has none by this run, or by the encoder where it is None.

    Returns the counts ``tiles``, ``computed`` and ``left_out`` (a sentence for each tile whose image cannot be read).
    A cancel keeps the tiles that are done. Raises ``InputError`` for an unknown run or collection, ``CancelledError``.
    """
    members = tiles(workspace, collection(workspace, collection_id).id)
    observer, made_by = TileObserver.open(workspace, run), _made_by(workspace, run)
    with workspace.database.read() as session:
        kept = {row.tile_id: row.fingerprint for row in session.scalars(select(TileFacts))}
    left_out = []
    computed = 0
    for index, tile in enumerate(members):
        progress.update(index, len(members), f"Looking at tile {tile.name}")
        mark = f"{tile.fingerprint}-{made_by}-{observer.extractor.identity}"
        if kept.get(tile.id) == mark:
            continue
        try:
            row = _look(observer, tile, progress)
        except InputError as error:
            left_out.append(str(error))
            continue
        row.tile_id, row.run, row.fingerprint = tile.id, run or "", mark
        with workspace.database.write() as session:
            session.merge(row)
        computed += 1
    progress.update(len(members), len(members), "Looked at all tiles")
    return {"tiles": len(members), "computed": computed, "run": run, "left_out": left_out}


def _look(observer: TileObserver, tile: Tile, progress: Progress) -> TileFacts:
    """The facts of one tile, but for its id and where they come from."""
    seen = observer.observe(tile, progress)
    found = TileFacts(uncertainty=0.0, class_shares=[], embedding=embedding(seen.features).tobytes(), made=now())
    if seen.probabilities is not None:
        found.uncertainty = mean_entropy(seen.probabilities)
        found.class_shares = [float(share) for share in seen.probabilities.mean(axis=(1, 2), dtype=np.float64)]
    return found


def mean_entropy(probabilities: NDArray[np.float32]) -> float:
    """Mean entropy of class probabilities (6, rows, columns), as a share of the greatest possible, 0 to 1."""
    sure = np.maximum(probabilities, np.float32(1e-12))  # 0 log 0 is 0
    return float(-(probabilities * np.log(sure)).sum(axis=0, dtype=np.float64).mean() / np.log(CLASS_COUNT))


def embedding(features: Features) -> NDArray[np.float32]:
    """The mean of the feature vectors of a tile's cells, scaled to length 1; float32 (channels,)."""
    mean = features.mean(axis=(1, 2), dtype=np.float64)
    length = float(np.linalg.norm(mean))
    unit: NDArray[np.float32] = (mean / length if length else mean).astype(np.float32)
    return unit


def _made_by(workspace: Workspace, run: str | None) -> str:
    """Tells one run's weights from another's; a run trained anew under its name gets other facts."""
    return _ENCODER_ALONE if run is None else fingerprint(weights_file(store.run_folder(workspace, run)))


def _is_of(row: TileFacts, tile: Tile) -> bool:
    return row.fingerprint.startswith(f"{tile.fingerprint}-")


def _facts(row: TileFacts) -> Facts:
    vector = np.frombuffer(row.embedding, np.float32)
    if not row.run:
        return Facts(None, None, None, vector)
    return Facts(row.run, row.uncertainty, np.array(row.class_shares, np.float64), vector)
