"""The jobs that judge a run and its confidence; Evaluate and Compare start them."""

from core.evaluation.confidence import confidence_arguments
from core.evaluation.held_out import evaluation_arguments
from core.inference.switches import Switches
from pages.components.measuring_job import Measurement
from pages.components.switches import describe

KIND = "evaluate-run"
CONFIDENCE_KIND = "confidence-run"


def evaluation(run: str, collection_id: int, switches: Switches) -> Measurement:
    """Predicts and scores the held-out tiles of a collection."""
    return Measurement(
        KIND, f"Evaluate {run}, {describe(switches)}", evaluation_arguments(run, collection_id, switches)
    )


def confidence(run: str, collection_id: int, switches: Switches) -> Measurement:
    """Judges how honest a run's confidence is, and where run and truth disagree."""
    return Measurement(
        CONFIDENCE_KIND,
        f"Confidence of {run}, {describe(switches)}",
        confidence_arguments(run, collection_id, switches),
    )
