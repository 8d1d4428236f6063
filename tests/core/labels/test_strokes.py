import json

import pytest
from pydantic import ValidationError

from core.errors import InputError
from core.labels.strokes import MAX_POINTS, parse_stroke
from tests.core.labels.painting import brush


@pytest.mark.parametrize(
    "change",
    [
        {"class_index": 6},
        {"class_index": -1},
        {"tool": "spray"},
        {"tool": "eraser", "class_index": 2},
        {"tool": "polygon", "points": [[1, 1], [2, 2]]},
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


def test_coordinates_that_are_no_numbers_are_refused():
    for value in ("NaN", "Infinity"):
        body = f'{{"client_key":"12345678","tool":"brush","class_index":1,"points":[[1,{value}]],"radius":3}}'
        with pytest.raises(InputError, match="not understood"):
            parse_stroke(body.encode())
    with pytest.raises(ValidationError):
        brush([(float("nan"), 1.0)])
