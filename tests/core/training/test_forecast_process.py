import json
import time

import pytest

from core.training import forecast_process
from core.training.forecast_process import forecast_key, look, start, stop
from core.workspace import open_workspace


@pytest.fixture
def workspace(tmp_path):
    opened = open_workspace(tmp_path / "workspace")
    yield opened
    stop(opened)


def wait(workspace, key):
    for _ in range(600):
        found = look(workspace, key)
        if found.state != "running":
            return found
        time.sleep(0.1)
    raise AssertionError("it never ended")


def test_before_it_is_started_there_is_none(workspace):
    assert look(workspace, forecast_key(["forecast"], "v1")).state == "none"


def test_a_key_is_of_settings_and_labels():
    assert forecast_key(["forecast"], "v1") == forecast_key(["forecast"], "v1")
    assert forecast_key(["forecast"], "v1") != forecast_key(["forecast"], "v2")
    assert forecast_key(["forecast", "--set", "l2=1"], "v1") != forecast_key(["forecast"], "v1")


def test_what_the_fit_would_refuse_is_told_in_its_own_sentence(workspace, tmp_path):
    key = forecast_key(["forecast"], "v1")
    start(workspace, key, ["forecast", "--data", str(tmp_path / "nowhere")])
    found = wait(workspace, key)
    assert found.state == "failed"
    assert "nowhere" in found.message
    assert "Traceback" not in found.message


def test_a_stopped_one_leaves_no_process_and_no_forecast(workspace, tmp_path):
    key = forecast_key(["forecast"], "v1")
    start(workspace, key, ["forecast", "--data", str(tmp_path)])
    _, process = forecast_process._RUNNING[workspace.root]
    stop(workspace)
    assert process.poll() is not None
    assert look(workspace, key).state == "none"


def test_a_result_is_read_and_one_of_another_version_is_none(workspace):
    key = forecast_key(["forecast"], "v1")
    folder = forecast_process._folder(workspace, key)
    folder.mkdir(parents=True)
    told = {
        **{"classes": {}, "warnings": [], "frozen_parameters": 1, "trained_parameters": 2, "seconds": 3.0},
        **{"reading_seconds": 1.0, "memory_bytes": 5, "device_memory_bytes": None, "tiles": 1, "uncached_tiles": 0},
        **{"cacheable": True, "at_most": False, "device": "cpu", "how": "so"},
    }
    (folder / "result.json").write_text(json.dumps(told))
    assert look(workspace, key).forecast.seconds == 3.0
    (folder / "result.json").write_text(json.dumps({"seconds": 3.0}))
    assert look(workspace, key).state == "none"


def test_old_forecasts_are_forgotten(workspace):
    for index in range(forecast_process._KEPT + 5):
        (workspace.root / "forecasts" / str(index)).mkdir(parents=True)
    forecast_process._forget_oldest(workspace.root / "forecasts")
    assert len(list((workspace.root / "forecasts").iterdir())) == forecast_process._KEPT - 1
