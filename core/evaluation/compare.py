"""Compare two predictions of the same tiles, with the truth as the judge.

The sign convention everywhere: a difference is A minus B, and ``better`` means that A is better than B.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.catalog.discover import natural_key
from core.errors import InputError
from core.evaluation.confusion import Confusion
from core.evaluation.evaluate import count_pair, missing_note, pair_masks, tile_confusion
from core.evaluation.intervals import PairedDifferences, paired_differences
from core.evaluation.sameness import common_tiles, what_differs
from core.evaluation.scores import AVERAGING_RULE, from_confusion
from core.evaluation.verdicts import CORRECTION, holm, verdict
from core.progress import Progress


def compare_folders(truth: Path, a: Path, b: Path, progress: Progress) -> dict[str, Any]:
    """Score two folders of predicted masks against the same truth, tile by tile; the result is JSON-able.

    Folders are read as ``evaluate_folder`` does, and it raises ``InputError`` for the same reasons. The result is
    that of ``compare_confusions`` over the tiles that both predicted, with the others under ``missing_predictions``.
    """
    found_a, found_b = pair_masks(truth, a), pair_masks(truth, b)
    of_b = {pair.tile: pair for pair in found_b.pairs}
    pairs = [(pair, of_b[pair.tile]) for pair in found_a.pairs if pair.tile in of_b]
    if not pairs:
        raise InputError(f"No tile of {truth} has a prediction in both {a} and {b}; predict the same tiles with both.")
    matrices_a, matrices_b = [], []
    for index, (pair_a, pair_b) in enumerate(pairs):
        progress.update(index, len(pairs), f"Comparing tile {pair_a.tile}")
        matrices_a.append(count_pair(pair_a))
        matrices_b.append(count_pair(pair_b))
    progress.update(len(pairs), len(pairs), f"Compared {len(pairs)} tiles")
    if not any(matrix.sum() for matrix in matrices_a):
        raise InputError(f"No pixel of the masks in {truth} is labelled, so nothing can be compared; label some first.")
    compared = compare_confusions([pair.tile for pair, _ in pairs], matrices_a, matrices_b)
    missing = sorted({*found_a.missing, *found_b.missing}, key=natural_key)
    note = " ".join(filter(None, [missing_note(missing), compared["note"]])) or None
    return {**compared, "note": note, "missing_predictions": missing}


def compare_results(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any] | None:
    """Compare two results of ``summarise`` on the tiles that both were scored on; None where they share none.

    The result is that of ``compare_confusions``, with the names under ``common`` and what else differs between the
    two (``what_differs``) under ``warnings``. A tile whose truth differs between the two (it was edited in between) is
    left out, since no paired difference can be formed.
    """
    common = common_tiles([a, b])
    of_a, of_b = ({row["tile"]: tile_confusion(row) for row in result["per_tile"]} for result in (a, b))
    if not any(of_a[name].sum() for name in common):
        return None
    compared = compare_confusions(common, [of_a[name] for name in common], [of_b[name] for name in common])
    return {**compared, "common": common, "warnings": what_differs([a, b])}


def compare_confusions(
    tiles: Sequence[str], matrices_a: Sequence[Confusion], matrices_b: Sequence[Confusion]
) -> dict[str, Any]:
    """Compare by one ``(6, 7)`` confusion matrix a tile and prediction, in the same order of tiles.

    Keys: ``tiles`` (their number), ``a`` and ``b`` (the scores of ``Scores``), ``difference`` with ``miou`` and ``iou``
    by class, each as ``Difference`` has it (95 %, paired over tiles), the classes with ``p_corrected`` and
    ``verdict_corrected`` too, which are corrected for their number (``correction``); ``note`` (a warning, or None),
    ``averaging`` and ``sign`` (how to read it), and ``per_tile`` with each tile's mean IoU in A and in B.
    Raises ``ValueError`` without tiles or where the truths differ.
    """
    differences = paired_differences(matrices_a, matrices_b)
    per_tile = [
        {"tile": tile, "a": from_confusion(of_a).miou, "b": from_confusion(of_b).miou}
        for tile, of_a, of_b in zip(tiles, matrices_a, matrices_b, strict=True)
    ]
    return {
        "tiles": len(tiles),
        "a": from_confusion(np.stack(matrices_a).sum(axis=0)).as_dict(),
        "b": from_confusion(np.stack(matrices_b).sum(axis=0)).as_dict(),
        "difference": {
            "miou": differences.miou.as_dict() if differences.miou else None,
            "iou": _corrected(differences),
            "correction": CORRECTION,
        },
        "note": differences.note,
        "averaging": AVERAGING_RULE,
        "sign": "a minus b; 'better' means that a is better",
        "per_tile": per_tile,
    }


def _corrected(differences: PairedDifferences) -> dict[str, Any]:
    corrected = holm({name: one.p_value for name, one in differences.iou.items()})
    return {
        name: {
            **one.as_dict(),
            "p_corrected": corrected[name],
            "verdict_corrected": verdict(one.value, corrected[name]),
        }
        for name, one in differences.iou.items()
    }
