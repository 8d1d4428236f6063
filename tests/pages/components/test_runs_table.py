"""The runs of a workspace: the table, one run looked at, recipes compared, and the import."""

import io

import pytest
from streamlit.testing.v1 import AppTest

from core.training.run_archive import archive_bytes
from core.training.runs import list_runs
from core.workspace import Workspace, open_workspace
from tests.core.training.run_files import write_run


def script(root, looking):
    from pathlib import Path

    import streamlit as st

    from core.workspace import open_workspace
    from pages.components import runs_table

    st.page_link = lambda *_, **__: None  # there are no other pages here
    if looking and "runs_one" not in st.session_state:
        st.session_state["runs_one"] = True
    runs_table.runs_table(open_workspace(Path(root)))


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    opened = open_workspace(tmp_path / "workspace")
    write_run(opened.runs / "first", ["l2=0.5"])
    write_run(opened.runs / "second", ["l2=2", "windows=1,9"], seed=3, validation=None)
    return opened


def show(workspace, *, looking=False):
    app = AppTest.from_function(script, args=(str(workspace.root), looking), default_timeout=30).run()
    assert not app.exception
    return app


def test_without_runs_it_says_so(tmp_path):
    assert "No finished run yet." in show(open_workspace(tmp_path)).caption[0].value


def test_the_table_tells_score_tiles_labels_seconds_and_memory(workspace):
    table = show(workspace).dataframe[0].value.set_index("run")
    assert table.loc["first", "validation mIoU"] == 0.5
    assert table.loc["first", "validated on"] == "9"
    assert table.loc["second", "validated on"] == "no tile"
    assert table.loc["first", "labels"] == "given llll"
    assert table.loc["first", "training, s"] == 1.5
    assert table.loc["first", "memory, GiB"] == 1.0


def test_only_the_settings_that_differ_are_compared(workspace):
    app = show(workspace, looking=True)
    next(box for box in app.selectbox if box.key == "runs_chosen").set_value("first").run()
    table = app.dataframe[-1].value.set_index("setting")
    assert set(table.index) == {"l2", "windows", "(seed)"}
    assert list(table.loc["l2"]) == ["0.5", "2.0"]
    assert list(table.loc["(seed)"]) == ["0", "3"]


def test_the_model_card_is_shown_below_the_headings_of_the_page(workspace):
    app = show(workspace, looking=True)
    next(box for box in app.selectbox if box.key == "runs_chosen").set_value("first").run()
    card = next(text.value for text in app.markdown if "Intended use" in text.value)
    assert card.startswith("#### first")
    assert "\n## " not in card


def test_a_run_whose_recipe_is_broken_is_told_of_and_the_page_goes_on(workspace):
    (workspace.runs / "second" / "recipe.toml").write_text("l2 = [")
    app = show(workspace, looking=True)
    next(box for box in app.selectbox if box.key == "runs_chosen").set_value("second").run()
    assert not app.exception
    assert "cannot be read as TOML" in app.error[0].value


def test_a_run_is_imported_under_another_name_and_never_over_one(workspace):
    archive = archive_bytes(workspace.runs / "first")

    app = show(workspace)
    app.get("file_uploader")[0].set_value(("first.zip", io.BytesIO(archive).getvalue(), "application/zip"))
    app.run()
    next(button for button in app.button if button.label == "Import").click().run()
    assert "a run 'first' already" in app.error[0].value
    next(field for field in app.text_input if field.label == "Name here").set_value("third").run()
    next(button for button in app.button if button.label == "Import").click().run()
    assert not app.exception
    assert {run.name for run in list_runs(workspace.runs)} == {"first", "second", "third"}
