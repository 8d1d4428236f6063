"""Recipes on their way between people, files and command lines."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.atomic import write_text
from core.errors import InputError
from core.training.recipe import PRESETS, Recipe, dump_recipe, load_recipe

MAX_BYTES = 1 << 20
_NOT_IN_LISTS = frozenset(",[]\"'")  # what a list on the command line is parted and trimmed by

Settings = Mapping[str, Any]


def read_recipe_file(name: str, content: bytes) -> Recipe:
    """The recipe in a TOML file that somebody handed over; ``name`` is what the file is called.

    Raises ``InputError`` as ``load_recipe`` does, with the file's own name.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"{name} has {len(content) >> 20} MiB, which no recipe has; choose a recipe that was saved.")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "recipe.toml"
        path.write_bytes(content)
        try:
            return load_recipe(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), name)) from error


def with_settings(preset: str, settings: Settings) -> Recipe:
    """A preset with other settings. Raises ``InputError`` for one that is not allowed, saying what is."""
    usual = PRESETS[preset]
    changed = {key: value for key, value in settings.items() if value != getattr(usual, key, None)}
    return load_recipe(preset, [f"{key}={_text(value)}" for key, value in changed.items()])


def differences(recipe: Recipe, other: Recipe) -> dict[str, tuple[Any, Any]]:
    """The settings in which two recipes differ: by key, what the first has and what the second has."""
    return {
        key: (getattr(recipe, key), getattr(other, key))
        for key in Recipe.model_fields
        if getattr(recipe, key) != getattr(other, key)
    }


def recipe_arguments(recipe: Recipe, *, preset: str, folder: Path, name: str) -> list[str]:
    """``--recipe`` and ``--set`` that give ``recipe`` from ``preset``.

    Where a list holds text that the command line would take apart, the recipe is written to ``folder/<name>.toml`` and
    named instead. Raises ``InputError`` when that cannot be written.
    """
    changed = differences(recipe, PRESETS[preset])
    if any(_comes_apart(value) for value, _ in changed.values()):
        path = folder / f"{name}.toml"
        write_text(path, dump_recipe(recipe))
        return ["--recipe", str(path)]
    settings = [f"{key}={_text(value)}" for key, (value, _) in changed.items()]
    return ["--recipe", preset, *(part for setting in settings for part in ("--set", setting))]


def _comes_apart(value: Any) -> bool:
    return isinstance(value, tuple) and any(
        isinstance(item, str) and (_NOT_IN_LISTS & set(item) or item != item.strip()) for item in value
    )


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
