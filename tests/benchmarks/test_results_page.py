"""RESULTS.md by chapters: one is replaced, all others survive."""

import pytest

from tests.benchmarks import run
from tests.benchmarks.results_page import compose, parse, replace_chapter, replaced

PAGE = compose("# Results\n\nBy hand.", {"first": "## One\n\n1", "last": "## Three\n\n3", "old": "## Old\n\n0"})
ORDER = ("first", "middle", "last")


def test_a_page_is_the_parts_that_it_is_parsed_to():
    assert compose(*parse(PAGE)) == PAGE


def test_a_new_chapter_takes_its_place_and_unknown_ones_stay_at_the_end():
    head, chapters = parse(replaced(PAGE, "middle", "## Two\n\n2", order=ORDER, head="unused"))
    assert head == "# Results\n\nBy hand."
    assert list(chapters.items()) == [
        ("first", "## One\n\n1"),
        ("middle", "## Two\n\n2"),
        ("last", "## Three\n\n3"),
        ("old", "## Old\n\n0"),
    ]


def test_a_chapter_is_replaced_alone_and_a_page_may_be_begun_with_one(tmp_path):
    path = tmp_path / "RESULTS.md"
    for text in ("## One\n\n1", "## One\n\nbetter"):
        replace_chapter(path, "first", text, order=ORDER, head="# Results")
    assert path.read_text() == "# Results\n\n<!-- chapter: first -->\n## One\n\nbetter\n"


def test_the_page_of_the_project_has_only_chapters_that_can_be_measured_again():
    assert set(parse(run.RESULTS.read_text())[1]) <= set(run.CHAPTERS)


def test_figures_that_prove_nothing_cannot_get_onto_the_page(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["run", "--quick", "--only", "confusion"])
    with pytest.raises(SystemExit) as ended:
        run.main()
    assert ended.value.code == 2
    assert "name another page" in capsys.readouterr().err


def test_a_chapter_that_fails_leaves_the_page_and_is_named(monkeypatch, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    monkeypatch.setattr(
        "sys.argv", ["run", "--only", "sample", "--kept", str(page / "no folder"), "--results", str(page)]
    )
    monkeypatch.setattr(run.subprocess, "run", lambda *_args, **_options: type("Ended", (), {"returncode": 1}))
    with pytest.raises(SystemExit, match="sample"):
        run.main()
    assert page.read_text() == PAGE


def test_a_chapter_says_when_and_beside_how_much_work_it_was_measured(monkeypatch, tmp_path):
    page = tmp_path / "page.md"
    monkeypatch.setitem(run.CHAPTERS, "sample", lambda amount: f"## The sample\n\nquick: {amount.quick}")
    monkeypatch.setattr(
        "sys.argv", ["run", "--here", "--only", "sample", "--kept", str(tmp_path), "--results", str(page)]
    )
    run.main()
    text = parse(page.read_text())[1]["sample"]
    assert "quick: False" in text
    assert "load of the machine" in text
