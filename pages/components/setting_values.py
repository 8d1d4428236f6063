"""A recipe's settings as widgets keep them and as people read them."""

from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic.fields import FieldInfo

from pages.components.problems import plain


def value_held(field: FieldInfo, held: Any) -> Any:
    """A setting's value from what its widget keeps; the inverse of ``shown``."""
    if get_origin(field.annotation) is tuple:
        return _numbers(held) if isinstance(held, str) else tuple(held)
    return held


def shown(field: FieldInfo, value: Any) -> Any:
    """A setting's value as its widget keeps it: a list to choose from, or text for other lists."""
    if not isinstance(value, tuple):
        return value
    if get_origin(get_args(field.annotation)[0]) is Literal:
        return list(value)
    return ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)


def words(value: Any) -> str:
    """A setting's value as it is read."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return plain(f"{value:g}" if isinstance(value, float) else str(value)) or "none"


def limits(field: FieldInfo) -> tuple[float | None, float | None, float | None]:
    """Lowest and highest value and step; a bound that is itself excluded is left to the recipe to refuse."""
    low = high = step = None
    for rule in field.metadata:
        if isinstance(rule, Ge | Gt):
            low = float(getattr(rule, "ge", getattr(rule, "gt", 0)))
        elif isinstance(rule, Le | Lt):
            high = float(getattr(rule, "le", getattr(rule, "lt", 0)))
        elif isinstance(rule, MultipleOf):
            step = float(rule.multiple_of)  # type: ignore[arg-type]
    return low, high, step


def number_step(field: FieldInfo) -> float:
    """How far a button moves a number: a twentieth for a share, else half of the first digit's place."""
    usual, high = float(field.default), limits(field)[1]
    if (high or 2) <= 1 and (usual == 0 or usual >= 0.05):
        return 0.05
    return float(10.0 ** _digits(usual or 1.0) / 2)


def _digits(value: float) -> int:
    """The place of the first digit: 0 for 2.5, -3 for 0.002."""
    return int(f"{value:e}".partition("e")[2])


def _numbers(text: str) -> tuple[int | float | str, ...]:
    """What a person typed as a list; what is no number stays as it is, for the recipe to refuse."""
    found: list[int | float | str] = []
    for part in text.split(","):
        word = part.strip()
        if word:
            try:
                found.append(float(word) if any(mark in word for mark in ".e") else int(word))
            except ValueError:
                found.append(word)
    return tuple(found)
