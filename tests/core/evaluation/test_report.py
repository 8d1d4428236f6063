"""The report is one file that stands alone."""

import re

import numpy as np
import pytest

from core.errors import InputError
from core.evaluation.evaluate import summarise
from core.evaluation.report import report_html, write_report


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


def test_it_asks_nothing_of_a_network_and_runs_no_script():
    page = report_html(result())
    assert not re.search(r"https?:|<script|<link|url\(|@import|src=", page)


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
