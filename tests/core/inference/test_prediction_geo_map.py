"""Kept predictions on the geographic map."""

import io

import numpy as np
from affine import Affine
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.catalog.catalogue import index_folder
from core.classes import PALETTE
from core.inference.prediction_routes import geo_map_url, prediction_routes
from core.inference.switches import Switches
from core.progress import SilentProgress
from core.workspace import open_workspace
from tests.core.catalog.geography.geo_pictures import corners, source_pixels, write_geotiff
from tests.core.evaluation.masks import blobs
from tests.pages.runs_on_disk import SIZE, add_run, keep_predictions

ZOOM = 16


def test_a_prediction_lies_over_its_tile_by_nearest_neighbour(tmp_path):
    path = write_geotiff(
        tmp_path / "data/1.tif",
        "EPSG:32633",
        Affine.translation(500_000, 5_000_000) @ Affine.rotation(20) @ Affine.scale(2, -2),
        size=SIZE,
    )
    workspace = open_workspace(tmp_path / "ws")
    index_folder(workspace, tmp_path / "data", SilentProgress())
    add_run(workspace, "first", trained_on=0)
    keep_predictions(workspace, "first", wrong=0.0)
    x, y = (corners(path, ZOOM).mean(axis=0) // 256).astype(int)
    client = TestClient(Starlette(routes=prediction_routes(workspace)))
    address = geo_map_url(workspace, "first", Switches().key, 1)
    answer = client.get(address.format(z=ZOOM, x=x, y=y))
    picture = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))
    under = source_pixels(path, ZOOM, (x * 256, y * 256, x * 256 + 256, y * 256 + 256))
    inside = (under > 0.2).all(axis=-1) & (under < 59.8).all(axis=-1)
    assert inside.sum() > 200
    truth = blobs(1, SIZE)
    column, row = np.clip(under.astype(int), 0, 59).transpose(2, 0, 1)
    same = (picture[..., :3] == PALETTE[truth[row, column]]).all(axis=-1)
    assert same[inside & (truth[row, column] < 6)].mean() > 0.97  # nearest: a border may fall to either side
    assert not picture[((under < -0.5) | (under > 60.5)).any(axis=-1)][:, 3].any()
    again = client.get(address.format(z=ZOOM, x=x, y=y), headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    for wrong in (address.replace("first", "gone"), address.replace("geo/1", "geo/7")):
        assert client.get(wrong.format(z=ZOOM, x=x, y=y)).status_code in {404, 422}
