"""What a fit would take, told before it starts: what is labelled, how long, how much memory, how many parameters."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from core.classes import UNLABELLED
from core.progress import Progress
from core.system import system_line
from core.training.encoder_weights import fetch_recipe_weights
from core.training.feature_cache import FeatureCache, default_cache
from core.training.forecast_trial import Trial, try_head, try_network
from core.training.provenance import peak_device_memory_bytes, peak_memory_bytes
from core.training.recipe import Recipe
from core.training.training_data import TrainingData, gather

MOST_TILES = 12
"""Training tiles that are tried, and half as many validation tiles; with more, times are scaled by their number."""

LONG_SECONDS = 1800.0
"""From here on a network on a processor is warned of."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a fit is expected to take on this machine.

    ``classes`` holds instances, pixels and cells by class name. ``seconds`` are of the whole fit, of which
    ``reading_seconds`` go into labels and features. ``memory_bytes`` is of the process, ``device_memory_bytes`` of the
    GPU, None where none is used. Where features are ``cacheable``, ``uncached_tiles`` of ``tiles`` are still to be
    encoded. ``at_most`` marks a time that may turn out shorter; ``how`` says how it was measured.
    """

    classes: dict[str, dict[str, int]]
    warnings: list[str]
    frozen_parameters: int
    trained_parameters: int
    seconds: float
    reading_seconds: float
    memory_bytes: int
    device_memory_bytes: int | None
    tiles: int
    uncached_tiles: int
    cacheable: bool
    at_most: bool
    device: str
    how: str


def label_warnings(instances: Mapping[str, int]) -> list[str]:
    """What is thin about labels, by the number of labelled instances of each class; each in one sentence."""
    missing = [name for name, count in instances.items() if count == 0]
    single = [name for name, count in instances.items() if count == 1]
    said = []
    if len(missing) == len(instances) - 1:
        (only,) = set(instances) - set(missing)
        said.append(f"Only {only} is labelled: a model that knows one class has nothing to tell apart.")
    elif 0 < len(missing) < len(instances):
        said.append(f"No {_joined(missing, 'or')} is labelled: the model will never predict {_them(missing)}.")
    if single:
        said.append(
            f"Only one instance of {_joined(single, 'and')} is labelled: what is learnt of {_them(single)} is that one "
            "place; label a few more, on other tiles."
        )
    return said


def forecast(
    *,
    data: Path,
    labels: Path | None,
    recipe: Recipe,
    seed: int,
    device: str,
    progress: Progress,
    cache: FeatureCache | None = None,
) -> Forecast:
    """Begin the fit of ``recipe`` in a scratch folder, and reckon the whole from that.

    Takes some ten seconds for a head, a few steps for a network. The features that it computes are kept. Raises
    ``InputError`` for whatever ``fit`` would refuse, and ``CancelledError``.
    """
    cache = cache or default_cache()
    began = time.perf_counter()
    progress.update(0, 1, "Reading the labels")
    gathered = gather(data, labels, recipe)
    gather_seconds = time.perf_counter() - began
    fetch_recipe_weights(recipe, progress)
    part = TrainingData(_spread(gathered.training, MOST_TILES), _spread(gathered.validation, MOST_TILES // 2), ())
    attempt = try_network if recipe.kind == "network" else try_head
    trial = attempt(recipe, part, seed=seed, device=device, cache=cache.folder, progress=progress)
    every = (*gathered.training, *gathered.validation)
    uncached, encoding = trial.ledger.missing(every, cache)
    tiles_share = len(every) / (len(part.training) + len(part.validation))
    reading = gather_seconds + trial.reading_seconds * tiles_share + encoding
    training = trial.training_seconds * _repeats(recipe) * _growth(gathered, part, recipe)
    judging = trial.judging_seconds * (len(gathered.validation) + len(gathered.training) * (recipe.folds > 1))
    seconds = reading + training + judging
    memory = peak_memory_bytes() + trial.ledger.most_lent_bytes
    amounts = gathered.amounts()
    instances = {name: amount["instances"] for name, amount in amounts.items()}
    return Forecast(
        classes=amounts,
        warnings=[
            *label_warnings(instances),
            *gathered.warnings,
            *_time_warnings(seconds, recipe, trial),
            *_memory_warnings(memory),
        ],
        frozen_parameters=_frozen(trial, recipe),
        trained_parameters=trial.fitted.trained_parameters * _kept_apart(recipe),
        seconds=round(seconds, 2),
        reading_seconds=round(reading, 2),
        memory_bytes=memory,
        device_memory_bytes=peak_device_memory_bytes(),
        tiles=len(every),
        uncached_tiles=uncached,
        cacheable=recipe.kind != "network",
        at_most=trial.at_most,
        device=trial.fitted.device,
        how=_how(trial, len(part.training), len(gathered.training)),
    )


def _frozen(trial: Trial, recipe: Recipe) -> int:
    return 0 if recipe.train in ("finetune", "whole") else trial.fitted.encoder_parameters


def _repeats(recipe: Recipe) -> int:
    """How often the recipe trains what the trial trained once."""
    members = recipe.members if recipe.kind in ("linear", "network") else 1
    rounds = recipe.pseudo_rounds if recipe.kind == "linear" else 0
    return members * max(1, recipe.folds) * (1 + rounds)


def _kept_apart(recipe: Recipe) -> int:
    """How many members the run keeps: linear heads (a prototype is one) become a single head, others do not."""
    if recipe.kind == "network":
        return recipe.folds * recipe.members
    return 1 if recipe.kind in ("linear", "prototype") else recipe.folds


def _growth(whole: TrainingData, part: TrainingData, recipe: Recipe) -> float:
    """How much longer a training on all tiles takes than on the tiles of the trial.

    What goes over every tile in each epoch grows with the tiles; what learns from a bounded sample, with the sample.
    """
    if recipe.kind in ("convolutional", "network"):
        return 1.0 if recipe.steps and recipe.kind == "network" else len(whole.training) / len(part.training)
    return min(_cells(whole), recipe.max_cells) / max(1, min(_cells(part), recipe.max_cells))


def _cells(data: TrainingData) -> int:
    return sum(int((tile.cells.classes != UNLABELLED).sum()) for tile in data.training)


def _spread(items: Sequence[_Item], most: int) -> tuple[_Item, ...]:
    """At most so many of them, evenly from the first to the last."""
    if len(items) <= most:
        return tuple(items)
    return tuple(items[index * len(items) // most] for index in range(most))


def _time_warnings(seconds: float, recipe: Recipe, trial: Trial) -> list[str]:
    if recipe.kind != "network" or trial.fitted.device != "cpu" or seconds < LONG_SECONDS:
        return []
    return [
        f"It takes about {seconds / 3600:.1f} hours on this processor; use a GPU, fewer epochs or a coarser "
        "resolution, or train a head, which takes seconds."
    ]


def _memory_warnings(needed: int) -> list[str]:
    total = system_line().memory_total
    if needed <= total:
        return []
    return [
        f"It needs about {needed / 2**30:.1f} GiB of memory and this machine has {total / 2**30:.1f}; choose fewer "
        "tiles, a coarser resolution or a smaller encoder."
    ]


def _how(trial: Trial, tried: int, all_tiles: int) -> str:
    tiles = f"on {tried} of {all_tiles} training tiles" if tried < all_tiles else "on these tiles"
    encoded = sum(map(len, trial.ledger.encoded.values()))
    features = f", the encoder run {encoded} time{'s' if encoded > 1 else ''}" if encoded else ""
    return f"Measured just now on this machine, {tiles}{features}: {trial.how}."


def _joined(words: Sequence[str], last: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _them(words: Sequence[str]) -> str:
    return "it" if len(words) == 1 else "them"
