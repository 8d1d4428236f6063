"""A server on this machine that answers as the Hugging Face hub does when a file is fetched."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c0ffee" + "0" * 34
_PIECE = 1 << 16


@dataclass
class StandInHub:
    """What is offered, by 'owner/name/file', and what was asked for.

    ``silent`` takes a connection and never answers. ``stops_after`` sends so many bytes of a weights file and then
    waits until the server goes (``breaks_off``: hangs up instead).
    """

    files: Mapping[str, bytes]
    silent: bool = False
    stops_after: int | None = None
    breaks_off: bool = False
    asked: list[str] = field(default_factory=list)
    address: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    def fetched(self, name: str) -> int:
        """How often a file was sent."""
        return self.asked.count(f"GET {name}")


@contextmanager
def running(hub: StandInHub) -> Iterator[StandInHub]:
    """Serve until the block ends; ``hub.address`` is what HF_ENDPOINT wants."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            if hub.silent:
                hub.closing.wait(30)
                return
            repository, _, rest = self.path.partition("/resolve/")
            revision, _, file = rest.partition("/")
            name = f"{repository.strip('/')}/{file}"
            hub.asked.append(f"{self.command} {name}")
            body = hub.files.get(name)
            if body is None:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT if revision == "main" else revision)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self._send(body, most=hub.stops_after if file.endswith(".safetensors") else None)

        def _send(self, body: bytes, *, most: int | None) -> None:
            with suppress(ConnectionError):
                for start in range(0, len(body) if most is None else most, _PIECE):
                    self.wfile.write(body[start : start + _PIECE])
                self.wfile.flush()
            if most is not None:
                if not hub.breaks_off:
                    hub.closing.wait(30)
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        server.server_close()
