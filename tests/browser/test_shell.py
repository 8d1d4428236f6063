"""The shell, in a workspace without anything in it."""

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.app_server import Server, start_server, stop_server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def warm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    workspace = tmp_path_factory.mktemp("shell") / "workspace"
    workspace.mkdir()
    running = start_server(workspace)
    yield running
    stop_server(running)


@pytest.mark.parametrize("address", ["label", "compare"])
def test_a_cold_deep_link_shows_the_page_in_the_shell(page: Page, server: Server, address: str) -> None:
    page.goto(f"{server.url}/{address}")
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("Workspace", exact=True)).to_be_visible(timeout=60_000)
    expect(sidebar.get_by_text("cores")).to_be_visible()
    expect(sidebar.get_by_role("link", name="Evaluate")).to_be_visible()


def test_an_empty_workspace_leads_from_every_page_to_a_way_on(page: Page, warm_server: Server) -> None:
    for address in ("browse", "label", "train", "evaluate", "compare"):
        page.goto(f"{warm_server.url}/{address}")
        main = page.get_by_test_id("stMain")
        expect(main.get_by_role("link", name="Go to")).to_be_visible(timeout=60_000)


@pytest.mark.parametrize("path", ["/health", "/", "/tiles/1/info.json"])
def test_a_request_under_a_foreign_host_name_is_refused(warm_server: Server, path: str) -> None:
    request = urllib.request.Request(warm_server.url + path, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code in {400, 403, 421}
