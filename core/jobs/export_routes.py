"""Packed exports to download: ``GET /exports/{job}.zip``, by the job that packed them and never by a path."""

from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from core.errors import InputError
from core.jobs import queue
from core.jobs.outcome import JobState
from core.jobs.queue import JobView
from core.workspace import Workspace

EXPORT_KIND = "export"


def export_routes(workspace: Workspace) -> list[Route]:
    """The route of the packed exports."""

    async def download(request: Request) -> Response:
        path = await run_in_threadpool(_find, workspace, request.path_params["job_id"])
        if path is None:
            return JSONResponse({"error": "There is no such export; pack it again."}, 404)
        return FileResponse(path, media_type="application/zip", filename=path.name)

    return [Route("/exports/{job_id:int}.zip", download, methods=["GET"])]


def packed_file(workspace: Workspace, view: JobView) -> Path | None:
    """The zip that an export job of the page made; None where it made none or it is gone."""
    if view.kind != EXPORT_KIND or view.state is not JobState.DONE or "--out" not in view.arguments:
        return None
    path = Path(view.arguments[view.arguments.index("--out") + 1])
    return path if path.parent == workspace.exports and path.is_file() else None


def _find(workspace: Workspace, job_id: int) -> Path | None:
    try:
        return packed_file(workspace, queue.job(workspace, job_id))
    except InputError:
        return None
