"""The queue and the live display of the Train page, on the real app: watch, reorder, pause, resume, cancel.

The fits only pretend (``stand_in_fit``), so that they last as long as a person needs; worker and queue are real.
"""

import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from core.catalog.catalogue import index_folder
from core.jobs import log, queue
from core.jobs.outcome import JobState
from core.progress import SilentProgress
from core.workspace import Workspace, open_workspace
from tests.browser import stand_in_fit
from tests.browser.app_server import ROOT, Server
from tests.scenes import write_pairs

LONG = 180_000  # milliseconds: two cores, and other work beside us
KEY = "training_live"

pytestmark = pytest.mark.browser


@pytest.fixture
def workspace(server: Server) -> Iterator[Workspace]:
    """The server's workspace, with two small tiles, and a worker that runs stand-ins."""
    opened = open_workspace(server.workspace)
    data = server.workspace.parent / "tiles"
    write_pairs(data, count=2, size=128)
    index_folder(opened, data, SilentProgress())
    command = [*stand_in_fit.PREFIX, "work", "--workspace", str(server.workspace)]
    worker = subprocess.Popen(command, cwd=ROOT)
    yield opened
    worker.kill()
    worker.wait()
    for view in queue.running_jobs(opened):
        queue.cancel(opened, view.id)
    opened.database.close()


def submit(workspace: Workspace, name: str, *, epochs: int) -> int:
    out = workspace.runs / name
    arguments = ["fit", "--out", str(out), "--epochs", str(epochs), "--step", "0.1"]
    return queue.submit(workspace, kind="fit", title=f"Train {name}", arguments=arguments, device="cpu")


def press(page: Page, name: str, job: int) -> None:
    # A button with a tip is there twice, once for the touch of a finger.
    page.locator(f".st-key-{KEY}-{name}-{job} button:visible").click(timeout=LONG)


def until_state(page: Page, workspace: Workspace, job: int, state: JobState) -> None:
    for _ in range(LONG // 100):
        if queue.job(workspace, job).state is state:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"job {job} is {queue.job(workspace, job).state}, not {state}")


def epoch_shown(page: Page) -> int:
    said = page.get_by_test_id("live-figures").locator("b").first.inner_text()
    return int(said) if said.isdecimal() else 0


def until_epoch(page: Page, epoch: int) -> None:
    for _ in range(LONG // 100):
        if epoch_shown(page) >= epoch:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"epoch {epoch_shown(page)} is shown, not {epoch}")


def test_a_fit_is_watched_reordered_paused_resumed_and_cancelled(
    page: Page, server: Server, workspace: Workspace
) -> None:
    slow, second, third = (submit(workspace, name, epochs=n) for name, n in (("slow", 900), ("b", 5), ("c", 5)))
    page.goto(f"{server.url}/train")
    chart = page.get_by_test_id("stEChartsChart")
    expect(chart.locator("svg path").first).to_be_attached(timeout=LONG)
    until_epoch(page, 3)
    drawing, box = chart.locator("svg").element_handle(), chart.bounding_box()
    curve = drawing.inner_html()
    until_epoch(page, epoch_shown(page) + 8)
    page.wait_for_function("([svg, before]) => svg.innerHTML !== before", arg=[drawing, curve], timeout=LONG)
    assert drawing.is_visible(), "the chart is the same one, not one built anew"
    assert chart.bounding_box() == box, "nothing moves while the curve does"

    press(page, "up", third)
    expect(page.get_by_text("1. Train c")).to_be_visible(timeout=LONG)
    assert [view.id for view in queue.jobs(workspace)] == [slow, third, second]

    press(page, "pause", slow)
    until_state(page, workspace, slow, JobState.PAUSED)
    expect(page.get_by_text("goes on from its checkpoint")).to_be_visible(timeout=LONG)
    reached = log.read_metrics(workspace, slow)[-1]["epoch"]
    press(page, "resume", slow)
    for quick in (third, second):
        until_state(page, workspace, quick, JobState.DONE)
    until_state(page, workspace, slow, JobState.RUNNING)
    until_epoch(page, reached + 3)
    epochs = [point["epoch"] for point in log.read_metrics(workspace, slow)]
    assert epochs == list(range(1, len(epochs) + 1)), "one curve, that went on where it was"

    press(page, "cancel", slow)
    page.get_by_role("button", name="Stop, keep the best").click(timeout=LONG)
    until_state(page, workspace, slow, JobState.CANCELLED)
    expect(page.get_by_text("cancelled").first).to_be_visible(timeout=LONG)
    expect(page.locator(f".st-key-{KEY}-pause-{slow}")).to_have_count(0, timeout=LONG)
