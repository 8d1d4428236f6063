"""Comparing a collection with a run's training tiles, and keeping the result."""

import json
from pathlib import Path

import pytest
from PIL import Image

from core.catalog.catalogue import collections, index_folder
from core.cli import main
from core.errors import InputError
from core.evaluation.drift_of_run import compute_drift, kept_drift, kept_path, tiles_to_compare
from core.inference.imported import NOTE
from core.inference.tile_observer import TileObserver
from core.progress import SilentProgress
from tests.core.evaluation.profiles import drawn_tile
from tests.pages.runs_on_disk import add_run, all_tiles, make_workspace


class StandIn:
    """Sees the tiles of the folder 'elsewhere' far from all others."""

    def observe(self, tile, progress):
        return drawn_tile(tile.id, shift=4.0 if "/elsewhere/" in tile.image_path else 0.0)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    made = make_workspace(tmp_path)
    add_run(made, "first", trained_on=4)
    monkeypatch.setattr(TileObserver, "open", classmethod(lambda cls, workspace, run: StandIn()))
    return made


def add_elsewhere(workspace, root, count=5):
    folder = root / "elsewhere"
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (60, 60), (number, 200, 90)).save(folder / f"{number}_sat.jpg")
    return index_folder(workspace, folder, SilentProgress()).collection_id


def test_tiles_from_elsewhere_ring_and_the_rest_of_the_own_collection_does_not(workspace, tmp_path):
    [own] = collections(workspace)
    elsewhere = add_elsewhere(workspace, tmp_path)
    far = compute_drift(workspace, run="first", collection_id=elsewhere, progress=SilentProgress())
    near = compute_drift(workspace, run="first", collection_id=own.id, progress=SilentProgress())
    assert far["verdict"] == "different"
    assert near["verdict"] != "different"
    assert [tile["name"] for tile in near["new"]] == ["4", "5"]
    assert [tile["name"] for tile in near["training"]] == ["0", "1", "2", "3"]


def test_the_result_is_kept_until_the_tiles_are_others(workspace, tmp_path):
    elsewhere = add_elsewhere(workspace, tmp_path)
    result = compute_drift(workspace, run="first", collection_id=elsewhere, progress=SilentProgress())
    assert kept_drift(workspace, "first", elsewhere) == json.loads(json.dumps(result))
    Image.new("RGB", (60, 60)).save(tmp_path / "elsewhere" / "99_sat.jpg")
    index_folder(workspace, tmp_path / "elsewhere", SilentProgress())
    assert kept_drift(workspace, "first", elsewhere) is None


def test_a_damaged_result_counts_as_none(workspace, tmp_path):
    path = kept_path(workspace, "first", collections(workspace)[0].id)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    assert kept_drift(workspace, "first", collections(workspace)[0].id) is None


def test_a_run_that_saw_every_tile_has_nothing_new(workspace):
    add_run(workspace, "greedy", trained_on=6)
    with pytest.raises(InputError, match="trained on every tile"):
        tiles_to_compare(workspace, "greedy", collections(workspace)[0].id)


def test_training_tiles_that_are_not_here_are_asked_for(workspace):
    add_run(workspace, "other", trained_on=1)
    with pytest.raises(InputError, match="open the folder that they are in"):
        tiles_to_compare(workspace, "other", collections(workspace)[0].id)


def test_an_imported_run_has_no_training_tiles(workspace):
    (workspace.runs / "first" / NOTE).write_text("{}")
    with pytest.raises(InputError, match="imported as masks"):
        tiles_to_compare(workspace, "first", collections(workspace)[0].id)


def test_a_tile_that_cannot_be_read_is_left_out_and_told(workspace, monkeypatch):
    def observe(self, tile, progress):
        if tile.name == "5":
            raise InputError("5_sat.jpg cannot be read.")
        return drawn_tile(tile.id)

    monkeypatch.setattr(StandIn, "observe", observe)
    result = compute_drift(
        workspace, run="first", collection_id=collections(workspace)[0].id, progress=SilentProgress()
    )
    assert result["left_out"] == ["5_sat.jpg cannot be read."]
    assert [tile["name"] for tile in result["new"]] == ["4"]


def test_the_command_prints_the_verdict_as_json(workspace, capsys):
    collection = collections(workspace)[0].id
    arguments = ["drift", "--workspace", str(workspace.root), "--run", "first", "--collection", str(collection)]
    assert main(arguments) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["verdict"] in {"alike", "different", "cannot tell"}
    assert len(all_tiles(workspace)) == said["new_tiles"] + said["training_tiles"]
    assert Path(kept_path(workspace, "first", collection)).is_file()
