"""Compaction: the journal of a sheet stays quick and small however long somebody paints on it.

When more than ``BOUND`` strokes stand, what they left behind up to the one ``KEPT`` back becomes a checkpoint: a label
version without a name, with the raster and the origin of each pixel. The patches of the strokes before it are then
dropped, and the older checkpoint; their rows stay, with who, when, where and what. So at least ``KEPT`` strokes can
always be undone, and rebuilding a raster never reads more than ``BOUND`` of them.
"""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import delete, select, update

from core.labels import sheets
from core.labels.annotators import DEFAULT_ANNOTATOR
from core.tables import LabelOperation, LabelVersion, Stroke
from core.workspace import Workspace

BOUND = 1000
KEPT = 500

_log = logging.getLogger(__name__)
_worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compaction")
_waiting: set[tuple[Workspace, int, str]] = set()
_waiting_lock = threading.Lock()


def schedule(workspace: Workspace, tile_id: int, opinion: str, *, standing: int) -> None:
    """Compact a sheet in the background, where more than ``BOUND`` strokes of it stand: no stroke waits for it."""
    sheet = (workspace, tile_id, opinion)
    with _waiting_lock:
        if standing <= BOUND or sheet in _waiting:
            return
        _waiting.add(sheet)
    _worker.submit(_compact_later, *sheet)


def _compact_later(workspace: Workspace, tile_id: int, opinion: str) -> None:
    try:
        compact(workspace, tile_id, opinion)
    except Exception:  # nothing is lost: the journal stays long, and the next stroke asks again
        _log.exception("The journal of tile %d could not be compacted.", tile_id)
    finally:
        with _waiting_lock:
            _waiting.discard((workspace, tile_id, opinion))


def compact(workspace: Workspace, tile_id: int, opinion: str = "") -> bool:
    """Make a checkpoint ``KEPT`` strokes back where more than ``BOUND`` stand; says whether one was made.

    The strokes are read beside whoever paints on, then the checkpoint goes in with one short transaction, and only if
    it still fits: where somebody undid that far meanwhile, or another process was first, nothing changes.
    """
    with workspace.database.read() as session:
        sheet = sheets.find_sheet(session, tile_id, opinion)
        older = sheets.checkpoint(session, sheet)
        first = 0 if older is None else older.stroke_id
        done = sheets.done_strokes(session, sheet, after=first)
        if len(done) <= BOUND:
            return False
        last = done[-KEPT - 1]
        standing = sheets.replay(session, sheet, up_to=last)
        made = LabelVersion(
            tile_id=tile_id,
            opinion=opinion,
            name=None,
            annotator=DEFAULT_ANNOTATOR,
            sequence=session.scalars(select(LabelOperation.id).where(LabelOperation.stroke_id == last)).first(),
            stroke_id=last,
            raster=sheets.pack(standing.raster),
            origins=sheets.pack(standing.origins),
        )
    with workspace.database.write() as session:
        newest = sheets.checkpoint(session, sheet)
        is_standing = session.scalar(select(Stroke.state).where(Stroke.id == last)) == "done"
        if not is_standing or (newest and newest.id) != (older and older.id):
            return False
        session.execute(delete(LabelVersion).where(sheet.owns(LabelVersion), LabelVersion.name.is_(None)))
        session.add(made)
        dropped = (sheet.owns(Stroke), Stroke.id > first, Stroke.id <= last)
        session.execute(update(Stroke).where(*dropped).values(before=b"", after=b""))
    return True
