"""Other people's masks as class rasters: a table of their indices and colours, and the class that each becomes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.catalog.images import check_mask_size, mask_pixels
from core.classes import CLASS_NAMES, UNLABELLED, DecodedMask
from core.errors import InputError

UNLABELLED_NAME = "unlabelled"
BECOMES = (*CLASS_NAMES, UNLABELLED_NAME)
"""What a row of a table may become, by name."""

MAX_ROWS = 256
_BY_NAME = {name: index for index, name in enumerate(CLASS_NAMES)} | {UNLABELLED_NAME: UNLABELLED}

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class TableRow:
    """One of their classes: its index in one-band masks, its colour in RGB masks (either may be None), our class."""

    name: str
    index: int | None
    colour: Colour | None
    becomes: str


@dataclass(frozen=True, slots=True)
class ColourTable:
    """Their classes and ours. Values that no row names become unlabelled, and are counted."""

    rows: tuple[TableRow, ...]

    def __post_init__(self) -> None:
        """Check it. Raises ``InputError`` for an empty table, an unknown class, or a value that comes twice."""
        if not 0 < len(self.rows) <= MAX_ROWS:
            raise InputError(f"The table of classes has {len(self.rows)} rows; it needs 1 to {MAX_ROWS}.")
        for row in self.rows:
            _check_row(row)
        for what, values in (("index", [row.index for row in self.rows]), ("colour", [r.colour for r in self.rows])):
            given = [value for value in values if value is not None]
            twice = next((value for value in given if given.count(value) > 1), None)
            if twice is not None:
                shown = hex_of(twice) if isinstance(twice, tuple) else twice
                raise InputError(f"The table of classes has the {what} {shown} twice; keep one of the rows.")

    def decode(self, path: Path, shape: tuple[int, int]) -> DecodedMask:
        """Read a mask file of ``shape`` (height, width) as a class raster.

        One band is looked up by index, three by colour, exactly. A palette image goes by its colours where the table
        knows all that occur, else by its indices. ``off_palette`` and ``undecidable`` count the pixels that no row
        names. Raises ``InputError`` when the file cannot be read, has another size, or nothing in it is known.
        """
        check_mask_size(path, shape)
        pixels, palette = mask_pixels(path)
        raster, known = self._look_up(pixels, palette)
        strange = int(known.size - np.count_nonzero(known))
        if strange == known.size:
            raise InputError(
                f"No pixel of the mask {path} is in the table of classes (it holds {_seen(pixels)}); mend the table."
            )
        return DecodedMask(raster, off_palette=strange, undecidable=strange)

    def to_json(self) -> list[dict[str, Any]]:
        """The rows as they are written to a file."""
        return [
            {"name": r.name, "index": r.index, "colour": list(r.colour) if r.colour else None, "becomes": r.becomes}
            for r in self.rows
        ]

    def _look_up(
        self, pixels: NDArray[np.uint8], palette: NDArray[np.uint8] | None
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The class raster, and which pixels are in the table, both ``(height, width)``."""
        if pixels.ndim == 3:
            return self._by_colour(pixels)
        if palette is not None:
            used = np.unique(pixels)
            colours, known = self._by_colour(palette[used][None])
            if known.all():
                table = np.full(256, UNLABELLED, np.uint8)
                table[used] = colours[0]
                return table[pixels], np.ones(pixels.shape, np.bool_)
        becomes, knows = np.full(256, UNLABELLED, np.uint8), np.zeros(256, np.bool_)
        for row in self.rows:
            if row.index is not None:
                becomes[row.index], knows[row.index] = _BY_NAME[row.becomes], True
        return becomes[pixels], knows[pixels]

    def _by_colour(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        codes = _codes(rgb)
        raster = np.full(codes.shape, UNLABELLED, np.uint8)
        known = np.zeros(codes.shape, np.bool_)
        for row in self.rows:
            if row.colour is not None:
                here = codes == _codes(np.array(row.colour, np.uint8))
                raster[here] = _BY_NAME[row.becomes]
                known |= here
        return raster, known


def colour_of(text: str) -> Colour:
    """The colour that is written as ``#rrggbb``, or as ``r, g, b``. Raises ``InputError`` for anything else."""
    written = text.strip()
    parts = written.replace(",", " ").split()
    if len(parts) == 3 and all(part.isdecimal() and int(part) <= 255 for part in parts):
        return int(parts[0]), int(parts[1]), int(parts[2])
    digits = written.removeprefix("#")
    if len(digits) == 6 and all(digit in "0123456789abcdefABCDEF" for digit in digits):
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    raise InputError(f"'{text}' is no colour; write it like #00ff24, or like 0, 255, 36.")


def hex_of(colour: Colour) -> str:
    """A colour as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def table_from_json(rows: Iterable[Mapping[str, Any]]) -> ColourTable:
    """The table that ``ColourTable.to_json`` wrote. Raises ``InputError`` when it is none."""
    try:
        return ColourTable(
            tuple(
                TableRow(
                    str(row["name"]),
                    None if row["index"] is None else int(row["index"]),
                    None if row["colour"] is None else colour_of(", ".join(map(str, row["colour"]))),
                    str(row["becomes"]),
                )
                for row in rows
            )
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"The table of classes cannot be read ({error!r}); write it by the Start page.") from error


def values_in(path: Path, most: int = 16) -> list[tuple[int | Colour, float]]:
    """The commonest indices or colours of a mask file with their shares of its pixels, the commonest first.

    A palette image tells its colours. Raises ``InputError`` when the file cannot be read.
    """
    pixels, palette = mask_pixels(path)
    if palette is not None:
        pixels = palette[pixels]
    codes = _codes(pixels) if pixels.ndim == 3 else pixels
    values, counts = np.unique(codes, return_counts=True)
    order = np.argsort(-counts)[:most]
    return [(_value(int(values[i]), colour=pixels.ndim == 3), float(counts[i] / codes.size)) for i in order]


def _value(code: int, *, colour: bool) -> int | Colour:
    return (code >> 16, code >> 8 & 255, code & 255) if colour else code


def _codes(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Colours, ``(..., 3)`` uint8, as one number each."""
    wide = rgb.astype(np.uint32)
    return np.asarray(wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2], np.uint32)


def _seen(pixels: NDArray[np.uint8]) -> str:
    if pixels.ndim == 2:
        return "the indices " + ", ".join(str(value) for value in np.unique(pixels)[:8].tolist())
    return "the colours " + ", ".join(
        hex_of((code >> 16, code >> 8 & 255, code & 255)) for code in np.unique(_codes(pixels))[:8].tolist()
    )


def _check_row(row: TableRow) -> None:
    if row.becomes not in _BY_NAME:
        raise InputError(
            f"The table of classes maps '{row.name}' to '{row.becomes}'; choose one of {', '.join(BECOMES)}."
        )
    if row.index is None and row.colour is None:
        raise InputError(f"The table of classes gives '{row.name}' neither an index nor a colour; give one of them.")
    if row.index is not None and not 0 <= row.index <= 255:
        raise InputError(f"The table of classes gives '{row.name}' the index {row.index}; indices are 0 to 255.")
