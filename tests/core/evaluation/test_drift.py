"""Whether new tiles are like training tiles."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.catalog.images import read_image
from core.evaluation.drift import compare_profiles, distance_sentence, verdict_sentence
from core.evaluation.tile_profiles import profile
from core.inference.tile_observer import Observed
from tests.core.evaluation.profiles import drawn_profile


def tiles(first, count, **drawn):
    return [drawn_profile(first + number, **drawn) for number in range(count)]


def test_tiles_from_elsewhere_are_called_different_and_lie_beyond_all_training_tiles():
    found = compare_profiles(tiles(0, 4, shift=5.0), tiles(50, 9))
    assert found.verdict == "different"
    assert all(group.corrected <= 0.05 for group in found.groups)
    assert all(tile.further_than == 1 for tile in found.tiles)
    sentence = verdict_sentence(found, collection="dubai", run="first")
    assert sentence.startswith("dubai differs from what run first was trained on: the features and colours")
    assert "Expect lower scores" in sentence
    assert "4 of 4 lie further than all of them" in distance_sentence(found)


def test_tiles_from_the_same_place_are_called_alike_with_a_word_on_how_few_they_are():
    found = compare_profiles(tiles(0, 4), tiles(50, 9))
    assert found.verdict == "alike"
    assert "only a large difference would have been noticed" in verdict_sentence(found, collection="here", run="first")


def test_of_tiles_from_the_same_place_few_are_called_different():
    rung = [
        compare_profiles(tiles(100 * trial, 4), tiles(100 * trial + 50, 8)).verdict == "different"
        for trial in range(80)
    ]
    assert np.mean(rung) <= 0.1


def test_too_few_tiles_cannot_tell_however_far_they_are():
    found = compare_profiles(tiles(0, 1, shift=50.0), tiles(50, 3))
    assert found.verdict == "cannot tell"
    assert "too few for any test" in verdict_sentence(found, collection="one", run="first")
    assert found.tiles[0].further_than == 1


def test_every_statistic_is_told_with_an_effect_size_and_an_interval():
    found = compare_profiles(tiles(0, 4, shift=5.0), tiles(50, 9))
    assert [shift.group for shift in found.shifts] == ["colours"] * 6 + ["confidence"] + ["class shares"] * 6
    lightness = found.shifts[0]
    assert lightness.new > lightness.training
    assert lightness.interval[0] < lightness.g < lightness.interval[1]


def test_a_copy_of_a_training_tile_is_nearest_to_itself():
    training = tiles(50, 6)
    found = compare_profiles([training[3], drawn_profile(9)], training)
    assert found.tiles[0].nearest[0] == 3
    assert found.tiles[0].distance == pytest.approx(0, abs=1e-6)
    assert found.tiles[0].further_than == 0


def test_the_result_can_be_written_as_json():
    assert json.loads(json.dumps(compare_profiles(tiles(0, 2), tiles(50, 3)).as_dict()))["new_tiles"] == 2


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="two training tiles"):
        compare_profiles(tiles(0, 1), tiles(50, 1))


REAL = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.real
@pytest.mark.skipif(not (REAL / "open" / "dubai-2448").is_dir(), reason="the real tiles are not beside the project")
def test_real_tiles_of_dubai_ring_against_deepglobe_and_deepglobes_own_do_not():
    """By colours, and their means in blocks of 306 pixels in place of an encoder's features."""

    def seen(folder):
        found = []
        for path in sorted(folder.glob("*_sat.jpg")):
            image = read_image(path)
            blocks = cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA).transpose(2, 0, 1)
            found.append(profile(Observed(image, blocks.astype(np.float16), None)))
        return found

    dubai, deepglobe = seen(REAL / "open" / "dubai-2448"), seen(REAL / "deepglobe" / "land-train")
    assert compare_profiles(dubai, deepglobe).verdict == "different"
    assert compare_profiles(deepglobe[:4], deepglobe[4:]).verdict == "alike"
    assert compare_profiles(deepglobe[::3], [one for i, one in enumerate(deepglobe) if i % 3]).verdict == "alike"
