import os
import select
import socket
import subprocess
import sys

import pytest

from core.serving import set_no_delay


def test_connections_to_a_socket_that_listens_send_at_once() -> None:
    with socket.socket() as listening:  # as Streamlit makes it: no protocol named
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert set_no_delay() >= 1
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_other_sockets_are_left_as_they_are() -> None:
    with socket.socket() as idle, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        set_no_delay()
        assert not idle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert datagrams.fileno() >= 0


def test_no_file_stays_open_that_was_only_looked_at() -> None:
    reading, writing = os.pipe()
    set_no_delay()
    os.close(writing)
    assert select.select([reading], [], [], 5)[0], "a copy of the pipe's other end is still open"
    os.close(reading)


_FREED_BETWEEN = """
import numpy as np
from pathlib import Path
from core.serving import map_large_blocks
print(map_large_blocks())
def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) // 1024
np.ones(20 * 2**20, np.uint8)  # freed: from here on glibc would take such blocks from its heap
before = held()
blocks = [np.ones(8 * 2**20, np.uint8) for _ in range(20)]
blocks[:-1] = [None] * 19  # the last one would keep the others' place
print(held() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_block_that_is_freed_goes_back_to_the_system() -> None:
    said = subprocess.run([sys.executable, "-c", _FREED_BETWEEN], capture_output=True, text=True, check=True).stdout
    told, more = said.split()
    if told == "False":
        pytest.skip("this C library has no mallopt")
    assert int(more) < 20  # megabytes: the one block that is kept, of 8
