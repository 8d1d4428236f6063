import base64
import hashlib
import io
import json
import zipfile

import pytest

from core.cluster.node_log import NodeLog
from core.errors import InputError

BEFORE = "2026 INFO Runtime env is setting up.\nRunning entrypoint for job x: python\n"


def said(event, **values):
    return json.dumps({"event": event, **values}) + "\n"


def packed(*parts, size=None, digest=None):
    content = b"".join(parts)
    checksum = digest or hashlib.sha256(content).hexdigest()
    head = said("returned", kind="run", bytes=size or len(content), sha256=checksum)
    return head + "".join(said("part", data=base64.b64encode(part).decode()) for part in parts)


def test_a_log_that_grows_gives_each_line_of_the_command_once_and_only_when_it_is_whole():
    step = said("progress", done=1, total=2, message="a", seconds=0.1)
    text = BEFORE + said("node", host="n", shared=True) + step + "a plain line\n" + said("result", result={"run": "r"})
    text += said("ended", exit_status=0) + "Ray's last word\n"
    log, lines = NodeLog(), []
    for end in range(0, len(text) + 1, 7):
        lines += log.feed(text[:end])
    lines += log.feed(text)
    assert [line.text for line in lines] == [step.strip(), "a plain line"]
    assert (log.host, log.shared, log.exit_status, log.result) == ("n", True, 0, {"run": "r"})


def test_what_is_printed_before_the_result_is_output():
    log = NodeLog()
    lines = log.feed(said("node", host="n", shared=True) + said("output", line="| a | b |"))
    assert [(line.text, line.is_output) for line in lines] == [("| a | b |", True)]


def test_the_traces_are_those_of_a_job_on_this_machine():
    log = NodeLog()
    log.feed(said("node", host="n", shared=True) + "a warning\n" + said("error", message="No labels."))
    assert log.traces().verdict == ("error", "No labels.")
    assert log.traces().last_lines == ["a warning", "No labels."]


def test_an_archive_comes_back_whole_in_parts():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("run/card.json", "{}")
    content = stream.getvalue()
    log = NodeLog()
    assert log.feed(said("node", host="n", shared=False) + packed(content[:10], content[10:])) == []
    assert log.returned == "run"
    assert log.archive().read("run/card.json") == b"{}"


@pytest.mark.parametrize("wrong", [{"size": 99}, {"digest": "0" * 64}])
def test_an_archive_that_was_cut_off_or_changed_is_refused(wrong):
    log = NodeLog()
    log.feed(said("node", host="n", shared=False) + packed(b"abc", **wrong))
    with pytest.raises(InputError, match="damaged or cut off"):
        log.archive()
