"""The options of the command line that set the switches of a prediction, shared by all commands that predict."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.errors import InputError

if TYPE_CHECKING:
    from core.inference.switches import Switches

_TTA = ("none", "flips", "d4", "scales", "all")


def add_switch_options(parser: argparse.ArgumentParser) -> None:
    """Add the switches; those of the stable interface first."""
    parser.add_argument("--tta", choices=_TTA, default="none", help="average over views of the tile")
    parser.add_argument("--refine", choices=["none", "guided", "crf"], default="none")
    parser.add_argument("--min-region", type=_whole, default=0, metavar="PIXELS")
    parser.add_argument(
        "--min-region-of",
        action="append",
        default=[],
        metavar="CLASS=SQUARE_METRES",
        help="smallest regions by class, in place of --min-region; a class that is not named keeps all",
    )
    parser.add_argument("--crf", action="append", default=[], metavar="PARAMETER=VALUE", help="with --refine crf")
    parser.add_argument("--guided", action="append", default=[], metavar="PARAMETER=VALUE", help="with --refine guided")
    parser.add_argument(
        "--offset", action="append", default=[], metavar="CLASS=VALUE", help="added to a class's log probability"
    )
    parser.add_argument("--gate", type=float, default=0.0, metavar="SHARE", help="take out classes less present")
    parser.add_argument("--abstain", type=float, default=0.0, metavar="P", help="unlabelled below this probability")


def chosen_switches(options: argparse.Namespace) -> "Switches":
    """The switches that the options set. Raises ``InputError`` for a name or number that makes no sense."""
    from core.inference.crf import CrfParameters
    from core.inference.guided_filter import GuidedParameters
    from core.inference.switches import Switches

    return Switches(
        tta=options.tta,
        refinement=options.refine,
        min_region=options.min_region,
        guided=_parameters(GuidedParameters, "--guided", options.guided),
        crf=_parameters(CrfParameters, "--crf", options.crf),
        gate=options.gate,
        offsets=_by_class("--offset", options.offset),
        class_regions=_by_class("--min-region-of", options.min_region_of),
        abstain=options.abstain,
    )


def _parameters(kind: Any, option: str, given: list[str]) -> Any:
    """The parameters of a refinement, its own where nothing is given; whole numbers where its own are whole."""
    own = asdict(kind())
    numbers = _numbers(option, given, list(own))
    return kind(**{name: type(own[name])(value) for name, value in numbers.items()})


def _by_class(option: str, given: list[str]) -> tuple[float, ...]:
    from core.classes import CLASS_NAMES

    numbers = _numbers(option, given, CLASS_NAMES)
    return tuple(numbers.get(name, 0.0) for name in CLASS_NAMES) if numbers else ()


def _numbers(option: str, given: list[str], known: Any) -> dict[str, float]:
    found = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            name = ""
        if name not in known:
            raise InputError(f"{option} {text} is not understood; write NAME=NUMBER, NAME one of {', '.join(known)}.")
    return found


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 0")
    return int(text)
