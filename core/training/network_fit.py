"""Fit a network (a decoder, or encoder and decoder) on patches."""

import time

import torch

from core.errors import CancelledError, InputError
from core.training.checkpoints import Checkpoint, check_same, read_checkpoint, remove_checkpoint
from core.training.features import choose_device
from core.training.fitted import FitTask, Fitted
from core.training.network_course import NAN_BATCH, Course
from core.training.network_learner import LossNotFiniteError, is_out_of_memory
from core.training.patches import load_working_tiles
from core.training.team import ALONE, Team


def fit_network(task: FitTask, team: Team = ALONE) -> Fitted:
    """Train the recipe's network, or go on where its checkpoint stands; in each process of a ``team`` alike.

    Raises ``InputError`` for a checkpoint of another fit, an encoder that cannot be had or what does not fit into
    memory, and ``CancelledError`` where there is nothing to keep yet; after the first epoch the best so far is handed
    back instead.
    """
    device = choose_device(task.device)
    checkpoint = read_checkpoint(task.out) if task.resume else None
    if checkpoint is not None:
        check_same(checkpoint, task)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    tiles = load_working_tiles(task.tiles.training, folder=task.out.parent, progress=task.progress)
    reading_seconds = time.perf_counter() - started
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device.type == "cuda" else []):
        torch.manual_seed(task.seed)
        course = Course(task, tiles, device, team)
        if team.rank == 0:
            _clear(task, anew=checkpoint is None)
        _begin(task, course, checkpoint)
        cancelled, failure = False, None
        try:
            course.run()
        except CancelledError:
            if not course.best:
                raise
            cancelled = True
        except LossNotFiniteError as error:
            failure = course.keep_batch(error.batch)
            if not course.best:
                raise InputError(failure) from error
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise InputError(
                "Judging the validation tiles does not fit into memory; make resolution_m larger."
            ) from error
    return course.fitted(cancelled=cancelled, failure=failure, reading_seconds=reading_seconds)


def _clear(task: FitTask, *, anew: bool) -> None:
    """The run's folder as a fit begins, without what an earlier one left; its checkpoint goes where it starts anew."""
    (task.out / NAN_BATCH).unlink(missing_ok=True)
    if anew:
        remove_checkpoint(task.out)
    task.begin()


def _begin(task: FitTask, course: Course, checkpoint: Checkpoint | None) -> None:
    """Where the checkpoint was written, or at the beginning."""
    if checkpoint is not None:
        course.restore(checkpoint)
    elif task.resume:
        task.progress.update(0, 1, f"Warning: there is no checkpoint in {task.out}; the fit begins anew")
