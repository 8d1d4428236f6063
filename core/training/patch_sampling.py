"""Where the patches of an epoch are drawn, and how the worst of the last epoch come back.

Every draw carries a seed of its own, and what is made of the patch depends on the draw alone: patches may be made
in any order, by any thread, and a fit that goes on from a checkpoint draws what it would have drawn.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster
from core.training.patches import WorkingTile

BLOCK = 32
"""Side of the blocks in which labelled pixels are counted: a few numbers stand for a thousand pixels."""
WORST = 0.25
"""The share of an epoch's patches that hard patches are drawn from."""

_TRIES = 20
_SAMPLED_WINDOWS = 256


@dataclass(frozen=True, slots=True)
class Draw:
    """A patch to be: its tile's index, its corner in working pixels, and the seed of all that is random in it."""

    tile: int
    row: int
    column: int
    seed: int


class PatchSampler:
    """Draws patches around labelled pixels; deterministic from its seed.

    'area' takes every labelled pixel as often, 'presence' every class as often, so that rare classes are seen. The
    pixel lies in the patch's inner half, hence inside also where the augmentation enlarges twice.
    """

    def __init__(
        self, tiles: Sequence[WorkingTile], *, side: int, sampler: str, hard: float, one_class: bool, seed: int
    ) -> None:
        self._tiles, self._side = tiles, side
        self._balanced, self._hard, self._one_class = sampler == "presence", hard, one_class
        self._generator = np.random.default_rng(seed)
        self._worst: list[Draw] = []
        self._places, counts = _count_blocks(tiles)
        if not len(counts):
            raise ValueError("no tile has a labelled pixel")
        self._cumulated = counts.cumsum(axis=0)
        self._present = np.flatnonzero(self._cumulated[-1])
        self._all = counts.sum(axis=1).cumsum()

    @property
    def labelled_windows(self) -> int:
        """How many patches, side by side, it takes to cover everything that is labelled once."""
        covered = {(t, r * BLOCK // self._side, c * BLOCK // self._side) for t, r, c in self._places.tolist()}
        return len(covered)

    def epoch(self, count: int) -> list[Draw]:
        """The draws of an epoch: the share of hard patches from the worst of the last epoch, the others anew."""
        again = round(self._hard * count) if self._worst else 0
        drawn = [self._again() if index < again else self._new(self._generator) for index in range(count)]
        self._generator.shuffle(drawn)
        return drawn

    def note_losses(self, draws: Sequence[Draw], losses: Sequence[float]) -> None:
        """Remember the worst patches of the epoch that ended."""
        order = np.argsort(-np.asarray(losses), kind="stable")[: max(1, round(WORST * len(draws)))]
        self._worst = [draws[index] for index in order]

    def state(self) -> dict[str, Any]:
        """All that decides the next epoch's draws, as JSON."""
        return {"generator": self._generator.bit_generator.state, "worst": [asdict(draw) for draw in self._worst]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self._generator.bit_generator.state = state["generator"]
        self._worst = [Draw(**draw) for draw in state["worst"]]

    def seen_shares(self) -> NDArray[np.float64]:
        """``(6,)`` share of the labelled pixels that a class has in such patches, 0 for a class without labels.

        Counted on a few hundred draws of a generator of its own. What weighs classes must weigh them as they are
        seen: the sampler has evened out a part already.
        """
        generator = np.random.default_rng(0)
        counts = np.zeros(CLASS_COUNT, np.int64)
        for _ in range(_SAMPLED_WINDOWS):
            counts += self._classes_in(self._new(generator))
        counts[self._present] = np.maximum(counts[self._present], 1)
        shares: NDArray[np.float64] = counts / counts.sum()
        return shares

    def _again(self) -> Draw:
        worst = self._worst[int(self._generator.integers(len(self._worst)))]
        return Draw(worst.tile, worst.row, worst.column, _seed(self._generator))

    def _new(self, generator: np.random.Generator) -> Draw:
        draw = self._anywhere(generator)
        for _ in range(0 if self._one_class else _TRIES):
            if np.count_nonzero(self._classes_in(draw)) > 1:
                break
            draw = self._anywhere(generator)
        return draw

    def _anywhere(self, generator: np.random.Generator) -> Draw:
        wanted = int(generator.choice(self._present)) if self._balanced else None
        cumulated = self._all if wanted is None else self._cumulated[:, wanted]
        block = int(np.searchsorted(cumulated, generator.integers(cumulated[-1]), side="right"))
        tile, row, column = (int(value) for value in self._places[block])
        classes = self._tiles[tile].classes
        inside = classes[row * BLOCK : (row + 1) * BLOCK, column * BLOCK : (column + 1) * BLOCK]
        chosen = np.argwhere(inside != UNLABELLED if wanted is None else inside == wanted)
        pixel = chosen[int(generator.integers(len(chosen)))] + (row * BLOCK, column * BLOCK)
        shift = generator.integers(self._side // 4, self._side - self._side // 4, size=2)
        corner = [_inside(int(p - s), self._side, n) for p, s, n in zip(pixel, shift, classes.shape, strict=True)]
        return Draw(tile, corner[0], corner[1], _seed(generator))

    def _classes_in(self, draw: Draw) -> NDArray[np.int64]:
        """Labelled pixels by class in a draw's window as it lies, ``(6,)``."""
        top, left = max(draw.row, 0), max(draw.column, 0)
        window = self._tiles[draw.tile].classes[top : draw.row + self._side, left : draw.column + self._side]
        return np.bincount(window.ravel(), minlength=UNLABELLED + 1)[:CLASS_COUNT]


class TileSampler:
    """Draws whole tiles, each once before any comes again; deterministic from its seed.

    ``side`` is the longest of all tiles' sides: a smaller tile lies in the middle of what is cut.
    """

    def __init__(self, tiles: Sequence[WorkingTile], *, side: int, seed: int) -> None:
        self._tiles, self._side = tiles, side
        self._generator = np.random.default_rng(seed)

    @property
    def labelled_windows(self) -> int:
        """The number of tiles."""
        return len(self._tiles)

    def epoch(self, count: int) -> list[Draw]:
        """The draws of an epoch."""
        drawn: list[Draw] = []
        while len(drawn) < count:
            for index in self._generator.permutation(len(self._tiles)).tolist():
                row, column = (_inside(0, self._side, length) for length in self._tiles[index].classes.shape)
                drawn.append(Draw(index, row, column, _seed(self._generator)))
        return drawn[:count]

    def note_losses(self, draws: Sequence[Draw], losses: Sequence[float]) -> None:
        """Of no consequence: every tile comes as often."""

    def state(self) -> dict[str, Any]:
        """All that decides the next epoch's draws, as JSON."""
        return {"generator": self._generator.bit_generator.state}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self._generator.bit_generator.state = state["generator"]

    def seen_shares(self) -> NDArray[np.float64]:
        """``(6,)`` share of the labelled pixels that a class has, 0 for a class without labels."""
        counts = sum(np.bincount(tile.classes.ravel(), minlength=UNLABELLED + 1)[:CLASS_COUNT] for tile in self._tiles)
        shares: NDArray[np.float64] = np.asarray(counts / np.sum(counts))
        return shares


Sampler = PatchSampler | TileSampler


def _seed(generator: np.random.Generator) -> int:
    return int(generator.integers(2**31))


def _inside(corner: int, side: int, length: int) -> int:
    """The corner moved so that the window lies in the tile; in the middle where the tile is smaller."""
    return max(0, min(corner, length - side)) if length >= side else -((side - length) // 2)


def _count_blocks(tiles: Sequence[WorkingTile]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Blocks with labels, ``(n, 3)``: tile, block row, block column; and their pixels by class, ``(n, 6)``."""
    places, counts = [], []
    for index, tile in enumerate(tiles):
        by_class = _block_counts(tile.classes)
        row, column = np.nonzero(by_class.sum(axis=-1))
        places.append(np.stack([np.full_like(row, index), row, column], axis=1))
        counts.append(by_class[row, column])
    return np.concatenate(places), np.concatenate(counts)


def _block_counts(classes: ClassRaster) -> NDArray[np.int64]:
    """``(block rows, block columns, 6)`` labelled pixels by class."""
    rows, columns = (-(-length // BLOCK) for length in classes.shape)
    counts = np.zeros((rows, columns, CLASS_COUNT), np.int64)
    starts = np.arange(0, classes.shape[0], BLOCK), np.arange(0, classes.shape[1], BLOCK)
    for index in range(CLASS_COUNT):
        own = (classes == index).astype(np.int64)
        counts[..., index] = np.add.reduceat(np.add.reduceat(own, starts[0], axis=0), starts[1], axis=1)
    return counts
