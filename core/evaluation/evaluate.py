"""Score a folder of predicted masks against a folder of true ones."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.catalog.discover import discover, find_mask, natural_key
from core.catalog.images import read_info, read_mask
from core.classes import CLASS_NAMES, ClassRaster
from core.errors import InputError
from core.evaluation.boundaries import BoundaryCounts, count_boundaries
from core.evaluation.boundary_scores import boundary_summary
from core.evaluation.confusion import Confusion, count
from core.evaluation.intervals import METHOD, score_intervals
from core.evaluation.scores import DEFAULT_RULE, RULES, UnlabelledRule, averaging, from_confusion, under_rule
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


@dataclass(frozen=True, slots=True)
class Pairing:
    """The masks of every tile that has both, the tiles of the truth without a prediction, and how many predictions no
    truth is there for.
    """

    pairs: tuple[MaskPair, ...]
    missing: tuple[str, ...]
    without_truth: int


@dataclass(frozen=True, slots=True)
class TileCounts:
    """All that is counted of one tile: its ``(6, 7)`` confusion, and what lies near the borders of its classes."""

    confusion: Confusion
    boundary: BoundaryCounts


def evaluate_folder(truth: Path, predictions: Path, progress: Progress) -> dict[str, Any]:
    """Score every tile of ``truth`` by its mask in ``predictions``; the result is JSON-able (see ``summarise``).

    ``truth`` holds ``<id>_mask.png`` files, or is a folder of tiles in any layout that ``discover`` knows;
    ``predictions`` holds ``<id>_mask.png`` (or other masks that ``find_mask`` finds), in the palette or as class
    indices. Tiles without a prediction are left out and named under ``missing_predictions`` and in the note;
    predictions of tiles without a truth are counted under ``predictions_without_truth``. ``by_rule`` has the scores
    by both rules for pixels predicted unlabelled.

    Raises ``InputError`` when a folder is missing or holds no mask, no tile is in both, a prediction has another size
    than its tile, a mask cannot be read, or no pixel of the truth is labelled.
    """
    found = pair_masks(truth, predictions)
    counts = []
    for index, pair in enumerate(found.pairs):
        progress.update(index, len(found.pairs), f"Scoring tile {pair.tile}")
        counts.append(count_tile(pair))
    progress.update(len(found.pairs), len(found.pairs), f"Scored {len(found.pairs)} tiles")
    if not any(one.confusion.sum() for one in counts):
        raise InputError(f"No pixel of the masks in {truth} is labelled, so nothing can be scored; label some first.")
    result = summarise_counts([pair.tile for pair in found.pairs], counts)
    return {
        **result,
        "note": " ".join(filter(None, [missing_note(found.missing), result["note"]])) or None,
        "by_rule": by_rule(result),
        "truth": str(truth),
        "predictions": str(predictions),
        "missing_predictions": list(found.missing),
        "predictions_without_truth": found.without_truth,
    }


def summarise_counts(
    tiles: Sequence[str], counts: Sequence[TileCounts], rule: UnlabelledRule = DEFAULT_RULE
) -> dict[str, Any]:
    """What ``summarise`` says, with the figures near the borders of the classes."""
    return summarise(tiles, [one.confusion for one in counts], rule=rule, boundaries=[one.boundary for one in counts])


def summarise(
    tiles: Sequence[str],
    matrices: Sequence[Confusion],
    *,
    rule: UnlabelledRule = DEFAULT_RULE,
    boundaries: Sequence[BoundaryCounts] | None = None,
) -> dict[str, Any]:
    """Everything that is said of a prediction of these tiles, from one ``(6, 7)`` confusion matrix a tile.

    Keys: ``tiles`` (their number), the scores of ``Scores``, ``confusion`` (6 rows, the true classes; 7 columns, the
    predicted classes and last predicted unlabelled; pixels), ``interval`` (``miou`` and ``iou`` by class, each
    ``[low, high]`` at 95 %) and its ``method``, ``note`` (a warning, or None), ``averaging`` (in words) and ``rule``
    (for pixels predicted unlabelled), ``spread`` (over tiles: ``spread_over_tiles``), and ``per_tile`` with the name,
    scores and confusion of each tile; with ``boundaries`` also ``boundary`` (``boundary_summary``) and each tile's
    counts. Raises ``ValueError`` without tiles.
    """
    intervals = score_intervals(matrices, rule)
    total: Confusion = under_rule(np.stack(matrices).sum(axis=0), rule)
    rows = [_of_tile(tile, matrix, rule) for tile, matrix in zip(tiles, matrices, strict=True)]
    result = {
        "tiles": len(tiles),
        **from_confusion(total).as_dict(),
        "confusion": total.tolist(),
        "interval": {
            "miou": list(intervals.miou) if intervals.miou else None,
            "iou": {name: list(interval) for name, interval in intervals.iou.items()},
            "method": METHOD,
        },
        "note": intervals.note,
        "averaging": averaging(rule),
        "rule": rule,
        "spread": spread_over_tiles(rows),
        "per_tile": rows,
    }
    if boundaries is not None:
        result["boundary"] = boundary_summary(boundaries, matrices, rule)
        for row, counts in zip(rows, boundaries, strict=True):
            row["boundary"] = counts.as_dict()
    return result


def restrict(
    result: dict[str, Any], tiles: Collection[str] | None = None, *, rule: UnlabelledRule | None = None
) -> dict[str, Any]:
    """The result of ``summarise`` for some of its tiles (None: for all), or by another rule (None: by the same).

    Keys that are not of ``summarise`` stay as they are. Raises ``ValueError`` when none of the tiles is in the result.
    """
    rows = [row for row in result["per_tile"] if tiles is None or row["tile"] in tiles]
    if not rows:
        raise ValueError("none of these tiles is in the result")
    counted = all("boundary" in row for row in rows)
    again = summarise(
        [row["tile"] for row in rows],
        [tile_confusion(row) for row in rows],
        rule=rule or result.get("rule", DEFAULT_RULE),
        boundaries=[BoundaryCounts.from_dict(row["boundary"]) for row in rows] if counted else None,
    )
    return {**result, **again}


def by_rule(result: dict[str, Any]) -> dict[str, Any]:
    """The scores of a result by each rule for pixels predicted unlabelled, without their intervals."""
    total: Confusion = np.sum([tile_confusion(row) for row in result["per_tile"]], axis=0)
    return {rule: from_confusion(total, rule).as_dict() for rule in RULES}


def spread_over_tiles(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How the scores of single tiles lie, from entries of ``per_tile``: ``miou``, and ``iou`` by class.

    Each has ``tiles`` (how many have the score: those whose truth has the class), ``median``, ``p5`` (the 5th
    percentile, interpolated) and ``worst``; ``miou`` is None where no tile has a labelled pixel.
    """
    of_class = {name: [row["iou"][name] for row in rows if name in row["iou"]] for name in CLASS_NAMES}
    means = [row["miou"] for row in rows if row["miou"] is not None]
    return {
        "miou": _spread(means) if means else None,
        "iou": {name: _spread(values) for name, values in of_class.items() if values},
    }


def tile_confusion(row: dict[str, Any]) -> Confusion:
    """The ``(6, 7)`` confusion matrix of one entry of ``per_tile``."""
    return np.asarray(row["confusion"], np.int64)


def missing_note(missing: Sequence[str]) -> str | None:
    """A warning of the tiles that were left out for want of a prediction, else None."""
    if not missing:
        return None
    named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    return f"Scored on the tiles that have a prediction; without one, and left out: {named}."


def pair_masks(truth: Path, predictions: Path) -> Pairing:
    """The masks of every tile of ``truth`` that has a prediction.

    Raises ``InputError`` when a folder is missing or empty of masks, or no tile is in both.
    """
    true_masks = find_true_masks(truth)
    if not predictions.is_dir():
        raise InputError(f"The folder of predictions {predictions} does not exist; give one with <id>_mask.png files.")
    found = {name: find_mask(predictions, name) for name in true_masks}
    missing = tuple(name for name, path in found.items() if path is None)
    if len(missing) == len(true_masks):
        raise InputError(
            f"No tile of {truth} has a prediction in {predictions}; predictions are named like the truth, "
            f"for example {missing[0]}{_MASK_ENDING}."
        )
    without_truth = _direct_masks(predictions).keys() - true_masks.keys()
    pairs = tuple(MaskPair(name, true_masks[name], path) for name, path in found.items() if path is not None)
    return Pairing(pairs, missing, len(without_truth))


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
    return count(*_rasters(pair))


def count_tile(pair: MaskPair) -> TileCounts:
    """All that is counted of one tile. Raises ``InputError`` as ``count_pair`` does."""
    truth, prediction = _rasters(pair)
    return TileCounts(count(truth, prediction), count_boundaries(truth, prediction))


def _rasters(pair: MaskPair) -> tuple[ClassRaster, ClassRaster]:
    """The true and the predicted class raster of the part that is judged."""
    true, predicted = read_info(pair.truth), read_info(pair.prediction)
    if (true.width, true.height) != (predicted.width, predicted.height):
        raise InputError(
            f"Tile {pair.tile}: its truth is {true.width} x {true.height} pixels but its prediction {pair.prediction} "
            f"is {predicted.width} x {predicted.height}; save the prediction at the size of the tile."
        )
    shape = (true.height, true.width)
    truth, prediction = (read_mask(path, shape=shape).raster for path in (pair.truth, pair.prediction))
    if pair.judged is None:
        return truth, prediction
    return np.ascontiguousarray(pair.judged.crop(truth)), np.ascontiguousarray(pair.judged.crop(prediction))


def _direct_masks(folder: Path) -> dict[str, Path]:
    """The ``<id>_mask.png`` files of a folder by id, numbers in the order of their value."""
    names = sorted((path.name[: -len(_MASK_ENDING)] for path in folder.glob(f"*{_MASK_ENDING}")), key=natural_key)
    return {name: folder / f"{name}{_MASK_ENDING}" for name in names if name and not name.startswith(".")}


def _of_tile(tile: str, matrix: Confusion, rule: UnlabelledRule) -> dict[str, Any]:
    scores = from_confusion(matrix, rule)
    return {
        "tile": tile,
        "accuracy": scores.accuracy,
        "miou": scores.miou,
        "iou": scores.iou,
        "labelled_pixels": int(matrix.sum()),
        "confusion": matrix.tolist(),
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    low, middle = np.quantile(values, [0.05, 0.5])
    return {"tiles": len(values), "median": float(middle), "p5": float(low), "worst": float(min(values))}
