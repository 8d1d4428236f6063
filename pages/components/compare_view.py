"""What is looked at on Compare: two sides, as the browser tells it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import InputError
from core.evaluation.compare_routes import parse_switches
from core.inference.switches import Switches


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared: A or B."""

    letter: str
    run: str
    switches: Switches


def parse_view(view: Mapping[str, Any] | None) -> tuple[Side, Side] | None:
    """The sides that the desk told of; None where it told nothing yet.

    Raises ``InputError`` for switches that are none.
    """
    if not view:
        return None
    a, b = (_side(letter, str(view[letter]["run"]), json.dumps(view[letter]["facts"])) for letter in "ab")
    return a, b


def _side(letter: str, run: str, switches: str) -> Side:
    try:
        return Side(letter.upper(), run, parse_switches(switches))
    except InputError as error:
        raise InputError(f"{letter.upper()}: {error}") from error
