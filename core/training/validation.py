"""The scores of labelled tiles as a run's card keeps them."""

from collections.abc import Mapping
from typing import Any

from core.evaluation.confusion import Confusion
from core.evaluation.evaluate import summarise


def validation_scores(matrices: Mapping[str, Confusion]) -> dict[str, Any]:
    """What ``summarise`` says of the confusions ``(6, 7)`` by tile: scores, intervals, and each tile's own matrix.

    ``tiles`` are their names. Raises ``ValueError`` without tiles.
    """
    names = list(matrices)
    return {**summarise(names, list(matrices.values())), "tiles": names}
