"""Score a folder of predicted masks against a folder of true ones."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.catalog.discover import discover, find_mask, natural_key
from core.catalog.images import read_info, read_mask
from core.errors import InputError
from core.evaluation.confusion import Confusion, count
from core.evaluation.intervals import score_intervals
from core.evaluation.scores import AVERAGING_RULE, from_confusion
from core.inference.extent import Extent
from core.progress import Progress

_MASK_ENDING = "_mask.png"


@dataclass(frozen=True, slots=True)
class MaskPair:
    """The true and the predicted mask of one tile, and the part of it that is judged; None for the whole."""

    tile: str
    truth: Path
    prediction: Path
    judged: Extent | None = None


def evaluate_folder(truth: Path, predictions: Path, progress: Progress) -> dict[str, Any]:
    """Score every tile of ``truth`` by its mask in ``predictions``; the result is JSON-able (see ``summarise``).

    ``truth`` holds ``<id>_mask.png`` files, or is a folder of tiles in any layout that ``discover`` knows;
    ``predictions`` holds ``<id>_mask.png`` (or other masks that ``find_mask`` finds), in the palette or as class
    indices. Predictions of tiles without a truth are left out and counted under ``predictions_without_truth``.

    Raises ``InputError`` when a folder is missing or holds no mask, no tile is in both, a tile of ``truth`` has no
    prediction or one of another size, a mask cannot be read, or no pixel of the truth is labelled.
    """
    pairs, without_truth = pair_masks(truth, predictions)
    matrices = []
    for index, pair in enumerate(pairs):
        progress.update(index, len(pairs), f"Scoring tile {pair.tile}")
        matrices.append(count_pair(pair))
    progress.update(len(pairs), len(pairs), f"Scored {len(pairs)} tiles")
    if not any(matrix.sum() for matrix in matrices):
        raise InputError(f"No pixel of the masks in {truth} is labelled, so nothing can be scored; label some first.")
    return {
        **summarise([pair.tile for pair in pairs], matrices),
        "truth": str(truth),
        "predictions": str(predictions),
        "predictions_without_truth": without_truth,
    }


def summarise(tiles: Sequence[str], matrices: Sequence[Confusion]) -> dict[str, Any]:
    """Everything that is said of a prediction of these tiles, from one ``(6, 7)`` confusion matrix a tile.

    Keys: ``tiles`` (their number), the scores of ``Scores``, ``confusion`` (6 rows, the true classes; 7 columns, the
    predicted classes and last predicted unlabelled; pixels), ``interval`` (``miou`` and ``iou`` by class, each
    ``[low, high]`` at 95 %), ``note`` (a warning, or None), ``averaging`` (the rule, in words), and ``per_tile`` with
    the name, scores and confusion of each tile. Raises ``ValueError`` without tiles.
    """
    total: Confusion = np.stack(matrices).sum(axis=0)
    intervals = score_intervals(matrices)
    return {
        "tiles": len(tiles),
        **from_confusion(total).as_dict(),
        "confusion": total.tolist(),
        "interval": {
            "miou": list(intervals.miou) if intervals.miou else None,
            "iou": {name: list(interval) for name, interval in intervals.iou.items()},
        },
        "note": intervals.note,
        "averaging": AVERAGING_RULE,
        "per_tile": [_of_tile(tile, matrix) for tile, matrix in zip(tiles, matrices, strict=True)],
    }


def restrict(result: dict[str, Any], tiles: Collection[str]) -> dict[str, Any]:
    """The result of ``summarise`` for some of its tiles; keys that are not of ``summarise`` stay as they are.

    Raises ``ValueError`` when none of the tiles is in the result.
    """
    rows = [row for row in result["per_tile"] if row["tile"] in tiles]
    if not rows:
        raise ValueError("none of these tiles is in the result")
    return {**result, **summarise([row["tile"] for row in rows], [tile_confusion(row) for row in rows])}


def tile_confusion(row: dict[str, Any]) -> Confusion:
    """The ``(6, 7)`` confusion matrix of one entry of ``per_tile``."""
    return np.asarray(row["confusion"], np.int64)


def pair_masks(truth: Path, predictions: Path) -> tuple[list[MaskPair], int]:
    """The masks of every tile of ``truth``, by name, and the number of predictions that no truth is there for.

    Raises ``InputError`` when a folder is missing or empty of masks, no tile is in both, or one is not predicted.
    """
    true_masks = find_true_masks(truth)
    if not predictions.is_dir():
        raise InputError(f"The folder of predictions {predictions} does not exist; give one with <id>_mask.png files.")
    found = {name: find_mask(predictions, name) for name in true_masks}
    missing = [name for name, path in found.items() if path is None]
    if len(missing) == len(true_masks):
        raise InputError(
            f"No tile of {truth} has a prediction in {predictions}; predictions are named like the truth, "
            f"for example {missing[0]}{_MASK_ENDING}."
        )
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"Tile {missing[0]}{others} of {truth} has no prediction in {predictions}; predict it too, or score "
            "against a folder without its mask."
        )
    without_truth = _direct_masks(predictions).keys() - true_masks.keys()
    pairs = [MaskPair(name, true_masks[name], path) for name, path in found.items() if path is not None]
    return pairs, len(without_truth)


def find_true_masks(folder: Path) -> dict[str, Path]:
    """The masks of a folder by tile name: ``<id>_mask.png`` files in it, else those that ``discover`` finds.

    Raises ``InputError`` when the folder is missing or holds no mask.
    """
    if not folder.is_dir():
        raise InputError(f"The folder of truth {folder} does not exist; give one with <id>_mask.png files.")
    direct = _direct_masks(folder)
    if direct:
        return direct
    masks = {tile.name: tile.mask_path for tile in discover(folder).tiles if tile.mask_path is not None}
    if not masks:
        raise InputError(f"The folder {folder} holds images but no mask; give one with <id>_mask.png files.")
    return masks


def count_pair(pair: MaskPair) -> Confusion:
    """The confusion of one tile. Raises ``InputError`` when a mask cannot be read or their sizes differ."""
    true, predicted = read_info(pair.truth), read_info(pair.prediction)
    if (true.width, true.height) != (predicted.width, predicted.height):
        raise InputError(
            f"Tile {pair.tile}: its truth is {true.width} x {true.height} pixels but its prediction {pair.prediction} "
            f"is {predicted.width} x {predicted.height}; save the prediction at the size of the tile."
        )
    shape = (true.height, true.width)
    rasters = [read_mask(path, shape=shape).raster for path in (pair.truth, pair.prediction)]
    truth, prediction = rasters if pair.judged is None else map(pair.judged.crop, rasters)
    return count(truth, prediction)


def _direct_masks(folder: Path) -> dict[str, Path]:
    """The ``<id>_mask.png`` files of a folder by id, numbers in the order of their value."""
    names = sorted((path.name[: -len(_MASK_ENDING)] for path in folder.glob(f"*{_MASK_ENDING}")), key=natural_key)
    return {name: folder / f"{name}{_MASK_ENDING}" for name in names if name and not name.startswith(".")}


def _of_tile(tile: str, matrix: Confusion) -> dict[str, Any]:
    scores = from_confusion(matrix)
    return {
        "tile": tile,
        "accuracy": scores.accuracy,
        "miou": scores.miou,
        "iou": scores.iou,
        "labelled_pixels": int(matrix.sum()),
        "confusion": matrix.tolist(),
    }
