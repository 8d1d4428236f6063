import os
import signal
import sys

import pytest

from core.cluster.connection import connected
from core.cluster.fan_out import MOST_RETRIES, Asked, fan_out
from core.errors import CancelledError, InputError
from core.progress import CancelFlag, SilentProgress
from tests.core.cluster.calls import square, wait
from tests.core.cluster.local_ray import connectable_head, needs_ray


@pytest.fixture(scope="module")
def head():
    with connectable_head() as use:
        yield use


class Watch(SilentProgress):
    """Keeps what was said; cancels once ``enough`` says so of it."""

    def __init__(self, enough=lambda said: False):
        self._flag = CancelFlag()
        super().__init__(self._flag)
        self._enough, self.said = enough, []

    def update(self, done, total, message):
        assert 0 <= done <= total
        self.said.append(message)
        self._flag.raised |= self._enough(self.said)
        super().update(done, total, message)


@needs_ray
def test_outcomes_come_in_the_order_asked_a_killed_call_is_retried_and_what_fails_for_good_says_so(head, tmp_path):
    requests = [
        {"number": 1},
        {"number": 2, "end": "die once", "marker": str(tmp_path / "died")},
        {"number": 3, "end": "refuse"},
        {"number": 4, "end": "die"},
        {"number": 5},
    ]
    watch, told = Watch(), {}
    outcomes = fan_out(
        square,
        [Asked(request, f"Number {request['number']}") for request in requests],
        cluster=head,
        device="auto",
        progress=watch,
        on_outcome=told.__setitem__,
    )
    assert [outcome.result and outcome.result["square"] for outcome in outcomes] == [1, 4, None, None, 25]
    assert (tmp_path / "died").exists()
    assert outcomes[2].failure == "Three cannot be squared here; take another number."
    assert outcomes[3].failure.startswith(f"Number 4 was given up: its process died {MOST_RETRIES + 1} times")
    assert told == dict(enumerate(outcomes))
    assert outcomes[0].result["device"] == "cpu"
    assert outcomes[0].result["process"] != os.getpid()
    assert "Number 1: squaring" in watch.said
    assert watch.said[-1].endswith("has ended")


@needs_ray
def test_a_cancel_stops_the_calls_that_run_and_keeps_what_has_ended(head, tmp_path):
    told = {}
    watch = Watch(lambda said: any(message == "Call 1: waiting" for message in said) and 0 in told)
    with pytest.raises(CancelledError):
        fan_out(
            wait,
            [Asked({"number": number, "folder": str(tmp_path)}, f"Call {number}") for number in range(4)],
            cluster=head,
            device="cpu",
            progress=watch,
            on_outcome=told.__setitem__,
        )
    assert told[0].result == {}
    assert (tmp_path / "1").exists()
    assert len(told) == 1


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9"])
def test_an_address_where_nobody_answers_is_told_at_once(address):
    with pytest.raises(InputError, match=f"No Ray cluster answers at {address} .Connection refused.; start"):
        connect(address)


@needs_ray
def test_an_address_without_a_port_is_refused():
    with pytest.raises(InputError, match="write host:port"):
        connect("somewhere")


@needs_ray
def test_signals_are_answered_as_before(head):
    before = signal.getsignal(signal.SIGTERM)
    with connected(head.address):
        assert signal.getsignal(signal.SIGTERM) is before


def test_without_ray_one_sentence_says_how_to_install_it(monkeypatch):
    for name in [name for name in sys.modules if name == "ray" or name.startswith("ray.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install -r requirements-ray\.txt"):
        connect("auto")


def connect(address):
    with connected(address):
        pass
