import json

import numpy as np
import pytest
from pydantic import ValidationError

from core.errors import InputError
from core.labels.strokes import MAX_POINTS, Guard, parse_stroke
from tests.core.labels.painting import brush


@pytest.mark.parametrize(
    "change",
    [
        {"class_index": 6},
        {"class_index": -1},
        {"tool": "spray"},
        {"tool": "eraser", "class_index": 2},
        {"points": []},
        {"points": [[1, 2]] * (MAX_POINTS + 1)},
        {"points": [[1, 1e9]]},
        {"points": [[1]]},
        {"radius": 0},
        {"radius": 1e6},
        {"client_key": "../../etc"},
        {"surprise": 1},
    ],
)
def test_a_malformed_stroke_is_refused_with_one_sentence(change):
    good = {"client_key": "12345678", "tool": "brush", "class_index": 1, "points": [[1, 1]], "radius": 3}
    parse_stroke(json.dumps(good).encode())
    with pytest.raises(InputError, match="The stroke was not understood"):
        parse_stroke(json.dumps(good | change).encode())


KEY = {"client_key": "12345678", "class_index": 1}
TRIANGLE = [[1, 1], [9, 1], [5, 8]]
STROKES = {
    "brush": {"points": [[1, 1]], "radius": 3},
    "eraser": {"class_index": 255, "points": [[1, 1]], "radius": 3},
    "polygon": {"points": TRIANGLE, "holes": [TRIANGLE]},
    "lasso": {"points": TRIANGLE},
    "rectangle": {"points": [[1, 1], [5, 5]]},
    "fill": {"points": [[1, 1]]},
    "superpixel": {"grain": "fine", "segments": [3, 4]},
    "click": {"points": [[1, 1], [2, 2]], "signs": [1, 0]},
    "suggestion": {"class_index": 255, "suggestion": "a1b2", "mode": "region", "points": [[1, 1]], "threshold": 0.8},
    "version": {"class_index": 255, "version": 7, "mode": "lasso", "points": TRIANGLE},
}


def parsed(tool, **change):
    return parse_stroke(json.dumps(KEY | {"tool": tool} | STROKES[tool] | change).encode())


@pytest.mark.parametrize("tool", STROKES)
def test_every_tool_has_its_own_fields_and_takes_no_others(tool):
    stroke = parsed(tool, guard={"over": 2, "protect": [4, 5]})
    assert stroke.tool == tool
    assert (stroke.guard.over, stroke.guard.protect) == (2, [4, 5])
    with pytest.raises(InputError, match="surprise"):
        parsed(tool, surprise=1)


@pytest.mark.parametrize(
    ("tool", "change", "words"),
    [
        (
            "polygon",
            {"points": TRIANGLE[:2]},
            "^A polygon needs at least 3 corners and this one has 2 corners; draw on",
        ),
        ("lasso", {"points": TRIANGLE[:1]}, "^A lasso needs at least 3 corners and this one has 1 corner; draw on"),
        ("polygon", {"holes": [TRIANGLE[:2]]}, "^A hole needs at least 3 corners"),
        ("polygon", {"holes": [TRIANGLE * 17] * 99}, "^A polygon has at most 5000 corners"),
        ("polygon", {"holes": [TRIANGLE] * 101}, "holes: List should have at most 100"),
        ("rectangle", {"points": TRIANGLE}, "points: List should have at most 2"),
        ("fill", {"points": TRIANGLE}, "points: List should have at most 1"),
        ("superpixel", {"segments": []}, "segments: List should have at least 1"),
        ("superpixel", {"segments": [1] * 5001}, "segments: List should have at most 5000"),
        ("superpixel", {"segments": [2**24]}, "segments.0"),
        ("superpixel", {"grain": "huge"}, "grain"),
        ("click", {"signs": [1]}, "one sign for each point"),
        ("click", {"signs": [0, 0]}, "^Every click removes; click on the thing that you want first"),
        ("click", {"points": [[1, 1]] * 51, "signs": [1] * 51}, "points: List should have at most 50"),
        ("suggestion", {"threshold": 1.5}, "threshold"),
        ("suggestion", {"suggestion": "../../etc/passwd"}, "suggestion: String should match"),
        ("suggestion", {"mode": "lasso"}, "^A lasso needs at least 3 corners"),
        ("suggestion", {"mode": "all"}, "points are one seed for a region"),
        ("suggestion", {"mode": "class", "points": []}, "class_index is the class to accept"),
        ("suggestion", {"class_index": 3}, "class_index is the class to accept"),
        ("version", {"mode": "region", "points": [[1, 1]]}, "mode"),
        ("version", {"version": 0}, "version"),
        ("fill", {"guard": {"over": "class 3"}}, "guard.over"),
        ("fill", {"guard": {"over": 6}}, "guard.over"),
        ("fill", {"guard": {"protect": [255]}}, "guard.protect.0"),
        ("fill", {"guard": {"surprise": 1}}, "guard.surprise"),
    ],
)
def test_what_is_wrong_with_a_stroke_is_one_sentence(tool, change, words):
    with pytest.raises(InputError, match=words):
        parsed(tool, **change)


def guarded(before, after, **guard):
    return Guard(**guard).apply(np.array(before, np.uint8), np.array(after, np.uint8)).tolist()


def test_a_guard_lets_paint_over_unlabelled_only_over_one_class_only_or_spares_some():
    before, after = [255, 0, 1, 2], [5, 5, 5, 5]
    assert guarded(before, after) == after
    assert guarded(before, after, over="unlabelled") == [5, 0, 1, 2]
    assert guarded(before, after, over=1) == [255, 0, 5, 2]
    assert guarded(before, after, protect=[0, 2]) == [5, 0, 5, 2]
    assert guarded(before, after, over=1, protect=[1]) == before


def test_the_eraser_obeys_a_class_and_protection_and_is_not_bound_to_what_is_unlabelled_already():
    before, after = [255, 0, 1, 2], [255] * 4
    assert guarded(before, after, over="unlabelled") == [255, 255, 255, 255]
    assert guarded(before, after, over="unlabelled", protect=[1]) == [255, 255, 1, 255]
    assert guarded(before, after, over=2) == [255, 0, 1, 255]


def test_coordinates_that_are_no_numbers_are_refused():
    for value in ("NaN", "Infinity"):
        body = f'{{"client_key":"12345678","tool":"brush","class_index":1,"points":[[1,{value}]],"radius":3}}'
        with pytest.raises(InputError, match="not understood"):
            parse_stroke(body.encode())
    with pytest.raises(ValidationError):
        brush([(float("nan"), 1.0)])
