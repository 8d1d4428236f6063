"""Reading a JSON file that somebody else made: bounded, and every failure in one sentence."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InputError
from core.labels.formats.polygons import Ring

MAX_JSON_BYTES = 256 * 2**20
MAX_POLYGONS = 500_000
MAX_POINTS = 5_000_000


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ``InputError`` where it is too large, no JSON, or no object."""
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise InputError(
            f"{path.name} is {size / 2**20:,.0f} MiB, more than the {MAX_JSON_BYTES // 2**20} that are read; split it."
        )
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        place = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise InputError(f"{path.name} is not valid JSON ({place[:80]}); save or copy it again.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path.name} holds a list or a plain value, no GeoJSON or COCO object; export it again.")
    return content


def number(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def ring_of_positions(positions: Any, where: str) -> Ring:
    """A ring from a list of [x, y, ...] positions, without the closing one.

    Raises ``InputError`` where they are no numbers, or fewer than three corners. ``where`` names the ring, as in
    ``Feature 3 of roads.geojson``.
    """
    try:
        ring = np.array([position[:2] for position in positions], np.float64)
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise InputError(f"{where} has corners that are no pairs of numbers; export it again.") from error
    if len(ring) and (ring.shape[1:] != (2,) or not np.isfinite(ring).all()):
        raise InputError(f"{where} has corners that are no pairs of numbers; export it again.")
    if len(ring) > 1 and (ring[0] == ring[-1]).all():
        ring = ring[:-1]
    if len(ring) < 3:
        raise InputError(f"{where} is a polygon of {len(ring)} corners; one needs at least 3, so mend or remove it.")
    return ring


class Budget:
    """How many polygons and corners were read, against the most that are."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._polygons = self._points = 0

    def spend(self, *, polygons: int, points: int) -> None:
        """Count some more. Raises ``InputError`` where they are too many."""
        self._polygons += polygons
        self._points += points
        if self._polygons > MAX_POLYGONS or self._points > MAX_POINTS:
            raise InputError(
                f"{self._name} holds more than {MAX_POLYGONS:,} polygons or {MAX_POINTS:,} corners; "
                "split it, or import it as a picture of classes."
            )
