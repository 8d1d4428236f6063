"""Reading a zip that came from outside: what may be wrong with one, told in one place."""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from core.errors import InputError

_CHUNK = 1 << 20
_ENCRYPTED = 0x1


@contextmanager
def reading_zip(source: IO[bytes] | Path, *, what: str, mend: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip, and tell in one sentence what goes wrong while its members are read and written elsewhere.

    ``what`` begins the sentence where the disk is at fault ('The run could not be taken in'); ``mend`` ends the one
    where the zip is. Raises ``InputError`` for what is no zip, a damaged one, a packing that is not known, and a file
    that cannot be read or written.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(f"The archive is damaged or no zip ({error}); {mend}.") from error
    except OSError as error:
        raise InputError(f"{what} ({error.strerror or error}); nothing was kept.") from error


def check_plain(member: zipfile.ZipInfo) -> None:
    """Raise ``InputError`` for a member that is a link, a special file or encrypted."""
    name = member.filename[:200]
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise InputError(f"The archive holds {name!r}, a link or special file; pack it again with plain files only.")
    if member.flag_bits & _ENCRYPTED:
        raise InputError(f"The archive's {name!r} is encrypted; pack it again without a password.")


def check_space(folder: Path, needed: int) -> None:
    """Raise ``InputError`` where the disk of ``folder`` has fewer bytes left than an archive unpacks to."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"The archive unpacks to {needed / 2**20:,.0f} MiB but {folder} has {free / 2**20:,.0f} MiB left; "
            "free some disk space and try again."
        )


def unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Write a member to the new file ``target``; no more than the size that it declares is ever unpacked."""
    with archive.open(member) as packed, target.open("xb") as plain:
        shutil.copyfileobj(packed, plain, _CHUNK)
