"""Members that are networks: each has a folder of its own until the run is whole, so that a cut loses nothing.

``checkpoint-members/<number>/`` lies in the run's folder and looks like a run: the training checkpoint of the member
that is being trained, weights and ``member.json`` of one that is whole. ``member.json`` is written last.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from core.atomic import write_bytes, write_json
from core.errors import InputError
from core.evaluation import confusion
from core.training.checkpoints import MEMBERS, Checkpoint, check_same, ingredients, remove_checkpoint
from core.training.features import choose_device
from core.training.fitted import FitTask, Fitted
from core.training.members import Joined, Member
from core.training.network_course import suspects
from core.training.network_fit import fit_network
from core.training.network_judge import judge_network
from core.training.runs import WEIGHTS, read_head, read_metrics
from core.training.training_data import LabelledTile
from models.build import TrainableNetwork
from models.checkpoint import Trained, TrainedNetwork, pack_head
from models.network_ensemble import NetworkEnsemble

MEMBER = "member.json"


class NetworkMembers:
    """Networks of one run; its curve has every epoch of every member."""

    alone: Mapping[str, Any] = {"members": 1}

    def __init__(self, task: FitTask) -> None:
        self._whole = task
        self._device = choose_device(task.device)
        self._began = False
        self._seconds = 0.0

    def fit(self, task: FitTask, number: int) -> Fitted:
        """Train a network, or go on where its checkpoint stands."""
        one = _NetworkTask(
            **{part.name: getattr(task, part.name) for part in fields(FitTask) if part.name != "out"},
            out=_folder(task, number),
            whole=self._whole,
            first=not self._began,
            member=number + 1,
            seconds_before=self._seconds,
        )
        fitted = fit_network(one)
        self._began = True
        self._seconds += fitted.training_seconds
        return fitted

    def keep(self, task: FitTask, number: int, member: Member) -> None:
        """Write its weights and then what else there is to say of it; its checkpoint goes."""
        folder = _folder(task, number)
        write_bytes(folder / WEIGHTS, pack_head(member.fitted.model))
        told = {name: value for name, value in _told(member.fitted).items() if name != "model"}
        write_json(
            folder / MEMBER,
            {
                "made_of": ingredients(task),
                "fitted": told,
                "left_out": list(member.left_out),
                "matrices": [matrix.tolist() for matrix in member.matrices],
            },
        )
        remove_checkpoint(folder)

    def kept(self, task: FitTask, number: int) -> Member | None:
        """A whole member of before the cut. Raises ``InputError`` where it is of another fit."""
        folder = _folder(task, number)
        if not task.resume or not (folder / MEMBER).is_file():
            return None
        try:
            described = json.loads((folder / MEMBER).read_text())
            made_of, left_out = described["made_of"], tuple(described["left_out"])
            matrices = tuple(np.array(matrix, np.int64) for matrix in described["matrices"])
            fitted = Fitted(model=read_head(folder), **described["fitted"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder / MEMBER} cannot be read ({error}); train anew, without --resume.") from error
        check_same(Checkpoint({}, {}, made_of), task)
        if not self._began:
            self._whole.begin()
            self._began = True
        lines = read_metrics(folder)
        self._whole.restore([_of_member(line, number + 1, self._seconds) for line in lines])
        self._seconds += fitted.training_seconds
        return Member(replace(fitted, warnings=tuple(fitted.warnings)), left_out, matrices)

    def judged(self, member: Member, number: int, count: int) -> None:
        """Said in words: the curve is the epochs'."""
        if member.miou is not None:
            sentence = f"Member {number + 1} of {count} has mIoU {member.miou:.3f} on the tiles that it never saw"
            self._whole.progress.update(number + 1, count, sentence)

    def judge(self, model: Trained, tile: LabelledTile) -> confusion.Confusion:
        """The confusion of a tile's labels and the prediction at full size."""
        network = model.to(self._device).eval()
        return judge_network(_network(network), tile, recipe=self._whole.recipe, device=self._device)

    def join(self, members: Sequence[Member]) -> Joined:
        """The networks as one that averages their probabilities; a single one stays as it is."""
        fitted = [member.fitted for member in members]
        models = [_single(one.model.cpu()) for one in fitted]
        model = models[0] if len(models) == 1 else NetworkEnsemble(models).eval()
        losses: dict[str, list[float]] = {}
        for one in fitted:
            for name, loss in one.measured["tile_losses"].items():
                losses.setdefault(name, []).append(loss)
        tile_losses = {name: round(sum(own) / len(own), 4) for name, own in losses.items()}
        trained = sum(one.trained_parameters for one in fitted)
        return Joined(
            model,
            trained,
            {
                "images_per_second": median(one.measured["images_per_second"] for one in fitted),
                "memory_bytes": max(one.measured["memory_bytes"] for one in fitted),
                "frozen_parameters": sum(parameter.numel() for parameter in model.parameters()) - trained,
                "tile_losses": tile_losses,
                "suspect_tiles": suspects(tile_losses),
            },
        )


@dataclass(frozen=True, slots=True)
class _NetworkTask(FitTask):
    """A network's fit in a folder of its own; the run begins when the ``first`` member does."""

    whole: FitTask | None = None
    first: bool = True
    member: int = 1
    seconds_before: float = 0.0

    def begin(self) -> None:
        if self.first and self.whole is not None:
            if not self.whole.resume:
                remove_checkpoint(self.whole.out)
            self.whole.begin()
        FitTask.begin(self)

    def measured(self, line: dict[str, Any]) -> None:
        FitTask.restore(self, [line])
        if self.whole is not None:
            self.whole.measured(_of_member(line, self.member, self.seconds_before))

    def restore(self, lines: Sequence[dict[str, Any]]) -> None:
        FitTask.restore(self, lines)
        if self.whole is not None:
            self.whole.restore([_of_member(line, self.member, self.seconds_before) for line in lines])


def _of_member(line: dict[str, Any], member: int, seconds_before: float) -> dict[str, Any]:
    """A point of a member's curve as one of the run's."""
    return {**line, "member": member, "seconds": round(seconds_before + line["seconds"], 2)}


def _folder(task: FitTask, number: int) -> Path:
    return task.out / MEMBERS / str(number + 1)


def _told(fitted: Fitted) -> dict[str, Any]:
    return asdict(replace(fitted, model=None))  # type: ignore[arg-type]  # asdict would copy the network


def _network(model: Trained) -> TrainedNetwork:
    if not isinstance(model, TrainedNetwork):
        raise TypeError("these members are networks")
    return model


def _single(model: Trained) -> TrainableNetwork:
    if not isinstance(model, TrainableNetwork):
        raise TypeError("a member is one network")
    return model
