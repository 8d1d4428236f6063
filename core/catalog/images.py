"""Reading and writing image and mask files: sizes from headers, pixels whole, and every failure in one sentence.

A file is known by its first bytes, never by its extension. Its header is read first, and what it promises is
checked before a pixel is decoded: a PNG of a few kilobytes may claim 40 000 x 40 000 pixels.

OpenCV decodes JPEG and PNG three times faster than Pillow, but hands back a truncated file as if it were whole
(the lost part is grey), and turns pictures by their EXIF note, so that image and mask no longer agree. Hence the
end mark is checked here first, and the EXIF note is ignored.
"""

import hashlib
import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from core.atomic import write_bytes
from core.catalog.file_kinds import Kind, check_end_mark, kind_of, unreadable
from core.catalog.georeference import DEFAULT_METRES_PER_PIXEL, Transform, georeference
from core.catalog.world_file import read_resolution
from core.classes import (
    CLASS_COUNT,
    PALETTE,
    ClassRaster,
    DecodedMask,
    IndexOrder,
    decode_colours,
    decode_indices,
    encode_colours,
    guess_index_order,
)
from core.errors import InputError

MAX_PIXELS = 20_000 * 20_000
"""The most pixels of an image that is read whole: 1.2 GB as RGB."""

MAX_STRANGE_INDICES = 0.05
"""Above this share of out-of-range values, a one-band mask is taken to hold something else than our classes."""

STRETCH_PERCENTILES = (2.0, 98.0)
"""What becomes 0 and 255 where a band has more than 8 bits; the usual cut for display in GIS programs."""

_STRETCH_ROWS = 1024
_STRETCH_SAMPLE = 1_000_000

Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow's own guard, at our bound: it raises at twice this size
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)  # plain TIFFs are welcome


_PNG_PALETTE, _PNG_COLOURS, _PNG_WITH_ALPHA = 3, (2, 6), (4, 6)  # colour types of the PNG specification, section 11.2.1


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What an image's header says: size in pixels, ground resolution in metres a pixel, and its place on the ground.

    ``crs`` and ``transform`` are None without a usable place; ``caveat`` is a sentence on what is wrong with it.
    """

    width: int
    height: int
    metres_per_pixel_x: float
    metres_per_pixel_y: float
    crs: str | None = None
    transform: Transform | None = None
    caveat: str | None = None


def read_info(path: Path) -> ImageInfo:
    """Read an image's size and ground resolution from its header, without decoding a pixel.

    Raises ``InputError`` when the file is empty, unreadable, no JPEG, PNG or TIFF, cut short, or larger than
    ``MAX_PIXELS``. The ground resolution is 0.5 m (DeepGlobe's) where neither the file nor, of a JPEG or PNG, the
    world file beside it says another.
    """
    kind = kind_of(path)
    if kind is Kind.TIFF:
        with _open_tiff(path) as source:
            place = georeference(source)
            caveat = f"{path} {place.caveat}" if place.caveat else None
            size = (source.width, source.height)
            return ImageInfo(*size, place.metres_x, place.metres_y, place.crs, place.transform, caveat)
    check_end_mark(path, kind)
    width, height = _jpeg_size(path) if kind is Kind.JPEG else _png_header(path)[:2]
    _check_size(path, width, height)
    metres = read_resolution(path) or (DEFAULT_METRES_PER_PIXEL, DEFAULT_METRES_PER_PIXEL)
    return ImageInfo(width, height, *metres)


def read_image(
    path: Path, *, bands: tuple[int, int, int] | None = None, percentiles: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """Read an image whole: ``(height, width, 3)`` uint8 RGB.

    One band is repeated, of more than three the first three are taken, unless ``bands`` of a TIFF are named (counted
    from 1). Bands of more than 8 bits are stretched, each from its 2nd..98th percentile to 0..255; with
    ``percentiles`` all bands of a TIFF are, from these. Raises ``InputError`` as ``read_info`` does, when a band is
    not there, and when the pixels cannot be decoded.
    """
    read_info(path)
    if kind_of(path) is Kind.TIFF:
        with _open_tiff(path) as source:
            return _to_rgb(_tiff_bands(source, path, bands), source.nodata, percentiles)
    pixels = _decode(path, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return rgb.astype(np.uint8, copy=False) if rgb.dtype == np.uint8 else _to_rgb(np.moveaxis(rgb, -1, 0), None)


def read_valid(path: Path) -> NDArray[np.bool_] | None:
    """Where an image shows something: ``(height, width)`` bool, or None where it does everywhere.

    It does not where a TIFF has no data, or an image's alpha is 0. Raises ``InputError`` as ``read_image`` does.
    """
    kind = kind_of(path)
    if kind is Kind.TIFF:
        with _open_tiff(path) as source:
            if all(MaskFlags.all_valid in flags for flags in source.mask_flag_enums):
                return None
            valid = np.asarray(source.dataset_mask() > 0)
    elif kind is Kind.PNG and _png_header(path)[3] in _PNG_WITH_ALPHA:
        valid = _decode(path, cv2.IMREAD_UNCHANGED)[..., -1] > 0
    else:
        return None
    return None if valid.all() else valid


def count_bands(path: Path) -> int:
    """The bands of a TIFF, alpha among them; 3 for other images. Raises ``InputError`` as ``read_info`` does."""
    if kind_of(path) is not Kind.TIFF:
        return 3
    with _open_tiff(path) as source:
        return int(source.count)


def read_mask(path: Path, shape: tuple[int, int]) -> DecodedMask:
    """Read a mask as a class raster of ``shape`` (height, width).

    RGB is decoded by the 128 threshold; a palette image through its palette where that holds DeepGlobe's colours;
    anything else with one band as class indices, in the order that its values suggest
    (``core.classes.guess_index_order``).

    Raises ``InputError`` as ``read_info`` does, when the size is not ``shape``, and when more than one pixel in
    twenty holds an index that is no class.
    """
    check_mask_size(path, shape)
    pixels, palette = mask_pixels(path)
    if pixels.ndim == 3:
        return decode_colours(pixels)
    if palette is not None and _is_deepglobe_palette(palette, pixels):
        return decode_colours(palette[pixels])
    return _decode_index_mask(path, pixels)


def write_mask(path: Path, raster: ClassRaster) -> None:
    """Write a class raster as a DeepGlobe mask: RGB PNG in the palette, unlabelled black; atomic.

    Raises ``InputError`` when it cannot be written.
    """
    bgr = cv2.cvtColor(encode_colours(raster), cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    write_bytes(path, encoded.tobytes())


def fingerprint(path: Path) -> str:
    """The first 16 hex digits of the SHA-256 of a file's bytes. Raises ``InputError`` when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    except OSError as error:
        raise unreadable(path, error) from error


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(f"{path} is {width:,} x {height:,} pixels, {_TOO_LARGE}")
    if width == 0 or height == 0:
        raise InputError(f"{path} says that it is {width} x {height} pixels; replace it.")


_TOO_LARGE = f"more than the {MAX_PIXELS // 1_000_000} million that are read whole; cut it into smaller tiles."


def _jpeg_size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path, formats=("JPEG",)) as image:
            return image.size
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} holds {_TOO_LARGE}") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} has a damaged JPEG header ({error}); copy the file again.") from error


def _png_header(path: Path) -> tuple[int, int, int, int]:
    """Width, height, bits a sample and colour type, from the header chunk that comes first in every PNG."""
    with path.open("rb") as stream:
        start = stream.read(26)
    if len(start) < 26 or start[12:16] != b"IHDR":
        raise InputError(f"{path} has a damaged PNG header; copy the file again.")
    width, height, bits, colour_type = struct.unpack(">IIBB", start[16:26])
    return width, height, bits, colour_type


def _decode(path: Path, flags: int) -> NDArray[Any]:
    try:
        content = np.fromfile(path, np.uint8)
        pixels = cv2.imdecode(content, flags)
    except OSError as error:
        raise unreadable(path, error) from error
    except cv2.error as error:
        raise InputError(f"{path} is damaged and cannot be decoded; copy the file again.") from error
    if pixels is None:
        raise InputError(f"{path} is damaged and cannot be decoded; copy the file again.")
    return np.asarray(pixels)


def _decode_rgb(path: Path) -> NDArray[np.uint8]:
    """``(height, width, 3)`` uint8 RGB of a JPEG or PNG."""
    pixels = _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


@contextmanager
def _open_tiff(path: Path) -> Iterator[Any]:
    """An open TIFF; whatever GDAL cannot do with it becomes an ``InputError``."""
    try:
        with rasterio.open(path.absolute(), driver="GTiff") as source:
            _check_size(path, source.width, source.height)
            if np.dtype(source.dtypes[0]).kind == "c":
                raise InputError(f"{path} holds complex numbers, not a picture; export its amplitude as 8-bit bands.")
            yield source
    except (RasterioError, MemoryError) as error:
        raise InputError(f"{path} is cut short or damaged and cannot be read as TIFF; copy the file again.") from error


def _tiff_bands(source: Any, path: Path, bands: tuple[int, ...] | None = None) -> NDArray[Any]:
    """``(3, height, width)``: the named or first three bands, or ``(1, height, width)`` where there are fewer."""
    if bands is not None and max(bands) > source.count:
        raise InputError(f"{path} has {source.count} bands, not {max(bands)}; choose others to be shown.")
    return np.asarray(source.read(bands or ((1, 2, 3) if source.count >= 3 else (1,))))


def _to_rgb(
    bands: NDArray[Any], nodata: float | None, percentiles: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """``(1 or 3, height, width)`` of any number type to ``(height, width, 3)`` uint8."""
    eight_bit = [
        band if band.dtype == np.uint8 and percentiles is None else _stretch(band, nodata, percentiles)
        for band in bands
    ]
    return np.ascontiguousarray(np.stack(eight_bit if len(eight_bit) == 3 else eight_bit * 3, axis=-1))


def _stretch(
    band: NDArray[Any], nodata: float | None, percentiles: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    step = max(1, math.isqrt(band.size // _STRETCH_SAMPLE))
    sample = band[::step, ::step].astype(np.float64)
    valid = np.isfinite(sample) & (sample != nodata) if nodata is not None else np.isfinite(sample)
    low, high = np.percentile(sample[valid], percentiles or STRETCH_PERCENTILES) if valid.any() else (0.0, 1.0)
    scale = 255.0 / (high - low) if high > low else 0.0
    stretched = np.empty(band.shape, np.uint8)
    for top in range(0, band.shape[0], _STRETCH_ROWS):  # in strips: a float copy of a large image would fill memory
        rows = np.nan_to_num(band[top : top + _STRETCH_ROWS].astype(np.float32), nan=low, posinf=high, neginf=low)
        stretched[top : top + _STRETCH_ROWS] = np.clip((rows - low) * scale, 0, 255)
    return stretched


def check_mask_size(path: Path, shape: tuple[int, int]) -> None:
    """Raise ``InputError`` where a mask cannot be read, or is not of ``shape`` (height, width) by its header."""
    info = read_info(path)
    if (info.height, info.width) != shape:
        raise InputError(
            f"The mask {path} is {info.width} x {info.height} pixels but its image is {shape[1]} x {shape[0]}; "
            "save the mask at the size of its image."
        )


def mask_pixels(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """A mask's pixels as they are, ``(H, W, 3)`` colours or ``(H, W)`` indices, and its ``(256, 3)`` palette; uint8.

    The palette is None where the file has none; an index above 254 of a wider type becomes 254. Raises ``InputError``
    when the file cannot be decoded.
    """
    kind = kind_of(path)
    if kind is Kind.TIFF:
        with _open_tiff(path) as source:
            return _tiff_mask(path, source)
    if kind is Kind.JPEG:
        return _decode_rgb(path), None
    _, _, bits, colour_type = _png_header(path)
    if colour_type in _PNG_COLOURS:
        return _decode_rgb(path), None
    if colour_type == _PNG_PALETTE:
        return _palette_png(path)
    grey = _decode(path, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE)
    if bits < 8:
        grey = grey // (255 // (2**bits - 1))  # decoders spread 1, 2 and 4 bits over 0..255
    return _as_indices(grey), None


def _palette_png(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    try:
        image: Image.Image = Image.open(BytesIO(path.read_bytes()), formats=("PNG",))
        indices = np.asarray(image, np.uint8)
        entries = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} is damaged and cannot be decoded ({error}); copy the file again.") from error
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(entries)] = entries
    return indices, palette


def _tiff_mask(path: Path, source: Any) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    bands = _tiff_bands(source, path)
    if len(bands) == 3:
        if bands.dtype != np.uint8:
            raise InputError(f"The mask {path} has {bands.dtype} colours; save it with 8 bits a band.")
        return np.ascontiguousarray(np.moveaxis(bands, 0, -1)), None
    palette = None
    if source.photometric is not None and source.colorinterp[0].name == "palette":
        table = source.colormap(1)
        palette = np.array([table.get(index, (0, 0, 0))[:3] for index in range(256)], np.uint8)
    return _as_indices(bands[0]), palette


def _as_indices(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Class indices as uint8; what does not fit there becomes 254, which no order knows."""
    if values.dtype == np.uint8:
        return values
    fits = (values >= 0) & (values <= 255) & (values == np.floor(values))
    return np.where(fits, values, 254).astype(np.uint8)


def _is_deepglobe_palette(palette: NDArray[np.uint8], indices: NDArray[np.uint8]) -> bool:
    """Whether every colour in use is one of the seven. A grey ramp is no palette but a way to store indices."""
    if (palette == np.arange(256, dtype=np.uint8)[:, None]).all():
        return False
    known = {tuple(colour) for colour in PALETTE[: CLASS_COUNT + 1].tolist()}
    used = palette[np.unique(indices)]
    return all(tuple(colour) in known for colour in used.tolist())


def _decode_index_mask(path: Path, indices: NDArray[np.uint8]) -> DecodedMask:
    in_range = indices[(indices <= CLASS_COUNT) | (indices == 255)]
    order = guess_index_order(indices) or guess_index_order(in_range) or IndexOrder.RASTER
    decoded = decode_indices(indices, order)
    if decoded.undecidable > MAX_STRANGE_INDICES * indices.size:
        values = ", ".join(str(v) for v in np.setdiff1d(indices, in_range)[:8]) or "6 together with 255"
        raise InputError(
            f"The mask {path} holds values that are no class ({values}) on {decoded.undecidable / indices.size:.0%} "
            "of its pixels; save it in DeepGlobe's colours, or as 0 to 5 with 255 for unlabelled."
        )
    return decoded
