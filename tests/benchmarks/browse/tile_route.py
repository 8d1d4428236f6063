"""The map's route: milliseconds a map tile at each zoom, cold and warm, and sixteen clients at once for half a minute.

A real server process on loopback. Its memory is read from the system: the most it held of its own (RssAnon), which the
files that it maps, and can be taken back at any time, are no part of.
"""

import http.client
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit
from urllib.request import urlopen

from sqlalchemy import select

from core.catalog import pyramid
from core.catalog.catalogue import collection, index_folder, tiles
from core.catalog.maps.mosaic import ZOOM_OFFSET, Mosaic, lay_out
from core.catalog.routes import map_version
from core.progress import SilentProgress
from core.tables import Tile
from core.workspace import Workspace, open_workspace
from tests.benchmarks.amount import Amount
from tests.benchmarks.browse.many_tiles import LABELLED, ROWS, add_rows, write_tiles
from tests.browser.app_server import Server, start_server, stop_server

CLIENTS = 16
SECONDS = 30
AT_EACH_ZOOM = 7  # map tiles
VIEW = (4, 3)  # map tiles that a window shows
MASKS = 0.25  # the share of views with masks over them
MIB = 2**20


@dataclass
class Load:
    """What the clients saw: milliseconds of each answer, and addresses that failed, with how."""

    milliseconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def chapter(amount: Amount) -> str:
    """The chapter, in Markdown."""
    files, rows, seconds = (20, 200, 3) if amount.quick else (LABELLED, ROWS, SECONDS)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        copies = write_tiles(scratch / "tiles", files, scratch / "sample")
        workspace = open_workspace(scratch / "workspace")
        index_folder(workspace, scratch / "tiles", SilentProgress())
        parts = [_zooms(workspace, f"{files:,} tiles")]
        load = _load(workspace, seconds)
        _as_many(workspace, rows)
        parts.append(_zooms(workspace, f"{rows:,} tiles"))
    return (
        f"## The map's route\n\n{files:,} files of 2448 x 2448, copies of {copies}, each with bytes and thumbnails of "
        f"its own; {rows:,} tiles are hard links of these under names, ids and fingerprints of their own, so "
        f"that no cache serves two. One server process, {os.cpu_count()} cores that the clients share.\n\n{load}\n\n"
        f"Milliseconds a map tile, one client, medians of {AT_EACH_ZOOM} map tiles: cold, the first time that the "
        "server draws anything of it since it started, and warm, the second time. 'By' is what it is drawn from.\n\n"
        + "\n\n".join(parts)
    )


def _as_many(workspace: Workspace, rows: int) -> None:
    """More rows for the files that there are, each with a fingerprint and thumbnails of its own."""
    add_rows(workspace, 1, rows)
    with workspace.database.write() as session:
        seen: set[str] = set()
        for number, row in enumerate(session.scalars(select(Tile).order_by(Tile.id))):
            if row.fingerprint in seen:
                own = f"{number:016x}"
                for kept in (workspace.thumbnails / row.fingerprint[:2]).glob(f"{row.fingerprint}-*.jpg"):
                    link = workspace.thumbnails / own[:2] / kept.name.replace(row.fingerprint, own)
                    link.parent.mkdir(exist_ok=True)
                    os.link(kept, link)
                row.fingerprint = own
            seen.add(row.fingerprint)


def _zooms(workspace: Workspace, title: str) -> str:
    """A table of cold and warm milliseconds at each zoom, nearest last."""
    shutil.rmtree(workspace.thumbnails / "sheets", ignore_errors=True)
    mosaic = lay_out(tiles(workspace, 1))
    server = start_server(workspace.root)
    try:
        sheet = _prepared(server)
        ask, address = _asker(server), _addresses(workspace)
        lines = []
        for zoom in range(mosaic.min_zoom, 1):
            places = _some_map_tiles(mosaic, zoom)
            cold, warm = ([ask(address(zoom, *place)) for place in places] for _ in range(2))
            lines.append(
                f"| {zoom} | {2448 * 2.0**zoom:.0f} | {_drawn_from(zoom)} | {statistics.median(cold):.0f} "
                f"({max(cold):.0f}) | {statistics.median(warm):.0f} ({max(warm):.0f}) |"
            )
    finally:
        stop_server(server)
    head = "| zoom | pixels a tile | by | cold (worst) | warm (worst) |\n|---|---|---|---|---|\n"
    return f"{title}; the contact sheet was filled in {sheet:.1f} s, once:\n\n{head}" + "\n".join(lines)


def _load(workspace: Workspace, seconds: float) -> str:
    server = start_server(workspace.root)
    try:
        _prepared(server)
        mosaic, address = lay_out(tiles(workspace, 1)), _addresses(workspace)
        idle = _memory(server.process.pid)
        stop = Event()
        peak = [idle]
        watcher = Thread(target=_watch, args=(server.process.pid, peak, stop))
        watcher.start()
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(CLIENTS) as pool:
            loads = list(pool.map(lambda seed: _client(server, mosaic, address, until, seed), range(CLIENTS)))
        stop.set()
        watcher.join()
    finally:
        stop_server(server)
    times = sorted(one for load in loads for one in load.milliseconds)
    errors = [error for load in loads for error in load.errors]
    middle, high = (times[int(share * (len(times) - 1))] for share in (0.5, 0.95))
    bound = pyramid.BOUND_BYTES / MIB
    return (
        f"{CLIENTS} clients at once for {seconds:.0f} s over the {len(mosaic.places):,} tiles, each going from the "
        "whole collection to a tile's pixels and on to the next, without a pause and without a cache, a quarter of "
        f"them with masks: {len(times):,} answers, {len(times) / seconds:.0f} a second, p50 {middle:.0f} ms, p95 "
        f"{high:.0f} ms, {len(errors)} errors{': ' + errors[0] if errors else ''}. The server held {idle:.0f} MB "
        f"before and {peak[0]:.0f} MB at the most, {peak[0] - idle:.0f} MB more; the stated bound is {bound:.0f} MB of "
        "pyramids beside what runs just now."
    )


def _client(server: Server, mosaic: Mosaic, address: Callable[..., str], until: float, seed: int) -> Load:
    """One person's way over the map, as fast as the server answers."""
    load, chance = Load(), random.Random(seed)
    ask = _asker(server, load)
    while time.monotonic() < until:
        for zoom, places, masks in _way(mosaic, chance):
            for place in places:
                if time.monotonic() < until:
                    ask(address(zoom, *place))
                    if masks:
                        ask(address(zoom, *place, what="mask/", suffix="png"))
    return load


def _way(mosaic: Mosaic, chance: random.Random) -> Iterator[tuple[int, list[tuple[int, int]], bool]]:
    """Zoom, map tiles and whether masks are shown: from all to the pixels of one tile, with a step aside at the end."""
    goal, masks = chance.choice(mosaic.places), chance.random() < MASKS
    for zoom in range(mosaic.min_zoom + 1, 1):
        yield zoom, _view(mosaic, zoom, goal.left + 1200, goal.top + 1200), masks
    yield 0, _view(mosaic, 0, goal.left + 2000, goal.top + 1200), masks


def _view(mosaic: Mosaic, zoom: int, x: float, y: float) -> list[tuple[int, int]]:
    """The map tiles of a window around a point."""
    side = pyramid.MAP_TILE * 2.0**-zoom
    columns, rows = int((mosaic.width - 1) // side), int((mosaic.height - 1) // side)
    left = min(max(0, int(x // side) - VIEW[0] // 2), max(0, columns - VIEW[0] + 1))
    top = min(max(0, int(y // side) - VIEW[1] // 2), max(0, rows - VIEW[1] + 1))
    return [
        (across, down)
        for down in range(top, min(rows, top + VIEW[1] - 1) + 1)
        for across in range(left, min(columns, left + VIEW[0] - 1) + 1)
    ]


def _some_map_tiles(mosaic: Mosaic, zoom: int) -> list[tuple[int, int]]:
    """Map tiles far from each other, of other tiles at every zoom."""
    chance = random.Random(zoom)
    side = pyramid.MAP_TILE * 2.0**-zoom
    centres = chance.sample(mosaic.places, min(len(mosaic.places), AT_EACH_ZOOM))
    return list({(int((place.left + 1000) // side), int((place.top + 1000) // side)): None for place in centres})


def _drawn_from(zoom: int) -> str:
    size = 2448 * 2.0**zoom
    kept = next((kept for kept in (32, 128, 256, 512) if kept >= size), None)
    if kept is None:
        return {-2: "a quarter of the files", -1: "half of the files"}.get(zoom, "the files")
    return "the contact sheet" if kept == 32 else f"thumbnails of {kept}"


def _addresses(workspace: Workspace) -> Callable[..., str]:
    """Makes the addresses that a page asks for, with the version that it was told."""
    version = map_version(collection(workspace, 1))

    def address(zoom: int, x: int, y: int, what: str = "", suffix: str = "jpg") -> str:
        return f"/map/1/{what}{zoom + ZOOM_OFFSET}/{x}/{y}.{suffix}?layout=name&v={version}"

    return address


def _prepared(server: Server) -> float:
    """Seconds until the contact sheets of images and masks are filled, one question after the other."""
    began = time.perf_counter()
    for what in ("", "mask/"):
        left = 1
        while left:
            with urlopen(f"{server.url}/map/1/{what}prepare.json") as answer:
                left = json.load(answer)["left"]
    return time.perf_counter() - began


def _asker(server: Server, load: Load | None = None) -> Callable[[str], float]:
    """Asks over a connection of its own; gives milliseconds to the last byte."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)

    def ask(path: str) -> float:
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        milliseconds = 1000 * (time.perf_counter() - began)
        if load is not None:
            load.milliseconds.append(milliseconds)
            if answer.status != 200:
                load.errors.append(f"{path} answered {answer.status}")
        elif answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}")
        return milliseconds

    return ask


def _watch(pid: int, peak: list[float], stop: Event) -> None:
    while not stop.wait(0.1):
        peak[0] = max(peak[0], _memory(pid))


def _memory(pid: int) -> float:
    """MB (2^20 bytes) of a process's own memory just now, without files that it maps (proc(5), RssAnon)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024
