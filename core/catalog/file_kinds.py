"""What an image file is, by its first bytes and never by its ending, and whether it is all there."""

import stat
from enum import StrEnum
from pathlib import Path

from core.errors import InputError


class Kind(StrEnum):
    """The file formats that are read."""

    JPEG = "JPEG"
    PNG = "PNG"
    TIFF = "TIFF"


_SIGNATURES = (
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"II*\x00", Kind.TIFF),
    (b"MM\x00*", Kind.TIFF),
    (b"II+\x00", Kind.TIFF),
    (b"MM\x00+", Kind.TIFF),
)
_END_MARKS = {Kind.JPEG: b"\xff\xd9", Kind.PNG: b"IEND\xaeB`\x82"}
_TAIL_BYTES = 4096  # some writers pad a file behind its end mark


def kind_of(path: Path) -> Kind:
    """What a file is by its first bytes. Raises ``InputError`` when it is none of these, or cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for ever
            raise InputError(f"{path} is no plain file; replace it or take it away.")
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError as error:
        raise unreadable(path, error) from error
    if not start:
        raise InputError(f"{path} is empty (0 bytes); copy the file again.")
    for signature, kind in _SIGNATURES:
        if start.startswith(signature):
            return kind
    raise InputError(f"{path} is no JPEG, PNG or TIFF image, whatever its name says; replace it or take it away.")


def unreadable(path: Path, error: OSError) -> InputError:
    """The refusal of a file that the system does not hand out."""
    return InputError(f"{path} cannot be read ({error.strerror or error}); check that it exists and may be read.")


def check_end_mark(path: Path, kind: Kind) -> None:
    """Raise ``InputError`` for a JPEG or PNG that was cut short: decoders hand it back as if it were whole."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _TAIL_BYTES))
        tail = stream.read()
    if _END_MARKS[kind] not in tail:
        raise InputError(f"{path} is cut short: the {kind} ends before its picture does; copy the file again.")
