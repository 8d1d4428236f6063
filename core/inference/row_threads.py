"""Loops over rows of a picture, shared among plain threads. The loops must leave the interpreter's lock themselves."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import cv2

Loop = Callable[..., None]
"""Takes its arguments and then a range of rows: the first, and the one after the last."""


def in_row_ranges(loop: Loop, arguments: tuple[Any, ...], rows: int) -> None:
    """Run ``loop`` over all rows, in as many equal ranges at once as OpenCV has threads."""
    count = max(1, min(cv2.getNumThreads(), rows))
    _at_once(loop, arguments, [(rows * index // count, rows * (index + 1) // count) for index in range(count)])


def in_row_bands(loop: Loop, arguments: tuple[Any, ...], borders: Sequence[int]) -> None:
    """Run ``loop`` over the bands between ``borders``: first every second one, then the others.

    For loops whose neighbouring bands write to the same place.
    """
    bands = list(pairwise(borders))
    for chosen in (bands[::2], bands[1::2]):
        _at_once(loop, arguments, chosen)


def _at_once(loop: Loop, arguments: tuple[Any, ...], ranges: Sequence[tuple[int, int]]) -> None:
    if len(ranges) < 2 or cv2.getNumThreads() < 2:
        for one in ranges:
            loop(*arguments, one)
        return
    with ThreadPoolExecutor(max_workers=cv2.getNumThreads()) as threads:
        for done in [threads.submit(loop, *arguments, one) for one in ranges]:
            done.result()
