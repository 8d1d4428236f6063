"""What the server's process is told once, when it begins: to answer at once, and to give memory back.

Without the first, each answer waits 40 ms. Streamlit binds its socket without naming the protocol, and asyncio sets
TCP_NODELAY only on sockets that name TCP. So Nagle's algorithm holds back the body of every answer on a kept connection
until the browser acknowledges the headers, which Linux delays: measured 44 ms for ``/health``, 1 ms with the option.
Connections inherit it from the socket that listens.

Without the second, the bound of ``core/catalog/pyramid.py`` is none. glibc takes ever larger blocks from its heaps,
once some were freed, and heaps of many threads keep what is free between what is not: sixteen clients on the map's
route cost the server 950 MB, and 620 MB where every picture is a mapping of its own, which goes back when dropped.
"""

import ctypes
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

_DESCRIPTORS = Path("/dev/fd")
_M_MMAP_THRESHOLD = -3  # mallopt(3)
_LARGE_BYTES = 2**20


@asynccontextmanager
async def serving(_app: Any) -> AsyncIterator[None]:
    """The lifespan of the app: when it begins, the socket listens already."""
    set_no_delay()
    map_large_blocks()
    yield


def set_no_delay() -> int:
    """Set TCP_NODELAY on the TCP sockets that listen in this process; gives back on how many.

    Where the system does not list a process's open files (Windows), none are found.
    """
    found = 0
    for path in [*_DESCRIPTORS.iterdir()] if _DESCRIPTORS.is_dir() else []:
        try:
            # A copy of any other file would stay open, and whoever waits for the end of a pipe would wait for ever.
            if not stat.S_ISSOCK(os.fstat(int(path.name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(path.name))) as one:
                listens = one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM
                if listens and one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    found += 1
        except OSError:
            continue  # no socket, or closed since it was listed
    return found


def map_large_blocks() -> bool:
    """Have blocks of 1 MB and more mapped, and unmapped when they are freed; whether the C library was told so.

    Only glibc needs it and has ``mallopt``.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES))
    except (AttributeError, OSError, TypeError):
        return False
