import io
import json
import os
import signal

import pytest

from core.errors import CancelledError
from core.progress import BarProgress, CancelFlag, JsonProgress, SilentProgress, make_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def cancel():
    """A flag that listens to signals, and the old listeners back afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    flag = CancelFlag()
    flag.install()
    yield flag
    for number, listener in before.items():
        signal.signal(number, listener)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "kind", [SilentProgress, lambda c: JsonProgress(io.StringIO(), c), lambda c: BarProgress(io.StringIO(), c)]
)
def test_a_signal_cancels_at_the_next_step_and_not_before(cancel, number, kind):
    progress = kind(cancel)
    progress.update(0, 2, "tiles")
    os.kill(os.getpid(), number)
    with pytest.raises(CancelledError):
        progress.update(1, 2, "tiles")
    with pytest.raises(CancelledError):
        progress.metrics({"loss": 1.0})


def test_json_progress_writes_one_object_a_line():
    stream = io.StringIO()
    progress = JsonProgress(stream, CancelFlag())
    progress.update(1, 4, "tile\nwith a line break")
    progress.metrics({"loss": 0.25})
    step, figures = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert step.pop("seconds") >= 0
    assert step == {"event": "progress", "done": 1, "total": 4, "message": "tile\nwith a line break"}
    assert figures.pop("seconds") >= 0
    assert figures == {"event": "metrics", "loss": 0.25}


def test_the_step_that_is_cancelled_is_still_written():
    stream, flag = io.StringIO(), CancelFlag()
    flag.raised = True
    with pytest.raises(CancelledError):
        JsonProgress(stream, flag).update(3, 4, "tiles")
    assert json.loads(stream.getvalue())["done"] == 3


def test_the_bar_writes_each_step_once_where_the_output_is_no_terminal():
    stream = io.StringIO()
    bar = BarProgress(stream, CancelFlag())
    for done in (0, 1, 1, 2):
        bar.update(done, 2, "tiles")
    bar.metrics({"loss": 1.0})
    assert [line.split("]")[1] for line in stream.getvalue().splitlines()] == [
        "   0%  tiles",
        "  50%  tiles",
        " 100%  tiles",
    ]


def test_the_bar_redraws_its_line_on_a_terminal_and_wipes_what_was_longer():
    stream = Terminal()
    bar = BarProgress(stream, CancelFlag())
    bar.update(1, 2, "a message " + "of many words " * 10)
    bar.update(2, 2, "short")
    long, short = stream.getvalue().split("\r")[1:]
    assert len(short.rstrip("\n")) >= len(long)
    assert short.endswith("\n")
    assert "[########################] 100%  short" in short


@pytest.mark.parametrize(("done", "total", "shown"), [(0, 0, "0%"), (5, 4, "100%"), (1, 3, "33%")])
def test_the_bar_copes_with_nothing_to_do_and_with_too_much_done(done, total, shown):
    stream = io.StringIO()
    BarProgress(stream, CancelFlag()).update(done, total, "")
    assert shown in stream.getvalue()
    assert stream.getvalue().index("]") == BarProgress.WIDTH + 1


def test_the_style_asked_for_is_made():
    assert isinstance(make_progress("json", CancelFlag()), JsonProgress)
    assert isinstance(make_progress("bar", CancelFlag()), BarProgress)
