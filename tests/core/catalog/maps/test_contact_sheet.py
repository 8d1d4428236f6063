from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.catalog.maps.contact_sheet import SIDE, Picture, Sheets, as_keys, micro
from core.errors import InputError

BLANK = np.full((SIDE, SIDE, 3), 7, np.uint8)
KEYS = as_keys([f"{number:04}" for number in (30, 10, 20, 40)])


def _draw(number: int) -> Picture:
    return np.full((SIDE, SIDE, 3), 10 * number + 10, np.uint8)


def _seen(sheets: Sheets, path: Path, keys: np.ndarray, level: int = 0) -> list[int]:
    sheet = sheets.get(path)
    return sheet.levels[level][sheet.rows_of(keys)][:, 0, 0, 0].tolist()


def test_every_key_finds_its_picture_at_every_level_and_unknown_ones_the_blank(tmp_path: Path) -> None:
    sheets, path = Sheets(BLANK), tmp_path / "sheet.npy"
    assert _seen(sheets, path, KEYS) == [7] * 4
    assert sheets.fill(path, KEYS, _draw, seconds=10) == 0
    for level in range(6):
        assert sheets.get(path).levels[level].shape[1] == SIDE >> level
        assert _seen(sheets, path, as_keys(["0010", "none", "0030", "0040", ""]), level) == [20, 7, 10, 40, 7]


def test_another_process_reads_what_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "sheet.npy"
    Sheets(BLANK).fill(path, KEYS, _draw, seconds=10)
    assert Sheets(BLANK).missing(path, KEYS) == 0
    assert _seen(Sheets(BLANK), path, KEYS) == [10, 20, 30, 40]


def test_filling_stops_when_its_time_is_up_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    sheets, path = Sheets(BLANK), tmp_path / "sheet.npy"
    keys = as_keys([f"{number:05}" for number in range(200)])
    drawn: list[int] = []

    def draw(number: int) -> Picture:
        drawn.append(number)
        return _draw(number % 20)

    left = sheets.fill(path, keys, draw, seconds=0)
    assert 0 < left < 200
    assert left == sheets.missing(path, keys) == 200 - len(drawn)
    while sheets.fill(path, keys, draw, seconds=0):
        pass
    assert sorted(drawn) == list(range(200))


def test_what_nobody_wants_any_more_is_dropped(tmp_path: Path) -> None:
    sheets, path = Sheets(BLANK), tmp_path / "sheet.npy"
    sheets.fill(path, KEYS, _draw, seconds=10)
    sheets.fill(path, as_keys(["0010", "0050"]), lambda _: _draw(5), seconds=10)
    assert sheets.get(path).keys.tolist() == [b"0010", b"0050"]
    assert _seen(sheets, path, as_keys(["0010", "0050", "0030"])) == [20, 60, 7]


def test_a_picture_that_cannot_be_drawn_stays_blank_and_is_not_tried_again(tmp_path: Path) -> None:
    sheets, path, tried = Sheets(BLANK), tmp_path / "sheet.npy", []

    def draw(number: int) -> Picture:
        tried.append(number)
        if number == 1:
            raise InputError("gone")
        return _draw(number)

    for _ in range(2):
        assert sheets.fill(path, KEYS, draw, seconds=10) == 0
    assert _seen(sheets, path, KEYS) == [10, 7, 30, 40]
    assert sorted(tried) == [0, 1, 2, 3]


@pytest.mark.parametrize("content", [b"", b"no sheet", b"\x93NUMPY\x01\x00garbage"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sheet.npy"
    path.write_bytes(content)
    sheets = Sheets(BLANK)
    assert sheets.missing(path, KEYS) == 4
    sheets.fill(path, KEYS, _draw, seconds=10)
    assert _seen(sheets, path, KEYS) == [10, 20, 30, 40]


def test_a_sheet_of_classes_is_none_of_pictures(tmp_path: Path) -> None:
    path = tmp_path / "sheet.npy"
    Sheets(np.full((SIDE, SIDE), 255, np.uint8)).fill(path, KEYS, lambda _: np.zeros((SIDE, SIDE), np.uint8), 10)
    assert Sheets(BLANK).missing(path, KEYS) == 4


def test_two_who_fill_at_once_draw_each_picture_once(tmp_path: Path) -> None:
    sheets, path, drawn = Sheets(BLANK), tmp_path / "sheet.npy", []
    with ThreadPoolExecutor(4) as pool:
        fill = lambda _: sheets.fill(path, KEYS, lambda number: drawn.append(number) or _draw(number), 10)  # noqa: E731
        assert list(pool.map(fill, range(4))) == [0] * 4
    assert sorted(drawn) == [0, 1, 2, 3]


def test_micro_pictures_average_colours_and_keep_classes() -> None:
    halves = np.zeros((50, 200, 3), np.uint8)
    halves[:, 100:] = 200
    assert micro(halves).shape == (SIDE, SIDE, 3)
    assert micro(halves)[0, [0, -1], 0].tolist() == [0, 200]
    assert set(np.unique(micro(halves[..., 0] // 200 * 5))) <= {0, 5}
