"""The learning-rate range test: which rate a network learns fastest at, tried in a minute or two.

The rate rises exponentially from step to step while the loss is watched (Smith 2017, "Cyclical learning rates for
training neural networks", section 3.3). Where the loss falls most steeply is a good highest rate; beyond its lowest
point the steps are too large, and soon the loss blows up.
"""

import math
import time
from typing import Any

import numpy as np
import torch

from core.atomic import write_json
from core.errors import InputError
from core.progress import Progress
from core.training.features import choose_device
from core.training.fit import FitRequest
from core.training.network_learner import LossNotFiniteError
from core.training.network_setup import make_learner, make_network, make_patches, make_sampler
from core.training.patch_batches import batches
from core.training.patches import load_working_tiles
from core.training.training_data import gather

LOWEST, HIGHEST = 1e-6, 1.0
STEPS = 80
SMOOTHING = 0.9
BLOWN_UP = 3.0
"""The test ends where the smoothed loss is so many times its lowest."""

_FIRST_JUDGED = 8  # smoothed losses before are those of a few batches
_LEAST_FALL = 0.02  # of the loss at the lowest rates; less is noise


def find_rate(request: FitRequest, progress: Progress) -> dict[str, Any]:
    """Try rising rates on the request's recipe and labels; writes the result to ``request.out`` and returns it.

    The result is JSON: ``rates``, ``losses`` (smoothed) and ``suggested``, the rate of the steepest fall, None where
    the loss never fell. The encoder is trained or not as in the recipe's first epoch, at its share of the rate. Raises
    ``InputError`` for a recipe that trains no network, and as a fit does.
    """
    recipe = request.recipe
    if recipe.kind != "network":
        raise InputError(
            "A rate test is for networks, and this recipe trains a head on cached features; set train to decoder, "
            "finetune or whole."
        )
    device = choose_device(request.device)
    gathered = gather(request.data, request.labels, recipe)
    tiles = load_working_tiles(gathered.training, folder=request.out.parent, progress=progress)
    started = time.perf_counter()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device.type == "cuda" else []):
        torch.manual_seed(request.seed)
        network = make_network(recipe, tiles, seed=request.seed)
        sampler = make_sampler(recipe, tiles, seed=request.seed)
        learner = make_learner(
            network,
            recipe,
            shares=sampler.seen_shares(),
            device=device,
            tell=lambda sentence: progress.update(0, STEPS, f"Warning: {sentence}"),
        )
        learner.begin_epoch(0)
        draws = sampler.epoch(STEPS * recipe.batch_size)
        maker = make_patches(recipe, tiles, network)
        rates, losses = [], []
        for index, batch in enumerate(batches(maker, draws, size=recipe.batch_size, device=device)):
            rate = LOWEST * (HIGHEST / LOWEST) ** (index / (STEPS - 1))
            learner.set_rate(rate / recipe.learning_rate)
            try:
                losses.append(learner.step(batch).loss)
            except LossNotFiniteError:
                break
            rates.append(rate)
            progress.update(index + 1, STEPS, f"Learning rate {rate:.1e}, loss {losses[-1]:.3f}")
            if has_blown_up(smoothed(losses)):
                break
    if not rates:
        raise InputError("The loss is no number from the first step on; set precision to float32, or another loss.")
    curve = smoothed(losses)
    result = {
        "rates": rates,
        "losses": [round(loss, 6) for loss in curve],
        "suggested": suggested_rate(rates, curve),
        "blew_up": len(rates) < STEPS or has_blown_up(curve),
        "seconds": round(time.perf_counter() - started, 2),
    }
    write_json(request.out, result)
    return {"out": str(request.out), **result}


def smoothed(losses: list[float]) -> list[float]:
    """An exponential moving average from the left, with its start corrected (as Adam's; Kingma and Ba 2015)."""
    mean, curve = 0.0, []
    for index, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        curve.append(mean / (1 - SMOOTHING**index))
    return curve


def has_blown_up(curve: list[float]) -> bool:
    """Whether the smoothed loss has left its lowest far below."""
    return len(curve) > _FIRST_JUDGED and curve[-1] > BLOWN_UP * min(curve)


def suggested_rate(rates: list[float], curve: list[float]) -> float | None:
    """The rate at which the smoothed loss falls most per step, before its lowest; None where it never fell."""
    lowest = int(np.argmin(curve))
    if lowest <= _FIRST_JUDGED or curve[_FIRST_JUDGED] - curve[lowest] < _LEAST_FALL * abs(curve[_FIRST_JUDGED]):
        return None
    falls = -np.gradient(curve[_FIRST_JUDGED : lowest + 1])
    rate = rates[_FIRST_JUDGED + int(np.argmax(falls))]
    digits = 1 - math.floor(math.log10(rate))
    return round(rate, digits)
