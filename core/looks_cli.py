"""The command that looks at tiles: ``look``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.progress import Progress

Command = Callable[[argparse.Namespace, Progress], dict[str, Any]]
AddCommand = Callable[[str, Command, str], argparse.ArgumentParser]


def add_looks_commands(command: AddCommand) -> None:
    """Add the command to the command line; ``command`` makes one from its name, function and summary."""
    look = command("look", _look, "Look at a collection's tiles: what is alike, the same, or next to each other.")
    look.add_argument("--workspace", type=Path)
    look.add_argument("--collection", type=int, required=True)
    look.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")


def _look(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.inference.tile_looks import look_at_collection
    from core.workspace import open_workspace

    return look_at_collection(
        open_workspace(options.workspace), collection_id=options.collection, device=options.device, progress=progress
    )
