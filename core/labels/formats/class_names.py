"""What classes are called elsewhere: names, values and colours of a foreign file, and the class of ours each means."""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from core.classes import CLASS_NAMES, CLASSES, UNLABELLED, ClassRaster
from core.errors import InputError

Meanings = Mapping[str, int]
"""What a file calls a class -> class index, or ``UNLABELLED``."""

UNLABELLED_NAMES = frozenset({"unlabelled", "unlabeled", "unknown", "ignore", "void", "nodata", "background"})
_LISTED = 8


def class_of_name(name: str) -> int | None:
    """The class that a name means, or None: our own names, and DeepGlobe's ``urban_land`` and the like."""
    plain = re.sub(r"[\s_-]+", " ", name.casefold()).strip().removesuffix(" land")
    if plain in UNLABELLED_NAMES:
        return UNLABELLED
    return CLASS_NAMES.index(plain) if plain in CLASS_NAMES else None


def class_of_colour(colour: str) -> int | None:
    """The class of a colour written ``#rrggbb``, if it is exactly one of DeepGlobe's seven."""
    if colour == "#000000":
        return UNLABELLED
    return next((c.index for c in CLASSES if c.hex_colour == colour), None)


def known_meanings(keys: Iterable[str]) -> dict[str, int]:
    """The meanings that need no asking: of the names that we know."""
    found = {key: class_of_name(key) for key in keys}
    return {key: index for key, index in found.items() if index is not None}


def check_meanings(keys: Iterable[str], meanings: Meanings) -> None:
    """Raise ``InputError`` where a class of the file has no meaning."""
    strange = [key for key in keys if key not in meanings]
    if strange:
        named = ", ".join(f"'{key[:40]}'" for key in strange[:_LISTED]) + (" and more" if strange[_LISTED:] else "")
        raise InputError(
            f"The file names classes that are not known here: {named}; "
            f"say which of {', '.join(CLASS_NAMES)} (or unlabelled) each one means, or rename them."
        )


def parse_meanings(texts: Iterable[str]) -> dict[str, int]:
    """Read ``KEY=CLASS`` as typed on the command line. Raises ``InputError`` for one that is none."""
    meanings = {}
    for text in texts:
        key, equals, name = text.rpartition("=")
        index = class_of_name(name)
        if not equals or not key or index is None:
            raise InputError(
                f"'{text}' is no VALUE=CLASS; the classes are {', '.join(CLASS_NAMES)} and unlabelled, "
                "as in 1=urban or building=urban."
            )
        meanings[key] = index
    return meanings


def lookup_table(keys: Iterable[str], meanings: Meanings) -> ClassRaster:
    """A table of 256 entries from a key's number to its class; the numbers of no key are unlabelled."""
    table = np.full(256, UNLABELLED, np.uint8)
    for number, key in enumerate(keys):
        table[number] = meanings[key]
    return table
