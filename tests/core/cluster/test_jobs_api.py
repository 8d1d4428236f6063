import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.cluster.jobs_api import JobsApi, NotReadyError, Resources, UnreachableError
from core.errors import InputError

seen: list[tuple[str, str | None]] = []


class Answer(BaseHTTPRequestHandler):
    """A server that is no Ray dashboard, and answers by the path."""

    def do_GET(self):
        seen.append((self.path, self.headers["Authorization"]))
        status = int(self.path.split("/")[1]) if self.path[1:4].isdigit() else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(b"Traceback (most recent call last):\n  File\nRuntimeError: the reason\n.\n")

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_address_where_nobody_listens_is_told_in_one_sentence():
    with pytest.raises(UnreachableError) as error:
        JobsApi("http://127.0.0.1:9", None).overview()
    assert "http://127.0.0.1:9 cannot be reached (Connection refused)" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_cluster_that_takes_the_connection_and_says_nothing_is_given_up_after_a_while():
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(UnreachableError, match="timed out"):
        JobsApi(f"http://127.0.0.1:{mute.getsockname()[1]}", None, timeout=0.2).info("a")


def test_a_server_of_another_kind_is_told(address):
    with pytest.raises(InputError, match="is no Ray dashboard"):
        JobsApi(address, None).overview()


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, InputError, "wants a token"),
        (403, InputError, "does not take this token"),
        (400, InputError, "refused the request \\(400: RuntimeError: the reason\\)"),
        (404, InputError, "knows no job 'a'"),
        (500, NotReadyError, "could not answer \\(500: RuntimeError: the reason\\)"),
    ],
)
def test_what_a_cluster_refuses_is_one_sentence_without_the_token(address, status, kind, said):
    with pytest.raises(kind, match=said) as error:
        JobsApi(f"{address}/{status}", "the-token").stop("a")
    assert "the-token" not in str(error.value)
    assert isinstance(error.value, UnreachableError) is (kind is NotReadyError)


def test_the_token_goes_in_the_header_and_follows_no_redirect(address):
    seen.clear()
    with pytest.raises(InputError, match="302"):
        JobsApi(f"{address}/302", "the-token").log("a")
    assert seen == [("/302/api/jobs/a/logs", "Bearer the-token")]


def test_a_job_that_the_cluster_does_not_know_is_none(address):
    assert JobsApi(f"{address}/404", None).info("a") is None


def test_what_is_asked_for_is_said_in_words():
    assert Resources().words == "1 CPU"
    assert Resources(2, 8, (("pin", 1.0),)).words == "2 GPUs and 8 CPUs and 1 pin"
