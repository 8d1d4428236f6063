"""Data sets whose layout and classes are known, mapped to ours (technique C4: more training data from elsewhere).

No mapping is free: ``Preset.loss`` says what each one blurs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from core.catalog.incoming.colour_tables import UNLABELLED_NAME, ColourTable, TableRow, colour_of
from core.classes import CLASSES, UNLABELLED


@dataclass(frozen=True, slots=True)
class Preset:
    """A data set whose layout and classes are known.

    ``source`` is where the table was read, ``loss`` what the mapping blurs; ``metres_per_pixel`` is None where the
    files say it themselves.
    """

    name: str
    image_pattern: str
    mask_pattern: str
    table: ColourTable
    metres_per_pixel: float | None
    source: str
    loss: str


def _table(*rows: tuple[int | None, str, str | None, str]) -> ColourTable:
    return ColourTable(
        tuple(
            TableRow(name, index, colour_of(colour) if colour else None, becomes)
            for index, name, colour, becomes in rows
        )
    )


LOVEDA = Preset(
    name="LoveDA",
    image_pattern="**/images_png/{id}.png",
    mask_pattern="**/masks_png/{id}.png",
    table=_table(
        (0, "no data", "#000000", UNLABELLED_NAME),
        (1, "background", "#ffffff", UNLABELLED_NAME),
        (2, "building", "#ff0000", "urban"),
        (3, "road", "#ffff00", "urban"),
        (4, "water", "#0000ff", "water"),
        (5, "barren", "#9f81b7", "barren"),
        (6, "forest", "#00ff00", "forest"),
        (7, "agriculture", "#ffc380", "agriculture"),
    ),
    metres_per_pixel=0.3,
    source="Indices from LoveDA's own README (Wang et al., NeurIPS 2021), colours from MMSegmentation's loveda.py.",
    loss=(
        "LoveDA has no rangeland. Its background is whatever none of its classes is (grass, bare yards, anything), so "
        "it is left unlabelled; where you see that it is grass, set it to rangeland. Buildings and roads both become "
        "urban, although DeepGlobe also calls the land between houses urban and leaves country roads out."
    ),
)
OPEN_EARTH_MAP = Preset(
    name="OpenEarthMap",
    image_pattern="**/images/{id}.tif",
    mask_pattern="**/labels/{id}.tif",
    table=_table(
        (0, "no data", "#000000", UNLABELLED_NAME),
        (1, "bareland", "#800000", "barren"),
        (2, "rangeland", "#00ff24", "rangeland"),
        (3, "developed space", "#949494", "urban"),
        (4, "road", "#ffffff", "urban"),
        (5, "tree", "#226126", "forest"),
        (6, "water", "#0045ff", "water"),
        (7, "agriculture land", "#4bb549", "agriculture"),
        (8, "building", "#de1f07", "urban"),
    ),
    metres_per_pixel=None,
    source="Indices and colours from OpenEarthMap's class table (Xia et al., WACV 2023).",
    loss=(
        "Developed space, road and building all become urban. Single trees in towns become forest and lawns rangeland, "
        "where DeepGlobe would call the whole block urban: the grain is finer than DeepGlobe's."
    ),
)
DEEPGLOBE_COLOURS = Preset(
    name="DeepGlobe's colours",
    image_pattern="**/{id}_sat.jpg",
    mask_pattern="**/{id}_mask.png",
    table=ColourTable(
        (
            *(TableRow(one.name, one.index, one.colour, one.name) for one in CLASSES),
            TableRow("unknown", UNLABELLED, (0, 0, 0), UNLABELLED_NAME),
        )
    ),
    metres_per_pixel=None,
    source="DeepGlobe's README (Demir et al., CVPR Workshops 2018).",
    loss="Nothing: these are our classes. Start from it for a layout of your own.",
)
PRESETS: Mapping[str, Preset] = {one.name: one for one in (LOVEDA, OPEN_EARTH_MAP, DEEPGLOBE_COLOURS)}
