"""The options that several commands share with ``fit``, and the request that they make."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.training.fit import FitRequest


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Tiles, recipe and device."""
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", default="head", help="a preset's name or a TOML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one value of the recipe"
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")


def add_fit_options(parser: argparse.ArgumentParser) -> None:
    """What ``fit`` takes besides where the run goes."""
    add_recipe_options(parser)
    parser.add_argument("--labels", type=Path, help="folder of <id>_mask.png; by default the masks beside the images")
    parser.add_argument("--seed", type=int, default=0)


def fit_request(options: argparse.Namespace, *, resume: bool = False) -> "FitRequest":
    """The fit that the options of ``add_fit_options`` and ``--out`` ask for. Raises ``InputError`` for a bad recipe."""
    from core.training.fit import FitRequest
    from core.training.recipe import load_recipe

    return FitRequest(
        data=options.data,
        labels=options.labels,
        out=options.out,
        recipe=load_recipe(options.recipe, options.set),
        seed=options.seed,
        device=options.device,
        resume=resume,
    )
