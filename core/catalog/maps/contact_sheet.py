"""Contact sheets: a micro picture of every tile in one file, for maps on which thousands of tiles are seen at once.

A map tile of a far zoom may show ten thousand tiles; to decode a thumbnail of each would take seconds. So 32 x 32
pixels of every tile lie in one file of the workspace, with their halves down to one pixel, and are mapped into memory:
4.1 KB a tile (1 KB for masks), 41 MB for ten thousand, which the system takes back when it needs them. While a sheet
is written it is held once more. A sheet is filled piece by piece, so that nobody waits longer than they asked to.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from core.atomic import atomic_file
from core.errors import InputError

SIDE = 32
"""Pixels: up to this size on the map, a tile is shown by its micro picture."""

KEY_LETTERS = 16

_THREADS = 2
_AT_A_TIME = 32
_FORM = "sheet-1"

Picture = NDArray[np.uint8]
Keys = NDArray[np.bytes_]
"""(n,) of at most 16 ASCII letters each: what a micro picture shows, in which version."""

Draw = Callable[[int], Picture]
"""Gives the micro picture of a key by its number. Raises ``InputError`` where there is none."""


@dataclass(frozen=True, eq=False)
class ContactSheet:
    """``keys`` are sorted; ``levels`` are uint8 (n + 1, side, side, 3), or (n + 1, side, side) of classes.

    The first level is ``SIDE`` wide and each further one half of it. The last row of each is the blank: what is shown
    for a tile that the sheet does not have.
    """

    keys: Keys
    levels: tuple[Picture, ...]

    def rows_of(self, keys: Keys) -> NDArray[np.intp]:
        """The row of each key, that of the blank for those that are not here; intp, shaped as ``keys``."""
        if not len(self.keys):
            return np.zeros(keys.shape, np.intp)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, at, len(self.keys))

    def level(self, side: int) -> Picture:
        """The smallest level of at least this side, else the largest."""
        return next((level for level in reversed(self.levels) if level.shape[1] >= side), self.levels[0])


def as_keys(texts: list[str]) -> Keys:
    """Texts of up to 16 ASCII letters as keys."""
    return np.array(texts, f"S{KEY_LETTERS}")


def micro(pixels: Picture) -> Picture:
    """A picture at 32 x 32, averaged, or a class raster by nearest neighbour; whatever its shape, it fills the square.

    The map gives it back its shape.
    """
    interpolation = cv2.INTER_AREA if pixels.ndim == 3 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=interpolation), np.uint8)


class Sheets:
    """The sheets of a workspace by their files. Safe between threads."""

    def __init__(self, blank: Picture) -> None:
        """``blank`` is what is shown for a tile without a micro picture: (32, 32, 3), or (32, 32) of classes."""
        self._blank = blank
        self._filling = Lock()
        self._open: dict[Path, tuple[int, ContactSheet]] = {}
        self._failed: dict[Path, set[bytes]] = {}

    def get(self, path: Path) -> ContactSheet:
        """The sheet as its file holds it now; an empty one without a file, or with one of another form."""
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            return self._empty()
        known = self._open.get(path)
        if known is None or known[0] != changed:
            known = self._open[path] = (changed, self._read(path))
        return known[1]

    def missing(self, path: Path, keys: Keys) -> int:
        """How many of the keys the sheet does not have, without those that could not be drawn."""
        return len(self._wanted(path, self.get(path), keys)[0])

    def fill(self, path: Path, keys: Keys, draw: Draw, seconds: float) -> int:
        """Draw what the sheet does not have of ``keys``, for about so long; gives back how many are left.

        Micro pictures that nobody wants any more are dropped. One that cannot be drawn stays blank, and is tried again
        by the next process.
        """
        with self._filling:
            sheet, until = self.get(path), time.monotonic() + seconds
            wanted, numbers = self._wanted(path, sheet, keys)
            made: list[tuple[bytes, Picture]] = []
            done = 0
            with ThreadPoolExecutor(_THREADS, thread_name_prefix="contact-sheet") as pool:
                while done < len(wanted) and (done == 0 or time.monotonic() < until):
                    part = slice(done, done + _AT_A_TIME)
                    drawn = list(pool.map(lambda number: _drawn(draw, number), numbers[part].tolist()))
                    made += [(key, one) for key, one in zip(wanted[part], drawn, strict=True) if one is not None]
                    lost = {key for key, one in zip(wanted[part], drawn, strict=True) if one is None}
                    self._failed.setdefault(path, set()).update(lost)
                    done += len(drawn)
            if made:
                self._write(path, sheet, np.isin(sheet.keys, keys), made)
            return len(wanted) - done

    def _wanted(self, path: Path, sheet: ContactSheet, keys: Keys) -> tuple[list[bytes], NDArray[np.intp]]:
        """The keys that are to be drawn, each once, and their numbers."""
        absent = np.flatnonzero(sheet.rows_of(keys) == len(sheet.keys))
        single, first = np.unique(keys[absent], return_index=True)
        failed = self._failed.get(path, set())
        chosen = [
            (key, at) for key, at in zip(single.tolist(), first.tolist(), strict=True) if key and key not in failed
        ]
        return [key for key, _ in chosen], absent[[at for _, at in chosen]]

    def _empty(self) -> ContactSheet:
        return ContactSheet(as_keys([]), tuple(_halves(self._blank[None])))

    def _read(self, path: Path) -> ContactSheet:
        try:
            record = np.load(path, mmap_mode="r")
        except (OSError, EOFError, ValueError):
            return self._empty()
        names = record.dtype.names or ()
        if _FORM not in names or record["level0"].shape[2:] != self._blank.shape:
            return self._empty()
        return ContactSheet(record["keys"][0], tuple(record[name][0] for name in names if name.startswith("level")))

    def _write(self, path: Path, old: ContactSheet, keep: NDArray[np.bool_], made: list[tuple[bytes, Picture]]) -> None:
        """The kept rows and the new ones as one file: a single record whose fields lie one behind the other."""
        keys = np.concatenate([old.keys[keep], np.array([key for key, _ in made], old.keys.dtype)])
        order, kept = np.argsort(keys), np.flatnonzero(keep)
        new = _halves(np.stack([*(picture for _, picture in made), self._blank]))
        fields = [(f"level{number}", "u1", (len(keys) + 1, *level.shape[1:])) for number, level in enumerate(new)]
        record = np.zeros(1, [(_FORM, "u1"), ("keys", keys.dtype, (len(keys),)), *fields])
        record["keys"][0] = keys[order]
        for number, level in enumerate(new):
            rows = record[f"level{number}"][0]
            place = np.empty(len(keys), np.intp)
            place[order] = np.arange(len(keys))
            rows[place[: len(kept)]] = old.levels[number][kept]
            rows[place[len(kept) :]] = level[:-1]
            rows[-1] = level[-1]
        with atomic_file(path) as stream:
            np.save(stream, record)


def _drawn(draw: Draw, number: int) -> Picture | None:
    try:
        return draw(number)
    except InputError:
        return None


def _halves(pictures: Picture) -> list[Picture]:
    """(n, 32, 32, 3) and its halves down to one pixel, averaged; of classes, which do not mix, no halves."""
    levels = [pictures]
    while pictures.ndim == 4 and levels[-1].shape[1] > 1:
        count, side = len(pictures), levels[-1].shape[1] // 2
        quarters = levels[-1].reshape(count, side, 2, side, 2, 3).astype(np.uint16)
        levels.append(((quarters.sum(axis=(2, 4)) + 2) // 4).astype(np.uint8))
    return levels
