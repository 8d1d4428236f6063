"""A real server on a workspace of its own, and a real Chromium that may speak to it alone."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests.browser.install import find_browser

ROOT = Path(__file__).resolve().parents[2]
LOCAL_HOSTS = {"127.0.0.1", "localhost"}
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Server:
    """A running app: its address, its workspace, and its process."""

    url: str
    workspace: Path
    process: subprocess.Popen[bytes]


def start_server(workspace: Path) -> Server:
    """Start ``streamlit run app.py`` on a free port and wait until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"],
        cwd=ROOT,
        env={**os.environ, "TILEWRIGHT_WORKSPACE": str(workspace)},
        stdout=(workspace.parent / "server.log").open("ab"),
        stderr=subprocess.STDOUT,
    )
    server = Server(f"http://127.0.0.1:{port}", workspace, process)
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{server.url}/health", timeout=1):
                return server
        except (urllib.error.URLError, OSError):
            if process.poll() is not None:
                break
            time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"the server did not start:\n{(workspace.parent / 'server.log').read_text()}")


def stop_server(server: Server) -> None:
    """Stop the server and wait for it."""
    server.process.terminate()
    try:
        server.process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium on this machine; `python -m tests.browser.install` finds or installs one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    running = start_server(workspace)
    yield running
    stop_server(running)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of 1400 x 900. The test fails when any request went elsewhere than to this machine."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    elsewhere: list[str] = []

    def watch(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname not in LOCAL_HOSTS:
            elsewhere.append(request.url)

    context.on("request", watch)
    opened = context.new_page()
    yield opened
    context.close()
    assert elsewhere == [], f"requests left this machine: {elsewhere}"
