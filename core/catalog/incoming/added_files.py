"""Uploaded files become part of an import: zips unpacked, pictures as they are, and nothing that is there replaced.

An upload is first laid into a folder of its own (``new_upload``). ``add_files`` checks all of it before it moves a
file, and each file then appears whole; so an upload that broke off is gone on with by uploading the rest, or
everything again, into the same import.
"""

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.catalog.discover import IMAGE_FOLDERS, IMAGE_SUFFIXES, MASK_FOLDERS, Finding
from core.catalog.images import fingerprint
from core.catalog.incoming.archive import unpack_zip
from core.catalog.splits import split_of_folder
from core.errors import InputError
from core.progress import PartProgress, Progress
from core.workspace import Workspace

UPLOAD_SUFFIXES = (".zip", *IMAGE_SUFFIXES)
KEPT_SECONDS = 24 * 3600.0
"""How long an upload lies that no job has taken, and what a job that was killed left half done."""

_UPLOADS = ".upload-"
_UNPACKED = "unpacked"


@dataclass(frozen=True, slots=True)
class Added:
    """What an upload brought: the import's folder, new files, files that were there already, and what was wrong."""

    folder: Path
    added: int
    already: int
    skipped: int
    """Members of zips that are neither image nor text."""
    findings: tuple[Finding, ...]


def new_upload(workspace: Workspace, token: str) -> Path:
    """An empty folder for an upload, named by ``token`` (letters and digits); what others forgot there is removed.

    Raises ``InputError`` when it cannot be made.
    """
    folder = workspace.imports / f"{_UPLOADS}{re.sub(r'[^A-Za-z0-9]', '', token)}"
    try:
        folder.mkdir(parents=True)
        for old in workspace.imports.glob(".*"):
            if time.time() - old.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
    except OSError as error:
        raise InputError(f"The upload cannot be kept in {folder} ({error.strerror}); free some disk space.") from error
    return folder


def upload_path(folder: Path, name: str) -> Path:
    """Where an uploaded file of this name goes: its last part alone, never a hidden or an existing file."""
    plain = re.sub(r"[\x00-\x1f/\\]", "_", name.replace("\\", "/").rsplit("/", 1)[-1]).lstrip(".") or "file"
    path, number = folder / plain, 2
    while path.exists():
        path = folder / f"{Path(plain).stem} ({number}){Path(plain).suffix}"
        number += 1
    return path


def imports(workspace: Workspace) -> list[str]:
    """The names of the imports that are there, to which more can be added."""
    if not workspace.imports.is_dir():
        return []
    return sorted(path.name for path in workspace.imports.iterdir() if path.is_dir() and not path.name.startswith("."))


def add_files(upload: Path, into: Path, progress: Progress) -> Added:
    """Move what was uploaded to the folder ``upload`` into the import ``into``, which may be there already.

    A file that is there with the same bytes is left out; one with other bytes becomes a finding and is left out.
    Raises ``InputError``, with nothing added, when a zip is refused (``unpack_zip``) or there is no picture. The upload
    is removed when it was taken or refused; a cancel (``CancelledError``) leaves it for another try.
    """
    if not upload.is_dir():
        raise InputError("The upload is not there any more; upload the files again.")
    try:
        skipped = _unpack_all(upload, progress)
        added = _move_all(upload, into, progress)
    except InputError:
        shutil.rmtree(upload, ignore_errors=True)
        raise
    shutil.rmtree(upload, ignore_errors=True)
    return Added(into, added.added, added.already, skipped, added.findings)


def _unpack_all(upload: Path, progress: Progress) -> int:
    """Unpack the zips of an upload beside them; how many of their members were of no use."""
    zips = sorted(path for path in upload.iterdir() if path.suffix.lower() == ".zip")
    skipped = 0
    for number, path in enumerate(zips):
        target = upload / _UNPACKED / str(number) / _folder_of(path)
        shutil.rmtree(upload / _UNPACKED / str(number), ignore_errors=True)  # of a try that was cancelled
        try:
            skipped += unpack_zip(path, target, PartProgress(progress, number, len(zips), path.name)).skipped
        except InputError as error:
            raise InputError(f"{path.name}: {error}") from error
    return skipped


def _folder_of(path: Path) -> str:
    """The folder that a zip's members go to: its own name where that says something (masks.zip, valid.zip)."""
    stem = path.stem
    speaks = stem.lower() in (*IMAGE_FOLDERS, *MASK_FOLDERS) or split_of_folder(stem) is not None
    return stem if speaks else "."


def _move_all(upload: Path, into: Path, progress: Progress) -> Added:
    files = list(_uploaded(upload))
    if not any(target.suffix.lower() in IMAGE_SUFFIXES for _, target in files):
        raise InputError("The upload holds no image; it should hold <id>_sat.jpg files, or other JPEG, PNG or TIFF.")
    added = already = 0
    findings: list[Finding] = []
    try:
        for number, (source, inside) in enumerate(files):
            progress.update(number, len(files), f"Adding file {number + 1} of {len(files)}")
            target = into / inside
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                source.rename(target)
                added += 1
            elif fingerprint(source) == fingerprint(target):
                already += 1
            else:
                findings.append(_other(target))
    except OSError as error:
        raise InputError(
            f"The upload could not be moved to {into} ({error.strerror}); what was moved is kept, upload the rest."
        ) from error
    return Added(into, added, already, 0, tuple(findings))


def _uploaded(upload: Path) -> Iterator[tuple[Path, Path]]:
    """Each uploaded or unpacked file, and its place in the import."""
    for path in sorted(upload.iterdir()):
        if path.is_file() and path.suffix.lower() != ".zip":
            yield path, Path(path.name)
    for folder in sorted((upload / _UNPACKED).glob("*"), key=lambda one: int(one.name)):
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            inside = path.relative_to(folder)
            doubled = len(inside.parts) > 2 and inside.parts[0] == inside.parts[1]  # masks.zip that holds masks/
            yield path, Path(*inside.parts[1:]) if doubled else inside


def _other(target: Path) -> Finding:
    sentence = (
        f"{target} is there with other content and was not replaced; rename the uploaded file, or remove that one."
    )
    return Finding(None, target, "error", sentence)
