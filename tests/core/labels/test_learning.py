"""The server's side, with a stand-in for the process that answers at once, and once with the real one."""

import os
import signal
import subprocess
import sys
import time

import pytest

from core.labels import changes, journal, learning, suggestions
from core.labels.learning import Learning
from tests.core.labels.live_workspace import label, scenes_workspace
from tests.core.labels.painting import brush, new_workspace

ECHO = """
import json, os, sys, time
for line in sys.stdin:
    request = json.loads(line)
    with open(sys.argv[1], "a") as log:
        log.write(line)
    facts = {"tile": request["tile"], "sentence": "Learnt."}
    if DIES:
        os._exit(9)
    print("a library says something", flush=True)
    print(json.dumps({"event": "suggestion", "suggestion": "x", "seconds": 0.5, **facts}), flush=True)
    print(json.dumps({"event": "scored", "score": None, **facts}), flush=True)
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Starts the stand-in instead of the learner; ``dies`` makes it exit on its first request."""
    started = []
    log = tmp_path / "requests.jsonl"

    def command(_workspace):
        started.append(time.monotonic())
        return [sys.executable, "-c", ECHO.replace("DIES", str(command.dies)), str(log)]

    command.dies = False
    command.started = started
    command.requests = lambda: log.read_text().splitlines() if log.exists() else []
    monkeypatch.setattr(learning, "_command", command)
    return command


@pytest.fixture
def painted(tmp_path):
    """A workspace with a label on the first of two tiles, and its learning."""
    workspace, tiles = new_workspace(tmp_path / "workspace", tiles=2)
    journal.apply(workspace, tiles[0].id, brush([(10.0, 10.0)]))
    made = Learning(workspace)
    yield workspace, tiles, made
    made.close()


def eventually(question, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return answer


def ready(made, tile):
    return lambda: (status := made.look(tile)).state == "ready" and not status.judged and status


def test_the_first_look_starts_the_process_and_the_answer_is_told(painted, stand_in):
    _, [tile, _], made = painted
    assert made.look(tile).state == "working"
    status = eventually(ready(made, tile))
    assert (status.sentence, status.seconds) == ("Learnt.", 0.5)
    assert len(stand_in.started) == 1
    assert '"stroke": false' in stand_in.requests()[0]


def test_nothing_is_started_where_nothing_is_labelled_or_nobody_looks(tmp_path, stand_in):
    workspace, [tile, other] = new_workspace(tmp_path / "workspace", tiles=2)
    made = Learning(workspace)
    try:
        assert made.look(tile).state == "needs labels"
        changes.announce(workspace, other.id)
        assert stand_in.started == []
        changes.announce(workspace, tile.id)
        assert len(stand_in.started) == 1
    finally:
        made.close()


def test_a_stroke_on_a_tile_that_is_looked_at_is_learnt_from(painted, stand_in):
    workspace, [tile, _], made = painted
    made.look(tile)
    eventually(ready(made, tile))
    changes.announce(workspace, tile.id)
    eventually(lambda: len(stand_in.requests()) == 2)
    assert '"stroke": true' in stand_in.requests()[1]


def test_second_opinions_and_other_workspaces_never_train(painted, stand_in, tmp_path):
    workspace, [tile, _], made = painted
    made.look(tile)
    eventually(ready(made, tile))
    changes.announce(workspace, tile.id, "Ada")
    changes.announce(new_workspace(tmp_path / "another")[0], tile.id)
    changes.announce(workspace, tile.id)
    eventually(lambda: len(stand_in.requests()) == 2)
    assert len(stand_in.requests()) == 2


def test_a_look_at_another_tile_asks_again_once_its_suggestion_is_old(painted, stand_in, monkeypatch):
    workspace, [tile, other], made = painted
    for each in (tile, other):
        made.look(each)
        eventually(ready(made, each))
    changes.announce(workspace, tile.id)
    made.look(other)
    eventually(lambda: len(stand_in.requests()) == 3)
    monkeypatch.setattr(learning, "LOOK_AGAIN_SECONDS", -1.0)
    made.look(other)
    eventually(lambda: len(stand_in.requests()) == 4)
    eventually(ready(made, other))
    made.look(other)  # nothing changed since
    made.look(tile)
    assert len(stand_in.requests()) == 4


def test_off_means_that_no_process_works_and_it_stays_off_after_a_restart(painted, stand_in):
    workspace, [tile, _], made = painted
    made.look(tile)
    process = eventually(lambda: made.pid)
    made.switch(False)
    assert made.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert made.look(tile).state == "off"
    changes.announce(workspace, tile.id)
    assert made.pid is None
    assert len(stand_in.started) == 1
    after_restart = Learning(workspace)
    try:
        assert not after_restart.on
        after_restart.switch(True)
        after_restart.look(tile)
        assert len(stand_in.started) == 2
    finally:
        after_restart.close()


def test_a_killed_process_is_started_again_and_the_canvas_says_so(painted, stand_in):
    workspace, [tile, _], made = painted
    made.look(tile)
    eventually(ready(made, tile))
    os.kill(made.pid, signal.SIGKILL)
    eventually(lambda: len(stand_in.started) == 2)
    changes.announce(workspace, tile.id)
    status = eventually(ready(made, tile))
    assert "ended unexpectedly (signal SIGKILL, as for want of memory) and was started again" in status.sentence


def test_a_process_that_dies_again_and_again_is_left_alone_until_switched_off_and_on(painted, stand_in):
    _, [tile, _], made = painted
    stand_in.dies = True
    made.look(tile)
    status = eventually(lambda: (s := made.look(tile)).state == "waiting" and s)
    assert "3 times within a minute" in status.sentence
    assert "switch learning off and on again" in status.sentence
    assert len(stand_in.started) == 3
    made.look(tile)
    assert len(stand_in.started) == 3
    stand_in.dies = False
    made.switch(False)
    made.switch(True)
    made.look(tile)
    eventually(ready(made, tile))


def test_a_learner_that_cannot_work_says_why(painted, monkeypatch):
    _, [tile, _], made = painted
    words = "import sys; sys.stdin.readline(); print('The encoder is not there.', file=sys.stderr); sys.exit(2)"
    monkeypatch.setattr(learning, "_command", lambda _: [sys.executable, "-c", words])
    made.look(tile)
    status = eventually(lambda: (s := made.look(tile)).state == "waiting" and s)
    assert status.sentence == "The learner cannot work: The encoder is not there."


def test_the_real_process_suggests_scores_and_ends_with_its_server(tmp_path):
    workspace, [tile, _, held] = scenes_workspace(tmp_path)
    label(workspace, tile, seed=0)
    made = Learning(workspace)
    try:
        made.look(tile)
        status = eventually(lambda: (s := made.look(tile)).state == "ready" and s, 120)
        assert "Learnt from" in status.sentence
        assert suggestions.current(workspace, tile).source == "live"
        process = subprocess.Popen(
            [sys.executable, "-m", "core", "learn", "--workspace", str(workspace.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=learning.ROOT,
        )
        said, _ = process.communicate(b"", timeout=120)
        assert process.returncode == 0
        assert said.splitlines()[-1] == b'{"suggestions": 0}'
        assert held.split == "val"
    finally:
        made.close()
    assert made.pid is None
