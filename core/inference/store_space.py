"""The room that kept predictions take: how much there is, what goes first, and what belongs to a run that is deleted.

What was looked at least recently goes first, prediction by prediction; a raster and its note go together. All of it can
be made anew but what was imported, which lies in its run's folder and is never removed for want of space.
"""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from core.catalog.keeper import Keeper
from core.errors import InputError
from core.tables import Setting
from core.workspace import Workspace

LOOKS = "looks"
"""The folder, beside those of the switches, of what a run's networks said."""

DEFAULT_BYTES = 5 * 2**30
SMALLEST_BYTES = 100 * 2**20

_KEY = "predictions"
_KEEPER = Keeper(64)
_SETTLED = 10**9  # nanoseconds
_HEADROOM = 0.9  # of the limit is left after making room, so that not every tile has to


@dataclass(frozen=True, slots=True)
class KeptGroup:
    """The kept predictions of one run with one setting of the switches, on one collection.

    ``switches`` are the facts of ``Switches.facts``; ``seconds`` the median time of a tile; ``size`` in bytes, without
    what the networks said.
    """

    run: str
    key: str
    collection_id: int
    switches: dict[str, Any]
    tiles: tuple[str, ...]
    seconds: float
    size: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """Files that go together, when they were used last (ns), and their size (bytes)."""

    used: int
    size: int
    files: tuple[Path, ...] = field(compare=False)


def limit_bytes(workspace: Workspace) -> int:
    """How much kept predictions may take, as a person set it, else ``DEFAULT_BYTES``."""
    with workspace.database.read() as session:
        row = session.get(Setting, _KEY)
    kept = row.value.get("limit_bytes") if row else None
    return kept if isinstance(kept, int) else DEFAULT_BYTES


def set_limit(workspace: Workspace, limit: int) -> int:
    """Keep the limit in the workspace and heed it at once; gives back how many bytes that freed.

    Raises ``InputError`` below ``SMALLEST_BYTES``, which holds no tile's probabilities and rasters in comfort.
    """
    if limit < SMALLEST_BYTES:
        raise InputError(f"Give predictions at least {SMALLEST_BYTES >> 20} MiB; {limit >> 20} MiB hold hardly a tile.")
    with workspace.database.write() as session:
        session.merge(Setting(key=_KEY, value={"limit_bytes": limit}))
    return make_room(workspace)


def used_bytes(workspace: Workspace, run: str | None = None) -> int:
    """What kept predictions take: all of them, or those of one run."""
    return sum(entry.size for entry in _entries(workspace.predictions / run if run else workspace.predictions))


def make_room(workspace: Workspace) -> int:
    """Remove what was used least recently until the limit is kept; gives back how many bytes that freed."""
    limit = limit_bytes(workspace)
    entries = list(_entries(workspace.predictions))
    total = sum(entry.size for entry in entries)
    if total <= limit:
        return 0
    freed = 0
    for entry in sorted(entries, key=lambda entry: entry.used)[:-1]:  # the last one was made just now
        if total - freed <= limit * _HEADROOM:
            break
        for path in entry.files:
            path.unlink(missing_ok=True)
        freed += entry.size
    return freed


def kept_groups(workspace: Workspace) -> list[KeptGroup]:
    """What is kept, by run, switches and collection; the group that was made last first."""
    places = [path for path in workspace.predictions.glob("*/*/*") if path.is_dir() and path.name.isdecimal()]
    found = [one for one in map(_kept, places) if one is not None]
    return [group for _, group in sorted(found, key=lambda one: one[0], reverse=True)]


def delete_group(workspace: Workspace, group: KeptGroup) -> None:
    """Delete the predictions of a group; what the networks said stays, for other switches."""
    shutil.rmtree(workspace.predictions / group.run / group.key / str(group.collection_id), ignore_errors=True)


def delete_predictions(workspace: Workspace, run: str) -> int:
    """Delete all that is kept of a run; the bytes that freed."""
    if run not in {path.name for path in workspace.predictions.glob("*")}:
        return 0
    freed = used_bytes(workspace, run)
    shutil.rmtree(workspace.predictions / run, ignore_errors=True)
    return freed


def delete_run(workspace: Workspace, run: str) -> None:
    """Delete a run with its predictions and evaluations. Raises ``InputError`` when there is none of that name."""
    place = workspace.runs / run
    if run not in {path.name for path in workspace.runs.glob("*")}:
        raise InputError(f"This workspace has no run '{run}'; reload the page to see those there are.")
    # Its card first: from then on it is no run to anybody, however far the rest comes.
    (place / "card.json").unlink(missing_ok=True)
    delete_predictions(workspace, run)
    shutil.rmtree(workspace.evaluations / run, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)


def _kept(place: Path) -> tuple[float, KeptGroup] | None:
    """A folder's group, read again when something in it is made, made anew or removed.

    Ten thousand notes are so read once. The clock of a folder is coarse: one that changed just now is not trusted.
    """
    changed, now = place.stat().st_mtime_ns, time.time_ns()
    mark = (changed,) if now - changed > _SETTLED else (changed, now)
    return _KEEPER.get((str(place),), mark, lambda: _dated(place))


def _dated(place: Path) -> tuple[float, KeptGroup] | None:
    """A folder's group and when the last of it was made."""
    notes = sorted(place.glob("*.json"))
    group = _group(place, notes)
    return None if group is None else (max(note.stat().st_mtime for note in notes), group)


def _group(place: Path, notes: list[Path]) -> KeptGroup | None:
    """None where nothing is kept, or only what an older Tilewright wrote, which nobody asks for any more."""
    told = [fact for fact in map(_facts, notes) if fact]
    if not told:
        return None
    return KeptGroup(
        run=place.parent.parent.name,
        key=place.parent.name,
        collection_id=int(place.name),
        switches=told[0]["switches"],
        tiles=tuple(note.stem for note in notes),
        seconds=median([float(fact["seconds"]) for fact in told]),
        size=sum(path.stat().st_size for path in place.iterdir() if path.is_file()),
    )


def _facts(note: Path) -> dict[str, Any] | None:
    """What a note says; None where it is gone or damaged."""
    try:
        facts: dict[str, Any] = json.loads(note.read_text())
        return facts if {"seconds", "switches"} <= facts.keys() else None
    except (OSError, ValueError):
        return None


def _entries(folder: Path) -> Iterator[_Entry]:
    """The predictions below a folder; what another process takes away meanwhile is left out."""
    for path in folder.rglob("*"):
        files = (path, path.with_name(f"{path.stem}_mask.png")) if path.suffix == ".json" else (path,)
        if path.suffix not in (".json", ".look"):
            continue
        try:
            statuses = [file.stat() for file in files if file.exists()]
        except FileNotFoundError:
            continue
        if statuses:
            used = max(status.st_mtime_ns for status in statuses)
            yield _Entry(used, sum(status.st_size for status in statuses), files)
