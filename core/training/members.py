"""What the members of one run have in common, whatever they are: heads on cached features, or networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from core.evaluation import confusion, scores
from core.training.fitted import FitTask, Fitted
from core.training.training_data import LabelledTile
from models.checkpoint import Trained


@dataclass(frozen=True, slots=True)
class MemberPlan:
    """A member to be: the indices of the training tiles that it never sees, and its seed."""

    left_out: tuple[int, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Member:
    """A trained member: the names of the tiles that it never saw, and its confusion ``(6, 7)`` on each of them."""

    fitted: Fitted
    left_out: tuple[str, ...]
    matrices: tuple[confusion.Confusion, ...]

    @property
    def miou(self) -> float | None:
        """Its mIoU over the tiles that it never saw; None without any."""
        return scores.from_confusion(np.sum(self.matrices, axis=0)).miou if self.matrices else None

    def told(self) -> dict[str, Any]:
        """What the run's card says of it, as JSON."""
        return {
            "left_out": list(self.left_out),
            "miou": self.miou,
            "seconds": round(self.fitted.training_seconds, 2),
            **self.fitted.measured,
        }


@dataclass(frozen=True, slots=True)
class Joined:
    """Members as one model, and the figures of the whole that are of their kind alone."""

    model: Trained
    trained_parameters: int
    measured: dict[str, Any]


class MemberKind(Protocol):
    """How members of a kind are trained, kept over a cut, judged and joined. Members go by their number, from 0.

    ``alone`` holds the settings, besides one fold, by which a recipe trains a single member.
    """

    alone: Mapping[str, Any]

    def fit(self, task: FitTask, number: int) -> Fitted:
        """Train the member of a task, which has the run's folder."""

    def keep(self, task: FitTask, number: int, member: Member) -> None:
        """Keep a whole member until the run is."""

    def kept(self, task: FitTask, number: int) -> Member | None:
        """The member that was kept before the run was cut; None where it is yet to be trained."""

    def judged(self, member: Member, number: int, count: int) -> None:
        """Tell whoever watches of a member that was judged."""

    def judge(self, model: Trained, tile: LabelledTile) -> confusion.Confusion:
        """The confusion of a tile's labels and the model's prediction at full size."""

    def join(self, members: Sequence[Member]) -> Joined:
        """The members as one model."""
