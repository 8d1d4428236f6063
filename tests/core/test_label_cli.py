import json

import numpy as np
import pytest

from core import label_cli
from core.cli import BAD_INPUT, main
from core.labels import journal, suggestions, work_status
from core.labels.formats import deepglobe
from core.labels.formats.placed import Format
from core.labels.import_files import TakenAs
from core.labels.work_status import Status
from tests.core.labels.painting import brush, new_workspace


@pytest.fixture
def opened(tmp_path):
    return new_workspace(tmp_path / "workspace", tiles=2)


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, (json.loads(out.splitlines()[-1]) if status == 0 else err.strip().splitlines()[-1])


def test_labels_go_out_and_come_back_in(opened, tmp_path, capsys):
    workspace, tiles = opened
    journal.apply(workspace, tiles[0].id, brush([(10, 10), (40, 30)], class_index=2))
    before = journal.load(workspace, tiles[0].id)
    place = ("--workspace", workspace.root)
    status, said = run(capsys, "export", *place, "--format", "geojson", "--out", tmp_path / "out.zip")
    assert (status, said["tiles"], said["format"]) == (0, 1, "geojson")
    journal.undo(workspace, tiles[0].id)
    status, said = run(capsys, "import-labels", *place, "--from", tmp_path / "out.zip", "--annotator", "Bea")
    assert (status, list(said["tiles"])) == (0, ["t0"])
    np.testing.assert_array_equal(journal.load(workspace, tiles[0].id), before)
    assert work_status.work(workspace, tiles[0].id).status is Status.IN_WORK


def test_a_foreign_prediction_becomes_a_suggestion_at_its_offset(opened, tmp_path, capsys):
    workspace, tiles = opened
    path = tmp_path / "t1_pred.png"
    path.write_bytes(deepglobe.encode(np.full((20, 20), 3, np.uint8)))
    options = ("--workspace", workspace.root, "--from", path, "--offset", "40,20", "--as", "suggestion")
    status, said = run(capsys, "import-labels", *options)
    assert (status, said["tiles"]) == (0, {"t1": {"suggested": 400}})
    note = suggestions.current(workspace, tiles[1])
    assert suggestions.load(workspace, tiles[1], note.id).raster[20, 40] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "--format", "coco"], "--out"),
        (["export", "--format", "shapefile", "--out", "x"], "invalid choice: 'shapefile'"),
        (["export", "--format", "coco", "--out", "x", "--tile", "t9"], "The collection has no tile t9"),
        (["export", "--format", "coco", "--out", "x", "--collection", "7"], "There is no collection 7"),
        (["export", "--format", "coco", "--out", "x"], "There is no labelled tile to export"),
        (["import-labels", "--from", "nowhere.png"], "There is no file or folder nowhere.png"),
        (["import-labels", "--from", "x.png", "--offset", "4"], "'4' is no X,Y of two whole numbers"),
        (["import-labels", "--from", "x.png", "--map", "1=house"], "'1=house' is no VALUE=CLASS"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(opened, capsys, arguments, said):
    root = opened[0].root
    placed = [root.parent / "x" if argument == "x" else argument for argument in arguments]
    status, sentence = run(capsys, *placed, "--workspace", root)
    assert status == BAD_INPUT
    assert said in sentence
    assert not (root.parent / "x").exists()


def test_the_choices_on_the_command_line_are_those_of_the_code():
    assert tuple(Format) == label_cli.FORMATS
    assert tuple(Status) == label_cli.STATUSES
    assert tuple(TakenAs) == label_cli.TAKEN_AS
