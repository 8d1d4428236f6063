"""A run on disk: recipe.toml, weights.safetensors, metrics.jsonl, card.json in one folder.

The card is written last, so a folder with a card is whole. Its weights are a head only: the encoder is named,
and pinned by the digest of its weights. An ensemble has ensemble.json, which names other runs, and a card alone.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from core.atomic import write_bytes, write_json, write_text
from core.catalog.splitting.users import SplitRecord
from core.errors import InputError
from core.training.recipe import Recipe, dump_recipe, load_recipe
from models.checkpoint import Trained, load_head, pack_head
from models.errors import ModelError

RECIPE, WEIGHTS, METRICS, CARD = "recipe.toml", "weights.safetensors", "metrics.jsonl", "card.json"
ENSEMBLE = "ensemble.json"


class RunCard(BaseModel):
    """What a run was made from and what it is worth; ``card.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: Literal["finished", "cancelled"]
    created: str  # ISO 8601, UTC
    recipe_name: str
    encoder: str
    encoder_identity: str  # digest of the encoder's weights
    encoder_parameters: int
    encoder_licence: str
    head: str
    head_parameters: int
    seed: int
    device: str
    training_tiles: dict[str, str]  # name -> fingerprint of the image
    validation_tiles: dict[str, str]
    label_fingerprints: dict[str, str]  # tile name -> fingerprint of the mask it was trained or judged with
    label_source: str  # 'given' (beside the images) or the folder
    classes: dict[str, dict[str, int]]  # name -> instances, pixels, cells of the training labels
    missing_classes: list[str]
    warnings: list[str]
    validation: dict[str, Any] | None  # scores on the validation tiles, None without any
    features_seconds: float
    head_seconds: float
    versions: dict[str, str]
    measured: dict[str, Any] = {}  # figures of one kind of fit alone: throughput, memory, members
    # What ``provenance`` tells; runs from before it was kept have the defaults.
    recipe_hash: str = ""
    data_fingerprint: str = ""  # over the images' fingerprints by tile name
    label_fingerprint: str = ""  # over the masks' fingerprints by tile name: the version of the labels
    code_version: str = ""
    environment: dict[str, str] = {}
    peak_memory_bytes: int | None = None
    peak_device_memory_bytes: int | None = None  # held by torch on the GPU
    split: SplitRecord | None = None  # the named split whose tiles it trained on and was judged with


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run: where it is and what its card says."""

    folder: Path
    card: RunCard

    @property
    def name(self) -> str:
        """What a person calls it: the folder's name."""
        return self.folder.name


def list_runs(folder: Path) -> list[Run]:
    """The whole runs in a folder of runs, newest first; what is no run, or is still being written, is left out."""
    found = []
    for card in folder.glob(f"*/{CARD}"):
        try:
            found.append(read_run(card.parent))
        except InputError:
            continue
    return sorted(found, key=lambda run: run.card.created, reverse=True)


def read_run(folder: Path) -> Run:
    """A run by its folder. Raises ``InputError`` when the folder holds no whole run of ours."""
    path = folder / CARD
    try:
        return Run(folder, RunCard.model_validate_json(path.read_bytes()))
    except FileNotFoundError as error:
        raise InputError(f"{folder} is no run (it has no {CARD}); choose a folder that fit wrote.") from error
    except OSError as error:
        raise InputError(f"The card {path} cannot be read ({error.strerror}); mend its permissions.") from error
    except ValidationError as error:
        raise InputError(f"{path} was not written by this Tilewright; choose another run or train anew.") from error


def is_ensemble(folder: Path) -> bool:
    """Whether the run in a folder is made of other runs."""
    return (folder / ENSEMBLE).is_file()


def weights_file(folder: Path) -> Path:
    """The file that tells one version of a run from another: its weights, or the members of an ensemble."""
    return folder / (ENSEMBLE if is_ensemble(folder) else WEIGHTS)


def read_recipe(folder: Path) -> Recipe:
    """The recipe of a run. Raises ``InputError`` when it is missing or not valid, and for an ensemble."""
    _refuse_ensemble(folder)
    return load_recipe(folder / RECIPE)


def read_head(folder: Path) -> Trained:
    """The head of a run, on the CPU. Raises ``InputError`` for missing weights, those of others and ensembles."""
    _refuse_ensemble(folder)
    try:
        return load_head(folder / WEIGHTS)
    except ModelError as error:
        raise InputError(str(error)) from error


def _refuse_ensemble(folder: Path) -> None:
    if is_ensemble(folder):
        raise InputError(
            f"The run {folder} is an ensemble, which has no recipe and weights of its own; choose one of its members."
        )


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's curve so far; empty before the first. A line that is being written is left out."""
    path = folder / METRICS
    if not path.is_file():
        return []
    lines = []
    for line in path.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines


def check_run_folder(folder: Path) -> None:
    """Raise ``InputError`` when a run cannot be put into ``folder``, since it holds files that are no run."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / RECIPE).exists()):
        raise InputError(f"{folder} holds something that is no run; give --out a folder of its own.")


def start_run(folder: Path, recipe: Recipe) -> None:
    """Begin a run: its recipe is there and its curve empty; an older run's card and weights go.

    Raises ``InputError`` when the folder cannot be written.
    """
    write_text(folder / RECIPE, dump_recipe(recipe))
    for name in (CARD, WEIGHTS):
        (folder / name).unlink(missing_ok=True)
    write_text(folder / METRICS, "")


def add_metrics(folder: Path, values: dict[str, Any]) -> None:
    """Append a line to the run's curve."""
    with (folder / METRICS).open("a") as stream:
        stream.write(json.dumps(values) + "\n")


def finish_run(folder: Path, *, head: Trained, card: RunCard) -> None:
    """Write weights, then the card that makes the run whole; each is there wholly or not at all."""
    write_bytes(folder / WEIGHTS, pack_head(head))
    write_json(folder / CARD, card.model_dump(mode="json"))
