"""A small server that speaks Kaggle's two endpoints as kagglehub calls them, for tests: no network is asked.

kagglehub knows no address but Kaggle's and ``http://localhost`` (``KAGGLE_API_ENVIRONMENT=LOCALHOST``). So the server
is a proxy for that: with ``http_proxy`` set to it, the real client's requests come here, whole, with their headers.
"""

import base64
import hashlib
import json
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.catalog.incoming.kaggle import DATASET, OWNER

USER, KEY = "somebody", "secret-key-0123"
ARCHIVE = "/archive.zip"


def archive_of(folder: Path, padding: int = 0) -> bytes:
    """A zip of a folder, with an incompressible text of ``padding`` bytes to make it last."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                target.write(path, path.relative_to(folder).as_posix())
        if padding:
            target.writestr("padding.csv", hashlib.shake_256(b"x").digest(padding))
    return stream.getvalue()


class KaggleServer:
    """Serves ``archive``; ``per_second`` bytes a second, ``break_after`` bytes the connection is cut, once."""

    def __init__(self, archive: bytes) -> None:
        self.archive = archive
        self.per_second: float | None = None
        self.break_after: int | None = None
        self.status = 200
        self.ranges: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path = urlsplit(self.path).path
                wanted = "Basic " + base64.b64encode(f"{USER}:{KEY}".encode()).decode()
                if server.status != 200 or self.headers.get("Authorization") != wanted:
                    self.answer(server.status if server.status != 200 else 401, {"code": 401, "message": "no"})
                elif path.endswith("/GetDataset"):
                    about = {"totalBytes": len(server.archive), "currentVersionNumber": 2}
                    self.answer(200, {"ownerName": OWNER, "ref": f"{OWNER}/{DATASET}", **about})
                else:
                    self.send_response(302)
                    self.send_header("Location", f"http://localhost{ARCHIVE}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def do_GET(self) -> None:
                asked = self.headers.get("Range")
                server.ranges.append(asked)
                start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
                body = server.archive[start:]
                self.send_response(206 if asked else 200)
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(len(body)))
                digest = base64.b64encode(hashlib.md5(server.archive).digest()).decode()  # noqa: S324
                self.send_header("X-Goog-Hash", f"md5={digest}")
                self.end_headers()
                self.send(body)

            def send(self, body: bytes) -> None:
                for begin in range(0, len(body), 1 << 16):
                    if server.break_after is not None and begin >= server.break_after:
                        server.break_after = None
                        self.connection.close()
                        return
                    try:
                        self.wfile.write(body[begin : begin + (1 << 16)])
                    except (BrokenPipeError, ConnectionResetError):
                        return
                    if server.per_second:
                        time.sleep((1 << 16) / server.per_second)

            def answer(self, status: int, content: dict[str, Any]) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """What sends kagglehub here instead of to Kaggle."""
        return {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "http_proxy": f"http://127.0.0.1:{self._server.server_port}",
            "no_proxy": "",
            "NO_PROXY": "",
        }

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
