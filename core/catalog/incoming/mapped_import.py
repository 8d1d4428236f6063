"""Taking a foreign layout into the workspace: masks in our palette, images as they are or made ready.

The import is a folder that ``core.catalog.discover`` reads like any other: ``images/`` and ``masks/``, below train, val
and test where the source's folders tell them apart. An image that needs nothing is a link to the original, which
stays where it is; one whose bands are chosen or stretched is written anew. All of it appears at once, or nothing does.
"""

import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from core.atomic import write_bytes, write_json
from core.catalog.discover import Finding
from core.catalog.images import ImageInfo, count_bands, read_image, read_info, read_valid, write_mask
from core.catalog.incoming.colour_tables import ColourTable, table_from_json
from core.catalog.incoming.mapped_layout import Matches, match
from core.catalog.splits import SPLITS, Split, split_of_folder
from core.catalog.world_file import write_resolution
from core.errors import InputError
from core.progress import Progress

Bands = tuple[int, int, int]

FIRST_BANDS: Bands = (1, 2, 3)
MAX_BAND = 64
_MAPPING = "mapping.json"


@dataclass(frozen=True, slots=True)
class LayoutMapping:
    """How a foreign folder is read.

    ``bands`` (counted from 1) and ``percentiles`` (0..100, low and high) are None where images are taken as they are;
    ``metres_per_pixel`` is used where a file does not say its own, None leaves DeepGlobe's 0.5.
    """

    image_pattern: str
    mask_pattern: str
    table: ColourTable
    bands: Bands | None = None
    percentiles: tuple[float, float] | None = None
    metres_per_pixel: float | None = None

    def __post_init__(self) -> None:
        """Check the numbers. Raises ``InputError``."""
        if self.bands is not None and not all(1 <= band <= MAX_BAND for band in self.bands):
            raise InputError(f"The bands are {self.bands}; name three of them by number, counted from 1, like 3, 2, 1.")
        if self.percentiles is not None and not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            low, high = self.percentiles
            raise InputError(f"The stretch goes from {low:g} % to {high:g} %; it needs 0 <= low < high <= 100.")
        if self.metres_per_pixel is not None and not 0.01 <= self.metres_per_pixel <= 1000:
            raise InputError(f"The ground resolution is {self.metres_per_pixel:g} m a pixel; it needs 0.01 to 1000.")

    def to_json(self) -> dict[str, Any]:
        """The mapping as it is written for the job that does the import."""
        return {
            "image_pattern": self.image_pattern,
            "mask_pattern": self.mask_pattern,
            "table": self.table.to_json(),
            "bands": self.bands,
            "percentiles": self.percentiles,
            "metres_per_pixel": self.metres_per_pixel,
        }


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made: its folder, how many images were linked and written, masks made, and what was wrong."""

    folder: Path
    linked: int
    written: int
    masks: int
    findings: tuple[Finding, ...]


def mapping_from_json(content: Any) -> LayoutMapping:
    """The mapping that ``LayoutMapping.to_json`` gave. Raises ``InputError`` when it is none."""
    try:
        bands, percentiles = content["bands"], content["percentiles"]
        return LayoutMapping(
            str(content["image_pattern"]),
            str(content["mask_pattern"]),
            table_from_json(content["table"]),
            None if bands is None else (int(bands[0]), int(bands[1]), int(bands[2])),
            None if percentiles is None else (float(percentiles[0]), float(percentiles[1])),
            None if content["metres_per_pixel"] is None else float(content["metres_per_pixel"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"The mapping cannot be read ({error!r}); make it on the Start page.") from error


def import_mapped(root: Path, mapping: LayoutMapping, into: Path, progress: Progress) -> Imported:
    """Write the files that ``mapping`` names below ``root`` into the new folder ``into``.

    ``mapping.json`` in it tells how it was made; where ``into`` was made just so before, nothing is done. A file that
    cannot be used becomes a finding and the others come in. Raises ``InputError``, with nothing left behind, when
    nothing matches or no image can be used, ``into`` exists, or the disk is full; a cancel (``CancelledError``) leaves
    nothing behind either.
    """
    made_from = {"source": str(root.expanduser().absolute()), **mapping.to_json()}
    if into.exists():
        if _made_from(into) == json.loads(json.dumps(made_from)):
            return Imported(into, 0, 0, 0, ())
        raise InputError(f"{into} exists already; choose another name for the import.")
    found = match(root, mapping.image_pattern, mapping.mask_pattern)
    if not found.tiles:
        raise InputError(f"The image pattern '{mapping.image_pattern}' matches no file in {found.root}; mend it.")
    into.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=into.parent, prefix=f".{into.name}."))
    try:
        done = _import_all(found, mapping, temporary, progress)
        if not any(one.image for one in done):
            raise InputError(f"No image in {found.root} can be used; the first: {done[0].findings[0].sentence}")
        write_json(temporary / _MAPPING, made_from)
        temporary.chmod(0o755)
        temporary.rename(into)
    except OSError as error:
        raise InputError(f"The import could not be written to {into} ({error.strerror}); nothing was kept.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    lonely = [
        Finding(None, path, "warning", f"The mask {path} has no image that the pattern matches; it was left.")
        for path in found.lonely_masks
    ]
    return Imported(
        into,
        linked=sum(one.image == "linked" for one in done),
        written=sum(one.image == "written" for one in done),
        masks=sum(one.mask for one in done),
        findings=(*found.findings, *lonely, *(finding for one in done for finding in one.findings)),
    )


def mapped_image(path: Path, mapping: LayoutMapping) -> NDArray[np.uint8]:
    """The picture that an image becomes: ``(height, width, 3)`` uint8 RGB. Raises ``InputError`` as ``read_image``."""
    bands = mapping.bands if count_bands(path) > 3 or mapping.bands != FIRST_BANDS else None
    return read_image(path, bands=bands, percentiles=mapping.percentiles)


@dataclass(frozen=True, slots=True)
class _Done:
    image: str | None  # linked, written, or None where it cannot be used
    mask: bool
    findings: tuple[Finding, ...]


def _made_from(folder: Path) -> Any:
    """What an import says of how it was made; None where it says nothing."""
    try:
        return json.loads((folder / _MAPPING).read_text())
    except (OSError, ValueError):
        return None


def _import_all(found: Matches, mapping: LayoutMapping, folder: Path, progress: Progress) -> list[_Done]:
    split_folders = _split_folders(found)
    total = len(found.tiles)
    done: list[_Done] = []
    progress.update(0, total, f"Importing {total} tiles")
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="import") as pool:
        running = [
            pool.submit(_import_one, name, image, mask, mapping, folder / split_folders[name])
            for name, image, mask in found.tiles
        ]
        try:
            for number, future in enumerate(running, start=1):
                done.append(future.result())
                progress.update(number, total, f"Imported {number} of {total} tiles")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return done


def _split_folders(found: Matches) -> dict[str, str]:
    """The folder of each tile's split, where the source's folders tell more than one apart; else none."""
    splits: dict[str, Split | None] = {}
    for name, image, _ in found.tiles:
        parts = image.relative_to(found.root).parts[:-1]
        splits[name] = next((split for part in parts if (split := split_of_folder(part))), None)
    tell_apart = len(set(splits.values()) & set(SPLITS)) > 1
    return {name: split if tell_apart and split else "" for name, split in splits.items()}


def _import_one(name: str, image: Path, mask: Path | None, mapping: LayoutMapping, folder: Path) -> _Done:
    try:
        if name.lower().endswith(("_mask", "_sat")):
            raise InputError(f"{image} gives the name {name}, whose end has a meaning here; put it into the pattern.")
        info = read_info(image)
        made = _take_image(name, image, info, mapping, folder / "images")
    except InputError as error:
        return _Done(None, mask=False, findings=(Finding(name, image, "error", str(error)),))
    if mask is None:
        return _Done(made, mask=False, findings=())
    try:
        decoded = mapping.table.decode(mask, (info.height, info.width))
        write_mask(folder / "masks" / f"{name}.png", decoded.raster)
    except InputError as error:
        return _Done(made, mask=False, findings=(Finding(name, mask, "error", str(error)),))
    if decoded.off_palette == 0:
        return _Done(made, mask=True, findings=())
    share = decoded.off_palette / decoded.raster.size
    sentence = (
        f"The mask {mask} has {decoded.off_palette:,} pixels ({share:.2%}) that the table of classes does not name; "
        "they were left unlabelled."
    )
    return _Done(made, mask=True, findings=(Finding(name, mask, "warning", sentence),))


def _take_image(name: str, image: Path, info: ImageInfo, mapping: LayoutMapping, folder: Path) -> str:
    """Link the image, or write what becomes of it; says which."""
    tiff = image.suffix.lower() in (".tif", ".tiff")
    needs_ground = mapping.metres_per_pixel is not None and info.crs is None
    if mapping.bands is None and mapping.percentiles is None and not (needs_ground and tiff):
        target = folder / f"{name}{image.suffix.lower()}"
        _link(image, target)
        made = "linked"
    else:
        target = folder / f"{name}{'.png' if info.transform is None else '.tif'}"
        _write_image(target, mapped_image(image, mapping), read_valid(image), info)
        made = "written"
    if needs_ground and mapping.metres_per_pixel is not None:
        write_resolution(target, mapping.metres_per_pixel)
    return made


def _link(image: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(image.resolve())


def _write_image(target: Path, rgb: NDArray[np.uint8], valid: NDArray[np.bool_] | None, info: ImageInfo) -> None:
    """A GeoTIFF where the image has a place on the ground, else a PNG; both lossless, and where it has no data kept."""
    if info.transform is None:
        channels = [rgb[..., ::-1]] if valid is None else [rgb[..., ::-1], valid[..., None].astype(np.uint8) * 255]
        _, encoded = cv2.imencode(".png", np.concatenate(channels, axis=-1), [cv2.IMWRITE_PNG_COMPRESSION, 1])
        write_bytes(target, encoded.tobytes())
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": info.width,
        "height": info.height,
        "count": 3,
        "dtype": "uint8",
        "crs": info.crs,
        "transform": Affine(*info.transform),
        "photometric": "RGB",
        "compress": "deflate",
        "predictor": 2,
        "tiled": True,
    }
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(target, "w", **profile) as source:
        source.write(np.moveaxis(rgb, -1, 0))
        if valid is not None:
            source.write_mask(valid)
