"""The report is one file that stands alone."""

import csv
import json
import re

import numpy as np
import pytest

from core.errors import InputError
from core.evaluation.evaluate import MaskPair, count_tile, evaluate_folder, restrict, summarise, summarise_counts
from core.evaluation.exports import csv_text, json_text
from core.evaluation.report import report_html, write_folder_report, write_report
from core.evaluation.report_pictures import worst_tiles
from core.inference.extent import Extent
from core.progress import SilentProgress
from tests.core.evaluation.masks import save_pairs


def result(names=("1", "2", "3")):
    generator = np.random.default_rng(0)
    matrices = [generator.integers(0, 500, (6, 7)) for _ in names]
    for matrix in matrices:
        matrix[4] = 0
    return summarise(names, matrices)


def test_it_shows_the_scores_the_interval_and_every_tile():
    page = report_html(result())
    scores = result()
    assert f"{scores['miou']:.3f}" in page
    assert f"{scores['interval']['miou'][0]:.3f} to {scores['interval']['miou'][1]:.3f}" in page
    assert "Measured on 3 tiles" in page
    assert page.count("<th scope='row'>1</th>") == 1


def test_a_class_that_the_truth_lacks_is_named_without_a_figure():
    assert re.search(r"water</th><td[^>]*>not in the truth", report_html(result()))


def test_it_asks_nothing_of_a_network_and_runs_no_script(folder):
    found = evaluate_folder(folder / "truth", folder / "bad", SilentProgress())
    write_folder_report(found, folder / "report.html")
    page = (folder / "report.html").read_text()
    assert not re.search(r"https?:|<script|<link|url\(|@import|src='(?!data:image/)", page)
    assert page.count("src='data:image/") >= 4


@pytest.fixture
def folder(tmp_path):
    save_pairs(tmp_path, 5, {"good": 0.05, "bad": 0.4})
    return tmp_path


def test_it_shows_both_rules_borders_the_spread_and_the_worst_tiles(folder):
    found = evaluate_folder(folder / "truth", folder / "bad", SilentProgress())
    write_folder_report(found, folder / "report.html")
    page = (folder / "report.html").read_text()
    for rule, scores in found["by_rule"].items():
        assert f"<th scope='row'>{rule}</th><td>{scores['miou']:.3f}</td>" in page
    assert f"{found['boundary']['mbiou']:.3f}" in page
    assert "within 10 px" in page
    assert f"<td>{found['spread']['miou']['median']:.3f}</td>" in page
    worst = min(found["per_tile"], key=lambda row: row["miou"])
    assert f"Tile {worst['tile']}, mean IoU {worst['miou']:.3f}" in page


def test_what_a_run_was_made_from_is_in_the_report():
    measured = {
        "run": "first <b>",
        "collection": "data",
        "tiles": ["1", "2", "3"],
        "switches": {"tta": "d4"},
        "code_version": "0.1.0+abc",
        "trained_on": {"label_version": "1221ec", "classes": ["urban"]},
    }
    page = report_html({**result(), "measured_on": measured}, recipe="head = '<linear>'")
    for text in ("Evaluation of first &lt;b&gt;", "tta d4", "0.1.0+abc", "1221ec", "head = &#x27;&lt;linear&gt;&#x27;"):
        assert text in page


def test_csv_and_json_stand_beside_the_page_and_hold_both_rules(folder):
    found = evaluate_folder(folder / "truth", folder / "bad", SilentProgress())
    write_folder_report(found, folder / "report.html")
    with (folder / "report.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["predicted_unlabelled"] for row in rows} == {"counts as wrong", "left out"}
    [mean] = [
        row
        for row in rows
        if (row["tile"], row["class"], row["figure"]) == ("", "", "iou") and row["predicted_unlabelled"] == "left out"
    ]
    again = restrict(found, rule="left out")
    assert float(mean["value"]) == again["miou"]
    assert [float(mean["low"]), float(mean["high"])] == again["interval"]["miou"]
    assert json.loads((folder / "report.json").read_text())["by_rule"] == found["by_rule"]


def test_a_tile_named_like_a_formula_is_none_in_a_spreadsheet():
    assert "'=1+1," in csv_text(result(["=1+1"]))
    assert json.loads(json_text(result(["=1+1"])))["per_tile"][0]["tile"] == "=1+1"


def test_pictures_are_of_the_worst_tiles_and_of_the_part_that_was_judged(folder):
    names = [str(i) for i in range(5)]
    part = Extent(0, 0, 24, 40)
    pairs = {
        name: MaskPair(name, folder / "truth" / f"{name}_mask.png", folder / "bad" / f"{name}_mask.png", part)
        for name in names
    }
    found = summarise_counts(names, [count_tile(pair) for pair in pairs.values()])
    shown = worst_tiles(found, pairs, {})
    order = sorted(found["per_tile"], key=lambda row: row["miou"])
    assert [one.tile for one in shown] == [row["tile"] for row in order[:4]]
    assert list(shown[0].pictures) == ["truth", "prediction", "errors"]


def test_names_from_outside_are_escaped():
    page = report_html({**result(["<script>alert(1)</script>"]), "truth": "/data/<b>&"})
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "/data/&lt;b&gt;&amp;" in page


def test_few_tiles_are_said_loudly():
    assert "class='note'" in report_html(result(["1"]))


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Could not write"):
        write_report(result(), tmp_path / "file" / "report.html")
