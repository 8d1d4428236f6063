"""A recipe: everything that makes a run repeatable, in one validated model and one TOML file.

Presets are recipes by name; ``key=value`` overrides come from the command line and from the Train page.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from core.errors import InputError
from models.encoders import DEFAULT_ENCODER

Cells = Annotated[int, Ge(1), Le(401)]


class Recipe(BaseModel):
    """What a run depends on besides its tiles' pixels and labels, its seed and its device.

    Lengths on the ground are in metres, ``windows`` in cells of 8 pixels at ``resolution_m``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="head", description="what a person calls this recipe")
    encoder: str = Field(default=DEFAULT_ENCODER, description="name of a pretrained encoder")
    weights: str = Field(default="packaged", description="'packaged', 'hub', 'none' or a .safetensors file")
    resolution_m: float = Field(default=1.0, ge=0.1, le=100, description="metres per pixel that the encoder sees")
    head: Literal["context-linear", "convolutional"] = Field(default="context-linear", description="kind of head")

    windows: tuple[Cells, ...] = Field(
        default=(1, 5, 15, 41),
        min_length=1,
        max_length=8,
        description="odd sides of the windows around a cell, in cells",
    )
    l2: float = Field(default=1.0, ge=0, le=1000, description="strength of the L2 penalty (context-linear)")
    iterations: int = Field(default=100, ge=1, le=2000, description="most L-BFGS iterations (context-linear)")
    max_cells: int = Field(default=20_000, ge=100, le=200_000, description="most training cells (context-linear)")

    epochs: int = Field(default=40, ge=1, le=1000, description="passes over the tiles (convolutional)")
    learning_rate: float = Field(default=2e-3, gt=0, le=1, description="AdamW's highest rate (convolutional)")
    weight_decay: float = Field(default=0.05, ge=0, le=10, description="AdamW's weight decay (convolutional)")
    width: int = Field(default=64, ge=8, le=512, multiple_of=8, description="channels inside the head (convolutional)")
    averaging: float = Field(default=0.98, ge=0, lt=1, description="decay of the averaged weights (convolutional)")

    balance: float = Field(
        default=1.0, ge=0, le=1, description="0 weighs classes by their labelled area, 1 weighs all alike"
    )
    train_tiles: tuple[str, ...] = Field(default=(), description="names; empty takes every labelled tile")
    validation_tiles: tuple[str, ...] = Field(default=(), description="names; judged, never trained on")

    @field_validator("windows")
    @classmethod
    def _odd(cls, windows: tuple[int, ...]) -> tuple[int, ...]:
        if any(window % 2 == 0 for window in windows):
            raise ValueError("each window must be odd, so that it has a middle cell")
        return windows


PRESETS: dict[str, Recipe] = {
    "head": Recipe(),
    "head-convolutional": Recipe(name="head-convolutional", head="convolutional"),
}
DEFAULT_PRESET = "head"


def load_recipe(source: str | Path = DEFAULT_PRESET, overrides: list[str] | None = None) -> Recipe:
    """A preset by name or a TOML file by path, with ``key=value`` overrides laid over it.

    Raises ``InputError`` for an unknown preset, an unreadable file, an unknown key (with the nearest ones) or a
    value that is not allowed (with what is).
    """
    values = _preset_or_file(source)
    for override in overrides or []:
        key, value = _parse_override(override)
        values[key] = value
    return _validated(values, where=f"the recipe {source}")


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as TOML; ``load_recipe`` reads it back to an equal recipe."""
    return tomli_w.dumps(recipe.model_dump(mode="json"))


def _preset_or_file(source: str | Path) -> dict[str, Any]:
    if str(source) in PRESETS:
        return PRESETS[str(source)].model_dump(mode="json")
    path = Path(source)
    if path.suffix != ".toml":
        raise InputError(f"There is no recipe {source}; give one of {', '.join(PRESETS)}, or the path of a .toml file.")
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"The recipe {path} cannot be read as TOML ({error}); mend it or choose a preset.") from error


def _parse_override(override: str) -> tuple[str, Any]:
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not key:
        raise InputError(f"'{override}' is no setting; write it as key=value, for example l2=0.5.")
    _check_key(key)
    if key in {"windows", "train_tiles", "validation_tiles"}:
        return key, [item.strip(" \"'") for item in text.strip(" []").split(",") if item.strip(" \"'")]
    return key, text.strip()


def _check_key(key: str) -> None:
    known = list(Recipe.model_fields)
    if key not in known:
        near = difflib.get_close_matches(key, known, n=3, cutoff=0.4) or known
        raise InputError(f"A recipe has no key '{key}'; did you mean {' or '.join(near)}?")


def _validated(values: dict[str, Any], *, where: str) -> Recipe:
    for key in values:
        _check_key(key)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise InputError(
            f"In {where}, {key} cannot be {values.get(key)!r}: {_allowed(first['msg'])}; "
            f"it is {Recipe.model_fields[key].description}."
        ) from error


def _allowed(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should", "it should")
