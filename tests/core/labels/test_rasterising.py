import numpy as np
import pytest

from core.errors import InputError
from core.labels.rasterising import rasterise
from core.labels.strokes import PolygonStroke, RectangleStroke
from tests.core.labels.painting import brush

SHAPE = (40, 60)


def covered(stroke, shape=SHAPE):
    box, mask = rasterise(stroke, shape)
    whole = np.zeros(shape, bool)
    whole[box.slices] = mask
    assert mask.any(axis=1)[[0, -1]].all(), "the box is the smallest"
    assert mask.any(axis=0)[[0, -1]].all(), "the box is the smallest"
    return whole


def shape_of(tool, points, **more):
    kind = RectangleStroke if tool == "rectangle" else PolygonStroke
    return kind(client_key="12345678", tool=tool, class_index=0, points=points, **more)


def centres(shape=SHAPE):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return columns + 0.5, rows + 0.5


def within_distance(points, radius, shape=SHAPE):
    """The definition, pixel by pixel: the centre's distance from the nearest segment."""
    x, y = centres(shape)
    nearest = np.full(shape, np.inf)
    for (ax, ay), (bx, by) in zip(points, points[1:] or points, strict=False):
        dx, dy = bx - ax, by - ay
        length = dx * dx + dy * dy
        t = np.clip(((x - ax) * dx + (y - ay) * dy) / length, 0, 1) if length else 0.0
        nearest = np.minimum(nearest, np.hypot(x - (ax + t * dx), y - (ay + t * dy)))
    return nearest - radius


def even_odd(points, shape=SHAPE):
    x, y = centres(shape)
    inside = np.zeros(shape, bool)
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
        if ay != by:
            crosses = (np.minimum(ay, by) <= y) & (y < np.maximum(ay, by))
            inside ^= crosses & (ax + (y - ay) * (bx - ax) / (by - ay) <= x)
    return inside


@pytest.mark.parametrize("seed", range(30))
def test_a_brush_covers_exactly_the_pixels_whose_centre_is_within_its_radius(seed):
    generator = np.random.default_rng(seed)
    points = [tuple(p) for p in generator.uniform(-8, (68, 48), (int(generator.integers(1, 7)), 2)).tolist()]
    points[0] = (30.2, 20.7)
    radius = float(generator.uniform(0.8, 12))
    excess = within_distance(points, radius)
    mask = covered(brush(points, radius=radius))
    decided = np.abs(excess) > 1e-9  # on the rim itself, rounding may go either way
    assert np.array_equal(mask[decided], (excess < 0)[decided])


@pytest.mark.parametrize("points", [[(5, 5), (50, 5)], [(9.5, 2), (9.5, 30)], [(7, 7), (7, 7)]])
def test_level_upright_and_standing_strokes_are_no_exception(points):
    assert np.array_equal(covered(brush(points, radius=3.3)), within_distance(points, 3.3) < 0)


def test_the_smallest_brush_paints_the_pixel_it_stands_on():
    mask = covered(brush([(10.5, 3.5)], radius=0.5))
    assert np.argwhere(mask).tolist() == [[3, 10]]


@pytest.mark.parametrize("seed", range(30))
def test_a_polygon_covers_its_inside_by_the_even_odd_rule_even_where_it_crosses_itself(seed):
    generator = np.random.default_rng(seed)
    points = [tuple(p) for p in generator.uniform(-10, (70, 50), (int(generator.integers(3, 12)), 2)).tolist()]
    expected = even_odd(points)
    if expected.any():
        assert np.array_equal(covered(shape_of("polygon", points)), expected)


def test_polygons_that_share_an_edge_leave_no_gap_and_do_not_overlap():
    left = covered(shape_of("polygon", [(3.2, 2.1), (30.7, 8.5), (22.4, 33.3), (5, 30)]))
    right = covered(shape_of("polygon", [(30.7, 8.5), (55, 3), (50, 36), (22.4, 33.3)]))
    both = covered(shape_of("polygon", [(3.2, 2.1), (30.7, 8.5), (55, 3), (50, 36), (22.4, 33.3), (5, 30)]))
    assert not (left & right).any()
    assert np.array_equal(left | right, both)


def test_a_rectangle_may_be_drawn_from_any_corner_and_is_clipped_to_the_tile():
    mask = covered(shape_of("rectangle", [(70, 9.4), (20.6, -5)]))
    assert mask.sum() == (60 - 21) * 9
    assert mask[0:9, 21:].all()


@pytest.mark.parametrize(
    "stroke",
    [
        brush([(-50, -50), (-40, 900_000)]),
        shape_of("polygon", [(100, 100), (200, 100), (200, 200)]),
        shape_of("rectangle", [(5, 5), (5, 30)]),
    ],
)
def test_a_stroke_that_covers_no_pixel_is_refused(stroke):
    with pytest.raises(InputError, match="covers no pixel"):
        rasterise(stroke, SHAPE)


def even_odd_of_all(rings):
    inside = np.zeros(SHAPE, bool)
    for ring in rings:
        inside ^= even_odd(ring)
    return inside


@pytest.mark.parametrize("seed", range(10))
def test_holes_are_cut_out_by_the_even_odd_rule_over_all_rings(seed):
    generator = np.random.default_rng(seed)
    outline = [(2.3, 1.7), (57.1, 3.3), (55.2, 37.9), (4.4, 38.2)]
    holes = [[tuple(p) for p in generator.uniform((8, 8), (50, 34), (5, 2)).tolist()] for _ in range(3)]
    expected = even_odd_of_all([outline, *holes])
    assert np.array_equal(covered(shape_of("polygon", outline, holes=holes)), expected)


def test_an_island_in_a_lake_is_painted_again():
    outline, lake, island = (
        [(low, low), (high, low), (high, high), (low, high)] for low, high in ((2, 38), (8, 32), (14, 26))
    )
    mask = covered(shape_of("lasso", outline, holes=[lake, island]))
    assert [bool(mask[20, column]) for column in (5, 10, 20)] == [True, False, True]


def test_a_hole_beside_its_polygon_is_refused_since_even_odd_would_paint_it():
    outline, outside = [(2, 2), (20, 2), (20, 20)], [(40, 30), (50, 30), (50, 39)]
    inside = [(15, 8), (18, 8), (18, 11)]
    with pytest.raises(InputError, match="Hole 2 lies outside its polygon"):
        rasterise(shape_of("polygon", outline, holes=[inside, outside]), SHAPE)


def test_a_hole_as_large_as_its_polygon_leaves_nothing_and_says_so():
    outline = [(2, 2), (20, 2), (20, 20)]
    with pytest.raises(InputError, match="covers no pixel"):
        rasterise(shape_of("polygon", outline, holes=[outline]), SHAPE)


def test_a_polygon_without_an_area_covers_no_pixel_and_says_so():
    with pytest.raises(InputError, match="covers no pixel"):
        rasterise(shape_of("polygon", [(2, 2), (20, 20), (40, 40)]), SHAPE)
