import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from core import database as database_module
from core.database import Database
from core.errors import InputError
from core.jobs import queue
from core.labels import journal
from core.tables import Collection, Setting, Tile
from core.workspace import open_workspace

PROJECT = Path(__file__).resolve().parents[2]

# Opens a database that may not be there yet, then raises one counter in steps that read before they write.
COUNT = """
import sys, time
from pathlib import Path
from core.database import Database
from core.tables import Setting
path, begin, commits = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
time.sleep(max(0, begin - time.time()))
database = Database(path)
for _ in range(commits):
    with database.write() as session:
        row = session.get(Setting, "count")
        if row is None:
            session.add(Setting(key="count", value={"n": 1}))
        else:
            row.value = {"n": row.value["n"] + 1}
"""


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "workspace.db")
    yield opened
    opened.close()


def put(database, key, value):
    with database.write() as session:
        session.merge(Setting(key=key, value=value))


def value_of(database, key):
    with database.read() as session:
        row = session.get(Setting, key)
        return row and row.value


def test_four_processes_that_make_a_database_and_count_in_it_lose_nothing(tmp_path):
    path, commits = tmp_path / "workspace.db", 200
    begin = time.time() + 1.5
    counters = [
        subprocess.Popen(
            [sys.executable, "-c", COUNT, str(path), str(begin), str(commits)],
            cwd=PROJECT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    complaints = [counter.communicate()[1] for counter in counters]
    assert [counter.returncode for counter in counters] == [0] * 4, complaints
    assert value_of(Database(path), "count") == {"n": 4 * commits}


def test_a_write_holds_off_other_writers_from_its_first_read_on(database):
    put(database, "k", {"n": 0})
    read, order = threading.Event(), []

    def slow():
        with database.write() as session:
            row = session.get(Setting, "k")
            read.set()
            time.sleep(0.1)
            row.value = {"n": row.value["n"] + 1}
            order.append("slow")

    thread = threading.Thread(target=slow)
    thread.start()
    read.wait()
    with database.write() as session:
        row = session.get(Setting, "k")
        order.append("quick")
        row.value = {"n": row.value["n"] + 10}
    thread.join()
    assert order == ["slow", "quick"]
    assert value_of(database, "k") == {"n": 11}


def test_readers_are_not_held_off_by_a_writer_and_see_the_last_whole_state(database):
    put(database, "k", {"n": 1})
    with database.write() as session:
        session.merge(Setting(key="k", value={"n": 2}))
        session.flush()
        assert value_of(database, "k") == {"n": 1}
    assert value_of(database, "k") == {"n": 2}


def test_a_write_that_fails_halfway_changes_nothing_and_lets_go(database):
    def fail():
        with database.write() as session:
            session.add(Setting(key="k", value={}))
            session.flush()
            raise KeyError("ours")

    with pytest.raises(KeyError):
        fail()
    assert value_of(database, "k") is None
    put(database, "k", {"n": 1})


def test_foreign_keys_are_kept(database):
    tile = Tile(
        collection_id=7, name="t", image_path="", width=1, height=1, metres_per_pixel_x=0.5, metres_per_pixel_y=0.5,
        fingerprint="", split="train", split_source="rule",
    )  # fmt: skip
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(tile)


def test_what_was_read_can_be_used_after_the_session(database):
    with database.write() as session:
        session.add(Collection(name="land", root="/land"))
    with database.read() as session:
        collection = session.get(Collection, 1)
    assert (collection.name, collection.synthetic) == ("land", False)


def test_a_full_disk_is_reported_and_keeps_what_was_there(tmp_path):
    path = tmp_path / "workspace.db"
    code = (
        "import resource, sys; from pathlib import Path; from core.database import Database\n"
        "from core.tables import Setting\n"
        "from core.errors import InputError\n"
        "database = Database(Path(sys.argv[1]))\n"
        "with database.write() as session: session.add(Setting(key='old', value={'n': 1}))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    with database.write() as session: session.add(Setting(key='new', value={'n': 'x' * 1_000_000}))\n"
        "except InputError as error: print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code, path], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "workspace.db" in told.stdout
    assert "Free some disk space" in told.stdout
    database = Database(path)
    assert (value_of(database, "old"), value_of(database, "new")) == ({"n": 1}, None)


def test_a_fault_in_a_query_is_not_reported_as_a_full_disk(database):
    from sqlalchemy import text

    with pytest.raises(OperationalError, match="no such table"), database.write() as session:
        session.execute(text("SELECT * FROM nowhere"))


@pytest.mark.parametrize("content", [b"not a database" * 100, None])
def test_a_file_that_is_no_database_is_reported_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "workspace.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be opened as a Tilewright database"):
        Database(path)
    assert path.is_dir() if content is None else path.read_bytes() == content


def test_a_database_of_another_version_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "workspace.db"
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    before = path.read_bytes()
    with pytest.raises(InputError, match="another version"):
        Database(path)
    assert path.read_bytes() == before


SCHEMA_1 = """
CREATE TABLE collection (
    id INTEGER NOT NULL PRIMARY KEY, name VARCHAR NOT NULL, root VARCHAR NOT NULL UNIQUE, synthetic BOOLEAN NOT NULL,
    "indexed" DATETIME NOT NULL);
CREATE TABLE tile (
    id INTEGER NOT NULL PRIMARY KEY, collection_id INTEGER NOT NULL REFERENCES collection (id) ON DELETE CASCADE,
    name VARCHAR NOT NULL, image_path VARCHAR NOT NULL, mask_path VARCHAR, width INTEGER NOT NULL,
    height INTEGER NOT NULL, metres_per_pixel_x DOUBLE NOT NULL, metres_per_pixel_y DOUBLE NOT NULL, crs VARCHAR,
    fingerprint VARCHAR NOT NULL, mask_fingerprint VARCHAR, split VARCHAR NOT NULL, split_source VARCHAR NOT NULL,
    class_shares JSON, UNIQUE (collection_id, name));
CREATE TABLE stroke (
    id INTEGER NOT NULL PRIMARY KEY, tile_id INTEGER NOT NULL REFERENCES tile (id) ON DELETE CASCADE,
    client_key VARCHAR NOT NULL UNIQUE, annotator VARCHAR NOT NULL, tool VARCHAR NOT NULL, class_index INTEGER NOT NULL,
    geometry JSON NOT NULL, top INTEGER NOT NULL, "left" INTEGER NOT NULL, height INTEGER NOT NULL,
    width INTEGER NOT NULL, "before" BLOB NOT NULL, "after" BLOB NOT NULL, state VARCHAR NOT NULL,
    created DATETIME NOT NULL);
CREATE INDEX stroke_by_tile ON stroke (tile_id, state, id);
CREATE TABLE label_operation (
    id INTEGER NOT NULL PRIMARY KEY, tile_id INTEGER NOT NULL REFERENCES tile (id) ON DELETE CASCADE,
    stroke_id INTEGER NOT NULL REFERENCES stroke (id) ON DELETE CASCADE, client_key VARCHAR NOT NULL UNIQUE,
    kind VARCHAR NOT NULL, created DATETIME NOT NULL);
CREATE INDEX label_operation_by_tile ON label_operation (tile_id, id);
CREATE TABLE job (
    id INTEGER NOT NULL PRIMARY KEY, kind VARCHAR NOT NULL, title VARCHAR NOT NULL, arguments JSON NOT NULL,
    device VARCHAR NOT NULL, state VARCHAR NOT NULL, cancel_requested DATETIME, pid INTEGER, pid_started DOUBLE,
    exit_status INTEGER, message VARCHAR, created DATETIME NOT NULL, started DATETIME, ended DATETIME);
CREATE INDEX ix_job_state ON job (state);
PRAGMA user_version = 1;
"""
"""The tables of labels and of jobs as version 1 had them; version 2 left those of jobs as they were."""

THEN = "2026-01-02 03:04:05.000000"


def make_version_1(path):
    """A database of version 1 with a 3 x 2 tile and two strokes on it, of which the second is undone."""
    with sqlite3.connect(path) as connection:
        connection.executescript(SCHEMA_1)
        connection.execute("INSERT INTO collection VALUES (1, 'land', '/land', 0, ?)", [THEN])
        connection.execute(
            "INSERT INTO tile VALUES (1, 1, 't0', '/land/t0_sat.jpg', NULL, 3, 2, 0.5, 0.5, NULL, 'f', NULL,"
            " 'train', 'rule', NULL)"
        )
        for number, (after, state) in enumerate([(b"\x04", "done"), (b"\x02", "undone")], start=1):
            patches = [zlib.compress(b"\xff"), zlib.compress(after)]
            connection.execute(
                "INSERT INTO stroke VALUES (?, 1, ?, 'local', 'brush', 4, '{}', 0, ?, 1, 1, ?, ?, ?, ?)",
                [number, f"stroke-{number}", number, *patches, state, THEN],
            )
        for kind, stroke in (("stroke", 1), ("stroke", 2), ("undo", 2)):
            connection.execute(
                "INSERT INTO label_operation (tile_id, stroke_id, client_key, kind, created) VALUES (1, ?, ?, ?, ?)",
                [stroke, f"{kind}-{stroke}", kind, THEN],
            )
    connection.close()


def test_a_database_of_version_1_is_brought_up_to_date_and_keeps_its_strokes_and_their_undo(tmp_path):
    make_version_1(tmp_path / "workspace.db")
    workspace = open_workspace(tmp_path)
    assert journal.load(workspace, 1).tolist() == [[255, 4, 255], [255, 255, 255]]
    assert journal.redo(workspace, 1).state.undo == 2
    assert journal.load(workspace, 1).tolist() == [[255, 4, 2], [255, 255, 255]]
    assert journal.undo(workspace, 1).state.redo == 1
    assert (journal.load(workspace, 1, opinion="Ada") == 255).all()
    workspace.database.close()
    Database(tmp_path / "workspace.db").close()  # a second time there is nothing to do


def test_jobs_of_an_older_version_keep_their_order_and_can_be_moved(tmp_path):
    make_version_1(tmp_path / "workspace.db")
    with sqlite3.connect(tmp_path / "workspace.db") as connection:
        connection.executemany(
            "INSERT INTO job (kind, arguments, device, title, state, created) VALUES ('fit', '[]', 'cpu', ?, ?, ?)",
            [("a", "done", THEN), ("b", "queued", THEN), ("c", "queued", THEN)],
        )
    connection.close()
    workspace = open_workspace(tmp_path)
    assert [view.title for view in queue.jobs(workspace)] == ["b", "c", "a"]
    queue.move(workspace, 3, queue.Move.UP)
    assert [(view.title, view.place) for view in queue.jobs(workspace)] == [("c", 1), ("b", 2), ("a", None)]
    assert queue.submit(workspace, kind="fit", title="d", arguments=["fit"], device="cpu") == 4
    assert queue.job(workspace, 4).place == 3


def test_a_database_that_was_brought_up_to_date_is_like_a_new_one(tmp_path):
    make_version_1(tmp_path / "old.db")
    Database(tmp_path / "old.db").close()
    Database(tmp_path / "new.db").close()
    tables = {}
    for name in ("old.db", "new.db"):
        with sqlite3.connect(tmp_path / name) as connection:
            names = [
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")
            ]
            tables[name] = {
                table: {row[1:3] for row in connection.execute(f"PRAGMA table_info({table})")} for table in names
            }
        connection.close()
    assert tables["old.db"] == tables["new.db"]


def test_an_upgrade_that_fails_halfway_leaves_the_old_database_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "workspace.db"
    make_version_1(path)
    monkeypatch.setattr(database_module, "_MIGRATIONS", {1: (*database_module._MIGRATIONS[1], "DROP TABLE nowhere")})
    with pytest.raises(InputError, match="cannot be opened"):
        Database(path)
    monkeypatch.undo()
    workspace = open_workspace(tmp_path)
    assert journal.state(workspace, 1).undo == 1
