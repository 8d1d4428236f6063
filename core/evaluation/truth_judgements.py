"""What people say of regions where a run confidently contradicts the given mask; kept with who said it and when.

'model wrong': the mask is right. 'label wrong' and 'ambiguous' make the pixels disputed: scores are then told with and
without them. A judgement keeps the region's pixels, so it is about the truth, and holds for every run on it; where the
mask file changes, what was said of the old one counts no more.
"""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from sqlalchemy import delete, select

from core.classes import UNLABELLED
from core.errors import InputError
from core.evaluation import confusion
from core.evaluation.bootstrap import draw_tiles, drawn_interval
from core.evaluation.confusion import Confusion
from core.evaluation.error_regions import Mask, judged_tile
from core.evaluation.evaluate import summarise, tile_confusion
from core.evaluation.jackknife import Interval
from core.evaluation.label_noise import Finding
from core.evaluation.scores import class_ious, mean_iou
from core.inference import store
from core.inference.switches import Switches
from core.labels.annotators import annotator_name
from core.labels.strokes import Box
from core.tables import Tile, TruthJudgement, now
from core.workspace import Workspace

_MOST_COUNTED = 2000
_counted: dict[tuple[Any, ...], Confusion] = {}
"""Matrices without disputed pixels, by prediction, truth and the pixels: 336 bytes each."""


class Verdict(StrEnum):
    """Who is wrong in a region."""

    MODEL = "model wrong"
    LABEL = "label wrong"
    AMBIGUOUS = "ambiguous"

    @property
    def disputes(self) -> bool:
        """Whether the truth there cannot be relied on."""
        return self is not Verdict.MODEL


@dataclass(frozen=True, slots=True)
class Disputed:
    """Scores of the same tiles ``whole`` and ``without`` disputed pixels, each as ``summarise`` gives them.

    ``pixels`` are disputed and labelled, on ``tiles`` tiles. ``change`` is what leaving them out does to the mean IoU,
    with its 95 % ``interval`` over tiles; None where nothing is labelled.
    """

    whole: dict[str, Any]
    without: dict[str, Any]
    pixels: int
    tiles: int
    change: float | None
    interval: Interval | None


def region_key(finding: Finding) -> str:
    """Tells one region of a tile from another, however often it is found again: by classes, box and pixels."""
    box = finding.box
    facts = (finding.true_class, finding.predicted, box.top, box.left, box.height, box.width, finding.pixels)
    return "-".join(map(str, facts))


def judge(workspace: Workspace, tile: Tile, finding: Finding, verdict: Verdict, *, run: str, annotator: str) -> None:
    """Keep a verdict; one that was given of the same region before is replaced. Raises ``NotSavedError``."""
    row = TruthJudgement(
        tile_id=tile.id,
        mask_fingerprint=tile.mask_fingerprint or "",
        region=region_key(finding),
        run=run,
        true_class=finding.true_class,
        predicted=finding.predicted,
        **asdict(finding.box),
        pixels=finding.pixels,
        confidence=finding.confidence or 0.0,
        mask=zlib.compress(np.packbits(finding.mask).tobytes()),
        verdict=str(verdict),
        annotator=annotator_name(annotator),
        created=now(),
    )
    same = (
        TruthJudgement.tile_id == tile.id,
        TruthJudgement.mask_fingerprint == row.mask_fingerprint,
        TruthJudgement.region == row.region,
    )
    with workspace.database.write() as session:
        session.execute(delete(TruthJudgement).where(*same))
        session.add(row)


def undo_last(workspace: Workspace, collection_id: int, *, annotator: str) -> TruthJudgement | None:
    """Take back the last verdict that this person gave in a collection, and say which; None where there is none."""
    query = (
        select(TruthJudgement)
        .join(Tile)
        .where(Tile.collection_id == collection_id, TruthJudgement.annotator == annotator_name(annotator))
        .order_by(TruthJudgement.id.desc())
        .limit(1)
    )
    with workspace.database.write() as session:
        row = session.scalar(query)
        if row is not None:
            session.delete(row)
    return row


def judgements(workspace: Workspace, collection_id: int) -> list[TruthJudgement]:
    """What was said of the masks of a collection as they are now, the last first."""
    query = (
        select(TruthJudgement)
        .join(Tile)
        .where(Tile.collection_id == collection_id, TruthJudgement.mask_fingerprint == Tile.mask_fingerprint)
        .order_by(TruthJudgement.id.desc())
    )
    with workspace.database.read() as session:
        return list(session.scalars(query))


def scores_without_disputed(
    workspace: Workspace, run: str, switches: Switches, tiles: Sequence[Tile], result: dict[str, Any]
) -> Disputed | None:
    """The scores of a run with and without disputed pixels, or None where none is on these tiles.

    ``result`` is the run's kept evaluation on ``tiles``. Raises ``InputError`` when a mask cannot be read.
    """
    masks = _disputed_masks(workspace, tiles)
    rows = {row["tile"]: tile_confusion(row) for row in result["per_tile"]}
    whole, without = [], []
    for tile in tiles:
        before = rows[tile.name]
        whole.append(before)
        without.append(_without(workspace, run, switches, tile, masks[tile.id]) if tile.id in masks else before)
    gone = [int(before.sum() - after.sum()) for before, after in zip(whole, without, strict=True)]
    if not any(gone):
        return None
    names = [tile.name for tile in tiles]
    change, interval = _change(whole, without)
    return Disputed(
        summarise(names, whole),
        summarise(names, without),
        pixels=sum(gone),
        tiles=sum(pixels > 0 for pixels in gone),
        change=change,
        interval=interval,
    )


def _disputed_masks(workspace: Workspace, tiles: Sequence[Tile]) -> dict[int, Mask]:
    """The disputed pixels by tile id, (height, width) bool."""
    masks: dict[int, Mask] = {}
    by_id = {tile.id: tile for tile in tiles}
    for collection_id in {tile.collection_id for tile in tiles}:
        for row in judgements(workspace, collection_id):
            if row.tile_id in by_id and Verdict(row.verdict).disputes:
                tile = by_id[row.tile_id]
                mask = masks.setdefault(tile.id, np.zeros((tile.height, tile.width), np.bool_))
                mask[Box(row.top, row.left, row.height, row.width).slices] |= _mask(row)
    return masks


def _mask(row: TruthJudgement) -> Mask:
    packed = np.frombuffer(zlib.decompress(row.mask), np.uint8)
    return np.unpackbits(packed, count=row.height * row.width).reshape(row.height, row.width).astype(np.bool_)


def _without(workspace: Workspace, run: str, switches: Switches, tile: Tile, mask: Mask) -> Confusion:
    kept = store.kept(workspace, run, tile, switches)
    if kept is None:  # the result is of kept predictions: it was checked a moment ago
        raise InputError(f"The prediction of tile {tile.name} is gone; evaluate the run again.")
    key = (kept.path, kept.path.stat().st_mtime_ns, tile.mask_fingerprint, _digest(mask))
    found = _counted.get(key)
    if found is None:  # every verdict asks for all disputed tiles again, and changes one
        pair = judged_tile(workspace, run, tile, kept.path)
        truth = pair.truth.copy()
        truth[mask] = UNLABELLED
        found = _counted[key] = confusion.count(truth, pair.prediction)
        while len(_counted) > _MOST_COUNTED:
            _counted.pop(next(iter(_counted)), None)
    return found


def _digest(mask: Mask) -> bytes:
    return hashlib.blake2b(np.packbits(mask).tobytes(), digest_size=16).digest()


def _change(whole: Sequence[Confusion], without: Sequence[Confusion]) -> tuple[float | None, Interval | None]:
    """Mean IoU without less with, from one matrix a tile, on the same draws of tiles."""
    stacks = [np.stack(matrices).astype(np.float64) for matrices in (without, whole)]
    values = [float(mean_iou(class_ious(stack.sum(axis=0)))) for stack in stacks]
    if np.isnan(values).any():
        return None, None
    weights = draw_tiles(len(whole))
    drawn = [mean_iou(class_ious(np.tensordot(weights, stack, axes=1))) for stack in stacks]
    change = values[0] - values[1]
    return change, drawn_interval(change, drawn[0] - drawn[1], tiles=len(whole), lowest=-1.0, highest=1.0)
