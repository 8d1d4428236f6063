"""The runs of a workspace: the table, one run looked at, recipes compared, and the import."""

import io
import shutil

import pytest
from streamlit.testing.v1 import AppTest

from core.inference.ensemble_fit import EnsembleRequest, make_ensemble
from core.jobs import queue
from core.jobs.outcome import JobState
from core.progress import SilentProgress
from core.tables import Job
from core.training.run_archive import archive_bytes
from core.training.runs import list_runs
from core.workspace import Workspace, open_workspace
from pages.components.problems import plain
from tests.core.training.run_files import FOLDS, NARROW, VALIDATION, WIDE, write_run


def script(root, looking):
    from pathlib import Path

    import streamlit as st

    from core.workspace import open_workspace
    from pages.components import runs_table

    if looking and "runs_one" not in st.session_state:
        st.session_state["runs_one"] = True
    runs_table.runs_table(open_workspace(Path(root)))


@pytest.fixture(autouse=True)
def no_other_pages(monkeypatch):
    monkeypatch.setattr("streamlit.page_link", lambda *_, **__: None)


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
    assert "No run yet." in show(open_workspace(tmp_path)).caption[0].value


def test_the_table_tells_score_tiles_labels_seconds_and_memory(workspace):
    table = show(workspace).dataframe[0].value.set_index("run")
    assert table.loc["first", "validation mIoU"] == 0.5
    assert table.loc["first", "validated on"] == "1 tile only: 9"
    assert table.loc["second", "validated on"] == "no tile"
    assert table.loc["first", "labels"] == "given llll"
    assert table.loc["first", "training, s"] == 1.5
    assert table.loc["first", "memory, GiB"] == 1.0


def test_scores_come_with_their_intervals_and_few_tiles_are_called_few(workspace):
    six = [str(number) for number in range(6)]
    validation = {**VALIDATION, "tiles": six, "interval": NARROW, "note": None}
    write_run(workspace.runs / "third", measured=FOLDS, validation=validation)
    table = show(workspace).dataframe[0].value.set_index("run")
    assert table.loc["third", "95 % interval"] == "0.41 to 0.59"
    assert table.loc["third", "validated on"] == "0, 1, 2, 3, 4, 5"
    assert table.loc["third", "left-out mIoU"] == "0.512 (0.41 to 0.59)"
    assert table.loc["first", "validated on"].startswith("1 tile only")


def test_without_folds_there_is_no_column_for_them(workspace):
    assert "left-out mIoU" not in show(workspace).dataframe[0].value


@pytest.mark.parametrize(
    ("state", "read"),
    [
        (JobState.PAUSED, "paused"),
        (JobState.RUNNING, "running"),
        (JobState.QUEUED, "queued"),
        (JobState.FAILED, "failed"),
        (JobState.CANCELLED, "cancelled"),
        (JobState.DONE, "cancelled"),
    ],
)
def test_a_run_that_was_stopped_reads_as_its_job_stands(workspace, state, read):
    folder = write_run(workspace.runs / "stopped", state="cancelled")
    put_job(workspace, folder, state)
    table = show(workspace).dataframe[0].value.set_index("run")
    assert table.loc["stopped", "state"] == read
    assert table.loc["first", "state"] == "finished"


def test_a_fit_that_has_no_model_yet_stands_in_the_table_until_it_is_over(workspace):
    put_job(workspace, workspace.runs / "under way", JobState.RUNNING)
    put_job(workspace, workspace.runs / "given up", JobState.CANCELLED)
    table = show(workspace).dataframe[0].value.set_index("run")
    assert table.loc["under way", "state"] == "running"
    assert "given up" not in table.index


def put_job(workspace, folder, state):
    number = queue.submit(workspace, kind="fit", title="Train", arguments=["fit", "--out", str(folder)], device="cpu")
    with workspace.database.write() as session:
        session.get(Job, number).state = state


def test_one_run_shows_its_scores_its_members_and_what_few_tiles_mean(workspace):
    note = "Measured on 1 tile only: nothing can be said."
    write_run(workspace.runs / "third", measured=FOLDS, validation={**VALIDATION, "interval": WIDE, "note": note})
    app = show(workspace, looking=True)
    next(box for box in app.selectbox if box.key == "runs_chosen").set_value("third").run()
    told = " ".join(text.value for text in app.markdown)
    assert "Cross-validation: mIoU 0.512, 95 % interval 0.410 to 0.590**, measured on 6 left-out tiles" in told
    assert "Validation: mIoU 0.500, 95 % interval 0.000 to 1.000**, measured on 9" in told
    assert [warning.value for warning in app.warning] == [plain(note)]
    members = next(table.value for table in app.dataframe if "member" in table.value)
    assert list(members["left out"]) == ["1, 2, 3", "4, 5, 6"]


def test_a_run_that_was_never_judged_says_what_to_do(workspace):
    app = show(workspace, looking=True)
    next(box for box in app.selectbox if box.key == "runs_chosen").set_value("second").run()
    assert "without validation tiles and without folds" in app.info[0].value


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


def ensemble(workspace):
    runs = tuple(workspace.runs / name for name in ("first", "second"))
    make_ensemble(EnsembleRequest(runs, workspace.runs / "both", "equal"), SilentProgress())


def test_an_ensemble_tells_of_its_members_and_has_no_recipe(workspace):
    ensemble(workspace)
    app = show(workspace, looking=True)
    app.selectbox(key="runs_chosen").set_value("both").run()
    members = next(table.value for table in app.dataframe if "member" in table.value)
    assert list(members["member"]) == ["first", "second"]
    assert list(members["share"]) == [0.5, 0.5]
    assert not app.error
    assert not app.tabs


def test_an_ensemble_whose_member_is_gone_says_so(workspace):
    ensemble(workspace)
    shutil.rmtree(workspace.runs / "second")
    app = show(workspace, looking=True)
    app.selectbox(key="runs_chosen").set_value("both").run()
    assert "needs the run second, which is gone" in app.error[0].value
