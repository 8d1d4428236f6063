"""Which version of the code runs here."""

import os
import subprocess
import tomllib
from functools import cache
from pathlib import Path

CODE_VERSION_VARIABLE = "TILEWRIGHT_CODE_VERSION"
PROJECT = Path(__file__).resolve().parents[1]
_GIT_SECONDS = 5.0


@cache
def code_version() -> str:
    """The package's version, with the git commit where this is a checkout ('-dirty' where files differ from it).

    On a cluster's node that of the checkout that the code came from, which the variable tells.
    """
    if CODE_VERSION_VARIABLE in os.environ:
        return os.environ[CODE_VERSION_VARIABLE]
    with (PROJECT / "pyproject.toml").open("rb") as stream:
        version: str = tomllib.load(stream)["project"]["version"]
    commit = _git_commit(PROJECT)
    return f"{version}+{commit}" if commit else version


def _git_commit(folder: Path) -> str | None:
    """The short commit of a checkout, or None where ``folder`` is none or there is no git."""
    if not (folder / ".git").exists():  # a commit of a repository further up would be somebody else's
        return None
    command = ["git", "--no-optional-locks", "-C", str(folder), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return told.strip() or None
