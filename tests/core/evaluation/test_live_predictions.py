"""Predictions that somebody waits for."""

import threading

import pytest

from core.errors import InputError
from core.evaluation import live_predictions
from core.evaluation.live_predictions import MAX_WAITING, LivePredictions
from core.inference import store
from core.inference.switches import Switches
from tests.pages.runs_on_disk import add_run, all_tiles, make_workspace


class SlowPredictor:
    """In place of ``store.Predictor``: goes on until it is let go, a step at a time."""

    made: list[str]
    gate: threading.Event

    def __init__(self, _workspace, _run):
        pass

    def compute(self, tile, _switches, progress):
        for step in range(1000):
            progress.update(step, 1000, f"Step {step}")
            if self.gate.wait(0.01):
                break
        self.made.append(tile.name)


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    add_run(made, "first")
    return made


@pytest.fixture
def predictor(monkeypatch):
    SlowPredictor.made, SlowPredictor.gate = [], threading.Event()
    monkeypatch.setattr(live_predictions.store, "Predictor", SlowPredictor)
    yield SlowPredictor
    SlowPredictor.gate.set()


def wait_until(true, seconds=20):
    pause = threading.Event()
    for _ in range(seconds * 100):
        if true():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come to that")


def test_one_is_made_at_a_time_and_the_last_wish_comes_next(workspace, predictor):
    live, rows = LivePredictions(workspace), all_tiles(workspace)
    first = live.start("first", rows[0], Switches())
    wait_until(lambda: first.state == "computing")
    second, third = (live.start("first", row, Switches()) for row in rows[1:3])
    assert (second.state, third.state) == ("waiting", "waiting")
    predictor.gate.set()
    wait_until(lambda: second.state == "done")
    assert predictor.made == ["0", "2", "1"]


def test_the_same_wish_is_one_piece_of_work(workspace, predictor):
    live, tile = LivePredictions(workspace), all_tiles(workspace)[0]
    assert live.start("first", tile, Switches()) is live.start("first", tile, Switches())
    assert live.start("first", tile, Switches()) is not live.start("first", tile, Switches(min_region=50))


def test_a_cancel_stops_what_is_made_at_its_next_step_and_what_waits_at_once(workspace, predictor):
    live, rows = LivePredictions(workspace), all_tiles(workspace)
    first = live.start("first", rows[0], Switches())
    wait_until(lambda: first.message.startswith("Step"))
    second = live.start("first", rows[1], Switches())
    live.cancel("first", rows[1], Switches())
    assert second.state == "cancelled"
    live.cancel("first", rows[0], Switches())
    wait_until(lambda: first.state == "cancelled")
    assert predictor.made == []
    again = live.start("first", rows[0], Switches())
    predictor.gate.set()
    wait_until(lambda: again.state == "done")


def test_too_many_wishes_are_refused(workspace, predictor):
    live, tile = LivePredictions(workspace), all_tiles(workspace)[0]
    for pixels in range(MAX_WAITING):
        live.start("first", tile, Switches(min_region=pixels))
    with pytest.raises(InputError, match="wait already"):
        live.start("first", tile, Switches(min_region=900))


def test_a_failure_is_told_and_what_follows_goes_on(workspace, predictor, monkeypatch):
    live, rows = LivePredictions(workspace), all_tiles(workspace)
    monkeypatch.setattr(store, "weights_stamp", lambda *_: 1 / 0)
    broken = live.start("first", rows[0], Switches())
    wait_until(lambda: broken.state == "failed")
    assert broken.message.endswith("the server's log says why.")
    monkeypatch.undo()
    monkeypatch.setattr(live_predictions.store, "Predictor", SlowPredictor)
    predictor.gate.set()
    whole = live.start("first", rows[1], Switches())
    wait_until(lambda: whole.state == "done")
