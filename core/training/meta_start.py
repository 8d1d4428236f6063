"""Learn a starting head over the tiles of a folder and keep it as a run, for ``start`` of another fit to name."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from core.errors import CancelledError, InputError
from core.progress import Progress
from core.training.fit import FitRequest, fit
from core.training.fitted import FitTask, Fitted
from core.training.joined_features import make_recipe_extractor
from core.training.material import TileSource, read_material
from core.training.starting_head import ROUNDS, meta_train
from models.heads import ContextLinearHead


def learn_start(request: FitRequest, progress: Progress) -> dict[str, Any]:
    """Write the run of a starting head, each labelled tile a task; returns what ``fit`` does.

    The head is where fits begin, not what predicts best, so it is judged on no tile. A fit whose recipe names the run
    as ``start`` has to see alike: the same encoder, resolutions and windows. Raises ``InputError`` for a recipe without
    a linear head and for fewer than two tiles with two classes; ``CancelledError``, the head so far kept if there is
    one.
    """
    if request.recipe.kind != "linear":
        raise InputError(
            f"A starting head is linear and the recipe {request.recipe.name} trains something else "
            f"({request.recipe.kind}); set train to 'head' and head to 'context-linear'."
        )
    return fit(request, progress, train=_train)


def _train(task: FitTask) -> Fitted:
    source = TileSource(make_recipe_extractor(task.recipe, device=task.device), task.cache, task.progress)
    started = time.perf_counter()
    cells = read_material(task, source).cells
    if cells is None or cells.tiles is None:
        raise ValueError("a linear head learns from cells that know their tiles")
    tasks = [cells.taken(cells.tiles == number) for number in range(len(task.tiles.training))]
    features_seconds = time.perf_counter() - started
    began = time.perf_counter()
    best: ContextLinearHead | None = None

    def report(done: int, loss: float, head: ContextLinearHead) -> None:
        nonlocal best
        if best is None:
            task.begin()
        best = head
        seconds = round(time.perf_counter() - began, 2)
        task.measured({"iteration": done, "loss": round(loss, 6), "validation_miou": None, "seconds": seconds})
        task.progress.update(done, ROUNDS, f"Learning where to start, loss {loss:.3f}")

    cancelled = False
    try:
        with _one_thread():
            generator = torch.Generator().manual_seed(task.seed)
            meta_train(tasks, windows=task.recipe.windows, generator=generator, report=report)
    except CancelledError:
        if best is None:
            raise
        cancelled = True
    if best is None:
        raise ValueError("not a single round")
    return Fitted(
        model=best,
        cancelled=cancelled,
        encoder_identity=source.extractor.encoder_identity,
        encoder_parameters=source.extractor.encoder_parameters,
        encoder_licence=source.extractor.encoder_licence,
        trained_parameters=sum(p.numel() for p in best.parameters()),
        device=source.extractor.device.type,
        features_seconds=features_seconds,
        training_seconds=time.perf_counter() - began,
        validation=None,
        measured={"meta_learnt_over": [tile.name for tile in task.tiles.training]},
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread: the steps are some hundred cells each, and to wake a second thread takes longer than that.

    On two busy cores a step took 40 ms with two threads and 0.6 ms with one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
