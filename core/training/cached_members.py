"""Members that are heads on cached features. They take seconds, so nothing is kept over a cut."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from core.catalog.images import read_mask
from core.evaluation import confusion
from core.inference.predict import head_logits, upsampled_probabilities
from core.training.bagging import average_heads
from core.training.cached_fit import fit_cached
from core.training.fitted import FitTask, Fitted
from core.training.joined_features import make_recipe_extractor
from core.training.material import TileSource
from core.training.members import Joined, Member
from core.training.training_data import LabelledTile
from models.checkpoint import Trained, TrainedNetwork
from models.heads import ContextLinearHead, EnsembleHead, Head


def average_members(members: Sequence[Head]) -> Head:
    """The heads as one: the mean of linear heads is a linear head, others become an ``EnsembleHead``."""
    linear = [member for member in members if isinstance(member, ContextLinearHead)]
    if len(members) == 1:
        return members[0]
    return average_heads(linear) if len(linear) == len(members) else EnsembleHead(members=members).eval()


class CachedMembers:
    """Heads of one run; the run begins when the first of them does, and its curve has a point a member."""

    alone: Mapping[str, Any] = {}

    def __init__(self, task: FitTask) -> None:
        self._task = task
        self._source = TileSource(make_recipe_extractor(task.recipe, device=task.device), task.cache, task.progress)
        self._began = time.perf_counter()
        self._last: dict[str, Any] = {}

    def fit(self, task: FitTask, number: int) -> Fitted:
        """Train a head."""
        one = _HeadTask(**{part.name: getattr(task, part.name) for part in fields(FitTask)}, first=number == 0)
        fitted = fit_cached(one)
        self._last = one.curve[-1] if one.curve else {}
        return fitted

    def keep(self, task: FitTask, number: int, member: Member) -> None:
        """Nothing is kept."""

    def kept(self, task: FitTask, number: int) -> None:  # noqa: ARG002
        """Nothing was kept."""
        return

    def judged(self, member: Member, number: int, count: int) -> None:  # noqa: ARG002
        """A point of the run's curve."""
        self._task.measured(
            {
                "iteration": number + 1,
                "loss": self._last.get("loss"),
                "validation_miou": self._last.get("validation_miou"),
                "left_out_miou": member.miou,
                "seconds": round(time.perf_counter() - self._began, 2),
            }
        )

    def judge(self, model: Trained, tile: LabelledTile) -> confusion.Confusion:
        """The confusion of a tile's labels and the prediction at full size."""
        truth = read_mask(tile.mask_path, shape=tile.grid.size).raster
        logits = head_logits(_head(model), self._source.features(tile), self._source.extractor.device)
        return confusion.count(truth, upsampled_probabilities(logits, tile.grid).argmax(axis=0).astype(np.uint8))

    def join(self, members: Sequence[Member]) -> Joined:
        """The mean of linear heads as one head, others as an ensemble."""
        model = average_members([_head(member.fitted.model) for member in members])
        return Joined(model, sum(parameter.numel() for parameter in model.parameters()), {})


@dataclass(frozen=True, slots=True)
class _HeadTask(FitTask):
    """A head's fit: it has no folder of its own; the run's begins when the ``first`` member does."""

    first: bool = True
    curve: list[dict[str, Any]] = field(default_factory=list)

    def begin(self) -> None:
        if self.first:
            FitTask.begin(self)

    def measured(self, line: dict[str, Any]) -> None:
        self.curve.append(line)


def _head(model: Trained) -> Head:
    if isinstance(model, TrainedNetwork):
        raise TypeError("these members are heads on cached features")
    return model
