import json
import threading
import time

import pytest

from core.labels import learning_process
from core.labels.learning_process import Inbox


class Lines:
    """Lines that come one by one, and an end of the input, as a pipe gives them."""

    def __init__(self):
        self._lines, self._there, self._ended = [], threading.Condition(), False

    def write(self, *requests):
        with self._there:
            self._lines += [json.dumps({"tile": tile, "stroke": stroke, "at": 0.0}) for tile, stroke in requests]
            self._there.notify()

    def end(self):
        with self._there:
            self._ended = True
            self._there.notify()

    def __iter__(self):
        return self

    def __next__(self):
        with self._there:
            self._there.wait_for(lambda: self._lines or self._ended)
            if not self._lines:
                raise StopIteration
            return self._lines.pop(0)


@pytest.fixture
def lines():
    made = Lines()
    yield made
    made.end()


def settle(inbox, count):
    while len(inbox._waiting) < count:
        time.sleep(0.005)


def asked(inbox):
    request = inbox.next()
    return request.tile, request.stroke


def test_strokes_come_before_looks_and_the_newest_first(lines):
    inbox = Inbox(lines)
    lines.write((1, True), (2, False), (3, True), (4, False))
    settle(inbox, 4)
    assert [asked(inbox) for _ in range(4)] == [(3, True), (1, True), (4, False), (2, False)]


def test_many_strokes_on_a_tile_are_one_request_and_a_look_takes_none_back(lines):
    inbox = Inbox(lines)
    lines.write((1, True), (1, True), (1, False), (2, False))
    settle(inbox, 2)
    assert [asked(inbox) for _ in range(2)] == [(1, True), (2, False)]


def test_a_stroke_is_waited_after_for_the_next_but_not_for_ever(lines, monkeypatch):
    monkeypatch.setattr(learning_process, "QUIET_SECONDS", 3600.0)
    monkeypatch.setattr(learning_process, "LONGEST_WAIT_SECONDS", 0.3)
    inbox = Inbox(lines)
    lines.write((1, True))
    settle(inbox, 1)
    start = time.monotonic()
    assert asked(inbox) == (1, True)
    assert time.monotonic() - start > 0.25


def test_what_is_no_request_is_passed_over():
    inbox = Inbox(["nonsense", '{"tile": "one"}', '{"tile": 5, "stroke": false, "at": 0}'])
    settle(inbox, 1)
    assert len(inbox._waiting) == 1


def test_a_closed_input_and_a_long_quiet_time_end_the_work(lines, monkeypatch):
    inbox = Inbox(lines)
    monkeypatch.setattr(learning_process, "IDLE_SECONDS", 0.05)
    assert inbox.next() is None
    assert not inbox.closed
    lines.write((1, True))
    settle(inbox, 1)
    assert inbox.has_stroke()
    lines.end()
    assert inbox.next() is None
    assert inbox.closed
