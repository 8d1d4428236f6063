"""Somebody else's predictions as a run of its own."""

from pathlib import Path

import numpy as np
import pytest

from core.catalog.catalogue import collections, index_folder, tiles
from core.catalog.images import write_mask
from core.errors import InputError
from core.evaluation.held_out import evaluate_run, held_out, kept_evaluation
from core.inference import imported, store
from core.inference.switches import Switches
from core.progress import SilentProgress
from core.workspace import open_workspace
from tests.scenes import small_pair, write_pairs

SIZE, COVERED = 128, 100
FOREIGN = Path(__file__).resolve().parents[4] / "shared" / "data" / "fcn-predictions"
REAL = FOREIGN.parent / "deepglobe" / "land-train"


@pytest.fixture
def workspace(tmp_path):
    """Three tiles, and a folder of predictions: right on all that it covers of tile 1, smaller than tile 2."""
    write_pairs(tmp_path / "data", 3, SIZE)
    opened = open_workspace(tmp_path / "workspace")
    index_folder(opened, tmp_path / "data", SilentProgress())
    write_mask(tmp_path / "foreign" / "1_pred.png", small_pair(0, SIZE).raster)
    write_mask(tmp_path / "foreign" / "2_pred.png", small_pair(1, SIZE).raster[:COVERED, :COVERED])
    return opened


def take(workspace, source, **options):
    chosen = {"name": "foreign", "collection_id": collections(workspace)[0].id, "progress": SilentProgress()}
    return imported.import_predictions(workspace, source, **{**chosen, **options})


def rows(workspace):
    return tiles(workspace, collections(workspace)[0].id)


def test_missing_tiles_and_the_smaller_extent_are_said(workspace, tmp_path):
    told = take(workspace, tmp_path / "foreign")
    assert (told["tiles"], told["smaller"], told["missing"]) == (2, ["2"], ["3"])


def test_it_is_judged_where_it_says_something_and_nowhere_else(workspace, tmp_path):
    take(workspace, tmp_path / "foreign")
    collection = collections(workspace)[0].id
    judged = held_out(workspace, "foreign", collection)
    assert ([t.name for t in judged.tiles], judged.missing, judged.in_part) == (["1", "2"], ("3",), ("2",))
    result = evaluate_run(
        workspace, run="foreign", collection_id=collection, switches=Switches(), progress=SilentProgress()
    )
    assert result["accuracy"] == 1.0
    labelled = sum(
        int((small_pair(i, SIZE).raster[:side, :side] != 255).sum()) for i, side in ((0, SIZE), (1, COVERED))
    )
    assert np.sum(result["confusion"]) == labelled
    assert kept_evaluation(workspace, "foreign", collection, Switches()) == result


def test_its_prediction_is_unlabelled_beyond_its_extent_even_after_refinement(workspace, tmp_path):
    take(workspace, tmp_path / "foreign")
    tile = rows(workspace)[1]
    for switches in (Switches(), Switches("none", "guided", 50)):
        made = store.Predictor(workspace, "foreign").compute(tile, switches, SilentProgress())
        raster = store.load(made, tile)
        assert (raster[COVERED:] == 255).all()
        assert (raster[:COVERED, :COVERED] != 255).all()


def test_an_offset_says_where_a_smaller_mask_lies(workspace, tmp_path):
    take(workspace, tmp_path / "foreign", offset=(20, 8))
    tile = rows(workspace)[1]
    raster = store.load(store.Predictor(workspace, "foreign").compute(tile, Switches(), SilentProgress()), tile)
    assert np.array_equal(raster[8:108, 20:120], small_pair(1, SIZE).raster[:COVERED, :COVERED])
    (tmp_path / "foreign" / "1_pred.png").unlink()
    with pytest.raises(InputError, match="reaches beyond"):
        take(workspace, tmp_path / "foreign", name="beyond", offset=(99, 0))


@pytest.mark.parametrize(("name", "word"), [("foreign", "already"), ("../out", "cannot be called"), ("", "cannot")])
def test_a_name_that_is_taken_or_none_is_refused_and_nothing_is_left(workspace, tmp_path, name, word):
    take(workspace, tmp_path / "foreign")
    before = sorted(path.name for path in workspace.root.rglob("*"))
    with pytest.raises(InputError, match=word):
        take(workspace, tmp_path / "foreign", name=name)
    assert sorted(path.name for path in workspace.root.rglob("*")) == before


def test_a_folder_without_anything_of_use_says_what_names_are_wanted(workspace, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"1_pred\.png"):
        take(workspace, tmp_path / "empty")
    with pytest.raises(InputError, match="does not exist"):
        take(workspace, tmp_path / "nowhere")
    assert not (workspace.runs / "foreign").exists()


@pytest.mark.real
@pytest.mark.skipif(not FOREIGN.is_dir(), reason="../shared/data/fcn-predictions is not here")
def test_the_predictions_of_a_foreign_fcn_score_what_is_known_of_them(tmp_path):
    workspace = open_workspace(tmp_path / "workspace")
    data = tmp_path / "data"
    data.mkdir()
    for ending in ("_sat.jpg", "_mask.png"):
        (data / f"2774{ending}").symlink_to(REAL / f"2774{ending}")
    index_folder(workspace, data, SilentProgress())
    told = take(workspace, FOREIGN)
    assert told["smaller"] == ["2774"]
    result = evaluate_run(workspace, run="foreign", collection_id=1, switches=Switches(), progress=SilentProgress())
    assert result["accuracy"] == pytest.approx(0.267, abs=0.001)
