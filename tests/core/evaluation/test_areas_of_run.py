"""Class areas of a collection by a run's kept predictions."""

import csv
import io
import json

import pytest

from core.catalog.catalogue import collections
from core.catalog.images import read_mask
from core.catalog.maps.mosaic import lay_out
from core.cli import main
from core.errors import InputError
from core.evaluation import areas_of_run as module
from core.evaluation.areas_of_run import CSV_COLUMNS, areas_of_run, csv_text, mapped_inside, mapped_pixels
from core.inference.switches import Switches
from core.progress import SilentProgress
from tests.pages.runs_on_disk import SIZE, add_run, all_tiles, keep_evaluation, keep_predictions, make_workspace


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    add_run(made, "first")
    keep_predictions(made, "first", wrong=0.2)
    keep_evaluation(made, "first")
    return made


def found(workspace, **chosen):
    return areas_of_run(
        workspace,
        run="first",
        collection_id=collections(workspace)[0].id,
        switches=Switches(),
        progress=SilentProgress(),
        **chosen,
    )


def test_the_classes_of_the_whole_collection_sum_to_its_hectares(workspace):
    result = found(workspace)
    hectares = 6 * SIZE[0] * SIZE[1] * 0.25 / 1e4
    assert result["total"] == pytest.approx(hectares)
    assert sum(one["counted"] for one in result["classes"]) + result["unmapped"] == pytest.approx(hectares)
    assert result["judged_tiles"] == 4
    assert result["measured_on"]["predicted"] == result["measured_on"]["tiles"] == 6


def test_one_tile_is_a_sixth_of_it(workspace):
    assert found(workspace, tile="3")["total"] == pytest.approx(found(workspace)["total"] / 6)


def test_tiles_that_are_not_predicted_do_not_count(workspace):
    (workspace.predictions / "first" / "plain" / "1" / "0.json").unlink()
    pixels = mapped_pixels(workspace, "first", all_tiles(workspace), Switches(), SilentProgress())
    assert len(pixels) == 5


def test_what_was_counted_is_not_read_again_until_it_is_predicted_anew(workspace, monkeypatch):
    def count():
        return mapped_pixels(workspace, "first", all_tiles(workspace), Switches(), SilentProgress())

    before = count()
    read = []
    monkeypatch.setattr(module, "read_mask", lambda path, shape: read.append(path) or read_mask(path, shape=shape))
    again = count()
    assert all((again[one] == before[one]).all() for one in before)
    assert not read
    keep_predictions(workspace, "first", wrong=0.6)
    note = workspace.predictions / "first" / "plain" / "1" / "0.json"
    note.write_text(note.read_text().replace('"made": "', '"made": "2'))
    assert (count()[all_tiles(workspace)[0].id] != before[all_tiles(workspace)[0].id]).any()


def test_a_damaged_file_of_counts_is_counted_anew(workspace):
    before = found(workspace)
    path = workspace.evaluations / "first" / "mapped" / "plain" / "1.json"
    path.write_text('{"0": 3}')
    assert found(workspace)["total"] == before["total"]


def test_a_run_that_was_not_evaluated_has_no_estimate(workspace):
    add_run(workspace, "second")
    keep_predictions(workspace, "second", wrong=0.1)
    with pytest.raises(InputError, match="was not evaluated"):
        areas_of_run(
            workspace, run="second", collection_id=1, switches=Switches(), progress=SilentProgress(), split=None
        )


@pytest.mark.parametrize("chosen", [{"split": "holdout"}, {"tile": "99"}])
def test_a_split_or_tile_that_is_not_there_is_refused(workspace, chosen):
    with pytest.raises(InputError, match=r"no split|no such tile"):
        found(workspace, **chosen)


def test_the_command_writes_the_table_as_csv(workspace, tmp_path, capsys):
    out = tmp_path / "areas.csv"
    arguments = ["areas", "--workspace", str(workspace.root), "--run", "first", "--collection", "1", "--csv", str(out)]
    assert main(arguments) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = list(csv.DictReader(out.open()))
    assert [row["class"] for row in rows] == [one["name"] for one in said["classes"]]
    assert float(rows[0]["counted_ha"]) == pytest.approx(said["classes"][0]["counted"], abs=1e-4)


def test_a_name_that_a_spreadsheet_would_run_becomes_text(workspace):
    rows = list(csv.reader(io.StringIO(csv_text({"=1+1": found(workspace)}))))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert rows[1][0] == "'=1+1"


def test_a_drawing_around_everything_holds_all_that_is_mapped(workspace):
    mosaic = lay_out(all_tiles(workspace))
    ring = [(-9.0, -9.0), (mosaic.width + 9.0, -9.0), (mosaic.width + 9.0, mosaic.height + 9.0), (-9.0, 2000.0)]
    inside = mapped_inside(workspace, "first", mosaic, ring, Switches())
    assert inside.sum() / 1e4 == pytest.approx(found(workspace)["total"])
