"""The routes that live beside the pages, in the same process and on the same port.

Pages and components fetch pictures from here and send strokes to here, so nothing is asked of another server
and no picture goes through Streamlit. Ids are looked up in the catalogue; no path comes from an address.
"""

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from core.catalog.geography.routes import geo_routes
from core.catalog.maps.mask_map import FolderMasks
from core.catalog.maps.routes import map_routes
from core.catalog.routes import tile_routes
from core.catalog.tile_pictures import TilePictures
from core.evaluation.compare_routes import compare_routes
from core.evaluation.error_routes import error_routes
from core.inference.prediction_routes import prediction_routes
from core.inference.small_masks import small_mask_routes
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
    pictures, labels = TilePictures(workspace), FolderMasks()
    return [
        Route("/health", _health),
        *tile_routes(workspace, pictures),
        *map_routes(workspace, pictures, labels),
        *geo_routes(workspace, pictures, labels),
        *label_routes(workspace),
        *region_routes(workspace),
        *history_routes(workspace),
        *team_routes(workspace),
        *export_routes(workspace),
        *suggestion_routes(workspace),
        *prediction_routes(workspace),
        *small_mask_routes(workspace),
        *error_routes(workspace),
        *compare_routes(workspace),
        Mount("/assets/components", _Revalidated(directory=ASSETS / "components", check_dir=False)),
        Mount("/vendor", StaticFiles(directory=VENDOR, check_dir=False)),
    ]


class _Revalidated(StaticFiles):
    """Files that a browser keeps but asks after each time: an upgrade must not meet yesterday's modules."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """The file, with the header that says so."""
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})
