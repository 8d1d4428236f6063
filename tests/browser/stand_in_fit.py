"""A stand-in for ``python -m core``: the real worker, and a fit that only pretends, at a pace that one can watch.

``fit --out DIR --epochs N --step SECONDS`` says what a network's fit says (steps, curve, a message), keeps a
checkpoint after every epoch, stops at a SIGTERM and goes on from the checkpoint with ``--resume``.
"""

import argparse
import json
import math
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.classes import CLASS_NAMES
from core.jobs.worker import run_worker
from core.workspace import open_workspace

PREFIX = [sys.executable, str(Path(__file__).resolve())]
IDLE_SECONDS = float(os.environ.get("STAND_IN_IDLE", "60"))


def say(event: str, **values: object) -> None:
    print(json.dumps({"event": event, **values, "seconds": round(time.monotonic() - BEGUN, 2)}), file=sys.stderr)
    sys.stderr.flush()


def point(epoch: int, epochs: int, *, tilt: float) -> dict[str, object]:
    """What a network says after an epoch: a smooth curve with a little unrest."""
    progress = epoch / epochs
    unrest = 0.02 * math.sin(epoch * 2.3 + tilt * 10)
    miou = 0.55 * (1 - math.exp(-4 * progress)) * (1 - 0.3 * tilt) + unrest
    return {
        "epoch": epoch,
        "loss": round(1.7 * math.exp(-2.2 * progress) + 0.25 + 0.2 * tilt + unrest, 4),
        "validation_miou": round(miou, 4),
        "learning_rate": 1e-3 * math.sin(math.pi * min(1, progress + 0.05)) + 1e-5,
        "images_per_second": round(11 + 3 * math.sin(epoch / 4), 2),
        "memory_bytes": int(1.4 * 2**30 + epoch * 2**22),
        "iou": {name: min(0.95, max(0.0, miou + 0.12 * math.cos(i * 2 + tilt))) for i, name in enumerate(CLASS_NAMES)},
    }


def fit(options: argparse.Namespace) -> None:
    stopped: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    checkpoint = options.out / "checkpoint.json"
    done = json.loads(checkpoint.read_text())["epoch"] if options.resume and checkpoint.exists() else 0
    options.out.mkdir(parents=True, exist_ok=True)
    if not done:
        for tile in range(3):
            say("progress", done=tile, total=3, message=f"Reading tile {tile + 1}")
            time.sleep(options.step)
    if options.epochs > 50:
        say("message", message="Memory ran out: the batch was halved to 4, and steps are gathered to make up for it.")
    while done < options.epochs:
        time.sleep(options.step)
        done += 1
        say("metrics", **point(done, options.epochs, tilt=options.tilt))
        say("progress", done=done, total=options.epochs, message=f"Training, epoch {done}")
        checkpoint.write_text(json.dumps({"epoch": done}))
        if stopped:
            say("cancelled", message="Cancelled; what was finished is kept.")
            sys.exit(130)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["work", "fit"])
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--step", type=float, default=0.2)
    parser.add_argument("--tilt", type=float, default=0.0)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--progress")
    options = parser.parse_args()
    if options.command == "work":
        run_worker(open_workspace(options.workspace), options.device, command=PREFIX, idle=IDLE_SECONDS)
    else:
        fit(options)
        print(json.dumps({"run": str(options.out)}))


BEGUN = time.monotonic()

if __name__ == "__main__":
    main()
