"""The checkpoint of an unfinished fit: all that decides its further course, in one file that is whole or not there.

``checkpoint.safetensors`` holds the tensors and, as JSON in its metadata, everything else: one file, since of two one
could be newer than the other after a kill. ``checkpoint.json`` beside it says the same in short, for people and pages;
nothing is read back from it.
"""

import json
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from core.atomic import write_bytes, write_json
from core.errors import InputError
from core.training.fitted import FitTask

CHECKPOINT, SUMMARY = "checkpoint.safetensors", "checkpoint.json"
MEMBERS = "checkpoint-members"
"""The folder of the members of a run that averages networks, until it is whole."""
FORMAT = "tilewright-checkpoint-1"
NETWORK = "network"
"""The part of a checkpoint that holds the network as the optimiser left it."""
_KEY = "tilewright"

Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``parts`` are groups of tensors by name, among them ``NETWORK``; ``state`` and ``made_of`` are JSON."""

    parts: Mapping[str, Mapping[str, Tensor]]
    state: dict[str, Any]
    made_of: dict[str, Any]


def ingredients(task: FitTask) -> dict[str, Any]:
    """What a fit is of; a checkpoint serves only a fit that is of the same."""
    both = (*task.tiles.training, *task.tiles.validation)
    return {
        "recipe": task.recipe.model_dump(mode="json"),
        "seed": task.seed,
        "training_tiles": [tile.name for tile in task.tiles.training],
        "validation_tiles": [tile.name for tile in task.tiles.validation],
        "images": {tile.name: tile.image_fingerprint for tile in both},
        "labels": {tile.name: tile.mask_fingerprint for tile in both},
    }


def check_same(checkpoint: Checkpoint, task: FitTask) -> None:
    """Raise ``InputError`` where the checkpoint is of another fit than ``task``, saying in what they differ."""
    made_of, wanted = checkpoint.made_of, ingredients(task)
    if made_of == wanted:
        return
    where = f"The checkpoint in {task.out}"
    how = "fit with what it began with, or train anew without --resume"
    old, new = made_of["recipe"], wanted["recipe"]
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            raise InputError(f"{where} is of a recipe with {key} = {old.get(key)!r}, not {new.get(key)!r}; {how}.")
    if made_of["seed"] != wanted["seed"]:
        raise InputError(f"{where} is of seed {made_of['seed']}, not {wanted['seed']}; {how}.")
    for what in ("images", "labels"):
        changed = sorted(n for n, mark in made_of[what].items() if wanted[what].get(n, mark) != mark)
        if changed:
            raise InputError(f"{where} was made with other {what} of tile {changed[0]}; {how}.")
    raise InputError(f"{where} was made with other tiles, or with the same in other roles; {how}.")


def write_checkpoint(folder: Path, checkpoint: Checkpoint, summary: dict[str, Any]) -> None:
    """Put the checkpoint in place of the last one; raises ``NotSavedError``, and leaves that, on a full disk.

    A tensor that equals the network's of the same name is kept once: averages share a frozen encoder with it.
    """
    tensors: Tensors = {}
    shared = []
    network = checkpoint.parts[NETWORK]
    for part, named in checkpoint.parts.items():
        for name, tensor in named.items():
            other = network.get(name)
            if part != NETWORK and other is not None and _equal(other, tensor):
                shared.append([part, name])
            else:
                tensors[f"{part}/{name}"] = tensor.detach().cpu().contiguous()
    described = {"format": FORMAT, "state": checkpoint.state, "made_of": checkpoint.made_of, "shared": shared}
    write_bytes(folder / CHECKPOINT, save(tensors, {_KEY: json.dumps(described)}))
    write_json(folder / SUMMARY, summary)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint in a run's folder, on the CPU; None where there is none.

    Raises ``InputError`` for a file that is not one of ours, or of another version.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            described = json.loads((file.metadata() or {})[_KEY])
            tensors: Tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if described["format"] != FORMAT:
            raise InputError(f"{path} is of another version of Tilewright; remove it and train anew.")
        parts: dict[str, Tensors] = {}
        for key, tensor in tensors.items():
            part, _, name = key.partition("/")
            parts.setdefault(part, {})[name] = tensor
        for part, name in described["shared"]:
            parts.setdefault(part, {})[name] = parts[NETWORK][name]
        return Checkpoint(parts, described["state"], described["made_of"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"The checkpoint {path} cannot be read ({error}); remove it and train anew, without --resume."
        ) from error


def remove_checkpoint(folder: Path) -> None:
    """Take the checkpoint of a fit away that has ended or begins anew, and its members'."""
    for name in (CHECKPOINT, SUMMARY):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / MEMBERS, ignore_errors=True)


def pack_optimiser(optimiser: torch.optim.Optimizer) -> tuple[Tensors, list[dict[str, Any]]]:
    """The optimiser's tensors by parameter number and name, and its groups as JSON."""
    state = optimiser.state_dict()
    tensors = {f"{n}.{name}": value for n, values in state["state"].items() for name, value in values.items()}
    return tensors, state["param_groups"]


def restore_optimiser(
    optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Give a new optimiser of the same parameters what ``pack_optimiser`` took."""
    state: dict[int, Tensors] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor.clone()
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def random_state() -> tuple[Tensors, dict[str, Any]]:
    """Where the random generators of torch (all devices), numpy and Python stand."""
    tensors = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors |= {f"cuda{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    kind, keys, *rest = np.random.get_state()
    version, internal, gauss = random.getstate()
    return tensors, {
        "numpy": [kind, np.asarray(keys).tolist(), *rest],
        "python": [version, list(internal), gauss],
    }


def restore_random_state(tensors: Mapping[str, Tensor], state: dict[str, Any]) -> None:
    """Put the generators where ``random_state`` found them; a GPU that is not there now is left out."""
    torch.set_rng_state(tensors["cpu"])
    for index in range(torch.cuda.device_count()):
        if f"cuda{index}" in tensors:
            torch.cuda.set_rng_state(tensors[f"cuda{index}"], index)
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.asarray(keys, np.uint32), *rest))
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one.cpu(), other.cpu())
