"""The classes' colours on the screen."""

from core.classes import CLASSES, PALETTE
from core.screen_colours import SAFE, Palette, hex_colours, keep_palette, kept_palette, parse_palette, raster_colours
from core.workspace import open_workspace


def test_deepglobes_colours_are_those_of_the_masks_and_the_safe_ones_are_others():
    assert hex_colours(Palette.DEEPGLOBE) == [c.hex_colour for c in CLASSES]
    assert (raster_colours(Palette.DEEPGLOBE) == PALETTE).all()
    assert hex_colours(Palette.SAFE)[4] == "#0072b2"
    assert len(set(SAFE)) == len(CLASSES)


def test_a_raster_in_safe_colours_keeps_black_for_what_is_no_class():
    table = raster_colours(Palette.SAFE)
    assert [tuple(colour) for colour in table[:6].tolist()] == list(SAFE)
    assert not table[6:].any()


def test_an_address_that_names_no_palette_means_deepglobes():
    assert parse_palette("safe") is Palette.SAFE
    assert parse_palette("") is parse_palette("../etc") is Palette.DEEPGLOBE


def test_the_choice_is_kept_in_the_workspace(tmp_path):
    workspace = open_workspace(tmp_path)
    assert kept_palette(workspace) is Palette.DEEPGLOBE
    keep_palette(workspace, Palette.SAFE)
    assert kept_palette(open_workspace(tmp_path)) is Palette.SAFE
