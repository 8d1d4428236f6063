"""Compare two predictions of the same tiles, with the truth as the judge.

The sign convention everywhere: a difference is A minus B, and ``better`` means that A is better than B.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InputError
from core.evaluation.confusion import Confusion
from core.evaluation.evaluate import count_pair, pair_masks, tile_confusion
from core.evaluation.intervals import paired_differences
from core.evaluation.scores import AVERAGING_RULE, from_confusion
from core.progress import Progress


def compare_folders(truth: Path, a: Path, b: Path, progress: Progress) -> dict[str, Any]:
    """Score two folders of predicted masks against the same truth, tile by tile; the result is JSON-able.

    Folders are read as ``evaluate_folder`` does, and it raises ``InputError`` for the same reasons. The result is
    that of ``compare_confusions``.
    """
    pairs_a, _ = pair_masks(truth, a)
    pairs_b, _ = pair_masks(truth, b)
    matrices_a, matrices_b = [], []
    for index, (pair_a, pair_b) in enumerate(zip(pairs_a, pairs_b, strict=True)):
        progress.update(index, len(pairs_a), f"Comparing tile {pair_a.tile}")
        matrices_a.append(count_pair(pair_a))
        matrices_b.append(count_pair(pair_b))
    progress.update(len(pairs_a), len(pairs_a), f"Compared {len(pairs_a)} tiles")
    if not any(matrix.sum() for matrix in matrices_a):
        raise InputError(f"No pixel of the masks in {truth} is labelled, so nothing can be compared; label some first.")
    return compare_confusions([pair.tile for pair in pairs_a], matrices_a, matrices_b)


def compare_results(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any] | None:
    """Compare two results of ``summarise`` on the tiles that both were scored on; None where they share none.

    The result is that of ``compare_confusions``, with the names under ``common``. A tile whose truth differs between
    the two (it was edited in between) is left out, since no paired difference can be formed.
    """
    of_b = {row["tile"]: tile_confusion(row) for row in b["per_tile"]}
    common = {
        row["tile"]: (matrix, of_b[row["tile"]])
        for row in a["per_tile"]
        if row["tile"] in of_b
        and np.array_equal((matrix := tile_confusion(row)).sum(axis=1), of_b[row["tile"]].sum(axis=1))
    }
    if not any(matrix.sum() for matrix, _ in common.values()):
        return None
    matrices_a, matrices_b = zip(*common.values(), strict=True)
    return {**compare_confusions(list(common), matrices_a, matrices_b), "common": list(common)}


def compare_confusions(
    tiles: Sequence[str], matrices_a: Sequence[Confusion], matrices_b: Sequence[Confusion]
) -> dict[str, Any]:
    """Compare by one ``(6, 7)`` confusion matrix a tile and prediction, in the same order of tiles.

    Keys: ``tiles`` (their number), ``a`` and ``b`` (the scores of ``Scores``), ``difference`` with ``miou`` and ``iou``
    by class, each ``value``, ``interval`` (95 %, paired over tiles) and ``verdict``, ``note`` (a warning, or None),
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
            "iou": {name: difference.as_dict() for name, difference in differences.iou.items()},
        },
        "note": differences.note,
        "averaging": AVERAGING_RULE,
        "sign": "a minus b; 'better' means that a is better",
        "per_tile": per_tile,
    }
