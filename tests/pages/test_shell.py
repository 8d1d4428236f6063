"""The shell around every page."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.workspace import WORKSPACE_VARIABLE
from tests.pages.runs_on_disk import make_workspace

SHELL = Path(__file__).parents[2] / "pages" / "shell.py"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "workspace"))
    monkeypatch.setattr("core.jobs.worker.keep_going", lambda *_, **__: None)
    make_workspace(tmp_path)
    return AppTest.from_file(str(SHELL), default_timeout=60)


@pytest.mark.parametrize("page", ["start", "browse", "label", "train", "evaluate", "compare"])
def test_every_page_opens_in_the_shell_with_the_workspace_and_the_machine(shell: AppTest, page: str) -> None:
    shell.run()
    if page != "start":
        shell.switch_page(f"{page}.py").run()
    assert not shell.exception
    beside = " ".join(str(element.value) for element in (*shell.sidebar.markdown, *shell.sidebar.caption))
    assert "workspace" in beside
    assert "cores" in beside
