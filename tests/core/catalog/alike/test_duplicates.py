import numpy as np
import pytest

from core.catalog.alike.duplicates import near_duplicates
from core.catalog.alike.looks import outline_of
from core.errors import CancelledError
from core.progress import CancelFlag, SilentProgress
from tests.core.catalog.pictures import noise
from tests.pieces import CHANGES, cut
from tests.scenes import small_pair

SCENES = [small_pair(seed, 1024).image for seed in range(4)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_is_found_again_after(change):
    outlines = [outline_of(image) for image in SCENES]
    changed = [outline_of(CHANGES[change](image)) for image in SCENES]
    found = near_duplicates(np.stack([*outlines, *changed]), SilentProgress())
    assert {(pair.first, pair.second) for pair in found} == {(number, number + 4) for number in range(4)}
    assert all(pair.score >= 0.9 for pair in found)


def test_different_fields_are_no_duplicates():
    pieces = [piece.image for number, scene in enumerate(SCENES) for piece in cut(scene, 4, picture=number)]
    assert near_duplicates(np.stack([outline_of(image) for image in pieces]), SilentProgress()) == []


def test_a_small_part_of_a_picture_is_not_the_picture():
    image = SCENES[0]
    half = image[:, : image.shape[1] * 3 // 4]
    assert near_duplicates(np.stack([outline_of(image), outline_of(half)]), SilentProgress()) == []


def test_plain_and_few_pictures_have_no_duplicates():
    plain = outline_of(np.full((64, 64, 3), 90, np.uint8))
    assert near_duplicates(np.stack([plain, plain]), SilentProgress()) == []
    assert near_duplicates(plain[None], SilentProgress()) == []
    assert near_duplicates(np.empty((0, 96, 96), np.uint8), SilentProgress()) == []


def test_a_cancel_stops_the_comparison():
    flag = CancelFlag()
    flag.raised = True
    with pytest.raises(CancelledError):
        near_duplicates(np.stack([outline_of(noise())] * 2), SilentProgress(flag))
