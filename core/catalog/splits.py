"""Which tiles train, which validate, which are kept for the test.

What a tile comes with has three sources, the first that knows it counts: GLNet's published lists of DeepGlobe's 803
labelled tiles (454 / 207 / 142; Chen et al., CVPR 2019), which most papers score on; folders named train, valid and
test; a rule. ``core/catalog/splitting`` has the named splits that are made here. Splits are always by whole tile.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

Split = Literal["train", "val", "test"]
SplitSource = Literal["glnet", "folder", "rule"]

SPLITS: tuple[Split, ...] = ("train", "val", "test")

LEFT_OUT = ""
"""In place of a split: of a tile that the named split which its collection follows leaves out."""

_LISTS = Path(__file__).parents[2] / "assets" / "splits"
_FOLDER_WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_RULE_STEP = 4


@cache
def glnet_splits() -> Mapping[str, Split]:
    """The split of each of the 803 DeepGlobe ids in GLNet's lists."""
    return {name: split for split in SPLITS for name in (_LISTS / f"glnet-{split}.txt").read_text().split()}


def split_of_folder(folder: str) -> Split | None:
    """The split that a folder's name speaks of ('valid', 'land-train', 'Test'), or None."""
    words = re.split(r"[^a-z]+", folder.lower())
    found = {_FOLDER_WORDS[word] for word in words if word in _FOLDER_WORDS}
    return found.pop() if len(found) == 1 else None


def split_by_rule(names: list[str]) -> dict[str, Split]:
    """Train and val for tiles that nobody assigned: in the order of their names' hashes, every fourth validates.

    The same names give the same split on every machine. One tile alone trains; two or more give at least one of
    each.
    """
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return {name: "val" if place % _RULE_STEP == 1 else "train" for place, name in enumerate(order)}
