"""Taking a collection out of a workspace: its rows go, and the labels that were made on it stay, as masks.

SQLite gives a number anew when its last row was deleted, and what is kept in memory or on disk is known by the
collection's number. So the number is written down as used, and what was computed under it goes.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, select

from core.catalog.catalogue import LAST_NUMBER, collection, last_number
from core.errors import InputError
from core.tables import Collection, Setting, Stroke, Tile, now
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class RemovalPlan:
    """What a removal means, to be told before it is done."""

    tiles: int
    labelled: int
    """Tiles with masks that were made here; they are kept."""
    strokes: int
    """Strokes, whose journal goes."""
    imported: Path | None
    """The folder of this workspace that holds its images, if they were uploaded, downloaded or imported."""


def plan_removal(workspace: Workspace, collection_id: int) -> RemovalPlan:
    """Look at what would go. Raises ``UnknownIdError`` when there is no such collection."""
    row = collection(workspace, collection_id)
    with workspace.database.read() as session:
        of_it = Tile.collection_id == collection_id
        tiles = session.scalar(select(func.count()).select_from(Tile).where(of_it)) or 0
        strokes = session.scalar(select(func.count()).select_from(Stroke).join(Tile).where(of_it)) or 0
    labelled = sum(1 for _ in workspace.labels(collection_id).glob("*_mask.png"))
    root = Path(row.root)
    inside = [folder for folder in (workspace.imports, workspace.sample) if root.is_relative_to(folder)]
    imported = None
    if inside:
        imported = inside[0] / root.relative_to(inside[0]).parts[0] if root != inside[0] else root
    return RemovalPlan(tiles, labelled, strokes, imported)


def remove_collection(workspace: Workspace, collection_id: int, *, delete_import: bool) -> Path | None:
    """Take a collection out of the workspace; the folder that its labels were moved to, None if it had none.

    Its tiles, journals, splits and kept predictions go. Images stay where they are, but for an import of this
    workspace where ``delete_import`` says so. Raises ``UnknownIdError``, and ``InputError`` when files cannot be moved.
    """
    row = collection(workspace, collection_id)
    plan = plan_removal(workspace, collection_id)
    try:
        kept = _keep_labels(workspace, collection_id, row.name)
        with workspace.database.write() as session:
            session.execute(delete(Collection).where(Collection.id == collection_id))
            session.merge(Setting(key=LAST_NUMBER, value={"id": max(collection_id, last_number(session))}))
        for path in _kept_by_number(workspace, collection_id):
            _delete(path)
        if delete_import and plan.imported is not None:
            shutil.rmtree(plan.imported)
    except OSError as error:
        raise InputError(f"{error.filename} could not be moved or removed ({error.strerror}); mend that.") from error
    return kept


def _keep_labels(workspace: Workspace, collection_id: int, name: str) -> Path | None:
    """Move labels and second opinions to a folder that names the collection."""
    stem = re.sub(r"[^\w-]+", "-", name).strip("-")[:60] or "collection"
    into = workspace.root / "labels" / "removed" / f"{stem}-{now():%Y%m%d-%H%M%S}"
    opinions = workspace.root / "opinions" / str(collection_id)
    moved = False
    for source, target in ((workspace.labels(collection_id), into / "labels"), (opinions, into / "opinions")):
        if source.is_dir() and any(source.rglob("*_mask.png")):
            into.mkdir(parents=True, exist_ok=True)
            source.rename(target)
            moved = True
    return into if moved else None


def _kept_by_number(workspace: Workspace, collection_id: int) -> list[Path]:
    """The files and folders of what was computed for a collection and is kept under its number."""
    number = str(collection_id)
    judged = re.compile(rf"{number}(\.json|[_-].*\.json)?")
    return [
        workspace.labels(collection_id),
        workspace.root / "opinions" / number,
        workspace.suggestions(collection_id),
        workspace.looks(collection_id),
        *workspace.predictions.glob(f"*/*/{number}"),
        *(path for path in workspace.evaluations.glob("*/**/*") if judged.fullmatch(path.name)),
    ]


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
