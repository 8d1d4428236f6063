"""Second opinions: one tile labelled by two people apart, and how far they agree.

Agreement is Cohen's kappa over the pixels that both have labelled (J. Cohen, A coefficient of agreement for nominal
scales, Educational and Psychological Measurement 20, 1960): with p_o the share of pixels on which they agree and p_e
the share on which two people with their class shares would agree by chance,

    kappa = (p_o - p_e) / (1 - p_e),    p_e = sum over classes of (share by the first) x (share by the second).

1 is full agreement, 0 no better than chance, below 0 worse. A class's own kappa is the same of the class against all
others together. Pixels of one tile lie beside each other and are no independent draws, so no interval is given.
"""

import io
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import select

from core.classes import CLASS_COUNT, CLASS_NAMES, UNLABELLED, ClassRaster
from core.errors import InputError
from core.labels import journal
from core.tables import Stroke
from core.workspace import Workspace

AgreementMap = NDArray[np.uint8]
"""(height, width) uint8: 0 neither labelled it, 1 both and they agree, 2 both and they differ, 3 only one did."""

NEITHER, AGREE, DIFFER, ONE_ONLY = range(4)
MAP_COLOURS = {
    NEITHER: (0, 0, 0, 0),
    AGREE: (255, 255, 255, 60),
    DIFFER: (230, 0, 126, 235),
    ONE_ONLY: (70, 70, 70, 140),
}
"""RGBA of the map's picture. The magenta is none of the classes' colours."""


class Both(NamedTuple):
    """The two class rasters of one tile: its labels, and a second opinion."""

    labels: ClassRaster
    opinion: ClassRaster


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two labellings agree.

    ``agreement`` is p_o, None where no pixel was labelled by both. ``kappa`` is None there too, and where both used one
    and the same class throughout, so that chance alone gives full agreement. A class's kappa is None where neither used
    it or both used nothing else. ``confusion`` counts pixels: int64 (6, 6), rows by the labels, columns by the opinion.
    """

    kappa: float | None
    kappa_by_class: dict[str, float | None]
    agreement: float | None
    both_labelled_pixels: int
    confusion: NDArray[np.int64]


def opinions(workspace: Workspace, tile_id: int) -> list[str]:
    """Who has a second opinion on a tile with at least one stroke that stands, by name."""
    query = select(Stroke.opinion).where(Stroke.tile_id == tile_id, Stroke.opinion != "", Stroke.state == "done")
    with workspace.database.read() as session:
        return sorted(session.scalars(query.distinct()))


def both(workspace: Workspace, tile_id: int, name: str) -> Both:
    """The labels of a tile and ``name``'s opinion of it. Raises ``InputError`` where there is no such opinion."""
    if name not in opinions(workspace, tile_id):
        raise InputError(f"{name} has no second opinion on this tile; choose one from the list.")
    return Both(journal.load(workspace, tile_id), journal.load(workspace, tile_id, opinion=name))


def taken_in(labels: ClassRaster, opinion: ClassRaster) -> ClassRaster:
    """The labels with an opinion put over them: its class where it has one, the labels' own elsewhere."""
    return np.where(opinion == UNLABELLED, labels, opinion).astype(np.uint8)


def agree(labels: ClassRaster, opinion: ClassRaster) -> Agreement:
    """Compare two class rasters of one shape, over the pixels that both have labelled."""
    labelled = (labels != UNLABELLED) & (opinion != UNLABELLED)
    cells = labels[labelled].astype(np.intp) * CLASS_COUNT + opinion[labelled]
    confusion = np.bincount(cells, minlength=CLASS_COUNT**2).reshape(CLASS_COUNT, CLASS_COUNT).astype(np.int64)
    total = int(confusion.sum())
    return Agreement(
        kappa=cohen_kappa(confusion),
        kappa_by_class={name: cohen_kappa(_one_against_rest(confusion, c)) for c, name in enumerate(CLASS_NAMES)},
        agreement=float(np.trace(confusion)) / total if total else None,
        both_labelled_pixels=total,
        confusion=confusion,
    )


def cohen_kappa(confusion: NDArray[np.int64]) -> float | None:
    """Cohen's kappa of a square table of counts; None where it is empty or chance alone gives full agreement."""
    total = float(confusion.sum())
    if total == 0:
        return None
    observed = float(np.trace(confusion)) / total
    by_chance = float((confusion.sum(axis=1) / total) @ (confusion.sum(axis=0) / total))
    return None if by_chance >= 1 else (observed - by_chance) / (1 - by_chance)


def agreement_map(labels: ClassRaster, opinion: ClassRaster) -> AgreementMap:
    """Where two class rasters of one shape agree, differ, or only one has a label."""
    first, second = labels != UNLABELLED, opinion != UNLABELLED
    found = np.where(first != second, np.uint8(ONE_ONLY), np.uint8(NEITHER))
    found[first & second] = DIFFER
    found[first & (labels == opinion)] = AGREE
    return found


def encode_map(found: AgreementMap) -> bytes:
    """The map as a palette PNG in ``MAP_COLOURS``, see-through by its palette."""
    image = Image.fromarray(found)
    image.putpalette([part for kind in sorted(MAP_COLOURS) for part in MAP_COLOURS[kind][:3]])
    stream = io.BytesIO()
    image.save(
        stream, "png", compress_level=1, transparency=bytes(MAP_COLOURS[kind][3] for kind in sorted(MAP_COLOURS))
    )
    return stream.getvalue()


def _one_against_rest(confusion: NDArray[np.int64], class_index: int) -> NDArray[np.int64]:
    hit = confusion[class_index, class_index]
    by_first, by_second = confusion[class_index].sum(), confusion[:, class_index].sum()
    rest = confusion.sum() - by_first - by_second + hit
    return np.array([[hit, by_first - hit], [by_second - hit, rest]], np.int64)
