"""Small pictures of the worst tiles for a report: image, truth, prediction and errors, inside the page itself."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.images import read_image, read_info, read_mask
from core.classes import UNLABELLED, ClassRaster, encode_colours
from core.evaluation.evaluate import MaskPair

WORST = 4
_SIDE = 260  # pixels; two of these on a sheet of paper are still clear
_WRONG = np.array([230, 81, 0], np.float64)  # RGB


@dataclass(frozen=True, slots=True)
class TilePictures:
    """A tile and its pictures: title and ``data:`` address of each."""

    tile: str
    pictures: Mapping[str, str]


def worst_tiles(
    result: dict[str, Any], pairs: Mapping[str, MaskPair], images: Mapping[str, Path]
) -> Sequence[TilePictures]:
    """Pictures of the tiles with the lowest mean IoU in a result, worst first.

    ``pairs`` and ``images`` go by tile; one without a pair is left out, and one without an image has no picture of it.
    Raises ``InputError`` when a file cannot be read.
    """
    scored = sorted((row for row in result["per_tile"] if row["miou"] is not None), key=lambda row: float(row["miou"]))
    names = [row["tile"] for row in scored if row["tile"] in pairs][:WORST]
    return [TilePictures(name, _pictures(pairs[name], images.get(name))) for name in names]


def _pictures(pair: MaskPair, image_path: Path | None) -> dict[str, str]:
    size = read_info(pair.truth)
    shape = (size.height, size.width)
    truth, prediction = (read_mask(path, shape=shape).raster for path in (pair.truth, pair.prediction))
    image = None if image_path is None else read_image(image_path)
    if pair.judged is not None:
        truth, prediction = pair.judged.crop(truth), pair.judged.crop(prediction)
        image = None if image is None else pair.judged.crop(image)
    found = {} if image is None else {"image": _jpeg(_shrink(image, cv2.INTER_AREA))}
    return found | {
        "truth": _png(encode_colours(_shrink(truth, cv2.INTER_NEAREST))),
        "prediction": _png(encode_colours(_shrink(prediction, cv2.INTER_NEAREST))),
        "errors": _jpeg(_errors(truth, prediction, image)),
    }


def _errors(truth: ClassRaster, prediction: ClassRaster, image: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """The image in dark grey, wrong pixels orange by their share; (height, width, 3) uint8."""
    wrong = ((truth != prediction) & (truth != UNLABELLED)).astype(np.float32)
    share = _shrink(wrong, cv2.INTER_AREA)[..., None].astype(np.float64)
    if image is None:
        ground = np.full((*share.shape[:2], 3), 60.0)
    else:
        grey = cv2.cvtColor(_shrink(image, cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        ground = np.repeat(0.6 * grey[..., None], 3, axis=2)
    blended: NDArray[np.uint8] = (ground * (1 - share) + _WRONG * share).round().astype(np.uint8)
    return blended


def _shrink(pixels: NDArray[Any], interpolation: int) -> NDArray[Any]:
    """As large as a picture of the report may be, its shape kept; what is smaller stays."""
    height, width = pixels.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrunk: NDArray[Any] = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=interpolation)
    return shrunk


def _jpeg(rgb: NDArray[np.uint8]) -> str:
    return _data(rgb, ".jpg", "image/jpeg", [cv2.IMWRITE_JPEG_QUALITY, 82])


def _png(rgb: NDArray[np.uint8]) -> str:
    return _data(rgb, ".png", "image/png", [])


def _data(rgb: NDArray[np.uint8], ending: str, kind: str, settings: list[int]) -> str:
    _, content = cv2.imencode(ending, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), settings)
    return f"data:{kind};base64,{base64.b64encode(content.tobytes()).decode()}"
