"""What every kind of fit is given, and what it hands back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import NotSavedError
from core.progress import Progress
from core.training.feature_cache import FeatureCache
from core.training.recipe import Recipe
from core.training.runs import add_metrics, start_run
from core.training.training_data import TrainingData
from models.checkpoint import Trained


@dataclass(frozen=True, slots=True)
class FitTask:
    """What to train, on which labelled tiles, and where the run goes.

    ``resume`` asks a fit that writes checkpoints to go on from the one in ``out``.
    """

    recipe: Recipe
    tiles: TrainingData
    out: Path
    seed: int
    device: str
    cache: FeatureCache
    progress: Progress
    resume: bool = False

    def begin(self) -> None:
        """Make the run's folder, with its recipe and an empty curve; call it once there is nothing left to refuse."""
        start_run(self.out, self.recipe)

    def measured(self, line: dict[str, Any]) -> None:
        """Add a point to the run's curve and tell whoever watches. Raises ``NotSavedError`` on a full disk."""
        try:
            add_metrics(self.out, line)
        except OSError as error:
            raise NotSavedError(
                f"Could not write the curve in {self.out}: {error.strerror or error}; free some disk space, then "
                "train again."
            ) from error
        self.progress.metrics(line)

    def restore(self, lines: Sequence[dict[str, Any]]) -> None:
        """Put points of before a cut back onto the run's curve; whoever watches has seen them."""
        for line in lines:
            add_metrics(self.out, line)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained model and what there is to say of it.

    ``cancelled`` means that it is the best there was when somebody stopped the fit. ``validation`` holds the scores on
    the validation tiles at full size, None without any. ``measured`` holds figures of this kind of fit alone
    (throughput, memory, members), which go into the card as they are. ``failure`` is the sentence for a fit that could
    not go on (the loss is no number any more): the best so far is kept, and the fit fails with that sentence.
    ``warnings`` go onto the card.
    """

    model: Trained
    cancelled: bool
    encoder_identity: str
    encoder_parameters: int
    encoder_licence: str
    trained_parameters: int
    device: str
    features_seconds: float
    training_seconds: float
    validation: dict[str, Any] | None
    measured: dict[str, Any]
    warnings: tuple[str, ...] = ()
    failure: str | None = None
