"""What a refinement's numbers may be: one table for the check, the command line's help and the page's sliders."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import InputError


@dataclass(frozen=True, slots=True)
class Limit:
    """From ``low`` to ``high``, both allowed; ``step`` is what a slider moves by; ``meaning`` is said to people."""

    low: float
    high: float
    step: float
    unit: str
    meaning: str


def check_limits(whose: str, values: Mapping[str, float], limits: Mapping[str, Limit]) -> None:
    """Raise ``InputError`` for the first of ``values`` that lies outside its limits; ``whose`` begins the sentence."""
    for name, limit in limits.items():
        value = values[name]
        if not (math.isfinite(value) and limit.low <= value <= limit.high):
            unit = f" {limit.unit}" if limit.unit else ""
            raise InputError(
                f"{whose} {name.replace('_', ' ')} ({limit.meaning}) must lie between {limit.low:g} and "
                f"{limit.high:g}{unit}, not {value:g}."
            )
