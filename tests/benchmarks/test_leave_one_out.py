import pytest

from tests.benchmarks.leave_one_out import leave_one_out
from tests.core.training.scenes import write_scenes


def test_every_tile_is_judged_once_by_a_head_that_never_saw_it(tmp_path):
    found = leave_one_out(write_scenes(tmp_path / "data"), None, cache=tmp_path / "cache")
    assert found.accuracy > 0.8
    assert set(found.iou) == {"urban", "agriculture", "forest", "water"}
    assert found.features_seconds is not None


@pytest.mark.bench
def test_the_peer_runs_on_the_same_folds(tmp_path):
    pytest.importorskip("lightgbm", reason="the peer is installed by make bench only")
    from tests.benchmarks.lightgbm_rgb import lightgbm_leave_one_out

    data = write_scenes(tmp_path / "data")
    found = lightgbm_leave_one_out(data, None, features="texture", left_out=["2"])
    assert (found.tiles, found.features) == (1, "texture")
    assert found.accuracy > 0.5
