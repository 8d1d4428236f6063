"""COCO's run-length encoding: runs down the columns, absent and present in turn, the first of absent pixels.

Uncompressed it is the list of run lengths. Compressed it is a string of those lengths in groups of five bits, lowest
first, 48 added to each to make it printable; from the fourth on, a length is given as its difference to the one two
before. Read off ``rleToString`` and ``rleFrString`` in pycocotools' common/maskApi.c, and written anew on whole arrays.
"""

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError

Counts = NDArray[np.int64]
"""``(runs,)`` int64: the lengths of the runs."""

_MAX_GROUPS = 13  # of five bits each, in a number of 64


def counts_of_mask(mask: NDArray[np.bool_], *, top: int, left: int, shape: tuple[int, int]) -> Counts:
    """The runs of a bool mask that lies at (``top``, ``left``) of an image of ``shape`` (height, width)."""
    padded = np.zeros((mask.shape[1], mask.shape[0] + 2), np.int8)
    padded[:, 1:-1] = mask.T
    steps = np.diff(padded, axis=1)
    (column, row), (_, behind) = np.nonzero(steps == 1), np.nonzero(steps == -1)
    starts = (left + column) * shape[0] + top + row
    ends = (left + column) * shape[0] + top + behind
    if not starts.size:
        return np.array([shape[0] * shape[1]], np.int64)
    apart = starts[1:] != ends[:-1]  # a run that ends a column and one that begins the next are one
    starts, ends = starts[np.append(True, apart)], ends[np.append(apart, True)]
    edges = np.column_stack((starts, ends)).reshape(-1)
    counts = np.diff(edges, prepend=0, append=shape[0] * shape[1])
    return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts


def compress(counts: Counts) -> str:
    """Run lengths as COCO's compressed string."""
    rest = counts.copy()
    rest[3:] -= counts[1:-2]
    letters = np.zeros((len(counts), _MAX_GROUPS), np.uint8)
    going = np.ones(len(counts), np.bool_)
    for place in range(_MAX_GROUPS):
        group = rest & 0x1F
        rest >>= 5
        more = going & np.where(group & 0x10, rest != -1, rest != 0)
        letters[going, place] = (group + np.where(more, 0x20, 0) + 48)[going]
        going = more
        if not going.any():
            break
    return str(letters[letters != 0].tobytes(), "ascii")


def decompress(text: str) -> Counts:
    """Run lengths from COCO's compressed string. Raises ``InputError`` for one that is damaged."""
    letters = np.frombuffer(text.encode("utf-8", "replace"), np.uint8).astype(np.int64) - 48
    if not letters.size:
        return np.zeros(0, np.int64)
    last = (letters & 0x20) == 0
    if letters.min() < 0 or letters.max() >= 64 or not last[-1]:
        raise InputError("a compressed run-length string is damaged")
    ends = np.flatnonzero(last)
    starts = np.append(0, ends[:-1] + 1)
    place = np.arange(len(letters)) - np.repeat(starts, ends - starts + 1)
    if place.max() >= _MAX_GROUPS - 1:
        raise InputError("a compressed run-length string is damaged")
    values = np.add.reduceat((letters & 0x1F) << (5 * place), starts)
    values -= np.where(letters[ends] & 0x10, np.int64(1) << (5 * (place[ends] + 1)), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def runs_of_counts(counts: Counts, shape: tuple[int, int]) -> tuple[Counts, Counts]:
    """The runs of present pixels, down the columns of an image of ``shape``: first places, and lengths.

    Raises ``InputError`` where the lengths do not fill the image exactly.
    """
    if (counts < 0).any() or (counts > shape[0] * shape[1]).any() or int(counts.sum()) != shape[0] * shape[1]:
        raise InputError(f"a run-length mask does not fill its image of {shape[1]} x {shape[0]} pixels")
    ends = np.cumsum(counts)
    return ends[1::2] - counts[1::2], counts[1::2]
