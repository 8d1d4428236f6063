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
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session

from core.errors import InputError, NotSavedError
from core.tables import Base

BUSY_TIMEOUT_MS = 20_000
SCHEMA_VERSION = 5
"""Kept in SQLite's ``user_version``; raise it with every change of the tables, and add the step to ``_MIGRATIONS``."""


_MIGRATIONS = {
    1: (
        "ALTER TABLE stroke ADD COLUMN opinion VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE label_operation ADD COLUMN opinion VARCHAR NOT NULL DEFAULT ''",
        "DROP INDEX stroke_by_tile",
        "DROP INDEX label_operation_by_tile",
        "CREATE INDEX stroke_by_sheet ON stroke (tile_id, opinion, state, id)",
        "CREATE INDEX label_operation_by_sheet ON label_operation (tile_id, opinion, id)",
    ),
    2: (
        "ALTER TABLE job ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE job ADD COLUMN place INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE job ADD COLUMN pause_requested DATETIME",
        "ALTER TABLE job ADD COLUMN worked_seconds DOUBLE NOT NULL DEFAULT 0",
        "UPDATE job SET place = id",
    ),
    3: (),  # place_to_mend and truth_judgement are new
    4: (
        "ALTER TABLE collection ADD COLUMN revision INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE collection ADD COLUMN split_plan_id INTEGER",
        "ALTER TABLE tile ADD COLUMN transform JSON",
    ),  # split_plan, split_member, came_split, tile_look and label_amount are new
}
"""What leads from a version to the next, beside the tables that are new in it."""

_LATER_INDEXES = (
    "CREATE INDEX IF NOT EXISTS ix_tile_facts_made ON tile_facts (made)",
    "CREATE INDEX IF NOT EXISTS ix_tile_work_changed ON tile_work (changed)",
)
"""Indexes on tables that were there before them: a table that a migration finds may be of any version."""


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
        """Make the tables of a new database, bring those of an older version up to date, refuse a newer one."""
        found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        is_new = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one() == 0
        if not is_new and not 1 <= found <= SCHEMA_VERSION:
            raise InputError(
                f"{self.path} was made by another version of Tilewright (tables {found}, here {SCHEMA_VERSION}); "
                "use that version, or choose another workspace folder."
            )
        if not is_new:
            for version in range(found, SCHEMA_VERSION):
                for statement in _MIGRATIONS[version]:
                    connection.exec_driver_sql(statement)
        Base.metadata.create_all(connection)
        for statement in _LATER_INDEXES:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading; objects stay usable after it closes."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session in one immediate write transaction: all of it happens, or none.

        Raises ``NotSavedError`` when the disk is full or the file cannot be written.
        """
        with Session(self._engine, expire_on_commit=False) as session:
            try:
                session.connection(execution_options={"begin_mode": "IMMEDIATE"})
                yield session
                session.commit()  # an exception above skips this, and closing rolls back
            except OperationalError as error:
                if _primary_code(error.orig) not in _UNWRITABLE:
                    raise
                raise NotSavedError(
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
