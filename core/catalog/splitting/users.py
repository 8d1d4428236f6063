"""Which runs trained under a named split: it may not change as long as there is one.

A run's card names the split and the digest of who is where in it (``RunCard.split``), so a run tells by itself under
what it was trained, in another workspace too. A fit that waits or runs says the same on its command line.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import select

from core.errors import InputError
from core.tables import Job
from core.workspace import Workspace

RECORD_OPTION = "--split-record"
"""Of ``fit``: the ``SplitRecord`` as JSON, for the run's card."""

_DIGITS = 16
_UNDER_WAY = ("queued", "running", "paused")
_CARD = "card.json"


@dataclass(frozen=True, slots=True)
class SplitRecord:
    """The split that a run trained under: its name, the digest of its members, and of folds the one that judged it."""

    name: str
    members: str
    fold: int | None = None

    def option(self) -> list[str]:
        """As a part of the command line of ``fit``."""
        return [RECORD_OPTION, json.dumps(asdict(self))]


def parse_record(text: str) -> SplitRecord:
    """The record of ``SplitRecord.option``. Raises ``InputError`` for text that is none."""
    try:
        content = json.loads(text)
        fold = content.get("fold")
        return SplitRecord(str(content["name"]), str(content["members"]), None if fold is None else int(fold))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f'{RECORD_OPTION} is written {{"name": ..., "members": ..., "fold": ...}}, not {text[:80]}.'
        ) from error


def digest(places: Mapping[str, str | int]) -> str:
    """16 hexadecimal digits of SHA-256 over the side or fold of each tile by its name; the order does not matter."""
    text = json.dumps(dict(places), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def runs_under(workspace: Workspace, name: str, members: str) -> list[str]:
    """The runs that trained under a split of this name with these members, whole ones and those under way, by name."""
    found = {card.parent.name for card in workspace.runs.glob(f"*/{_CARD}") if _is_under(_record(card), name, members)}
    with workspace.database.read() as session:
        waiting = session.scalars(select(Job.arguments).where(Job.kind == "fit", Job.state.in_(_UNDER_WAY))).all()
    for arguments in waiting:
        if RECORD_OPTION not in arguments[:-1] or "--out" not in arguments[:-1]:
            continue
        record = asdict(parse_record(arguments[arguments.index(RECORD_OPTION) + 1]))
        if _is_under(record, name, members):
            found.add(Path(arguments[arguments.index("--out") + 1]).name)
    return sorted(found)


def _is_under(record: Mapping[str, Any] | None, name: str, members: str) -> bool:
    return record is not None and (record.get("name"), record.get("members")) == (name, members)


def _record(card: Path) -> Mapping[str, Any] | None:
    """What a card says of the split; None where it names none, is no card of ours, or went in between."""
    try:
        return _read(card, card.stat().st_mtime_ns)
    except (OSError, ValueError, AttributeError):
        return None


@lru_cache(maxsize=1024)
def _read(card: Path, _changed_ns: int) -> Mapping[str, Any] | None:
    record = json.loads(card.read_bytes()).get("split")
    return record if isinstance(record, dict) else None
