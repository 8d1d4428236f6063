"""From a stroke to the pixels that it covers and the classes that it puts there.

Finding the pixels may take a while (a click runs a network), and only the fill tool needs to see the raster for it.
So a stroke is prepared before the database's write lock is taken, and what is prepared is shown the raster under it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from core.classes import ClassRaster
from core.labels import filling, suggestions, superpixels, versions
from core.labels.rasterising import Mask, rasterise
from core.labels.strokes import (
    Box,
    BrushStroke,
    ClickStroke,
    FillStroke,
    PolygonStroke,
    RectangleStroke,
    Stroke,
    SuggestionStroke,
    SuperpixelStroke,
    VersionStroke,
)
from core.tables import Tile
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Region:
    """The pixels of a stroke: ``mask`` is of the box's size, ``values`` one class for all or a raster of that size."""

    box: Box
    mask: Mask
    values: int | ClassRaster

    def paint(self, raster: ClassRaster) -> ClassRaster:
        """What ``raster``, of the whole tile, becomes in the box; a new array."""
        patch = raster[self.box.slices].copy()
        patch[self.mask] = self.values if isinstance(self.values, int) else self.values[self.mask]
        return patch


Prepared = Callable[[ClassRaster], Region]
"""Finds the region on the class raster as it stands under the write lock."""


def prepare(workspace: Workspace, tile: Tile, stroke: Stroke) -> Prepared:
    """Do what can be done for a stroke before the raster is locked.

    Raises ``InputError`` for a stroke that covers no pixel of the tile, and where the suggestion, version, superpixels
    or model that it names are not there. What is returned raises it for a fill outside the tile.
    """
    match stroke:
        case FillStroke():
            return lambda raster: Region(*filling.region(raster, stroke.points[0]), stroke.class_index)
        case BrushStroke() | PolygonStroke() | RectangleStroke():
            region = Region(*rasterise(stroke, (tile.height, tile.width)), stroke.class_index)
        case SuperpixelStroke():
            region = Region(*superpixels.region(workspace, tile, stroke.grain, stroke.segments), stroke.class_index)
        case ClickStroke():
            # It brings torch in: only who clicks waits for that, not everybody who opens a journal.
            from core.labels import click_to_mask  # noqa: PLC0415

            region = Region(
                *click_to_mask.region(workspace, tile, points=stroke.points, signs=stroke.signs),
                stroke.class_index,
            )
        case SuggestionStroke():
            region = Region(
                *suggestions.region(
                    workspace,
                    tile,
                    suggestion=stroke.suggestion,
                    mode=stroke.mode,
                    points=stroke.points,
                    threshold=stroke.threshold,
                    class_index=stroke.class_index,
                )
            )
        case VersionStroke():
            region = Region(
                *versions.region(
                    workspace,
                    tile,
                    version=stroke.version,
                    mode=stroke.mode,
                    points=stroke.points,
                    class_index=stroke.class_index,
                )
            )
    return lambda _raster: region


def source(workspace: Workspace, tile: Tile, stroke: Stroke) -> str | None:
    """What a stroke's pixels were copied from, in words for a person; None for a stroke that copies nothing."""
    if isinstance(stroke, SuggestionStroke):
        return suggestions.source(workspace, tile, stroke.suggestion)
    if isinstance(stroke, VersionStroke):
        return versions.find(workspace, tile, stroke.version).name
    return None
