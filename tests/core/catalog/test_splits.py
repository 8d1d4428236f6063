from collections import Counter

import pytest

from core.catalog.splits import glnet_splits, split_by_rule, split_of_folder


def test_the_lists_hold_454_207_and_142_tiles() -> None:
    assert Counter(glnet_splits().values()) == {"train": 454, "val": 207, "test": 142}


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train", "train"),
        ("valid", "val"),
        ("VAL", "val"),
        ("Test", "test"),
        ("land-train", "train"),
        ("strain", None),
        ("images", None),
        ("train-test", None),
    ],
)
def test_a_folders_name_speaks_of_one_split_or_of_none(folder: str, split: str | None) -> None:
    assert split_of_folder(folder) == split


def test_one_tile_alone_trains_and_two_are_one_of_each() -> None:
    assert split_by_rule(["a"]) == {"a": "train"}
    assert sorted(split_by_rule(["a", "b"]).values()) == ["train", "val"]


def test_a_quarter_validates_and_the_order_of_the_names_does_not_matter() -> None:
    names = [f"tile {number}" for number in range(100)]
    assert Counter(split_by_rule(names).values()) == {"train": 75, "val": 25}
    assert split_by_rule(names) == split_by_rule(names[::-1])
