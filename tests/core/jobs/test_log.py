import json

import pytest

from core.jobs import log
from core.workspace import open_workspace

JOB = 3


@pytest.fixture
def workspace(tmp_path):
    opened = open_workspace(tmp_path)
    log.job_folder(opened, JOB).mkdir(parents=True)
    yield opened
    opened.database.close()


def write_log(workspace, *lines, end=""):
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    log.log_path(workspace, JOB).write_text(text + end)


def step(done, total, seconds, message="features"):
    return {"event": "progress", "done": done, "total": total, "message": message, "seconds": seconds}


def test_a_job_that_has_said_nothing_is_starting(workspace):
    assert log.read_progress(workspace, JOB) == log.NOT_STARTED
    assert log.NOT_STARTED.share == 0
    assert (log.read_metrics(workspace, JOB), log.tail(workspace, JOB), log.read_result(workspace, JOB)) == (
        [],
        [],
        None,
    )


def test_the_latest_step_counts_and_the_pace_of_its_phase_tells_what_remains(workspace):
    write_log(workspace, step(0, 10, 0.0, "slow"), step(1, 10, 50.0, "slow"), step(0, 4, 51.0), step(2, 4, 55.0))
    progress = log.read_progress(workspace, JOB)
    assert (progress.done, progress.total, progress.message, progress.seconds) == (2, 4, "features", 55.0)
    assert progress.share == 0.5
    assert progress.remaining_seconds == pytest.approx(4.0)


def test_a_second_phase_with_the_same_total_does_not_borrow_the_pace_of_the_first(workspace):
    write_log(workspace, step(0, 4, 0.0), step(4, 4, 400.0), step(0, 4, 400.0, "head"), step(1, 4, 401.0, "head"))
    assert log.read_progress(workspace, JOB).remaining_seconds == pytest.approx(3.0)


def test_what_remains_is_unknown_after_one_step_of_a_phase(workspace):
    write_log(workspace, step(0, 10, 0.0), step(9, 10, 9.0), step(1, 5, 11.0))
    assert log.read_progress(workspace, JOB).remaining_seconds is None


def test_a_half_written_last_line_is_passed_over(workspace):
    write_log(
        workspace, step(1, 4, 1.0), {"event": "metrics", "loss": 0.5, "seconds": 1}, end='{"event": "progress", "do'
    )
    assert log.read_progress(workspace, JOB).done == 1
    assert log.read_metrics(workspace, JOB) == [{"loss": 0.5, "seconds": 1}]
    assert log.tail(workspace, JOB) == []


def test_a_line_cut_inside_a_character_is_passed_over(workspace):
    write_log(workspace, step(1, 4, 1.0))
    with log.log_path(workspace, JOB).open("ab") as stream:
        stream.write('{"event": "progress", "message": "é'.encode()[:-1])
    assert log.read_progress(workspace, JOB).done == 1


def test_the_tail_has_plain_lines_and_the_closing_sentence_but_no_events(workspace):
    write_log(
        workspace,
        "a warning",
        step(1, 4, 1.0),
        "\x1b[31mred\x1b[0m <b>text</b>",
        "10%\r20%\r30%",
        {"event": "error", "message": "No tile has a label."},
    )
    assert log.tail(workspace, JOB) == ["a warning", "red <b>text</b>", "30%", "No tile has a label."]
    assert log.tail(workspace, JOB, limit=1) == ["No tile has a label."]
    assert log.last_verdict(workspace, JOB) == ("error", "No tile has a label.")


def test_of_a_large_log_only_the_end_is_read(workspace):
    write_log(workspace, "the first line", *(["x" * 999] * 200), step(3, 4, 9.0), "the last line")
    lines = log.tail(workspace, JOB, limit=10_000)
    assert "the first line" not in lines
    assert all(set(line) == {"x"} and len(line) == log.LONGEST_LINE for line in lines[:-1]), "a cut line must not show"
    assert lines[-1] == "the last line"
    assert log.read_progress(workspace, JOB).done == 3


def test_the_figures_come_whole_and_in_order(workspace):
    write_log(workspace, *[{"event": "metrics", "step": i, "loss": 1 / (i + 1), "seconds": i} for i in range(2000)])
    assert [figures["step"] for figures in log.read_metrics(workspace, JOB)] == list(range(2000))


def point(epoch, seconds, **more):
    return {"event": "metrics", "epoch": epoch, "loss": 1 / epoch, "seconds": seconds, **more}


def begin_again(workspace):
    log.begin_attempt(workspace, JOB)
    return log.log_path(workspace, JOB).open("a")


def test_a_resumed_job_has_one_curve_that_goes_on_from_its_checkpoint(workspace):
    write_log(workspace, point(1, 1.0), point(2, 2.0), point(3, 3.0, old=True), end='{"event": "metr')
    with begin_again(workspace) as stream:
        stream.write(json.dumps(point(3, 0.5)) + "\n" + json.dumps(point(4, 1.5)) + "\n")
    curve = log.read_metrics(workspace, JOB)
    assert [(p["epoch"], p["seconds"]) for p in curve] == [(1, 1.0), (2, 2.0), (3, 3.5), (4, 4.5)]
    assert "old" not in curve[2]


def test_a_job_that_begins_anew_draws_its_curve_anew(workspace):
    write_log(workspace, point(1, 1.0), point(2, 2.0))
    with begin_again(workspace) as stream:
        stream.write(json.dumps(point(1, 1.0)) + "\n")
    assert [p["epoch"] for p in log.read_metrics(workspace, JOB)] == [1]


def test_every_member_of_an_ensemble_has_a_curve_of_its_own(workspace):
    write_log(workspace, point(1, 1, member=0), point(2, 2, member=0), point(1, 3, member=1))
    curve = log.read_metrics(workspace, JOB)
    assert [(p["member"], p["epoch"]) for p in curve] == [(0, 1), (0, 2), (1, 1)]


def test_progress_verdict_and_tail_are_those_of_the_last_attempt(workspace):
    write_log(workspace, "old words", step(3, 4, 9.0), {"event": "cancelled", "message": "Kept."})
    log.result_path(workspace, JOB).write_text('{"an": "old result"}\n')
    begin_again(workspace).close()
    assert log.read_progress(workspace, JOB) == log.NOT_STARTED
    assert log.last_verdict(workspace, JOB) is None
    assert log.tail(workspace, JOB) == []
    assert log.read_result(workspace, JOB) is None
    assert "old words" in log.story(workspace, JOB)


def test_the_story_has_the_steps_too_and_a_repeated_one_once(workspace):
    steps = [step(n, 4, n, f"Training the head, loss {1 / (n + 1):.3f}") for n in range(4)]
    write_log(workspace, step(0, 1, 0.0, "Reading tile 119"), *steps, {"event": "message", "message": "Halved."})
    assert log.story(workspace, JOB) == ["Reading tile 119", "Training the head, loss 0.250", "Halved."]


def test_messages_and_warnings_are_gathered_once_each(workspace):
    write_log(
        workspace,
        step(0, 1, 0.0, "Warning: No tile has water."),
        {"event": "message", "message": "Memory ran out: the batch was halved to 4."},
        step(0, 1, 0.0, "Warning: No tile has water."),
        step(1, 1, 0.0, "Done"),
    )
    assert log.read_messages(workspace, JOB) == ["No tile has water.", "Memory ran out: the batch was halved to 4."]
    assert log.tail(workspace, JOB) == ["Memory ran out: the batch was halved to 4."]


@pytest.mark.parametrize("text", ["", "plain\n", "[1, 2]\n", '{"half": ', '{"good": 1}\nafter\n'])
def test_without_an_object_in_the_last_line_there_is_no_result(workspace, text):
    log.result_path(workspace, JOB).write_text(text)
    assert log.read_result(workspace, JOB) is None


def test_the_result_is_the_object_in_the_last_line(workspace):
    log.result_path(workspace, JOB).write_text('{"not": "this"}\n{"miou": 0.5}\n')
    assert log.read_result(workspace, JOB) == {"miou": 0.5}
