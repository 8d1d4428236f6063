"""Starting the jobs that judge a run and its confidence; Evaluate and Compare both do."""

from core.evaluation.confidence import confidence_arguments
from core.evaluation.held_out import evaluation_arguments
from core.inference.switches import Switches
from core.jobs import queue, worker
from core.system import devices
from core.workspace import Workspace
from pages.components.switches import describe

KIND = "evaluate-run"
CONFIDENCE_KIND = "confidence-run"


def start_evaluation(workspace: Workspace, run: str, collection_id: int, switches: Switches) -> None:
    """Queue the job that predicts and scores the held-out tiles of a collection."""
    arguments = evaluation_arguments(run, collection_id, switches)
    title = f"Evaluate {run}, {describe(switches)}"
    device = devices()[-1]
    queue.submit(workspace, kind=KIND, title=title, arguments=arguments, device=device)
    worker.ensure_running(workspace, device)


def evaluation_under_way(workspace: Workspace, run: str, collection_id: int, switches: Switches) -> bool:
    """Whether just this evaluation waits or runs: to ask for it twice would be work for nothing."""
    wanted = tuple(evaluation_arguments(run, collection_id, switches))
    return any(job.state.active and job.arguments == wanted for job in queue.jobs(workspace))


def evaluation_active(workspace: Workspace) -> bool:
    """Whether such a job waits or runs."""
    return any(job.kind == KIND and job.state.active for job in queue.jobs(workspace))


def start_confidence(workspace: Workspace, run: str, collection_id: int, switches: Switches) -> None:
    """Queue the job that judges how honest a run's confidence is, and where run and truth disagree."""
    arguments = confidence_arguments(run, collection_id, switches)
    title = f"Confidence of {run}, {describe(switches)}"
    device = devices()[-1]
    queue.submit(workspace, kind=CONFIDENCE_KIND, title=title, arguments=arguments, device=device)
    worker.ensure_running(workspace, device)


def confidence_under_way(workspace: Workspace, run: str, collection_id: int, switches: Switches) -> bool:
    """Whether just this job waits or runs."""
    wanted = tuple(confidence_arguments(run, collection_id, switches))
    return any(job.state.active and job.arguments == wanted for job in queue.jobs(workspace))
