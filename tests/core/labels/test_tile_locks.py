import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from core.labels import tile_locks
from core.labels.requests import RefusedError
from core.tables import TileLock, now
from tests.core.labels.painting import new_workspace

ROOT = Path(__file__).parents[3]


@pytest.fixture
def one(tmp_path):
    workspace, [tile] = new_workspace(tmp_path)
    return workspace, tile.id


def take(workspace, tile_id, annotator, tab, opinion=""):
    return tile_locks.take(workspace, tile_id, opinion, annotator=annotator, tab=tab)


def expire(workspace, tile_id, opinion=""):
    """Let the lock's time run out without waiting for it."""
    with workspace.database.write() as session:
        session.get_one(TileLock, (tile_id, opinion)).expires = now() - timedelta(seconds=1)


def test_a_free_tile_is_taken_and_another_tab_is_told_who_has_it(one):
    workspace, tile_id = one
    assert take(workspace, tile_id, "Ada", "tab-a").mine
    second = take(workspace, tile_id, "Ben", "tab-b")
    assert not second.mine
    assert (second.holder.annotator, second.holder.tab) == ("Ada", "tab-a")
    assert tile_locks.holder(workspace, tile_id, "") == second.holder


def test_a_lock_lasts_thirty_seconds_and_a_renewal_keeps_when_it_was_taken(one):
    workspace, tile_id = one
    first = take(workspace, tile_id, "Ada", "tab-a").holder
    assert first.expires - first.since == timedelta(seconds=tile_locks.LOCK_SECONDS)
    again = take(workspace, tile_id, "Ada", "tab-a").holder
    assert again.since == first.since
    assert again.expires > first.expires


def test_an_expired_lock_is_free_and_its_taker_holds_it_since_then(one):
    workspace, tile_id = one
    first = take(workspace, tile_id, "Ada", "tab-a").holder
    expire(workspace, tile_id)
    assert tile_locks.holder(workspace, tile_id, "") is None
    second = take(workspace, tile_id, "Ben", "tab-b")
    assert second.mine
    assert second.holder.since > first.since


def test_one_person_with_two_tabs_is_told_apart_by_the_tab(one):
    workspace, tile_id = one
    take(workspace, tile_id, "Ada", "tab-a")
    assert not take(workspace, tile_id, "Ada", "tab-b").mine
    with pytest.raises(RefusedError, match="open in another tab"):
        tile_locks.check(workspace, tile_id, "", "Ada", "tab-b")


def test_whoever_takes_over_holds_it_and_the_former_holder_is_refused(one):
    workspace, tile_id = one
    take(workspace, tile_id, "Ada", "tab-a")
    assert tile_locks.take_over(workspace, tile_id, "", annotator="Ben", tab="tab-b").mine
    with pytest.raises(RefusedError, match="Ben is labelling this tile") as refused:
        tile_locks.check(workspace, tile_id, "", "Ada", "tab-a")
    assert refused.value.status == 423


def test_only_the_holder_can_release(one):
    workspace, tile_id = one
    take(workspace, tile_id, "Ada", "tab-a")
    tile_locks.release(workspace, tile_id, "", tab="tab-b")
    assert tile_locks.holder(workspace, tile_id, "").tab == "tab-a"
    tile_locks.release(workspace, tile_id, "", tab="tab-a")
    tile_locks.release(workspace, tile_id, "", tab="tab-a")
    assert tile_locks.holder(workspace, tile_id, "") is None


def test_a_stroke_takes_a_free_tile_and_renews_its_own(one):
    workspace, tile_id = one
    tile_locks.check(workspace, tile_id, "", "Ada", "tab-a")
    assert tile_locks.holder(workspace, tile_id, "").tab == "tab-a"
    with workspace.database.write() as session:
        session.get_one(TileLock, (tile_id, "")).expires = now() + timedelta(seconds=5)
    tile_locks.check(workspace, tile_id, "", "Ada", "tab-a")
    assert tile_locks.holder(workspace, tile_id, "").expires > now() + timedelta(seconds=20)


def test_a_script_passes_while_nobody_holds_the_tile_and_takes_no_lock(one):
    workspace, tile_id = one
    tile_locks.check(workspace, tile_id, "", "local", None)
    assert tile_locks.holder(workspace, tile_id, "") is None
    take(workspace, tile_id, "Ada", "tab-a")
    with pytest.raises(RefusedError, match="Ada"):
        tile_locks.check(workspace, tile_id, "", "local", None)


def test_a_page_passes_for_the_person_who_holds_the_tile_and_for_nobody_else(one):
    workspace, tile_id = one
    take(workspace, tile_id, "Ada", "tab-a")
    tile_locks.check_person(workspace, tile_id, "", "Ada")
    with pytest.raises(RefusedError, match="Ada is labelling"):
        tile_locks.check_person(workspace, tile_id, "", "Ben")


def test_labels_and_each_second_opinion_have_locks_of_their_own(one):
    workspace, tile_id = one
    assert take(workspace, tile_id, "Ada", "tab-a").mine
    assert take(workspace, tile_id, "Ben", "tab-b", opinion="Ben").mine
    assert take(workspace, tile_id, "Cy", "tab-c", opinion="Cy").mine


def test_the_holders_of_a_collection_are_the_live_ones(tmp_path):
    workspace, tiles = new_workspace(tmp_path, tiles=3)
    for tile, name in zip(tiles, ("Ada", "Ben", "Cy"), strict=True):
        take(workspace, tile.id, name, f"tab-{name}", opinion="Cy" if name == "Cy" else "")
    expire(workspace, tiles[1].id)
    held = tile_locks.holders(workspace, tiles[0].collection_id)
    assert {tile_id: holder.annotator for tile_id, holder in held.items()} == {tiles[0].id: "Ada"}


def test_of_many_threads_that_take_at_once_exactly_one_wins(one):
    workspace, tile_id = one
    start = threading.Barrier(8)
    won = []

    def contend(tab):
        start.wait()
        if take(workspace, tile_id, "Ada", tab).mine:
            won.append(tab)

    threads = [threading.Thread(target=contend, args=(f"tab-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [tile_locks.holder(workspace, tile_id, "").tab]


CONTENDER = """
import sys
from pathlib import Path
from core.labels import tile_locks
from core.workspace import open_workspace
tile_locks.LOCK_SECONDS = 3600  # on a busy machine the first is long done when the last begins
workspace = open_workspace(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for tile_id in range(1, 21):
    if tile_locks.take(workspace, tile_id, "", annotator=sys.argv[2], tab=f"tab-{sys.argv[2]}").mine:
        print(tile_id, flush=True)
"""


def test_of_several_processes_that_take_twenty_tiles_at_once_each_tile_goes_to_exactly_one(tmp_path):
    _, tiles = new_workspace(tmp_path, tiles=20)
    command = [sys.executable, "-c", CONTENDER, str(tmp_path)]
    running = [
        subprocess.Popen([*command, name], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("Ada", "Ben", "Cy")
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    won = [int(line) for process in running for line in process.communicate(timeout=300)[0].split()]
    assert sorted(won) == [tile.id for tile in tiles]
