"""What a browser asks for about kept predictions: over a tile, over a collection's map, and packed to be taken along.

A prediction is found by its run, the key of its switches and the tile's id, each of them looked up or of a fixed form;
no path comes from an address.
"""

import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from core.catalog.catalogue import collection, tile, tiles
from core.catalog.geography.routes import class_tile
from core.catalog.images import read_mask
from core.catalog.maps.drawing import Source, full_version, sheet_path
from core.catalog.maps.map_layouts import BY_NAME, laid_out
from core.catalog.maps.mask_map import FolderMasks, MaskMap, place_version
from core.catalog.routes import asked_palette, guarded, mask_png
from core.errors import InputError
from core.inference import store
from core.inference.prediction_files import mask_geotiff
from core.inference.switches import PLAIN_KEY, Switches
from core.screen_colours import Palette
from core.tables import Collection
from core.workspace import Workspace

FORMATS = ("png", "geotiff")

_KEY = re.compile(rf"{PLAIN_KEY}|[0-9a-f]{{12}}")


def prediction_url(run: str, switches: Switches, tile_id: int) -> str:
    """The address of a kept prediction."""
    return f"/predictions/{run}/{switches.key}/{tile_id}.png"


def map_url(workspace: Workspace, run: str, key: str, collection_id: int, layout: str = BY_NAME) -> str:
    """The address of the map tiles of kept predictions, with Leaflet's {z}, {x}, {y}; another once they change.

    Raises ``UnknownIdError`` where the collection has no such layout.
    """
    place = place_version(workspace.predictions / run / key / str(collection_id))
    version = full_version(place, laid_out(workspace, collection(workspace, collection_id), layout)[1].version)
    return f"/predictions/{run}/{key}/map/{collection_id}/{{z}}/{{x}}/{{y}}.png?layout={layout}&v={version}"


def geo_map_url(workspace: Workspace, run: str, key: str, collection_id: int) -> str:
    """As ``map_url``, for the geographic map."""
    version = place_version(workspace.predictions / run / key / str(collection_id))
    return f"/predictions/{run}/{key}/geo/{collection_id}/{{z}}/{{x}}/{{y}}.png?v={version}"


def download_url(run: str, key: str, collection_id: int, form: str) -> str:
    """The address of all kept predictions of a collection in one zip, ``form`` one of ``FORMATS``."""
    return f"/predictions/{run}/{key}/collection/{collection_id}.zip?format={form}"


def prediction_routes(workspace: Workspace) -> list[BaseRoute]:
    """The routes under ``/predictions``; an unknown or missing prediction answers 404 and one sentence."""

    def prediction(request: Request) -> Response:
        where = request.path_params
        try:
            shown = tile(workspace, where["tile_id"])
            place = prediction_folder(workspace, where["run"], where["key"], shown.collection_id)
        except InputError as error:
            return _missing(str(error))
        path = place / f"{shown.name}_mask.png"
        if not path.is_file():
            return _missing("This prediction has not been made yet.")
        palette, fresh = asked_palette(request), {"Cache-Control": "no-cache"}
        if palette is Palette.DEEPGLOBE:
            return FileResponse(path, media_type="image/png", headers=fresh)
        raster = read_mask(path, (shown.height, shown.width)).raster
        return Response(mask_png(raster, palette), media_type="image/png", headers=fresh)

    drawn, folders = MaskMap(workspace), FolderMasks()

    def source_of(request: Request) -> Callable[[Collection], Source]:
        run, key = request.path_params["run"], request.path_params["key"]

        def source(shown: Collection) -> Source:
            place = prediction_folder(workspace, run, key, shown.id)
            name = blake2b(f"{run}/{key}".encode(), digest_size=8).hexdigest()
            return folders.source(place, sheet_path(workspace, shown.id, name))

        return source

    def map_tile(request: Request) -> Response:
        return drawn.map_tile(request, source_of(request))

    def prepare(request: Request) -> Response:
        return drawn.prepare(request, source_of(request))

    def geo_tile(request: Request) -> Response:
        source = source_of(request)(collection(workspace, request.path_params["collection_id"]))
        return class_tile(workspace, request, source.version, source.read)

    def packed(request: Request) -> Response:
        where, form = request.path_params, request.query_params.get("format", FORMATS[0])
        try:
            place = prediction_folder(workspace, where["run"], where["key"], where["collection_id"])
            if form not in FORMATS:
                raise InputError(f"Predictions are packed as {' or '.join(FORMATS)}, not as {form[:20]!r}.")
            path = _pack(workspace, place, where["collection_id"], form)
        except InputError as error:
            return _missing(str(error))
        name = f"predictions-{where['run']}-{where['key']}-{form}.zip"
        return FileResponse(path, filename=name, background=BackgroundTask(path.unlink, missing_ok=True))

    return [
        Route("/predictions/{run}/{key}/{tile_id:int}.png", prediction),
        Route("/predictions/{run}/{key}/map/{collection_id:int}/{z:int}/{x:int}/{y:int}.png", guarded(map_tile)),
        Route("/predictions/{run}/{key}/map/{collection_id:int}/prepare.json", guarded(prepare)),
        Route("/predictions/{run}/{key}/geo/{collection_id:int}/{z:int}/{x:int}/{y:int}.png", guarded(geo_tile)),
        Route("/predictions/{run}/{key}/collection/{collection_id:int}.zip", packed),
    ]


def prediction_folder(workspace: Workspace, run: str, key: str, collection_id: int) -> Path:
    """The folder that an address names. Raises ``InputError`` for a run that is not there and no key of switches."""
    store.run_folder(workspace, run)
    if not _KEY.fullmatch(key):
        raise InputError("There are no such switches; reload the page.")
    return workspace.predictions / run / key / str(collection_id)


def _missing(sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=404)


def _pack(workspace: Workspace, place: Path, collection_id: int, form: str) -> Path:
    """A zip in the system's folder for such files; the caller removes it. PNGs are stored: they are packed already."""
    members = list(_members(workspace, place, collection_id))
    if not members:
        raise InputError("Nothing is kept of these predictions any more; predict the tiles again.")
    with tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as file, zipfile.ZipFile(file, "w") as archive:
        for name, mask, image, shape in members:
            if form == "png":
                archive.write(mask, f"{name}_mask.png")
            else:
                archive.writestr(f"{name}_mask.tif", mask_geotiff(read_mask(mask, shape).raster, image))
            note = mask.with_name(f"{name}.json")
            if note.is_file():
                archive.write(note, f"about/{name}.json", zipfile.ZIP_DEFLATED)
    return Path(file.name)


def _members(
    workspace: Workspace, place: Path, collection_id: int
) -> Iterator[tuple[str, Path, Path, tuple[int, int]]]:
    """Name, mask, image and (height, width) of each tile that is kept."""
    for row in tiles(workspace, collection(workspace, collection_id).id):
        mask = place / f"{row.name}_mask.png"
        if mask.is_file():
            yield row.name, mask, Path(row.image_path), (row.height, row.width)
