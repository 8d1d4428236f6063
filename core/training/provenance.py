"""Where a run comes from, in figures that tell two runs apart: hashes, the code's version, the machine.

Two runs with the same recipe hash, data and label fingerprints, seed and code version were made from the same things.
"""

import hashlib
import json
import os
import platform
import resource
import sys
from collections.abc import Mapping
from typing import Any

import torch

from core.code_version import code_version
from core.system import system_line
from core.training.recipe import Recipe

_DIGITS = 16


def provenance(recipe: Recipe, *, images: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a ``RunCard`` that say what a run was made from, by what, and where.

    ``images`` and ``labels`` are the fingerprints by tile name of what it trained on and was judged with. Call it at
    the end of the fit: the peak memory is that of this process so far.
    """
    return {
        "recipe_hash": recipe_hash(recipe),
        "data_fingerprint": digest(images),
        "label_fingerprint": digest(labels),
        "code_version": code_version(),
        "environment": environment(),
        "peak_memory_bytes": peak_memory_bytes(),
        "peak_device_memory_bytes": peak_device_memory_bytes(),
    }


def recipe_hash(recipe: Recipe) -> str:
    """16 hexadecimal digits over every setting but the name, which changes nothing about what is trained."""
    return digest(recipe.model_dump(mode="json", exclude={"name"}))


def digest(values: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of SHA-256 over JSON with sorted keys: the order of the items does not matter."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def environment() -> dict[str, str]:
    """The machine and what of it a fit may use, in words."""
    machine = system_line()
    described = {
        "system": platform.platform(),
        "processor": machine.processor,
        "cores": f"{machine.cores:g}",
        "torch threads": str(torch.get_num_threads()),
        "memory": f"{machine.memory_total / 2**30:.1f} GiB",
    }
    if torch.cuda.is_available():
        described["gpu"] = torch.cuda.get_device_name()
        described["cuda"] = str(torch.version.cuda)
    if "OMP_NUM_THREADS" in os.environ:
        described["OMP_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"]
    return described


def peak_memory_bytes() -> int:
    """The most memory that this process has held at once, so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


def peak_device_memory_bytes() -> int | None:
    """The most memory that torch has held on the GPU, None where it used none."""
    if not torch.cuda.is_available() or not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    return int(torch.cuda.max_memory_allocated())
