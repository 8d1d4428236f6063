"""A real server on a workspace of its own, and a real Chromium that may speak to it alone."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests.browser.app_server import CHROMIUM_ARGUMENTS, LOCAL_HOSTS, Server, start_server, stop_server
from tests.browser.install import find_browser
from tests.browser.painting import Canvas, Studio, studio_in


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


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One server for all files that paint: it takes longer to start than most of their tests."""
    yield from studio_in(tmp_path_factory.mktemp("studio"))


@pytest.fixture
def canvas(page: Page, studio: Studio) -> Canvas:
    """The Label page, open on a tile of ``studio`` of its own."""
    opened = Canvas(page, studio, next(studio.fresh))
    opened.open()
    return opened
