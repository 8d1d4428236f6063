"""How many jobs of a device may run at once: its slots.

Who starts the worker may say so (``python -m core work --slots``), else the environment does for the whole
installation (``TILEWRIGHT_SLOTS``, like ``cpu=1,cuda:0=2``), else the workspace's own setting, else it is one. The
cluster is a device of its own: its jobs do their work elsewhere, and here only a process watches over each.
"""

import os
from dataclasses import dataclass
from typing import Literal

from core.errors import InputError
from core.tables import Setting
from core.workspace import Workspace

SLOTS_VARIABLE = "TILEWRIGHT_SLOTS"
MOST_SLOTS = 16
CLUSTER = "cluster"
"""The device of jobs that run on the workspace's cluster."""

_DEFAULTS = {CLUSTER: 4}
_KEY = "slots"


@dataclass(frozen=True, slots=True)
class Slots:
    """How many jobs of a device run at once, and who said so."""

    count: int
    source: Literal["environment", "workspace", "default"]


def slots(workspace: Workspace, device: str) -> Slots:
    """The slots of a device. Raises ``InputError`` when the environment's setting cannot be read."""
    for name, count in parse_slots(os.environ.get(SLOTS_VARIABLE, "")).items():
        if name.removesuffix(":0") == device.removesuffix(":0"):
            return Slots(count, "environment")
    with workspace.database.read() as session:
        row = session.get(Setting, _KEY)
    kept = row.value.get(device) if row else None
    return Slots(kept, "workspace") if isinstance(kept, int) else Slots(_DEFAULTS.get(device, 1), "default")


def set_slots(workspace: Workspace, device: str, count: int) -> None:
    """Keep the slots of a device in the workspace; a worker that runs heeds it at once.

    Raises ``ValueError`` for a count that is not 1 to ``MOST_SLOTS``.
    """
    if not 1 <= count <= MOST_SLOTS:
        raise ValueError(f"a device has 1 to {MOST_SLOTS} slots, not {count}")
    with workspace.database.write() as session:
        row = session.get(Setting, _KEY)
        session.merge(Setting(key=_KEY, value={**(row.value if row else {}), device: count}))


def parse_slots(text: str) -> dict[str, int]:
    """The counts in ``cpu=1,cuda:0=2``, by device; none in an empty text.

    Raises ``InputError`` for anything else than devices with a whole number of 1 to ``MOST_SLOTS``.
    """
    counts: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        device, _, count = (word.strip() for word in part.partition("="))
        if not device or not count.isdecimal() or not 1 <= int(count) <= MOST_SLOTS:
            raise InputError(
                f"{SLOTS_VARIABLE} says '{part}'; write a device and how many jobs it runs at once, "
                f"1 to {MOST_SLOTS}, like cpu=1,cuda:0=2."
            )
        counts[device] = int(count)
    return counts
