"""Strokes: what a person does to the class raster in one go, as the browser sends it.

Coordinates are tile pixels, x to the right and y down, with (0, 0) at the outer corner of the first pixel, so
that the centre of pixel (row r, column c) is (c + 0.5, r + 0.5). Each tool has a model of its own with the fields that
it needs and no others. Which pixels a stroke covers is found in ``edits.py``.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster
from core.errors import InputError

MAX_POINTS = 5_000
"""Of one path, or of all rings of a polygon together."""

MAX_HOLES = 100
MAX_RADIUS = 512.0
MAX_COORDINATE = 1_000_000.0
MAX_SEGMENTS = 5_000
MAX_CLICKS = 50

Coordinate = Annotated[float, Field(ge=-MAX_COORDINATE, le=MAX_COORDINATE, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]
Ring = Annotated[list[Point], Field(max_length=MAX_POINTS)]
ClientKey = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{8,64}$")]
ClassIndex = Annotated[int, Field(ge=0, lt=CLASS_COUNT)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_RULE = "stroke_rule"  # marks the errors below, whose words are meant for a person


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of whole pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rows and columns, to index an array with."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


class Guard(BaseModel):
    """What a stroke may not change.

    ``over`` says what a pixel must be now to be changed: anything, unlabelled, or one class. ``protect`` lists classes
    that are never changed. 'Only over unlabelled' keeps paint off what is labelled; it does not bind what takes labels
    away, which over unlabelled pixels alone could do nothing at all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    over: Literal["anything", "unlabelled"] | ClassIndex = "anything"
    protect: list[ClassIndex] = Field(default=[], max_length=CLASS_COUNT)

    def apply(self, before: ClassRaster, after: ClassRaster) -> ClassRaster:
        """``after`` where the guard allows the change, and ``before`` elsewhere; uint8 arrays of one shape."""
        allowed = np.ones(256, np.bool_)
        if self.over != "anything":
            allowed[:] = False
            allowed[UNLABELLED if self.over == "unlabelled" else self.over] = True
        may_change = allowed[before]
        if self.over == "unlabelled":
            may_change |= after == UNLABELLED
        if self.protect:
            may_change &= ~np.isin(before, self.protect)
        return np.where(may_change, after, before)


class _AnyStroke(BaseModel):
    """What the strokes of every tool have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    client_key: ClientKey
    class_index: int
    guard: Guard = Guard()

    @model_validator(mode="after")
    def _check_class(self) -> Self:
        if not (0 <= self.class_index < CLASS_COUNT or self.class_index == UNLABELLED):
            raise ValueError(f"class_index is 0 to {CLASS_COUNT - 1}, or {UNLABELLED} for unlabelled")
        return self


class BrushStroke(_AnyStroke):
    """A path that is ``radius`` tile pixels wide to either side. An eraser is a brush of class 255."""

    tool: Literal["brush", "eraser"]
    points: list[Point] = Field(min_length=1, max_length=MAX_POINTS)
    radius: float = Field(default=0.5, ge=0.5, le=MAX_RADIUS, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_eraser(self) -> Self:
        if self.tool == "eraser" and self.class_index != UNLABELLED:
            raise ValueError(f"an eraser's class_index is {UNLABELLED}")
        return self


class PolygonStroke(_AnyStroke):
    """The inside of an outline and its holes: even-odd over all rings, so it may cross itself."""

    tool: Literal["polygon", "lasso"]
    points: Ring
    holes: list[Ring] = Field(default=[], max_length=MAX_HOLES)

    @model_validator(mode="after")
    def _check_rings(self) -> Self:
        _check_ring(self.points, f"A {self.tool}")
        for hole in self.holes:
            _check_ring(hole, "A hole")
        if len(self.points) + sum(map(len, self.holes)) > MAX_POINTS:
            raise PydanticCustomError(_RULE, f"A {self.tool} has at most {MAX_POINTS} corners; draw it in parts.")
        return self


class RectangleStroke(_AnyStroke):
    """The inside of two opposite corners."""

    tool: Literal["rectangle"]
    points: list[Point] = Field(min_length=2, max_length=2)


class FillStroke(_AnyStroke):
    """The connected region of one value around a seed."""

    tool: Literal["fill"]
    points: list[Point] = Field(min_length=1, max_length=1)


class SuperpixelStroke(_AnyStroke):
    """Superpixels of one grain, by the ids that ``superpixels/{grain}.png`` shows."""

    tool: Literal["superpixel"]
    grain: Literal["fine", "medium", "coarse"]
    segments: list[Annotated[int, Field(ge=0, lt=2**24)]] = Field(min_length=1, max_length=MAX_SEGMENTS)


class ClickStroke(_AnyStroke):
    """What the click-to-mask model finds at points that are in (sign 1) or out (sign 0)."""

    tool: Literal["click"]
    points: list[Point] = Field(min_length=1, max_length=MAX_CLICKS)
    signs: list[Literal[0, 1]] = Field(min_length=1, max_length=MAX_CLICKS)

    @model_validator(mode="after")
    def _check_signs(self) -> Self:
        if len(self.signs) != len(self.points):
            raise ValueError("there is one sign for each point")
        if 1 not in self.signs:
            raise PydanticCustomError(_RULE, "Every click removes; click on the thing that you want first.")
        return self


class SuggestionStroke(_AnyStroke):
    """A part of the model's suggestion, in the suggestion's own classes, where it is at least ``threshold`` sure.

    ``points`` are one seed for a region, a ring for a lasso, else none. ``class_index`` is the suggested class to
    accept in mode 'class', else 255.
    """

    tool: Literal["suggestion"]
    suggestion: Annotated[str, Field(pattern=r"^[0-9A-Za-z._:-]{1,100}$")]
    mode: Literal["region", "class", "lasso", "all"]
    points: Ring = []
    threshold: Share = 0.0

    @model_validator(mode="after")
    def _check_mode(self) -> Self:
        _check_copied_part(self.mode, self.points, self.class_index)
        return self


class VersionStroke(_AnyStroke):
    """A part of an earlier label version of the same tile, copied; ``points`` and ``class_index`` as a suggestion's."""

    tool: Literal["version"]
    version: Annotated[int, Field(ge=1)]
    mode: Literal["class", "lasso", "all"]
    points: Ring = []

    @model_validator(mode="after")
    def _check_mode(self) -> Self:
        _check_copied_part(self.mode, self.points, self.class_index)
        return self


DrawnStroke = BrushStroke | PolygonStroke | RectangleStroke
"""The strokes whose pixels follow from their points alone."""

Stroke = Annotated[
    BrushStroke
    | PolygonStroke
    | RectangleStroke
    | FillStroke
    | SuperpixelStroke
    | ClickStroke
    | SuggestionStroke
    | VersionStroke,
    Field(discriminator="tool"),
]
_STROKE: TypeAdapter[Stroke] = TypeAdapter(Stroke)


def parse_stroke(body: bytes) -> Stroke:
    """Read a stroke from JSON. Raises ``InputError`` that names the first thing wrong with it."""
    try:
        return _STROKE.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == _RULE:
            raise InputError(first["msg"]) from error
        where = ".".join(str(part) for part in first["loc"][1:]) or "the stroke"  # [0] is the tool
        raise InputError(
            f"The stroke was not understood ({where}: {first['msg']}); reload the page and draw it again."
        ) from error


def _check_ring(points: list[Point], what: str) -> None:
    if len(points) < 3:
        corners = f"{len(points)} corner{'' if len(points) == 1 else 's'}"
        raise PydanticCustomError(
            _RULE, f"{what} needs at least 3 corners and this one has {corners}; draw on before you close it."
        )


def _check_copied_part(mode: str, points: list[Point], class_index: int) -> None:
    """The rules that suggestions and versions share."""
    if mode == "lasso":
        _check_ring(points, "A lasso")
    elif len(points) != (1 if mode == "region" else 0):
        raise ValueError("points are one seed for a region, a ring for a lasso, else none")
    if (class_index == UNLABELLED) != (mode != "class"):
        raise ValueError(f"class_index is the class to accept in mode 'class', else {UNLABELLED}")
