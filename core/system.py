"""The machine below: what a person should know before starting work on it, and the devices that work can use.

Nothing here imports torch: that takes seconds and memory, and the server itself needs none of it.
"""

import importlib.util
import math
import os
import platform
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psutil

CACHE_SECONDS = 3.0
GPU_QUERY_SECONDS = 5.0

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_CONTROL_GROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first NVIDIA GPU; memory in bytes, None where the driver does not tell (a MIG slice)."""

    name: str
    memory_free: int | None
    memory_total: int | None


@dataclass(frozen=True, slots=True)
class SystemLine:
    """What this process may use of its machine: whole or part cores, memory in bytes."""

    processor: str
    cores: float
    memory_free: int
    memory_total: int
    gpu: Gpu | None

    @property
    def device(self) -> str:
        """What work runs on by default: the GPU's name, else the processor's."""
        return self.gpu.name if self.gpu and torch_has_cuda() else self.processor

    @property
    def sentence(self) -> str:
        """The whole of it in one compact line, memory in GiB."""
        cores = f"{self.cores:.3g} core{'' if self.cores == 1 else 's'}"
        parts = [self.processor, cores, f"{_gib(self.memory_free)} of {_gib(self.memory_total)} GiB free"]
        if self.gpu is None:
            return " · ".join([*parts, "no GPU"])
        parts.append(self.gpu.name)
        if self.gpu.memory_free is not None and self.gpu.memory_total is not None:
            parts.append(f"{_gib(self.gpu.memory_free)} of {_gib(self.gpu.memory_total)} GiB free")
        if not torch_has_cuda():
            parts.append("not usable: the installed torch was built without CUDA")
        return " · ".join(parts)


@dataclass(frozen=True, slots=True)
class ContainerLimits:
    """What a container allows; infinite where it sets no limit."""

    cores: float = math.inf
    memory: float = math.inf
    memory_used: float = 0.0


def _gib(memory: int) -> str:
    return f"{memory / 2**30:.1f}"


def system_line() -> SystemLine:
    """Look at the machine; an answer holds for ``CACHE_SECONDS``."""
    return _system_line(int(time.monotonic() / CACHE_SECONDS))


def devices() -> list[str]:
    """The devices that a job may name: ``cpu``, and ``cuda`` where there is a GPU and a torch that can use it."""
    return ["cpu", "cuda"] if torch_has_cuda() and system_line().gpu else ["cpu"]


@lru_cache(maxsize=1)
def torch_has_cuda() -> bool:
    """Whether the installed torch was built for CUDA, read from its version file without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    version_file = Path(spec.origin).with_name("version.py")
    return (
        version_file.exists() and re.search(r"^cuda\b[^=]*= *['\"]", version_file.read_text(), re.MULTILINE) is not None
    )


@lru_cache(maxsize=1)
def _system_line(_moment: int) -> SystemLine:
    memory = psutil.virtual_memory()
    limits = container_limits(_CONTROL_GROUPS, _OWN_CONTROL_GROUPS)
    total = min(memory.total, limits.memory)
    return SystemLine(
        processor=_processor(),
        cores=min(_cores_by_affinity(), limits.cores),
        memory_free=max(0, int(min(memory.available, limits.memory - limits.memory_used))),
        memory_total=int(total),
        gpu=_gpu(),
    )


def container_limits(root: Path, own: Path) -> ContainerLimits:
    """The limits of this process's control group, version 2 or 1.

    ``root`` is where control groups are mounted, ``own`` lists the groups of this process. Inside a container the
    own group is often mounted as the root itself, so both places are looked at; the tighter limit counts.
    """
    limits = ContainerLimits()
    for controllers, group in _own_groups(own):
        for base in _group_folders(root, controllers, group):
            here = _limits_at(base)
            tighter = here if here.memory < limits.memory else limits
            limits = ContainerLimits(min(limits.cores, here.cores), tighter.memory, tighter.memory_used)
    return limits


def _own_groups(own: Path) -> list[tuple[str, str]]:
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    return [(parts[1], parts[2].lstrip("/")) for line in lines if len(parts := line.split(":", 2)) == 3]


def _group_folders(root: Path, controllers: str, group: str) -> list[Path]:
    if controllers and not {"memory", "cpu"} & set(controllers.split(",")):
        return []
    base = root / controllers if controllers else root
    return list(dict.fromkeys([base, base / group]))


def _limits_at(folder: Path) -> ContainerLimits:
    quota = (_text(folder / "cpu.max") or "").split()
    if not quota:
        quota = [_text(folder / f"cpu.cfs_{part}_us") or "" for part in ("quota", "period")]
    cores = math.inf
    if len(quota) == 2 and all(part.isdecimal() for part in quota):
        cores = int(quota[0]) / int(quota[1])
    memory = _text(folder / "memory.max") or _text(folder / "memory.limit_in_bytes") or ""
    used = _text(folder / "memory.current") or _text(folder / "memory.usage_in_bytes") or ""
    if not (memory.isdecimal() and used.isdecimal()):
        return ContainerLimits(cores)
    # File pages that were not touched lately count as used but are given up at need.
    cached = re.search(r"^(?:total_)?inactive_file (\d+)$", _text(folder / "memory.stat") or "", re.MULTILINE)
    return ContainerLimits(cores, int(memory), max(0, int(used) - (int(cached[1]) if cached else 0)))


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _cores_by_affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def _processor() -> str:
    told = re.search(r"^model name\s*: *(.+)$", _text(Path("/proc/cpuinfo")) or "", re.MULTILINE)
    return told[1] if told else platform.processor() or platform.machine()


def _gpu() -> Gpu | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=name,memory.free,memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=GPU_QUERY_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None  # a driver that does not answer is as good as no GPU
    return parse_gpu(told)


def parse_gpu(told: str) -> Gpu | None:
    """The first GPU in what ``nvidia-smi`` says, one ``name, free MiB, total MiB`` a line; None if there is none."""
    fields = [field.strip() for field in told.partition("\n")[0].rsplit(",", 2)]
    if len(fields) != 3:
        return None
    free, total = (int(field) * 2**20 if field.isdecimal() else None for field in fields[1:])
    return Gpu(fields[0], free, total)
