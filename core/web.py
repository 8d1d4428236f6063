"""The routes that live beside the pages, in the same process and on the same port.

Pages and components fetch pictures from here and send strokes to here, so nothing is asked of another server
and no picture goes through Streamlit. Ids are looked up in the catalogue; no path comes from an address.
"""

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from core.catalog.catalogue import tile
from core.catalog.routes import tile_routes
from core.errors import InputError
from core.inference import store
from core.inference.batch import Switches
from core.jobs.export_routes import export_routes
from core.labels.history_routes import history_routes
from core.labels.region_routes import region_routes
from core.labels.routes import label_routes
from core.labels.suggestion_routes import suggestion_routes
from core.labels.team_routes import team_routes
from core.workspace import Workspace

ASSETS = Path(__file__).resolve().parents[1] / "assets"
VENDOR = ASSETS / "vendor" / "node_modules"


def web_routes(workspace: Workspace) -> list[BaseRoute]:
    """Every route of ours on one workspace."""
    return [
        Route("/health", _health),
        *tile_routes(workspace),
        *label_routes(workspace),
        *region_routes(workspace),
        *history_routes(workspace),
        *team_routes(workspace),
        *export_routes(workspace),
        *suggestion_routes(workspace),
        *prediction_routes(workspace),
        Mount("/assets/components", _Revalidated(directory=ASSETS / "components", check_dir=False)),
        Mount("/vendor", StaticFiles(directory=VENDOR, check_dir=False)),
    ]


def prediction_routes(workspace: Workspace) -> list[BaseRoute]:
    """``/predictions/<run>/<tta>/<refinement>/<min region>/<tile id>.png``: a kept prediction in the palette."""

    def prediction(request: Request) -> Response:
        where = request.path_params
        try:
            shown = tile(workspace, where["tile_id"])
            store.run_folder(workspace, where["run"])
            switches = Switches(where["tta"], where["refinement"], where["min_region"])
            kept = store.kept(workspace, where["run"], shown, switches)
        except InputError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        if kept is None:
            return JSONResponse({"error": "This prediction has not been made yet."}, status_code=404)
        return FileResponse(kept.path, media_type="image/png", headers={"Cache-Control": "no-cache"})

    return [Route("/predictions/{run}/{tta}/{refinement}/{min_region:int}/{tile_id:int}.png", prediction)]


def prediction_url(run: str, switches: Switches, tile_id: int) -> str:
    """The address of a kept prediction."""
    return f"/predictions/{run}/{switches.tta}/{switches.refinement}/{switches.min_region}/{tile_id}.png"


class _Revalidated(StaticFiles):
    """Files that a browser keeps but asks after each time: an upgrade must not meet yesterday's modules."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """The file, with the header that says so."""
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})
