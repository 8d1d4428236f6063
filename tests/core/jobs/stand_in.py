"""A stand-in for ``python -m core``: commands that take no time to start and behave as a test needs.

``work`` is the real worker, with this file as the jobs' command and short waits.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

PREFIX = [sys.executable, str(Path(__file__).resolve())]
GRACE_VARIABLE = "STAND_IN_GRACE"


def say(event, **values):
    print(json.dumps({"event": event, **values, "seconds": 0.1}), file=sys.stderr, flush=True)


def work(workspace, device, slots=None):
    from core.jobs.worker import run_worker
    from core.workspace import open_workspace

    grace = float(os.environ.get(GRACE_VARIABLE, "10"))
    run_worker(open_workspace(Path(workspace)), device, command=PREFIX, grace=grace, idle=0.3, most_at_once=slots)


def note(path, text):
    with Path(path).open("a") as stream:
        stream.write(f"{text}\n")


def hold(path, name):
    """Notes when it begins and ends, in between it takes a while."""
    note(path, f"{name} begins")
    time.sleep(0.15)
    note(path, f"{name} ends")


def wait_for(path):
    """Runs until a file appears; a SIGTERM stops it between steps, with exit status 130."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    say("progress", done=1, total=4, message="waiting")
    while not Path(path).exists():
        if stopped:
            note(f"{path}.kept", "what was finished")
            say("cancelled", message="Cancelled; what was finished is kept.")
            sys.exit(130)
        time.sleep(0.02)


def count_to(path, steps):
    """Counts from the checkpoint in ``path`` if it is to resume, keeps one after each step, ends after ``steps``."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    checkpoint = Path(path) / "checkpoint"
    done = int(checkpoint.read_text()) if "--resume" in sys.argv and checkpoint.exists() else 0
    while done < int(steps):
        done += 1
        checkpoint.write_text(str(done))
        say("metrics", epoch=done, loss=1 / done)
        if stopped:
            say("cancelled", message="Cancelled; what was finished is kept.")
            sys.exit(130)
        time.sleep(0.02)


def stubborn():
    """Ignores SIGTERM, and has a child that does so too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    say("progress", done=child.pid, total=0, message="ignoring")
    time.sleep(60)


def main(command, *options):
    if command == "work":
        work(options[1], options[3])
        return
    if command == "hold":
        hold(*options[:2])
    elif command == "wait":
        wait_for(options[0])
    elif command == "count":
        count_to(*options[:2])
    elif command == "stubborn":
        stubborn()
    elif command == "bad":
        say("error", message="The folder /nowhere holds no image; choose another.")
        sys.exit(2)
    elif command == "crash":
        raise RuntimeError(options[0] if options[0] != "--progress" else "the crash that was asked for")
    elif command == "environment":
        print("a line before the result")
        names = ("TILEWRIGHT_WORKSPACE", "TILEWRIGHT_CACHE")
        print(json.dumps({n: os.environ[n] for n in names} | {"cwd": str(Path.cwd()), "options": options}))
        return
    print(json.dumps({"command": command}))


if __name__ == "__main__":
    main(*sys.argv[1:])
