"""A recipe: everything that makes a run repeatable, in one validated model and one TOML file.

Presets are recipes by name; ``key=value`` overrides come from the command line and from the Train page.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from core.errors import InputError
from core.training.recipe_settings import Recipe

__all__ = ["DEFAULT_PRESET", "PRESETS", "Recipe", "dump_recipe", "load_recipe"]

# Measured by leaving out one of eleven tiles at a time (tests/benchmarks/RESULTS.md). Fine texture tells covers apart:
# tiles as they are, not halved, the four finer stages, and how the finest varies within a cell. The deepest stage, made
# to tell a thousand kinds of object apart, misleads a head that has few labels.
_FINE: dict[str, Any] = {"resolution_m": 0.5, "stages": (1, 2, 3, 4), "texture_stages": (1,)}
# Half the resolution is a quarter of the work; there the finest stage brings nothing.
_HALF: dict[str, Any] = {"stages": (2, 3, 4)}

_GLNET: dict[str, Any] = {
    "train": "whole",
    "encoder": "resnet50",
    "weights": "hub",
    "standardise": "none",
    "decoder_norm": "none",
    "loss": "focal",
    "focal_gamma": 3.0,
    "balance": 0.0,
    "patch": 508,
    "batch_size": 6,
    "sampler": "area",
    "augmentation": "none",
    "learning_rate": 5e-5,
    "weight_decay": 5e-4,
    "optimiser": "adam",
    "encoder_rate": 1.0,
    "schedule": "poly",
    "averaging": 0.0,
}

PRESETS: dict[str, Recipe] = {
    "head": Recipe(**_FINE),
    "head-fewshot": Recipe(name="head-fewshot", l2=3.0, **_FINE),
    "head-convolutional": Recipe(name="head-convolutional", head="convolutional"),
    "fast": Recipe(name="fast", encoder="efficientnet-lite0", iterations=60, max_cells=8_000, **_HALF),
    "decoder": Recipe(name="decoder", train="decoder", decoder="fpn", decoder_norm="groupnorm", epochs=20),
    "finetune": Recipe(
        name="finetune", train="finetune", decoder="fpn", decoder_norm="groupnorm", epochs=30, augmentation="medium"
    ),
    # FPN on ResNet-50 with the whole tile resized to 508 x 508: GLNet's first stage (Chen et al. 2019), as its released
    # code has it: no standardisation, focal loss with gamma 3 at a quarter of the size, Adam at 5e-5 with weight decay
    # 5e-4, poly 0.9 by iteration, flips and rotations only, 120 epochs in batches of 6.
    "glnet-fpn": Recipe(name="glnet-fpn", decoder="glnet-fpn", resolution_m=2448 * 0.5 / 508, epochs=120, **_GLNET),
    # All of GLNet: both branches, at 0.5 m, in three stages of 120, 50 and 120 epochs.
    "glnet": Recipe(name="glnet", decoder="glnet", resolution_m=0.5, epochs=290, **_GLNET),
    # A U-Net on ResNet-34 (the reading list's "U-Net first", D22), ImageNet weights, patches of 512 at 0.5 m.
    "unet": Recipe(
        name="unet",
        train="whole",
        encoder="resnet34",
        weights="hub",
        decoder="unet",
        resolution_m=0.5,
        patch=512,
        batch_size=8,
        loss="cross-entropy+dice",
        epochs=60,
        learning_rate=3e-4,
        encoder_rate=1.0,
        weight_decay=1e-4,
        augmentation="medium",
    ),
}
DEFAULT_PRESET = "head"

_LISTS = frozenset(key for key, field in Recipe.model_fields.items() if isinstance(field.default, tuple))


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
    if key in _LISTS:
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
            f"it is {(Recipe.model_fields[key].description or key).partition(';')[0]}."
        ) from error


def _allowed(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should", "it should")
