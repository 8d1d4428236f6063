"""What is kept of a network's probabilities of a tile: little on disk, and enough to refine without the network.

A head says something of cells, 153 x 153 of them on a tile of 2448 x 2448: its logarithms of probabilities by cell are
kept as they are (0.6 MB), and what is drawn from them is what the head itself would give, up to float32's rounding.
A network with a decoder says something of pixels: of each probability the square root is kept, in 256 steps. The root
spends the steps where they matter to a logarithm, near 0: the least step there is 1.5e-5, near 1 it is 0.008.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.atomic import atomic_file
from core.classes import CLASS_COUNT
from core.inference.predict import Probabilities, upsampled_probabilities
from core.training.cell_grid import CellGrid

_LEAST = 1e-30  # keeps the logarithm finite, and is far below anything that a refinement looks at
_STEPS = 255
_VALUES, _GEOMETRY, _PRESENCE = "values.npy", "geometry.npy", "presence.npy"
_QUICK = 1  # of zlib: smooth planes shrink to a tenth at any level


@dataclass(frozen=True, slots=True)
class CompactProbabilities:
    """Kept probabilities of one tile.

    ``values`` are ``(6, rows, columns)`` float32 logarithms by cell of ``grid``, or ``(6, height, width)`` uint8 roots
    by pixel, without a grid. ``presence`` is what a network's presence head says of the tile, ``(6,)`` float32.
    """

    values: NDArray[Any]
    grid: CellGrid | None
    presence: NDArray[np.float32] | None = None

    @classmethod
    def by_cell(cls, probabilities: Probabilities, grid: CellGrid) -> "CompactProbabilities":
        """From ``(6, rows, columns)`` float32 probabilities of the cells of ``grid``."""
        return cls(np.log(np.maximum(probabilities, _LEAST)), grid)

    @classmethod
    def by_pixel(
        cls, probabilities: Probabilities, presence: NDArray[np.float32] | None = None
    ) -> "CompactProbabilities":
        """From ``(6, height, width)`` float32 probabilities of pixels."""
        roots = np.empty(probabilities.shape, np.uint8)
        for plane, target in zip(probabilities, roots, strict=True):
            target[:] = np.rint(np.sqrt(plane) * _STEPS)
        return cls(roots, None, presence)

    def expand(self) -> Probabilities:
        """``(6, height, width)`` float32 that sum to 1 over the classes."""
        if self.grid is not None:
            return upsampled_probabilities(torch.from_numpy(self.values), self.grid)
        probabilities = np.empty(self.values.shape, np.float32)
        for plane, target in zip(self.values, probabilities, strict=True):
            np.square(plane, out=target, dtype=np.float32)
        probabilities /= probabilities.sum(axis=0)
        return probabilities


def pack(compact: CompactProbabilities) -> bytes:
    """As the bytes of a zip of arrays, which ``unpack`` reads."""
    grid = compact.grid
    geometry = np.array([*grid.size, *grid.working, grid.cell] if grid else [], np.int64)
    presence = np.zeros(0, np.float32) if compact.presence is None else compact.presence
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=_QUICK) as archive:
        for name, array in ((_VALUES, compact.values), (_GEOMETRY, geometry), (_PRESENCE, presence)):
            with archive.open(name, "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def unpack(content: bytes) -> CompactProbabilities:
    """What ``pack`` packed. Raises ``ValueError`` for anything else."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            values, geometry, presence = arrays["values"], arrays["geometry"].tolist(), arrays["presence"]
    except (OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"no kept probabilities: {error}") from error
    if values.ndim != 3 or values.shape[0] != CLASS_COUNT or values.dtype not in (np.uint8, np.float32):
        raise ValueError(f"no probabilities of six classes: {values.shape} {values.dtype}")
    if not geometry:
        return CompactProbabilities(values, None, presence if presence.size else None)
    height, width, rows, columns, cell = geometry
    return CompactProbabilities(values, CellGrid((height, width), (rows, columns), None, cell))


def write_compact(path: Path, compact: CompactProbabilities) -> None:
    """Write them atomically. Raises ``InputError`` when that cannot be done."""
    content = pack(compact)
    with atomic_file(path) as stream:
        stream.write(content)


def read_compact(path: Path) -> CompactProbabilities | None:
    """Those in a file; None where it is gone or is something else, so that they are made anew."""
    try:
        return unpack(path.read_bytes())
    except (OSError, ValueError):
        return None
