"""The simulated annotator's tools that need a model: click-to-mask, and accepting what the live head suggests."""

import cv2
import numpy as np

from core.classes import UNLABELLED, ClassRaster
from core.labels import click_to_mask, suggestions
from core.labels.click_to_mask import NothingFoundError
from core.labels.learner import Learner
from core.labels.strokes import ClickStroke, Point, SuggestionStroke
from core.tables import Tile
from core.training.live import NeedsLabelsError
from tests.benchmarks.labelling.annotator_tools import Desk, Spot, head_of, purity

PURE_MASK = 0.8  # a mask or a suggested region is accepted where so much of it is of the class
MOST_CORRECTIONS = 2
SMALLEST_GAIN = 1000  # newly labelled pixels for which a suggested region is worth a click


class ClickToMask:
    """A click, and up to two more where the mask takes too much; then it is accepted, or dropped."""

    def label(self, desk: Desk, spot: Spot) -> None:
        points, signs = [spot.point], [1]
        truth = desk.truths[spot.tile.id]
        for _ in range(MOST_CORRECTIONS + 1):
            desk.pay(1, 1.5)
            try:
                found = click_to_mask.click(desk.workspace, spot.tile, points=points, signs=signs)
            except NothingFoundError:
                break
            part = truth[found.box.slices]
            if purity(part, found.mask, spot.class_index) >= PURE_MASK:
                desk.pay(1, 0.7)
                stroke = ClickStroke(**head_of("click", spot.class_index), points=points, signs=signs)
                desk.paint(spot.tile, stroke)
                return
            wrong = (found.mask & (part != spot.class_index)).astype(np.uint8)
            row, column = np.unravel_index(cv2.distanceTransform(wrong, cv2.DIST_L2, 3).argmax(), wrong.shape)
            points = [*points, (found.box.left + int(column) + 0.5, found.box.top + int(row) + 0.5)]
            signs = [*signs, 0]
        desk.pay(1, 0.7)


class WithSuggestions:
    """Accept what the live head suggests where it is right; where it is wrong, click.

    The head is refitted every ``EVERY`` clicks and for a tile that is looked at; in the product, after every stroke.
    """

    EVERY = 10

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._click = ClickToMask()
        self._shown: dict[int, tuple[int, str]] = {}

    def label(self, desk: Desk, spot: Spot) -> None:
        shown = self._suggestion(desk, spot.tile)
        if shown is None:
            return self._click.label(desk, spot)
        raster = suggestions.load(desk.workspace, spot.tile, shown).raster
        seed = self._right_region(desk, spot, raster)
        if seed is None:
            return self._click.label(desk, spot)
        desk.pay(1, 1.5)
        stroke = SuggestionStroke(
            **head_of("suggestion", UNLABELLED), suggestion=shown, mode="region", points=[seed], threshold=0.0
        )
        return desk.paint(spot.tile, stroke)

    def _suggestion(self, desk: Desk, tile: Tile) -> str | None:
        made, shown = self._shown.get(tile.id, (-self.EVERY, None))
        if desk.clicks - made >= self.EVERY:
            try:
                shown = self._learner.answer(tile).suggestion
            except NeedsLabelsError:
                shown = None
            if shown is not None:
                self._shown[tile.id] = (desk.clicks, shown)
        return shown

    def _right_region(self, desk: Desk, spot: Spot, raster: ClassRaster) -> Point | None:
        """A point in the suggested region of the spot's class that is right and gains most, if one is worth a click."""
        truth, labelled = desk.truths[spot.tile.id], desk.labelled[spot.tile.id]
        suggested = (raster == spot.class_index).astype(np.uint8)
        count, regions = cv2.connectedComponents(suggested, connectivity=4)
        area = np.bincount(regions.ravel(), minlength=count)
        right = np.bincount(regions[truth == spot.class_index], minlength=count)
        gain = np.bincount(regions[(truth == spot.class_index) & (labelled == UNLABELLED)], minlength=count)
        worth = (right >= PURE_MASK * area) & (gain >= SMALLEST_GAIN)
        worth[0] = False  # where the class is not suggested
        if not worth.any():
            return None
        best = int(np.where(worth, gain, 0).argmax())
        depth = cv2.distanceTransform((regions == best).astype(np.uint8), cv2.DIST_L2, 3)
        row, column = np.unravel_index(depth.argmax(), depth.shape)
        return int(column) + 0.5, int(row) + 0.5
