"""What a job takes to the cluster: our own code, the job itself and small inputs, in one zip.

Nothing else of this machine goes along: no tiles, no workspace, no environment.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import InputError

PROJECT = Path(__file__).resolve().parents[2]
JOB_FILE = "job.json"
CARRIED = "carried"
"""The folder of small inputs in the package."""

MOST_CODE_BYTES = 16 << 20
MOST_CARRIED_BYTES = 32 << 20

_CODE = (("core", "*.py"), ("models", "*.py"), ("assets/splits", "*.txt"))
_MOMENT = (1980, 1, 1, 0, 0, 0)


def pack(job: Mapping[str, Any], carried: Mapping[str, Path]) -> tuple[str, bytes]:
    """The package's name, after its content, and its zip.

    ``carried`` maps a name within the package to the file or the folder (of files) that goes there. Raises
    ``InputError`` when the code has grown beyond any reason.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        total = 0
        for path in _code():
            content = path.read_bytes()
            total += len(content)
            _add(archive, str(path.relative_to(PROJECT)), content)
        if total > MOST_CODE_BYTES:
            raise InputError(
                f"The code of {PROJECT} takes {total >> 20} MiB, more than {MOST_CODE_BYTES >> 20}; remove what is not "
                "Tilewright's from core and models."
            )
        for name, source in carried.items():
            for path in sorted(source.iterdir()) if source.is_dir() else [source]:
                if path.is_file():
                    inner = f"{name}/{path.name}" if source.is_dir() else name
                    _add(archive, f"{CARRIED}/{inner}", path.read_bytes())
        _add(archive, JOB_FILE, json.dumps(job).encode())
    content = stream.getvalue()
    return f"_ray_pkg_{hashlib.sha256(content).hexdigest()[:32]}.zip", content


def is_small(source: Path) -> bool:
    """Whether an input is small enough to go along."""
    try:
        paths = source.iterdir() if source.is_dir() else [source]
        return sum(path.stat().st_size for path in paths if path.is_file()) <= MOST_CARRIED_BYTES
    except OSError:
        return False


def _code() -> list[Path]:
    found = [path for folder, pattern in _CODE for path in sorted((PROJECT / folder).rglob(pattern))]
    return [*found, PROJECT / "pyproject.toml"]


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    member = zipfile.ZipInfo(name, _MOMENT)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    archive.writestr(member, content)
