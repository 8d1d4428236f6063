"""The workspace's database: SQLAlchemy 2 over SQLite in write-ahead mode.

Several processes (the server, jobs, a terminal) write to it at once. Two things make that safe: WAL, so
that readers never block the writer, and a busy timeout, set before anything else on a new connection, so
that a second writer waits its turn instead of failing. Write transactions begin with ``BEGIN IMMEDIATE``:
a deferred one that turns into a writer halfway cannot wait, SQLite refuses it at once.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, Engine, ForeignKey, Index, LargeBinary, UniqueConstraint, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from core.errors import InputError

BUSY_TIMEOUT_MS = 20_000
SCHEMA_VERSION = 1
"""Kept in SQLite's ``user_version``; raise it with every change of the tables, and migrate the older ones here."""


def now() -> datetime:
    """The current time in UTC, without a zone, as SQLite keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)


class Base(DeclarativeBase):
    """The base of all tables."""

    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class Collection(Base):
    """A folder of tiles that was opened."""

    __tablename__ = "collection"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    root: Mapped[str] = mapped_column(unique=True)
    synthetic: Mapped[bool] = mapped_column(default=False)
    indexed: Mapped[datetime] = mapped_column(default=now)


class Tile(Base):
    """One image, with the mask that came with it, if any."""

    __tablename__ = "tile"
    __table_args__ = (UniqueConstraint("collection_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"))
    name: Mapped[str]
    image_path: Mapped[str]
    mask_path: Mapped[str | None]
    width: Mapped[int]
    height: Mapped[int]
    metres_per_pixel_x: Mapped[float]
    metres_per_pixel_y: Mapped[float]
    crs: Mapped[str | None]
    fingerprint: Mapped[str]  # of the image file's bytes: keys every cache
    mask_fingerprint: Mapped[str | None]
    split: Mapped[str]  # train, val, test
    split_source: Mapped[str]  # glnet, folder, rule
    class_shares: Mapped[list[Any] | None]  # of the given mask: six floats that sum to its labelled share


class Problem(Base):
    """Something wrong with a file of a collection, in one sentence."""

    __tablename__ = "problem"
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"))
    tile_name: Mapped[str | None]
    path: Mapped[str]
    severity: Mapped[str]  # error: the file is left out; warning: used, with this caveat
    sentence: Mapped[str]


class Stroke(Base):
    """One edit of a tile's class raster: the append-only journal, and the unit of undo.

    ``before`` and ``after`` are the zlib-compressed uint8 patches of the box
    (``top``, ``left``, ``height``, ``width``), so that undo and redo are exact.
    """

    __tablename__ = "stroke"
    # By state too: counting must not read past the patches of thousands of strokes.
    __table_args__ = (Index("stroke_by_tile", "tile_id", "state", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id", ondelete="CASCADE"))
    client_key: Mapped[str] = mapped_column(unique=True)  # made by the browser: a stroke sent twice counts once
    annotator: Mapped[str]
    tool: Mapped[str]
    class_index: Mapped[int]
    geometry: Mapped[dict[str, Any]]
    top: Mapped[int]
    left: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]
    before: Mapped[bytes] = mapped_column(LargeBinary)
    after: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(default="done")  # done, undone, dropped (undone, then overtaken)
    created: Mapped[datetime] = mapped_column(default=now)


class LabelOperation(Base):
    """One step along a tile's strokes: a stroke made, undone or redone.

    Its ``client_key`` is also written into the mask file, which ties the file to the journal: where the two
    differ, one of them missed a step (see ``core/labels/journal.py``).
    """

    __tablename__ = "label_operation"
    __table_args__ = (Index("label_operation_by_tile", "tile_id", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id", ondelete="CASCADE"))
    stroke_id: Mapped[int] = mapped_column(ForeignKey("stroke.id", ondelete="CASCADE"))
    client_key: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]  # stroke, undo, redo
    created: Mapped[datetime] = mapped_column(default=now)


class Job(Base):
    """One command line, waiting, running or ended."""

    __tablename__ = "job"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]  # index, fit, predict, evaluate, ...
    title: Mapped[str]
    arguments: Mapped[list[Any]]  # after ``python -m core``
    device: Mapped[str]  # cpu, cuda: one job runs on each at a time
    state: Mapped[str] = mapped_column(default="queued", index=True)
    cancel_requested: Mapped[datetime | None]  # when; a while later it is ended by force
    pid: Mapped[int | None]
    pid_started: Mapped[float | None]  # the process's start time: a pid alone may be reused
    exit_status: Mapped[int | None]
    message: Mapped[str | None]  # one sentence for a person, when it did not end well
    created: Mapped[datetime] = mapped_column(default=now)
    started: Mapped[datetime | None]
    ended: Mapped[datetime | None]


class Setting(Base):
    """Small facts about the workspace, by key."""

    __tablename__ = "setting"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]]


class Database:
    """Sessions on one SQLite file. Safe to share between threads; every process opens its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = _engine(path)
        try:
            # Immediate, since two processes that open a new workspace at once must not both make its tables.
            with self._engine.connect() as connection:
                connection.execution_options(begin_mode="IMMEDIATE")
                with connection.begin():
                    self._make_tables(connection)
        except DatabaseError as error:
            raise InputError(
                f"{path} cannot be opened as a Tilewright database ({error.orig}); "
                "choose another workspace folder, or move that file away to start anew."
            ) from error

    def _make_tables(self, connection: Connection) -> None:
        """Make the tables of a new database; refuse one whose tables are of another version."""
        found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        is_new = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one() == 0
        if found != SCHEMA_VERSION and not is_new:
            raise InputError(
                f"{self.path} was made by another version of Tilewright (tables {found}, here {SCHEMA_VERSION}); "
                "use that version, or choose another workspace folder."
            )
        Base.metadata.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading; objects stay usable after it closes."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session in one immediate write transaction: all of it happens, or none.

        Raises ``InputError`` when the disk is full or the file cannot be written.
        """
        with Session(self._engine, expire_on_commit=False) as session:
            try:
                session.connection(execution_options={"begin_mode": "IMMEDIATE"})
                yield session
                session.commit()  # an exception above skips this, and closing rolls back
            except OperationalError as error:
                if _primary_code(error.orig) not in _UNWRITABLE:
                    raise
                raise InputError(
                    f"Could not write {self.path} ({error.orig}); nothing was changed there. "
                    "Free some disk space or mend the folder's permissions, then try again."
                ) from error

    def close(self) -> None:
        """Close the pooled connections."""
        self._engine.dispose()


_UNWRITABLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)


def _primary_code(error: BaseException | None) -> int | None:
    """SQLite's result code without the extension in its upper bits; None for another kind of error."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead mode, or find it on.

    The first switch needs the file to itself, and for that SQLite does not wait out the busy timeout: of several
    processes that open a new workspace at once all but one would fail. So we do the waiting.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000}
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        mode = connection.get_execution_options().get("begin_mode", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine
