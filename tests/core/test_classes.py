import io

import numpy as np
import pytest
from PIL import Image

from core.classes import (
    CLASS_COUNT,
    CLASS_NAMES,
    CLASSES,
    PALETTE,
    UNKNOWN_COLOUR,
    UNLABELLED,
    IndexOrder,
    decode_colours,
    decode_indices,
    encode_colours,
    encode_indices,
    guess_index_order,
)

SEVEN_COLOURS = [c.colour for c in CLASSES] + [UNKNOWN_COLOUR]
SEVEN_VALUES = [*range(CLASS_COUNT), UNLABELLED]


def all_values(height=14, width=21):
    """A raster in which every class and unlabelled occur, in every row."""
    return np.resize(np.array(SEVEN_VALUES, np.uint8), (height, width))


def pixels(*colours):
    return np.array([colours], np.uint8)


def test_the_classes_are_deepglobes_in_the_agreed_order_and_colours():
    assert {c.name: c.colour for c in CLASSES} == {
        "urban": (0, 255, 255),
        "agriculture": (255, 255, 0),
        "rangeland": (255, 0, 255),
        "forest": (0, 255, 0),
        "water": (0, 0, 255),
        "barren": (255, 255, 255),
    }
    assert [c.index for c in CLASSES] == list(range(6))
    assert CLASS_NAMES[0] == "urban"
    assert CLASSES[0].hex_colour == "#00ffff"


@pytest.mark.parametrize(("colour", "value"), zip(SEVEN_COLOURS, SEVEN_VALUES, strict=True))
def test_each_palette_colour_and_its_value_are_each_others_inverse(colour, value):
    decoded = decode_colours(pixels(colour))
    assert decoded.raster.tolist() == [[value]]
    assert (decoded.off_palette, decoded.undecidable) == (0, 0)
    assert encode_colours(decoded.raster).tolist() == [[list(colour)]]


def test_a_mask_comes_back_byte_for_byte_through_a_png():
    mask = encode_colours(all_values())
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    decoded = decode_colours(np.asarray(Image.open(buffer)))
    assert decoded.off_palette == 0
    assert decoded.raster.dtype == np.uint8
    assert encode_colours(decoded.raster).tobytes() == mask.tobytes()


@pytest.mark.parametrize("index", range(3))
def test_a_channel_is_bright_from_128_on(index):
    dark, bright = [255, 255, 255], [255, 255, 255]
    dark[index], bright[index] = 127, 128
    decoded = decode_colours(pixels(dark, bright))
    without = tuple(0 if i == index else 255 for i in range(3))
    expected = next(c.index for c in CLASSES if c.colour == without)
    assert decoded.raster.tolist() == [[expected, CLASS_NAMES.index("barren")]]
    assert decoded.off_palette == 2


def test_every_colour_near_a_palette_colour_is_snapped_to_it_and_counted():
    noise = np.random.default_rng(0).integers(0, 128, (*all_values().shape, 3))
    mask = encode_colours(all_values()).astype(int)
    noisy = np.where(mask == 255, mask - noise, mask + noise).astype(np.uint8)
    noisy[0] = mask[0]
    decoded = decode_colours(noisy)
    np.testing.assert_array_equal(decoded.raster, all_values())
    assert decoded.off_palette == int((noisy != mask).any(axis=2).sum()) > 0
    assert decoded.undecidable == 0


@pytest.mark.parametrize("red", [(255, 0, 0), (128, 127, 127), (200, 10, 90)])
def test_red_is_no_class_and_is_counted(red):
    decoded = decode_colours(pixels(red, (0, 0, 0), (0, 255, 255)))
    assert decoded.raster.tolist() == [[UNLABELLED, UNLABELLED, 0]]
    assert (decoded.off_palette, decoded.undecidable) == (1, 1)


def test_an_off_palette_pixel_never_becomes_urban_silently():
    decoded = decode_colours(pixels((12, 30, 7), (120, 120, 120)))
    assert decoded.raster.tolist() == [[UNLABELLED, UNLABELLED]]
    assert decoded.off_palette == 2


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 4), np.uint8), np.zeros((2, 2, 3), np.float32)]
)
def test_an_array_that_is_no_rgb_image_is_refused(array):
    with pytest.raises(ValueError, match="palette mask"):
        decode_colours(array)


def test_values_that_are_no_class_are_drawn_black():
    assert (PALETTE[CLASS_COUNT:] == 0).all()


@pytest.mark.parametrize("order", IndexOrder)
def test_each_index_order_and_the_raster_are_each_others_inverse(order):
    written = encode_indices(all_values(), order)
    decoded = decode_indices(written, order)
    np.testing.assert_array_equal(decoded.raster, all_values())
    assert (decoded.off_palette, decoded.undecidable) == (0, 0)


@pytest.mark.parametrize(
    ("order", "urban", "barren", "unknown"),
    [(IndexOrder.RASTER, 0, 5, 255), (IndexOrder.UNKNOWN_FIRST, 1, 6, 0), (IndexOrder.UNKNOWN_LAST, 0, 5, 6)],
)
def test_the_index_orders_number_the_classes_as_they_say(order, urban, barren, unknown):
    raster = np.array([[0, 5, UNLABELLED]], np.uint8)
    assert encode_indices(raster, order).tolist() == [[urban, barren, unknown]]


@pytest.mark.parametrize(("order", "strange"), zip(IndexOrder, (6, 7, 7), strict=True))
def test_an_index_out_of_range_is_left_unlabelled_and_counted(order, strange):
    decoded = decode_indices(np.array([[strange, 254, 1]], np.uint8), order)
    assert decoded.raster[0, :2].tolist() == [UNLABELLED, UNLABELLED]
    assert decoded.raster[0, 2] < CLASS_COUNT
    assert (decoded.off_palette, decoded.undecidable) == (2, 2)


@pytest.mark.parametrize(
    ("values", "order"),
    [
        ([0, 1, 5, 255], IndexOrder.RASTER),
        ([255], IndexOrder.RASTER),
        ([0, 3], IndexOrder.RASTER),
        ([0, 1, 6], IndexOrder.UNKNOWN_FIRST),
        ([6], IndexOrder.UNKNOWN_FIRST),
        ([0, 7], None),
        ([6, 255], None),
        ([0, 128, 255], None),
    ],
)
def test_the_index_order_is_guessed_from_the_values_or_not_at_all(values, order):
    assert guess_index_order(np.array([values], np.uint8)) is order
