"""Command lines that run on a cluster: which ones, the places that they name, and what of them comes back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from core.errors import InputError

Returned = Literal["run", "files", "nothing"]

RETURNS: dict[str, Returned] = {
    "fit": "run",
    "meta-start": "run",
    "ablate": "files",
    "learning-curve": "files",
    "rate-test": "files",
    "forecast": "nothing",
}
"""The commands that also run where the cluster shares no disk with this machine, and what each leaves at ``--out``."""

ON_A_SHARED_DISK = ("predict", "predict-tiles", "evaluate", "compare", "evaluate-run")
"""Those that read or write whole folders, which the cluster must see."""

OUT = "--out"
_FOLDERS = ("--data", "--labels", "--truth", "--predictions", "--a", "--b")
_SMALL = ("--labels", "--recipe")
"""Inputs that may go along in the package."""


def check_command(arguments: Sequence[str]) -> None:
    """Raise ``InputError`` for a command that does not run on a cluster."""
    known = (*RETURNS, *ON_A_SHARED_DISK)
    if not arguments or arguments[0] not in known:
        given = f"'{arguments[0]}' does not" if arguments else "Nothing was given that could"
        raise InputError(f"{given} run on a cluster; give one of {', '.join(known)} after '--'.")


def absolute(arguments: Sequence[str]) -> list[str]:
    """The same command with each option apart from its value, and every place as an absolute path.

    On the cluster it starts in another folder than here.
    """
    places = _places(arguments[0])
    spread: list[str] = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        spread += [option, value] if equals and option in (*places, "--recipe") else [argument]
    for option, index in _values(spread, (*places, "--recipe")):
        is_preset = option == "--recipe" and not Path(spread[index]).is_file()
        if not is_preset:
            spread[index] = str(Path(spread[index]).expanduser().absolute())
    return spread


def value_of(arguments: Sequence[str], option: str) -> str | None:
    """The value of an option, the last where it is repeated; None where it is not given."""
    found = [arguments[index] for _, index in _values(arguments, (option,))]
    return found[-1] if found else None


def inputs(arguments: Sequence[str]) -> list[tuple[str, int]]:
    """Each option that names an input, and where in ``arguments`` its path stands."""
    options = [option for option in _places(arguments[0]) if option != OUT]
    found = _values(arguments, (*options, "--recipe"))
    return [(option, index) for option, index in found if Path(arguments[index]).is_absolute()]


def small_inputs(arguments: Sequence[str]) -> list[tuple[str, int]]:
    """Those of the inputs that may go along in the package."""
    return [(option, index) for option, index in inputs(arguments) if option in _SMALL]


def _places(command: str) -> tuple[str, ...]:
    runs = ("--run",) if command == "predict" else ()  # elsewhere a run's name
    return (*_FOLDERS, *runs, "--workspace", "--report", OUT)


def _values(arguments: Sequence[str], options: Sequence[str]) -> list[tuple[str, int]]:
    return [(one, index + 1) for index, one in enumerate(arguments[:-1]) if one in options]
