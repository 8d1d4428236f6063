"""What Ray starts on a node: ``python -m core.cluster.on_node``, in a folder with our code and ``job.json``.

It runs the command line that ``job.json`` names and writes one log, since Ray has but one, in lines that
``core.cluster.node_log`` takes apart again: the command's own lines as they are, its result and its exit status as
events. Where the node does not share the submitter's disk, what the command wrote comes back the same way, as the
parts of a zip: the log is the one way back that every cluster has, through the one port that is open anyway.
"""

import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

from core.cluster.command_lines import OUT, RETURNS, inputs
from core.cluster.package import CARRIED, JOB_FILE
from core.code_version import CODE_VERSION_VARIABLE
from core.errors import InputError

MOST_RETURNED_BYTES = 512 << 20
PART_BYTES = 384 << 10
BAD_INPUT, CANCELLED = 2, 130


@dataclass
class NodeProcess:
    """One command line on a node: its child process, and whether it was asked to stop."""

    job: dict[str, Any]
    folder: Path
    child: subprocess.Popen[str] | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    host: str = field(default_factory=socket.gethostname)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last_line: str = ""
    _called: tuple[str, str] = ("", "")

    def run(self) -> int:
        """Run it and say all there is to say; returns the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        shared = self._is_shared()
        self.say("node", host=self.host, shared=shared)
        with tempfile.TemporaryDirectory(prefix="tilewright-") as scratch:
            try:
                status = self._work(shared=shared, scratch=Path(scratch))
            except InputError as error:
                self.say("error", message=str(error))
                status = BAD_INPUT
        self.say("ended", exit_status=status)
        return status

    def say(self, event: str, **values: Any) -> None:
        """Write an event to the log."""
        self._write(json.dumps({"event": event, **values}))

    def _work(self, *, shared: bool, scratch: Path) -> int:
        arguments = list(self.job["arguments"])
        command = arguments[0]
        self._place_inputs(arguments)
        if not shared:
            if command not in RETURNS:
                raise InputError(
                    f"'{command}' needs a disk that the cluster's nodes share with this machine, and {self.host} does "
                    f"not see {Path(self.job['probe']).parent}; mount it there under the same path."
                )
            self._write_to(scratch, arguments)
        status = self._run_command(arguments)
        if not shared and RETURNS[command] != "nothing" and status in (0, CANCELLED, BAD_INPUT):
            self._send_back(command, scratch)
        return status

    def _is_shared(self) -> bool:
        """Whether this node sees the file that the submitter has written beside the output."""
        try:
            return bool(Path(self.job["probe"]).read_text() == self.job["submission"])
        except OSError:
            return False

    def _place_inputs(self, arguments: list[str]) -> None:
        """Put what came along in the place of what is not here; changes ``arguments``."""
        for option, index in inputs(arguments):
            path = Path(arguments[index])
            if path.exists():
                continue
            name = self.job["carried"].get(str(path))
            if name is None:
                raise InputError(
                    f"{path}, which {option} names, is not there on the cluster's node {self.host}; put it on a disk "
                    "that the nodes share with this machine, under the same path."
                )
            arguments[index] = str(self.folder / CARRIED / name)

    def _write_to(self, scratch: Path, arguments: list[str]) -> None:
        """Let the command write where there is room here, and speak of it as of the place that it will come to."""
        for index, one in enumerate(arguments[:-1]):
            if one == OUT:
                out = Path(arguments[index + 1])
                arguments[index + 1] = str(scratch / out.name)
                self._called = (str(scratch), str(out.parent))

    def _told(self, line: str) -> str:
        """A line of the command with the places as the submitter knows them."""
        here, there = self._called
        if not here:
            return line
        return line.replace(here, json.dumps(there)[1:-1] if line.startswith("{") else there)

    def _run_command(self, arguments: list[str]) -> int:
        if self.stopping.is_set():
            self.say("cancelled", message="Cancelled before it began.")
            return CANCELLED
        self.child = subprocess.Popen(
            [sys.executable, "-m", "core", *arguments, "--progress", "json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=self.folder,
            env=self._environment(),
        )
        if self.stopping.is_set():
            self.child.terminate()
        output: list[str] = []
        assert self.child.stdout is not None  # noqa: S101
        assert self.child.stderr is not None  # noqa: S101
        reader = threading.Thread(target=self._read_output, args=(self.child.stdout, output))
        reader.start()
        for line in self.child.stderr:
            self._write(self._told(line.rstrip("\n")))
            self._last_line = line.strip() or self._last_line
        reader.join()
        status = self.child.wait()
        if status == 0 and output:
            self.say("result", result=json.loads(output[-1]))
        if status == 1 and self._last_line.startswith("ModuleNotFoundError"):
            raise InputError(
                f"{sys.executable} on the cluster's node {self.host} lacks what Tilewright needs "
                f"({self._last_line.partition(': ')[2]}); install requirements.txt there, or name another Python in "
                "the cluster's settings."
            )
        return status

    def _environment(self) -> dict[str, str]:
        workspace = Path(self.job["workspace"])
        environment = {**os.environ, CODE_VERSION_VARIABLE: str(self.job["code_version"])}
        if (workspace / "workspace.db").is_file():
            environment |= {
                "TILEWRIGHT_WORKSPACE": str(workspace),
                "TILEWRIGHT_CACHE": str(workspace / "features"),
            }
        return environment

    def _read_output(self, stream: IO[str], output: list[str]) -> None:
        """Keep the last line, which is the result; hand on those before it."""
        for line in stream:
            if output:
                self.say("output", line=output[-1])
            output[:] = [self._told(line.rstrip("\n"))]

    def _send_back(self, command: str, scratch: Path) -> None:
        """Write what the command has made to the log, as the parts of a zip; nothing where it has made nothing."""
        made = sorted(scratch.iterdir())
        if not made:
            return
        packed = scratch / ".returned.zip"
        if RETURNS[command] == "run":
            from core.training.run_archive import export_run  # noqa: PLC0415  # torch takes seconds

            try:
                export_run(made[0], packed)
            except InputError:
                return  # it was cancelled before there was anything to keep
        else:
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in made:
                    archive.write(path, path.name)
        size = packed.stat().st_size
        if size > MOST_RETURNED_BYTES:
            raise InputError(
                f"What was made takes {size >> 20} MiB, and {MOST_RETURNED_BYTES >> 20} MiB can come back without a "
                "shared disk; give --out a place on one."
            )
        with packed.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            self.say("returned", kind=RETURNS[command], bytes=size, sha256=digest)
            stream.seek(0)
            while part := stream.read(PART_BYTES):
                self.say("part", data=base64.b64encode(part).decode())

    def _write(self, line: str) -> None:
        with self._lock:
            print(line, flush=True)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping.set()
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()


def main() -> int:
    """Run the job of the folder that this was started in."""
    folder = Path.cwd()
    return NodeProcess(json.loads((folder / JOB_FILE).read_text()), folder).run()


if __name__ == "__main__":
    sys.exit(main())
