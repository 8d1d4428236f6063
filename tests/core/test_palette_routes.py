"""Masks and predictions in the palette that an address asks for."""

import io

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.screen_colours import SAFE
from core.web import web_routes
from tests.pages.runs_on_disk import add_run, all_tiles, keep_predictions, make_workspace


@pytest.fixture
def client(tmp_path):
    workspace = make_workspace(tmp_path)
    add_run(workspace, "first")
    keep_predictions(workspace, "first", wrong=0.2)
    with TestClient(Starlette(routes=web_routes(workspace))) as opened:
        opened.tile = all_tiles(workspace)[0].id
        yield opened


@pytest.mark.parametrize(
    "address",
    ["/tiles/{tile}/mask.png", "/predictions/first/plain/{tile}.png", "/map/1/mask/12/0/0.png"],
)
def test_a_mask_comes_in_safe_colours_where_they_are_asked_for_and_else_in_deepglobes(client, address):
    def colours(query):
        answer = client.get(address.format(tile=client.tile) + query)
        assert answer.status_code == 200
        picture = Image.open(io.BytesIO(answer.content)).convert("RGBA")
        return {colour[:3] for _, colour in picture.getcolors(1 << 16) if colour[3]}

    safe = colours("?palette=safe")
    assert safe
    assert safe <= {*SAFE, (0, 0, 0)}
    assert colours("") == colours("?palette=other") != safe
