"""A server that can be killed and started again in a second: the label routes under uvicorn, without the pages.

python -m tests.benchmarks.labelling.label_server WORKSPACE PORT
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from core.labels.routes import label_routes
from core.workspace import WORKSPACE_VARIABLE, open_workspace

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 120  # two cores, and other work beside us


@dataclass
class LabelServer:
    """A server process on one workspace and one port, which it keeps from start to start.

    ``dies`` is a moment and the number of a write (see ``dying_server.py``); ``failure`` a file that makes the disk of
    the whole app fail while it is there (see ``failing_disk_app.py``).
    """

    workspace: Path
    port: int
    whole_app: bool = False
    dies: tuple[str, int] | None = None
    failure: Path | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> float:
        """Start it and wait until it answers; returns the seconds that took."""
        started = time.perf_counter()
        self.process = subprocess.Popen(
            self._command(),
            cwd=ROOT,
            env={**os.environ, WORKSPACE_VARIABLE: str(self.workspace)},
            stdout=self._log.open("ab"),
            stderr=subprocess.STDOUT,
        )
        while time.perf_counter() - started < START_SECONDS and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=1):
                    return time.perf_counter() - started
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"the server did not start:\n{self._log.read_text()[-3000:]}")

    def kill(self) -> None:
        """Kill -9: no handler runs, nothing is flushed."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    @property
    def _log(self) -> Path:
        return self.workspace.parent / "server.log"

    def _command(self) -> list[str]:
        package = "tests.benchmarks.labelling"
        if self.failure is not None:
            return [sys.executable, "-m", f"{package}.failing_disk_app", str(self.failure), str(self.port)]
        if self.whole_app:
            options = ["--server.port", str(self.port), "--server.headless", "true"]
            return [sys.executable, "-m", "streamlit", "run", "app.py", *options]
        module = "label_server" if self.dies is None else "dying_server"
        moment = () if self.dies is None else (self.dies[0], str(self.dies[1]))
        return [sys.executable, "-m", f"{package}.{module}", str(self.workspace), str(self.port), *moment]


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Serve until killed."""
    workspace = open_workspace(Path(sys.argv[1]))
    app = Starlette(routes=[Route("/health", _health), *label_routes(workspace)])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")


def _health(_request: Request) -> Response:
    return PlainTextResponse("ok")


if __name__ == "__main__":
    main()
