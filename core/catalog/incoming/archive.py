"""Unpacking an uploaded zip: every member is checked before a byte is written, and it is all there or nothing is."""

import re
import shutil
import tempfile
import zipfile
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from core.catalog.discover import IMAGE_SUFFIXES
from core.errors import InputError
from core.progress import Progress
from core.workspace import Workspace
from core.zip_reading import check_plain, check_space, reading_zip, unpack_member

MAX_MEMBERS = 50_000
MAX_BYTES = 32 * 2**30
"""Unpacked size of all members; DeepGlobe's 803 pairs take 2.3 GB."""
MAX_RATIO = 200
"""Unpacked to packed size of the whole archive; images are packed already, so theirs is about 1."""
RATIO_FREE_BYTES = 64 * 2**20
"""Archives that unpack to less than this are harmless whatever their ratio: small masks pack very well."""

TEXT_SUFFIXES = (".txt", ".csv", ".json", ".md")
WORLD_SUFFIXES = (".jgw", ".pgw", ".tfw", ".wld")
"""World files, which tell the ground resolution of the image beside them."""

_ARCHIVE_SUFFIXES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Where an archive was unpacked, how many files were taken, how many were of no use and left."""

    folder: Path
    files: int
    skipped: int


def unpack_zip(
    source: IO[bytes] | Path,
    into: Path,
    progress: Progress,
    *,
    wanted: Sequence[str] = IMAGE_SUFFIXES,
    meant: str = "image; it should hold <id>_sat.jpg files, or other JPEG, PNG or TIFF",
) -> Unpacked:
    """Unpack the files of a zip that end in ``wanted``, and its text files, into the new folder ``into``.

    ``meant`` says in the refusal of a zip that has none of ``wanted`` what it should hold.

    Raises ``InputError``, with nothing left behind, when the file is no zip or damaged, a member points outside the
    folder, is a link or is encrypted, the whole is too many files, too large or packed suspiciously tight, ``into``
    exists, or the disk is full. A cancel (``CancelledError``) leaves nothing behind either.
    """
    if into.exists():
        raise InputError(f"{into} exists already; choose another name for the unpacked archive.")
    what = f"The archive could not be unpacked to {into}"
    with reading_zip(source, what=what, mend="pack or upload it again") as archive:
        members, skipped = _check(archive, wanted, meant)
        into.parent.mkdir(parents=True, exist_ok=True)
        check_space(into.parent, sum(member.file_size for member, _ in members))
        _extract(archive, members, into, progress)
    return Unpacked(into, len(members), skipped)


def import_folder(workspace: Workspace, archive_name: str, taken: Container[str] = ()) -> Path:
    """A folder of the workspace, not there yet, for an archive of this name: letters, digits, dash and underscore.

    ``taken`` are names of folders that are about to be made.
    """
    stem = re.sub(r"[^\w-]+", "-", Path(archive_name).stem).strip("-")[:60] or "upload"
    number, name = 1, stem
    while name in taken or (workspace.imports / name).exists():
        number += 1
        name = f"{stem}-{number}"
    return workspace.imports / name


def _check(
    archive: zipfile.ZipFile, suffixes: Sequence[str], meant: str
) -> tuple[list[tuple[zipfile.ZipInfo, PurePosixPath]], int]:
    """The members to take with the relative paths they get, and the number of those that are left."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MAX_MEMBERS:
        raise InputError(f"The archive holds {len(members):,} files, more than {MAX_MEMBERS:,}; split it.")
    wanted: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in members:
        path = _safe_path(member)
        if not _is_useful(path, suffixes):
            continue
        if path in wanted:
            raise InputError(f"The archive holds {path} twice; pack it again with one of them.")
        wanted[path] = member
    if not any(path.suffix.lower() in suffixes for path in wanted):
        inner = next((m.filename for m in members if m.filename.lower().endswith(_ARCHIVE_SUFFIXES)), None)
        if inner is not None:
            raise InputError(f"The archive holds other archives ({inner[:200]!r}); unpack it and give those instead.")
        raise InputError(f"The archive holds no {meant}.")
    total = sum(member.file_size for member in wanted.values())
    packed = sum(member.compress_size for member in wanted.values())
    if total > MAX_BYTES:
        raise InputError(f"The archive unpacks to {total / 2**30:.0f} GiB, more than {MAX_BYTES // 2**30}; split it.")
    if total > RATIO_FREE_BYTES and total > MAX_RATIO * packed:
        raise InputError(
            f"The archive unpacks to {total / max(1, packed):.0f} times its size, as no archive of images does; "
            "unpack it yourself and open the folder if you trust it."
        )
    return [(member, path) for path, member in wanted.items()], len(members) - len(wanted)


def _safe_path(member: zipfile.ZipInfo) -> PurePosixPath:
    name = member.filename.replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or not path.parts:
        raise InputError(f"The archive holds {name!r}, which would be written outside its folder; it was refused.")
    check_plain(member)
    return path


def _is_useful(path: PurePosixPath, suffixes: Sequence[str]) -> bool:
    hidden = any(part.startswith((".", "__")) for part in path.parts)
    return not hidden and path.suffix.lower() in (*suffixes, *TEXT_SUFFIXES, *WORLD_SUFFIXES)


def _extract(
    archive: zipfile.ZipFile, wanted: list[tuple[zipfile.ZipInfo, PurePosixPath]], into: Path, progress: Progress
) -> None:
    temporary = Path(tempfile.mkdtemp(dir=into.parent, prefix=f".{into.name}."))
    try:
        for number, (member, path) in enumerate(wanted):
            progress.update(number, len(wanted), f"Unpacking {path.name}")
            target = temporary / path
            target.parent.mkdir(parents=True, exist_ok=True)
            unpack_member(archive, member, target)
        progress.update(len(wanted), len(wanted), f"Unpacked {len(wanted)} files")
        temporary.chmod(0o755)
        temporary.rename(into)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
