"""Which format a file is in, told from what it holds; and the file read."""

from pathlib import Path

from core.errors import InputError
from core.labels.formats import coco, geojson
from core.labels.formats.json_file import read_json
from core.labels.formats.pictures import Picture, read_picture
from core.labels.formats.placed import Format, Reading
from core.labels.formats.raster_content import RasterContent

MAX_FILE_BYTES = 2**30
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
JSON_SUFFIXES = (".geojson", ".json")
SUFFIXES = PICTURE_SUFFIXES + JSON_SUFFIXES
"""The endings of files that may hold labels; what is in them is told from their content."""

_JSON_STARTS = (b"{", b"[")


def read_file(path: Path) -> Reading:
    """Read the labels of a file. Raises ``InputError`` where it cannot be read or is of no known format."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check that it exists.") from error
    if size > MAX_FILE_BYTES:
        raise InputError(f"{path.name} is {size / 2**30:.1f} GiB, more than is read at once; split it.")
    if path.suffix.lower() in JSON_SUFFIXES or start.startswith(_JSON_STARTS):
        return _read_json(path)
    return _read_picture(path, is_tiff=start[:2] in (b"II", b"MM"))


def _read_json(path: Path) -> Reading:
    content = read_json(path)
    if coco.is_coco(content):
        return coco.read(path, content)
    if geojson.is_geojson(content):
        return geojson.read(path, content)
    raise InputError(
        f"{path.name} is JSON, but neither GeoJSON nor COCO annotations "
        f"(it has {', '.join(list(content)[:4])[:80] or 'nothing'}); export it as one of the two."
    )


def _read_picture(path: Path, *, is_tiff: bool) -> Reading:
    picture = read_picture(path)
    height, width = picture.codes.shape
    kind = Format.DEEPGLOBE if picture.deepglobe else Format.INDEX
    if is_tiff:
        kind = Format.GEOTIFF
    summary = f"{width} x {height} pixels{_place(picture)}"
    content = RasterContent(path.name, picture)
    return Reading(kind, summary, content, picture.pixels, picture.meanings, picture.question, size=(width, height))


def _place(picture: Picture) -> str:
    if picture.crs is None:
        return ""
    code = picture.crs.to_epsg()
    return f", EPSG:{code}" if code else ", with a CRS of its own"
