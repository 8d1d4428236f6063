"""Calls for the tests of ``core.cluster.fan_out``: workers import them by name."""

import os
import signal
import time
from pathlib import Path

from core.errors import CancelledError, InputError


def square(request, device, progress):
    """The square of a number; or the end that the request asks for."""
    progress.update(0, 2, "squaring")
    match request.get("end"):
        case "refuse":
            raise InputError("Three cannot be squared here; take another number.")
        case "die once":
            if not Path(request["marker"]).exists():
                Path(request["marker"]).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
    return {"square": request["number"] ** 2, "device": device, "process": os.getpid()}


def wait(request, device, progress):
    """Goes on until it is told to stop, and leaves a note that it was; the first one ends at once."""
    if request["number"] == 0:
        return {}
    try:
        while True:
            progress.update(0, 1, "waiting")
            time.sleep(0.05)
    except CancelledError:
        Path(request["folder"], str(request["number"])).touch()
        raise
