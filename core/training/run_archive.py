"""A run as one zip: written to be carried elsewhere, and taken in again with every member checked.

An archive holds one folder, the run's name, with the run's files, its offsets where they were fitted for it as it is,
and its model card. Nothing in it is code or pickle: weights are safetensors, the rest is text.
"""

import io
import re
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from core.atomic import atomic_file
from core.errors import InputError
from core.inference.run_offsets import OFFSETS, read_offsets
from core.inference.thresholds import FittedOffsets
from core.training.model_card import model_card
from core.training.runs import CARD, METRICS, RECIPE, WEIGHTS, Run, is_ensemble, read_head, read_recipe, read_run
from core.zip_reading import check_plain, check_space, reading_zip, unpack_member

MODEL_CARD = "model-card.md"
NEEDED = (RECIPE, WEIGHTS, CARD)
LIMITS = {RECIPE: 1 << 20, WEIGHTS: 8 << 30, METRICS: 64 << 20, CARD: 16 << 20, MODEL_CARD: 4 << 20, OFFSETS: 1 << 20}
"""The files of an archive and the most bytes that each may unpack to."""

_RUN_NAME = re.compile(r"[\w-]{1,60}")
_MOMENT = (1980, 1, 1, 0, 0, 0)  # zip's earliest: the archive of a run is the same whenever it is packed
_CHUNK = 1 << 20


def export_run(folder: Path, out: Path) -> Path:
    """Write the run in ``folder`` to the zip ``out``, wholly or not at all; an older file there is replaced.

    Raises ``InputError`` when the folder holds no whole run or ``out`` cannot be written.
    """
    run = _whole_run(folder)
    with atomic_file(out) as stream:
        _pack(run, stream)
    return out


def archive_bytes(folder: Path) -> bytes:
    """The same zip in memory, for a browser to download. Raises ``InputError`` as ``export_run``."""
    run = _whole_run(folder)
    stream = io.BytesIO()
    _pack(run, stream)
    return stream.getvalue()


def import_run(source: IO[bytes] | Path, runs: Path, *, name: str | None = None) -> Run:
    """Take the run of an archive into the folder of runs ``runs``, under its own name or under ``name``.

    It is unpacked beside, read wholly once, and only then moved into its place. Raises ``InputError``, with nothing
    left behind, when the archive is damaged, holds anything but one run's files, is too large, or the run in it cannot
    be read; and when there is a run of that name already, which is never overwritten.
    """
    with reading_zip(source, what="The run could not be taken in", mend="export the run again") as archive:
        members, own_name = _check(archive)
        wanted = name or own_name
        _check_name(wanted, runs)
        runs.mkdir(parents=True, exist_ok=True)
        check_space(runs, sum(member.file_size for member in members.values()))
        return _take(archive, members, runs / wanted)


def _whole_run(folder: Path) -> Run:
    run = read_run(folder)
    if is_ensemble(folder):
        raise InputError(f"The run {folder} is an ensemble, which only names other runs; export its members instead.")
    for name in NEEDED:
        if not (folder / name).is_file():
            raise InputError(f"The run {folder} has no {name}; train it anew before you export it.")
    return run


def _pack(run: Run, stream: IO[bytes]) -> None:
    with zipfile.ZipFile(stream, "w") as archive:
        for name in (RECIPE, WEIGHTS, METRICS, CARD, OFFSETS):
            path = run.folder / name
            if path.is_file() and (name != OFFSETS or _offsets(run.folder) is not None):
                with path.open("rb") as content, archive.open(_member(run.name, name), "w", force_zip64=True) as packed:
                    shutil.copyfileobj(content, packed, _CHUNK)
        archive.writestr(_member(run.name, MODEL_CARD), model_card(run))


def _offsets(folder: Path) -> FittedOffsets | None:
    """What was fitted for the run as it is now. Raises ``InputError`` where that cannot be read."""
    try:
        return read_offsets(folder)
    except InputError as error:
        raise InputError(f"The run's {OFFSETS} cannot be read; fit its offsets anew, or take the file away.") from error


def _member(run_name: str, name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(f"{run_name}/{name}", _MOMENT)
    # Weights are noise to a packer: storing them takes a tenth of the time and no more room.
    member.compress_type = zipfile.ZIP_STORED if name == WEIGHTS else zipfile.ZIP_DEFLATED
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    return member


def _check(archive: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], str]:
    """The members by file name, and the name of the run's folder."""
    found: dict[str, zipfile.ZipInfo] = {}
    folders = set()
    for member in archive.infolist():
        if member.is_dir():
            continue
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if len(path.parts) != 2 or ".." in path.parts or path.is_absolute() or path.name not in LIMITS:
            raise InputError(
                f"The archive holds {member.filename[:200]!r}, which no run has; give a zip that export-run wrote."
            )
        _check_member(member, path.name)
        if path.name in found:
            raise InputError(f"The archive holds {path.name} twice; export the run again.")
        found[path.name] = member
        folders.add(path.parts[0])
    missing = [name for name in NEEDED if name not in found]
    if missing or len(folders) != 1:
        lacks = f"lacks {' and '.join(missing)}" if missing else "holds several runs"
        raise InputError(f"The archive {lacks}; give a zip of one run that export-run wrote.")
    return found, folders.pop()


def _check_member(member: zipfile.ZipInfo, name: str) -> None:
    check_plain(member)
    if member.file_size > LIMITS[name]:
        raise InputError(
            f"The archive's {name} unpacks to {member.file_size / 2**20:,.0f} MiB, more than "
            f"{LIMITS[name] >> 20:,} MiB, as no run's does; it was refused."
        )


def _check_name(name: str, runs: Path) -> None:
    if not _RUN_NAME.fullmatch(name):
        raise InputError(
            f"A run cannot be called {name[:80]!r}; give it a name of letters, digits, hyphens and underscores."
        )
    if (runs / name).exists():
        raise InputError(f"There is a run '{name}' already; give the imported one another name.")


def _take(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], into: Path) -> Run:
    # Beside the folder of runs, not in it: a run that is still being unpacked must not be listed.
    with tempfile.TemporaryDirectory(dir=into.parent.parent, prefix=".import-run-") as scratch:
        folder = Path(scratch) / into.name
        folder.mkdir()
        for name, member in members.items():
            unpack_member(archive, member, folder / name)
        read_run(folder)
        read_recipe(folder)
        read_head(folder)
        if OFFSETS in members and _offsets(folder) is None:
            raise InputError("The archive's offsets were fitted for other weights than its own; export the run again.")
        try:
            folder.rename(into)
        except OSError as error:
            if not into.exists():
                raise
            # Another one came in between.
            raise InputError(f"There is a run '{into.name}' already; give the imported one another name.") from error
    return read_run(into)
