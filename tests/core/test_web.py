"""The routes beside the pages."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.inference.prediction_routes import prediction_url
from core.inference.switches import Switches
from core.web import web_routes
from core.workspace import open_workspace


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    return TestClient(Starlette(routes=web_routes(open_workspace(tmp_path / "workspace"))))


def test_health_answers(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}


def test_a_prediction_of_an_unknown_tile_or_run_is_a_sentence_and_not_a_path(client: TestClient) -> None:
    for address in (
        prediction_url("nobody", Switches(), 1),
        "/predictions/..%2f..%2fetc/plain/1.png",
        "/predictions/head-1/plain/99999.png",
    ):
        answer = client.get(address)
        assert answer.status_code == 404
        assert "/etc" not in answer.text


def test_switches_that_nobody_knows_are_refused(client: TestClient) -> None:
    assert client.get("/predictions/head-1/..%2fmost/1.png").status_code == 404


@pytest.mark.parametrize("address", ["/assets/components/../../core/web.py", "/vendor/%2e%2e/%2e%2e/README.md"])
def test_nothing_outside_the_assets_is_served(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert "Tilewright" not in answer.text
