import io

import numpy as np
import pytest
from PIL import Image

from core.classes import UNLABELLED
from core.errors import InputError
from core.labels import importing, journal, provenance, versions
from core.labels.strokes import FillStroke, RectangleStroke
from tests.core.labels.painting import brush, random_brush


def rectangle(left, top, right, bottom, class_index):
    key = f"r-{left}-{top}-{right}-{bottom}-{class_index}"
    points = [(left, top), (right, bottom)]
    return RectangleStroke(client_key=key, tool="rectangle", class_index=class_index, points=points)


def test_a_pixel_belongs_to_the_stroke_that_changed_its_class_last(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, rectangle(0, 0, 20, 20, 1), annotator="Ada")
    journal.apply(workspace, tile.id, rectangle(10, 0, 30, 20, 1), annotator="Ben")  # half of it is agriculture already
    journal.apply(workspace, tile.id, brush([(5.5, 5.5)], class_index=2, radius=1), annotator="Ben")
    assert provenance.at(workspace, tile.id, 15, 5).annotator == "Ada"
    assert provenance.at(workspace, tile.id, 25, 5).annotator == "Ben"
    by_brush = provenance.at(workspace, tile.id, 5.5, 5.5)
    assert (by_brush.kind.name, by_brush.tool, by_brush.annotator) == ("brush", "brush", "Ben")
    assert provenance.at(workspace, tile.id, 40, 30) is None
    assert provenance.shares(workspace, tile.id) == provenance.Shares(
        {"outline": 595, "brush": 5}, {"Ada": 395, "Ben": 205}
    )


def test_erased_pixels_have_no_origin_and_an_undo_gives_the_earlier_one_back(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, rectangle(0, 0, 20, 20, 1))
    before = provenance.origins(workspace, tile.id)
    journal.apply(workspace, tile.id, brush([(10, 10)], class_index=UNLABELLED))
    assert provenance.at(workspace, tile.id, 10, 10) is None
    journal.undo(workspace, tile.id)
    assert np.array_equal(provenance.origins(workspace, tile.id), before)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_in_memory_is_what_the_journal_says_from_the_start(one, seed):
    workspace, tile = one
    generator = np.random.default_rng(seed)
    for _ in range(25):
        act = generator.integers(5)
        if act < 3:
            journal.apply(workspace, tile.id, random_brush(generator))
        else:
            (journal.undo if act == 3 else journal.redo)(workspace, tile.id)
        kept = provenance.origins(workspace, tile.id)
        provenance._cache = provenance._Cache()
        assert np.array_equal(kept, provenance.origins(workspace, tile.id))
        assert np.array_equal(kept == 0, journal.load(workspace, tile.id) == UNLABELLED)


def test_a_restored_version_and_another_programs_work_have_kinds_of_their_own(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, rectangle(0, 0, 20, 20, 1))
    version = versions.save(workspace, tile.id, "first")
    importing.clear(workspace, tile)
    importing.restore(workspace, tile, version.id, annotator="Ada")
    origin = provenance.at(workspace, tile.id, 3, 3)
    assert (origin.kind.name, origin.detail, origin.annotator) == ("version", "first", "Ada")
    changed = journal.load(workspace, tile.id).copy()
    changed[30:, 50:] = 4
    journal.replace(workspace, tile.id, changed, tool="outside")
    assert provenance.at(workspace, tile.id, 55, 35).kind.name == "outside"


def test_the_map_shows_each_kind_in_its_colour_and_leaves_the_rest_see_through(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, rectangle(0, 0, 20, 20, 1))
    fill = FillStroke(client_key="fill-0001", tool="fill", class_index=4, points=[(3, 3)])
    journal.apply(workspace, tile.id, brush([(30.5, 30.5)], class_index=1))
    journal.apply(workspace, tile.id, fill)
    with Image.open(io.BytesIO(provenance.encode_kinds(provenance.kinds(workspace, tile.id)))) as image:
        pixels = np.asarray(image.convert("RGBA"))
    colours = {kind.name: kind.colour for kind in provenance.KINDS}
    assert tuple(pixels[5, 5]) == (*colours["fill"], 255)
    assert tuple(pixels[30, 30]) == (*colours["brush"], 255)
    assert pixels[39, 0, 3] == 0


@pytest.mark.parametrize("place", [(-1, 0), (60, 0), (0, 40), (float("nan"), 0)])
def test_a_place_outside_the_tile_is_one_sentence(one, place):
    workspace, tile = one
    with pytest.raises(InputError, match="There is no pixel at"):
        provenance.at(workspace, tile.id, *place)


def test_every_tool_of_a_stroke_has_a_kind():
    from typing import get_args

    from core.labels import strokes

    tools = {
        tool
        for model in get_args(get_args(strokes.Stroke)[0])
        for tool in get_args(model.model_fields["tool"].annotation)
    }
    assert len(tools) == 10
    tools |= set(get_args(journal.Replacement))
    assert tools <= {tool for kind in provenance.KINDS for tool in kind.tools}
