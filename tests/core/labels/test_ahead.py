import threading
from pathlib import Path

import pytest

from core.labels import ahead, click_to_mask, superpixels
from core.labels.ahead import SUPERPIXELS, Ahead
from tests.core.labels.pictured import four_fields, workspace_of

LONG = 60


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A workspace of four tiles with its worker, without click-to-mask."""
    monkeypatch.setattr(click_to_mask, "WEIGHTS", tmp_path / "none")
    workspace, tiles = workspace_of(tmp_path, *(four_fields(60 + number, 60) for number in range(4)))
    worker = Ahead(workspace)
    yield workspace, tiles, worker
    worker.stop()


def test_what_was_wished_for_is_there_after_a_while(place):
    workspace, tiles, worker = place
    worker.wish(tiles)
    assert worker.wait(LONG)
    assert all(superpixels.is_ready(workspace, tile) for tile in tiles)


def test_the_tile_that_was_opened_last_comes_before_the_queue(place, monkeypatch):
    _, tiles, worker = place
    order, begun, go_on = [], threading.Event(), threading.Event()

    def prepare(workspace, tile):
        order.append(tile.name)
        begun.set()
        go_on.wait(LONG)

    monkeypatch.setattr(superpixels, "prepare", prepare)
    monkeypatch.setattr(superpixels, "is_ready", lambda workspace, tile: tile.name in order)
    worker.wish(tiles[:3])
    assert begun.wait(LONG)
    worker.wish([tiles[3]])
    go_on.set()
    assert worker.wait(LONG)
    assert order == ["t0", "t3", "t1", "t2"]


def test_a_failure_is_remembered_in_one_sentence_and_the_rest_goes_on(place):
    workspace, tiles, worker = place
    Path(tiles[0].image_path).write_bytes(b"")
    worker.wish(tiles[:2])
    assert worker.wait(LONG)
    assert "0 bytes" in worker.failure(tiles[0], SUPERPIXELS)
    assert worker.failure(tiles[1], SUPERPIXELS) is None
    assert superpixels.is_ready(workspace, tiles[1])


def test_a_bug_is_logged_and_does_not_end_the_worker(place, monkeypatch, caplog):
    workspace, tiles, worker = place
    real = superpixels.prepare

    def prepare(workspace, tile):
        if tile.name == "t0":
            raise RuntimeError("a bug")
        return real(workspace, tile)

    monkeypatch.setattr(superpixels, "prepare", prepare)
    worker.wish(tiles[:2])
    assert worker.wait(LONG)
    assert "server's log" in worker.failure(tiles[0], SUPERPIXELS)
    assert "a bug" in caplog.text
    assert superpixels.is_ready(workspace, tiles[1])


def test_a_failed_tile_is_tried_again_when_it_is_wished_for_again(place):
    workspace, [tile, *_], worker = place
    path = Path(tile.image_path)
    whole = path.read_bytes()
    path.write_bytes(b"")
    worker.wish([tile])
    assert worker.wait(LONG)
    path.write_bytes(whole)
    worker.wish([tile])
    assert worker.wait(LONG)
    assert superpixels.is_ready(workspace, tile)


def test_the_oldest_wishes_are_forgotten_at_the_bound(place, monkeypatch):
    _, tiles, worker = place
    monkeypatch.setattr(ahead, "MAX_TILES", 2)
    hold = threading.Event()
    monkeypatch.setattr(superpixels, "is_ready", lambda workspace, tile: hold.wait(LONG))
    for tile in tiles:
        worker.wish([tile])
    assert [worker.wishes(tile) for tile in tiles] == [False, False, True, True]
    hold.set()
    assert worker.wait(LONG)
