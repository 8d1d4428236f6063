"""Windows: where they lie, what they weigh, how they are added up, batches and memory, threads."""

import threading
import time
from itertools import pairwise

import numpy as np
import pytest
import torch

from core.errors import CancelledError, InputError
from core.inference.pipeline import run_overlapped
from core.inference.windows import (
    BatchSize,
    RunningMean,
    TooLargeError,
    blend,
    infer_within_memory,
    is_out_of_memory,
    most_at_once,
    plan_windows,
    starts,
    weights,
)
from core.progress import SilentProgress


@pytest.mark.parametrize(("length", "window"), [(1537, 1024), (2448, 1024), (200, 64), (64, 64), (65, 64)])
@pytest.mark.parametrize("overlap", [0, 0.25, 0.5])
def test_windows_cover_an_image_evenly_and_overlap_as_asked(length, window, overlap):
    places = starts(length, window, overlap=overlap)
    gaps = [after - before for before, after in pairwise(places)]
    assert (places[0], places[-1]) == (0, length - window)
    assert all(gap <= window * (1 - overlap) + 1 for gap in gaps)
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("size", [(1, 1), (31, 4000), (100, 90)])
def test_a_plan_is_made_for_any_size_on_the_steps_asked_for(size):
    plan = plan_windows(size, (64, 64), step=32)
    assert all(start % 32 == 0 for start in (*plan.rows, *plan.columns))
    assert all(covered >= side and covered % 32 == 0 for covered, side in zip(plan.size, size, strict=True))
    assert plan.rows[-1] + 64 == plan.size[0]
    assert plan.columns[-1] + 64 == plan.size[1]


@pytest.mark.parametrize("weighting", ["hann", "gaussian"])
@pytest.mark.parametrize("length", [1, 2, 31, 1024])
def test_the_weight_of_a_window_is_never_nought_and_symmetric(weighting, length):
    weight = weights(length, weighting)
    assert weight.min() > 0
    assert np.allclose(weight, weight[::-1])
    assert weight.argmax() in {(length - 1) // 2, length // 2}


def test_gaussian_weights_are_those_of_monais_importance_map():
    """Of its formula, for one axis: exp(-x^2 / 2 (0.125 side)^2), x from the middle."""
    x = np.arange(-31.5, 32)
    assert np.allclose(weights(64, "gaussian"), np.maximum(np.exp(-(x**2) / (2 * 8**2)), 1e-3))


@pytest.mark.parametrize("weighting", ["hann", "gaussian"])
def test_shares_sum_to_one_at_every_pixel(weighting):
    plan = plan_windows((150, 201), (64, 64), weighting=weighting)
    for length, begins, shares in zip(plan.size, (plan.rows, plan.columns), plan.shares, strict=True):
        total = np.zeros(length)
        for start, share in zip(begins, shares, strict=True):
            total[start : start + 64] += share
        assert np.allclose(total, 1, atol=1e-6)


def exact_mean(plan, scores):
    """The weighted mean, by a map of weights."""
    total, weight = np.zeros((6, *plan.size)), np.zeros(plan.size)
    own = np.outer(weights(plan.window[0], plan.weighting), weights(plan.window[1], plan.weighting))
    for (top, left), one in zip(plan.corners, scores, strict=True):
        total[:, top : top + plan.window[0], left : left + plan.window[1]] += one * own
        weight[top : top + plan.window[0], left : left + plan.window[1]] += own
    return total / weight


@pytest.mark.parametrize("size", [(150, 201), (64, 300), (300, 64), (40, 30)])
def test_the_running_mean_is_the_mean_and_comes_out_from_the_top(size):
    plan = plan_windows(size, (64, 64), weighting="gaussian")
    scores = np.random.default_rng(0).random((len(plan.corners), 6, 64, 64), np.float32)
    found, tops = np.full((6, *plan.size), np.nan, np.float32), []

    def emit(top, rows):
        tops.append(top)
        found[:, top : top + rows.shape[1]] = rows

    expected = exact_mean(plan, scores)
    mean = RunningMean(plan, emit)
    for number, one in enumerate(scores):
        mean.add(number, one)
    mean.end()
    assert tops == list(plan.rows)
    assert np.allclose(found, expected, atol=1e-5)


def test_the_running_mean_holds_no_more_for_a_higher_image():
    low, high = (RunningMean(plan_windows((side, 200), (64, 64)), lambda *_: None) for side in (100, 10_000))
    assert low._rows.nbytes == high._rows.nbytes


def colours(windows, _corners):
    return np.repeat(windows.transpose(0, 3, 1, 2).astype(np.float32), 2, axis=1)


def blended(image, window=64, infer=colours, progress=None, batch=None):
    plan = plan_windows(image.shape[:2], (window, window))
    found = np.full((6, *image.shape[:2]), np.nan, np.float32)

    def emit(top, rows):
        found[:, top : top + rows.shape[1]] = rows

    blend(
        plan,
        (image[top : top + window, left : left + window] for top, left in plan.corners),
        infer,
        emit,
        batch=batch or BatchSize(4),
        progress=progress or SilentProgress(),
        message="Predicting",
    )
    return found


IMAGE = np.random.default_rng(1).integers(0, 256, (200, 150, 3), np.uint8)


def test_what_every_window_says_alike_comes_out_unchanged():
    assert np.allclose(blended(IMAGE), np.repeat(IMAGE.transpose(2, 0, 1), 2, axis=0), atol=1e-3)


def test_a_network_that_runs_out_of_memory_gets_fewer_windows_at_a_time(caplog):
    seen = []

    def greedy(windows, corners):
        seen.append(len(windows))
        if len(windows) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return colours(windows, corners)

    found = blended(IMAGE, infer=greedy)
    assert np.isfinite(found).all()
    assert max(seen) == 2
    assert set(seen[seen.index(2) + 1 :]) == {1}
    assert "out of memory" in caplog.text


def test_one_window_too_large_is_said_in_one_sentence():
    def impossible(_windows, _corners):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with pytest.raises(TooLargeError, match="not enough memory to predict a window of 64 x 64"):
        infer_within_memory(impossible, [IMAGE[:64, :64]], [(0, 0)], BatchSize(4))


def test_other_errors_are_not_taken_for_want_of_memory():
    assert not is_out_of_memory(RuntimeError("sizes do not match"))
    assert is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError, match="sizes"):
        blended(IMAGE, infer=lambda *_: (_ for _ in ()).throw(RuntimeError("sizes do not match")))


@pytest.mark.parametrize(("per_window", "expected"), [([1, 0.5, 0.3, 0.31], 4), ([1, 1.1], 1), ([1, 0.5, 0.25], 4)])
def test_the_batch_grows_while_it_pays(per_window, expected):
    batch = BatchSize(8 if len(per_window) == 4 else 4)
    for seconds in per_window:
        for _ in range(2):
            batch.measured(batch.size, seconds * batch.size)
    assert batch.size == expected


def test_on_the_cpu_one_large_window_is_enough():
    cpu = torch.device("cpu")
    assert most_at_once((1024, 1024), cpu) == 1
    assert most_at_once((128, 128), cpu) == 16


@pytest.mark.parametrize("moment", [0, 1, 5])
def test_a_cancel_at_any_moment_ends_all_threads(moment):
    class Impatient(SilentProgress):
        def update(self, done, total, message):
            if done >= moment:
                raise CancelledError

    before = threading.active_count()
    with pytest.raises(CancelledError):
        blended(IMAGE, progress=Impatient())
    assert threading.active_count() == before


@pytest.mark.parametrize("where", ["read", "work", "finish"])
@pytest.mark.parametrize("at", [0, 7])
def test_what_any_step_raises_comes_out_and_the_others_end(where, at):
    closed = threading.Event()

    def fail(step, number):
        if step == where and number == at:
            raise InputError("The disk is full; free some space.")
        return number

    def items():
        try:
            for number in range(1000):
                yield fail("read", number)
        finally:
            closed.set()

    before = threading.active_count()
    with pytest.raises(InputError, match="disk is full"):
        run_overlapped(items(), lambda n: fail("work", n), lambda n: fail("finish", n))
    assert closed.is_set()
    assert threading.active_count() == before


def test_the_steps_run_in_order_and_wait_for_the_slowest():
    read, finished = [], []

    def items():
        for number in range(20):
            read.append(number)
            yield number

    def slow(number):
        time.sleep(0.005)
        assert len(read) - number <= 4
        return number

    run_overlapped(items(), slow, finished.append)
    assert finished == list(range(20))
