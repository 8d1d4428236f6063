"""The most memory that a measured process has held."""

from pathlib import Path


def peak_mb() -> float:
    """The most resident memory of this program so far, in MB (2^20 bytes); Linux only.

    Not ``getrusage``: its ``ru_maxrss`` outlives exec, so that a process which a large one has started begins with the
    large one's peak (getrusage(2)). VmHWM (proc(5)) is of the program's own memory.
    """
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
