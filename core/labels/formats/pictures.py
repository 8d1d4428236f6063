"""Label pictures (PNG, JPEG, TIFF) as codes: each distinct value or colour gets a number, and a guess at its meaning.

What a picture holds is told from its pixels, never from its name:

- colours that are DeepGlobe's, or many more all near them as a lossy copy has: a DeepGlobe mask, by the 128 threshold;
- values 0 to 5, with or without 255: our own class raster;
- other values or colours, up to 64 of them: a person must say what each one means;
- more than that: a photograph or a probability map, and refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.errors import RasterioError

from core.catalog.images import read_info
from core.classes import CLASS_COUNT, CLASS_NAMES, PALETTE, UNLABELLED, ClassRaster, decode_colours
from core.errors import InputError
from core.labels.formats.class_names import class_of_colour

Codes = NDArray[np.uint8]
"""``(height, width)`` uint8: the number of each pixel's key, ``NO_CODE`` where there is none."""

NO_CODE = 255
MAX_KEYS = 64
NEAR = 48
"""How far a channel may stray from 0 or 255 and still be taken for it: JPEG at quality 75 strays some 40."""
NEAR_SHARE = 0.8
STRAY_SHARE = 0.001
"""Up to this share of pixels off the palette, a mask was merely retouched somewhere."""
MAX_UNDECIDABLE = 0.05
_PNG_GREY = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """A label picture: ``keys[n]`` is what the file calls the class that is coded ``n``, ``meanings`` our guess."""

    codes: Codes
    keys: tuple[str, ...]
    meanings: Mapping[str, int]
    question: str | None
    deepglobe: bool
    crs: Any = None
    transform: Any = None
    notes: tuple[str, ...] = ()

    @property
    def pixels(self) -> dict[str, int]:
        """How many pixels each key has."""
        counts = np.bincount(self.codes.reshape(-1), minlength=256)
        return {key: int(counts[number]) for number, key in enumerate(self.keys)}


def read_picture(path: Path) -> Picture:
    """Read a label picture. Raises ``InputError`` where it is none, cut short, too large, or of too many colours."""
    try:
        read_info(path)  # the header, its bounds and the end mark, before a pixel is decoded
    except InputError as error:
        raise InputError(str(error).replace(str(path), path.name)) from error  # an upload's folder means nothing
    with path.open("rb") as stream:
        start = stream.read(4)
    if start[:2] in (b"II", b"MM"):
        return _read_tiff(path)
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            return _from_image(path, image)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path.name} is damaged and cannot be decoded ({error}); copy the file again.") from error


def _from_image(path: Path, image: Image.Image) -> Picture:
    if image.mode == "P":
        indices = np.asarray(image, np.uint8)
        entries = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(entries)] = entries
        return _from_palette(path, indices, palette)
    if image.mode in ("1", "L", "LA", "I;16", "I;16B", "I", "F"):
        values = np.asarray(image.getchannel(0) if image.mode == "LA" else image)
        return _from_values(path, values // _grey_step(path), None)
    return _from_colours(path, np.asarray(image.convert("RGB")), lossy=image.format == "JPEG")


def _grey_step(path: Path) -> int:
    """Decoders spread the values of a grey PNG of 2 or 4 bits over 0..255; this is the step between two of them."""
    with path.open("rb") as stream:
        header = stream.read(26)
    bits, colour_type = header[24], header[25]
    spread = header.startswith(b"\x89PNG") and colour_type == _PNG_GREY and bits in (2, 4)
    return 255 // (2**bits - 1) if spread else 1


def _read_tiff(path: Path) -> Picture:
    try:
        with rasterio.open(path, driver="GTiff") as source:
            place = {"crs": source.crs, "transform": source.transform} if source.crs else {}
            bands = source.read((1, 2, 3) if source.count >= 3 else (1,))
            nodata = source.nodata
            palette = None
            if source.count < 3 and source.colorinterp[0].name == "palette":
                table = source.colormap(1)
                palette = np.array([table.get(index, (0, 0, 0))[:3] for index in range(256)], np.uint8)
    except (RasterioError, MemoryError) as error:
        raise InputError(f"{path.name} is cut short or damaged and cannot be read as TIFF; copy it again.") from error
    if len(bands) == 3:
        if bands.dtype != np.uint8:
            raise InputError(f"{path.name} has {bands.dtype} colours; save it with 8 bits a band.")
        picture = _from_colours(path, np.ascontiguousarray(np.moveaxis(bands, 0, -1)))
    elif palette is not None and bands.dtype == np.uint8:
        picture = _from_palette(path, bands[0], palette)
    else:
        picture = _from_values(path, bands[0], nodata)
    return Picture(
        picture.codes,
        picture.keys,
        picture.meanings,
        picture.question,
        picture.deepglobe,
        notes=picture.notes,
        **place,
    )


def _from_palette(path: Path, indices: NDArray[np.uint8], palette: NDArray[np.uint8]) -> Picture:
    """Indices by their colours where those are ours; else the indices count, and a person says what they mean."""
    used = np.flatnonzero(np.bincount(indices.reshape(-1), minlength=256))
    known = {tuple(colour) for colour in PALETTE[: CLASS_COUNT + 1].tolist()}
    grey_ramp = (palette == np.arange(256, dtype=np.uint8)[:, None]).all()
    if not grey_ramp and all(tuple(colour) in known for colour in palette[used].tolist()):
        return _from_classes(decode_colours(palette[None]).raster[0][indices], ())
    picture = _from_values(path, indices, None)
    if grey_ramp or picture.question is not None:
        return picture
    colours = ", ".join("#{:02x}{:02x}{:02x}".format(*palette[index]) for index in used[:4])
    question = (
        f"{path.name} holds values from {used[0]} to {used[-1]} with colours of its own ({colours}), so it is not "
        "certain that the values are our classes; say what each one means."
    )
    return Picture(picture.codes, picture.keys, picture.meanings, question, deepglobe=False)


def _from_colours(path: Path, rgb: NDArray[np.uint8], *, lossy: bool = False) -> Picture:
    decoded = decode_colours(rgb)
    notes = (f"{decoded.off_palette:,} pixels were not exactly of DeepGlobe's colours; the nearest was taken.",)
    if decoded.off_palette <= STRAY_SHARE * decoded.raster.size:
        return _from_classes(decoded.raster, notes if decoded.off_palette else ())
    packed = (rgb[..., 0].astype(np.uint32) << 16) | (rgb[..., 1].astype(np.uint32) << 8) | rgb[..., 2]
    values = np.unique(packed)
    if lossy or len(values) > MAX_KEYS:  # no legend has so many: a lossy copy, or no labels at all
        near = ((rgb <= NEAR) | (rgb >= 255 - NEAR)).all(axis=-1).mean()
        if near >= NEAR_SHARE and decoded.undecidable <= MAX_UNDECIDABLE * decoded.raster.size:
            return _from_classes(decoded.raster, notes)
        raise _too_many(path, len(values), "colours")
    keys = tuple(f"#{value:06x}" for value in values.tolist())
    known = {key: index for key in keys if (index := class_of_colour(key)) is not None}
    question = (
        f"{path.name} uses colours that are none of DeepGlobe's seven "
        f"({', '.join([key for key in keys if key not in known][:4])}); say what each one means."
    )
    return Picture(np.searchsorted(values, packed).astype(np.uint8), keys, known, question, deepglobe=False)


def _from_classes(raster: ClassRaster, notes: tuple[str, ...]) -> Picture:
    """A picture whose classes are certain."""
    present = np.flatnonzero(np.bincount(raster.reshape(-1), minlength=256))
    keys = tuple("unlabelled" if index == UNLABELLED else CLASS_NAMES[index] for index in present.tolist())
    table = np.full(256, NO_CODE, np.uint8)
    table[present] = np.arange(len(present))
    meanings = dict(zip(keys, present.tolist(), strict=True))
    return Picture(table[raster], keys, meanings, None, deepglobe=True, notes=notes)


def _from_values(path: Path, values: NDArray[Any], nodata: float | None) -> Picture:
    found, codes = _distinct(path, values)
    if not np.isfinite(found).all() or (found != np.floor(found)).any():
        raise InputError(
            f"{path.name} holds fractions, not classes; save its most likely class of each pixel as whole numbers."
        )
    numbers = [int(value) for value in found]
    keys = tuple(map(str, numbers))
    empty = {UNLABELLED, -1} if nodata is None else {UNLABELLED, -1, int(nodata)}
    ours = {str(n): n for n in numbers if 0 <= n < CLASS_COUNT and n not in empty - {UNLABELLED}}
    meanings = ours | {str(n): UNLABELLED for n in numbers if n in empty}
    if len(meanings) == len(numbers) and (nodata is None or int(nodata) >= CLASS_COUNT or int(nodata) < 0):
        return Picture(codes, keys, meanings, None, deepglobe=False)
    return Picture(codes, keys, *_guess(path, numbers, empty), deepglobe=False)


def _guess(path: Path, numbers: list[int], empty: set[int]) -> tuple[dict[str, int], str]:
    """The likeliest meaning of values that are not plainly ours, and the question to settle it."""
    rest = [number for number in numbers if number not in empty]
    said = ", ".join(map(str, numbers[:10])) + (" and more" if numbers[10:] else "")
    meanings = {str(number): UNLABELLED for number in numbers if number in empty}
    if rest and min(rest) >= 0 and max(rest) <= CLASS_COUNT + 1:
        # 0 unknown and 1 to 6 as GLNet has it, or 1 to 6 and 7 unknown as in DeepGlobe's own list of classes.
        meanings |= {str(n): n - 1 if 1 <= n <= CLASS_COUNT else UNLABELLED for n in rest}
        return meanings, (
            f"{path.name} holds the values {said}: probably 1 urban to 6 barren, but 0 to 5 with 6 for unknown is used "
            "too; say what each one means."
        )
    return meanings, f"{path.name} holds the values {said}, which are not 0 to 5 and 255; say what each one means."


def _distinct(path: Path, values: NDArray[Any]) -> tuple[NDArray[Any], Codes]:
    """The distinct values in order, and the number of each pixel's. Raises ``InputError`` for more than 64."""
    if values.dtype == np.uint8:
        counts = np.bincount(values.reshape(-1), minlength=256)
        found: NDArray[Any] = np.flatnonzero(counts)
    else:
        found = np.unique(values)
    if len(found) > MAX_KEYS:
        raise _too_many(path, len(found), "values")
    if values.dtype == np.uint8:
        table = np.full(256, NO_CODE, np.uint8)
        table[found] = np.arange(len(found))
        return found, table[values]
    return found, np.searchsorted(found, values).astype(np.uint8)


def _too_many(path: Path, count: int, what: str) -> InputError:
    return InputError(
        f"{path.name} holds {count:,} different {what}, so it is a photograph or a map of probabilities and no labels; "
        "choose a picture with one value or colour a class."
    )
