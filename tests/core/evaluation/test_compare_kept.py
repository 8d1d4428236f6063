"""Two runs of which one was imported with masks smaller than its tiles."""

import numpy as np
import pytest

from core.evaluation.compare_kept import compare_in_part
from core.evaluation.confusion import count
from core.evaluation.switch_effects import Side
from core.evaluation.tile_counts import common_extent
from core.inference.extent import Extent
from core.inference.imported import import_predictions
from core.inference.store import Predictor
from core.inference.switches import Switches
from core.progress import SilentProgress
from tests.core.evaluation.masks import blobs, save, worsen
from tests.pages.runs_on_disk import SIZE, add_run, all_tiles, keep_predictions, make_workspace

PART = 40


@pytest.fixture
def sides(tmp_path):
    """A run of ours that is wrong on a tenth, and an imported one of tiles 2 to 4 that is right on its corner."""
    workspace = make_workspace(tmp_path)
    add_run(workspace, "ours")
    keep_predictions(workspace, "ours", wrong=0.1)
    for index in (2, 3, 4):
        save(tmp_path / "theirs", str(index), blobs(index, SIZE)[:PART, :PART])
    import_predictions(workspace, tmp_path / "theirs", name="theirs", collection_id=1, progress=SilentProgress())
    for tile in all_tiles(workspace)[2:5]:
        Predictor(workspace, "theirs").compute(tile, Switches(), SilentProgress())
    return tuple(Side(workspace, name, Switches()) for name in ("ours", "theirs"))


def test_both_are_judged_on_what_both_cover_of_the_tiles_that_both_have(sides):
    found = compare_in_part(*sides, 1)
    assert found.tiles == ("2", "3", "4")
    assert found.compared["tiles"] == 3
    assert found.compared["b"]["miou"] == 1
    corner = [blobs(index, SIZE)[:PART, :PART] for index in (2, 3, 4)]
    said = [worsen(blobs(index, SIZE), 0.1, seed=index)[:PART, :PART] for index in (2, 3, 4)]
    matrix = sum(count(truth, prediction) for truth, prediction in zip(corner, said, strict=True))
    assert found.compared["a"]["accuracy"] == pytest.approx(np.trace(matrix[:, :6]) / matrix.sum())
    assert found.compared["difference"]["miou"]["verdict"] == "worse"


def test_where_nothing_is_kept_there_is_nothing_to_compare(sides):
    a, b = sides
    assert compare_in_part(a, Side(b.workspace, b.run, Switches(min_region=50)), 1) is None


@pytest.mark.parametrize(
    ("a", "b", "common"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), (0, 0, 10, 10)),
        ((0, 0, 10, 10), (4, 6, 10, 10), (4, 6, 6, 4)),
        ((2, 2, 3, 3), (0, 0, 10, 10), (2, 2, 3, 3)),
        ((0, 0, 5, 5), (5, 0, 5, 5), None),
    ],
)
def test_the_common_part_is_what_lies_in_both(a, b, common):
    assert common_extent(Extent(*a), Extent(*b)) == (Extent(*common) if common else None)
    assert common_extent(Extent(*b), Extent(*a)) == (Extent(*common) if common else None)
