from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.inference.small_masks import small_labels, small_mask_routes, small_prediction
from core.labels import journal
from core.tables import Tile
from core.workspace import Workspace
from tests.core.labels.painting import brush, new_workspace

Made = tuple[Workspace, list[Tile], TestClient]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    workspace, tiles = new_workspace(tmp_path / "ws", tiles=2)
    journal.apply(workspace, tiles[0].id, brush([(20, 20)], class_index=4, radius=6), annotator="Ada")
    return workspace, tiles, TestClient(Starlette(routes=small_mask_routes(workspace)))


def test_labels_are_sent_small_in_the_asked_palette_and_kept_by_their_version(made: Made) -> None:
    workspace, tiles, client = made
    address = small_labels(workspace, tiles[0])
    assert address is not None
    answer = client.get(address)
    assert "immutable" in answer.headers["cache-control"]
    picture = np.asarray(Image.open(BytesIO(answer.content)).convert("RGBA"))
    assert picture[20, 20].tolist() == [0, 0, 255, 255]
    assert picture[0, 0, 3] == 0
    safe = np.asarray(Image.open(BytesIO(client.get(f"{address}&palette=safe").content)).convert("RGBA"))
    assert safe[20, 20].tolist() != [0, 0, 255, 255]
    journal.undo(workspace, tiles[0].id)
    assert small_labels(workspace, tiles[0]) != address


def test_what_is_not_there_has_no_address_and_answers_404(made: Made) -> None:
    workspace, tiles, client = made
    assert small_labels(workspace, tiles[1]) is None
    assert small_prediction(workspace, tiles[0], "nobody", "0" * 12) is None
    for address in (f"/small/{tiles[1].id}/labels.png", "/small/999/labels.png"):
        assert client.get(address).status_code == 404
    for address in (f"/small/{tiles[0].id}/nobody/{'0' * 12}.png", f"/small/{tiles[0].id}/nobody/..%2f.png"):
        assert client.get(address).status_code in (404, 422)
