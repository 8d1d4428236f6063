import io

import numpy as np
import pytest
from PIL import Image

from core.classes import UNLABELLED
from core.errors import InputError
from core.labels import agreement, journal
from core.labels.agreement import AGREE, DIFFER, MAP_COLOURS, NEITHER, ONE_ONLY, Both, agree, cohen_kappa
from tests.core.labels.painting import brush, new_workspace

URBAN, FOREST, WATER = 0, 3, 4


def raster(*rows):
    return np.array(rows, np.uint8)


def test_kappa_is_what_one_computes_by_hand():
    # p_o = 35 / 50 = .7; p_e = .5 x .6 + .5 x .4 = .5; kappa = .2 / .5.
    assert cohen_kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)


def test_kappa_is_one_for_full_agreement_zero_for_chance_and_below_for_worse():
    assert cohen_kappa(np.diag([5, 7, 9])) == pytest.approx(1)
    assert cohen_kappa(np.array([[4, 4], [4, 4]])) == pytest.approx(0)
    assert cohen_kappa(np.array([[0, 5], [5, 0]])) == pytest.approx(-1)


def test_only_pixels_that_both_labelled_count():
    first = raster([URBAN, URBAN, FOREST, UNLABELLED])
    second = raster([URBAN, FOREST, UNLABELLED, WATER])
    found = agree(first, second)
    assert found.both_labelled_pixels == 2
    assert found.agreement == pytest.approx(0.5)
    assert found.confusion[URBAN, FOREST] == 1


def test_a_class_is_judged_against_all_others():
    first = raster([URBAN] * 20 + [FOREST] * 5 + [WATER] * 10 + [URBAN] * 15)
    second = raster([URBAN] * 20 + [URBAN] * 5 + [FOREST] * 10 + [FOREST] * 15)
    found = agree(first, second)
    table = np.array([[20, 15], [5, 10]])  # urban by the first and the second, against the rest
    assert found.kappa_by_class["urban"] == pytest.approx(cohen_kappa(table))


def test_what_cannot_be_said_is_none():
    nothing = np.full((3, 3), UNLABELLED, np.uint8)
    forest = np.full((3, 3), FOREST, np.uint8)
    unlabelled = agree(nothing, forest)
    assert (unlabelled.kappa, unlabelled.agreement, unlabelled.both_labelled_pixels) == (None, None, 0)
    alike = agree(forest, forest)
    assert (alike.kappa, alike.agreement) == (None, 1.0)
    assert set(alike.kappa_by_class.values()) == {None}


def test_a_class_that_one_person_uses_and_the_other_never_does_scores_zero():
    found = agree(raster([FOREST, FOREST]), raster([WATER, FOREST]))
    assert found.kappa_by_class["water"] == pytest.approx(0)
    assert found.kappa_by_class["urban"] is None


def test_the_map_tells_agreement_difference_and_one_label_apart():
    first = raster([UNLABELLED, URBAN, URBAN, URBAN, UNLABELLED])
    second = raster([UNLABELLED, URBAN, WATER, UNLABELLED, WATER])
    found = agreement.agreement_map(first, second)
    assert found.tolist() == [[NEITHER, AGREE, DIFFER, ONE_ONLY, ONE_ONLY]]
    with Image.open(io.BytesIO(agreement.encode_map(found))) as image:
        picture = np.asarray(image.convert("RGBA"))
    assert [tuple(pixel) for pixel in picture[0].tolist()] == [MAP_COLOURS[kind] for kind in found[0]]


def test_taking_an_opinion_in_keeps_the_labels_where_it_says_nothing():
    pair = Both(raster([URBAN, URBAN, UNLABELLED]), raster([WATER, UNLABELLED, WATER]))
    assert agreement.taken_in(pair.labels, pair.opinion).tolist() == [[WATER, URBAN, WATER]]


def test_opinions_are_those_with_a_stroke_that_stands(tmp_path):
    workspace, [tile] = new_workspace(tmp_path)
    journal.apply(workspace, tile.id, brush([(10, 10)]))
    journal.apply(workspace, tile.id, brush([(30, 20)]), opinion="Ben", annotator="Ben")
    journal.apply(workspace, tile.id, brush([(30, 20)]), opinion="Ada", annotator="Ada")
    journal.undo(workspace, tile.id, opinion="Ada")
    assert agreement.opinions(workspace, tile.id) == ["Ben"]
    pair = agreement.both(workspace, tile.id, "Ben")
    assert (pair.labels[10, 10], pair.labels[20, 30]) == (1, UNLABELLED)
    assert (pair.opinion[10, 10], pair.opinion[20, 30]) == (UNLABELLED, 1)
    with pytest.raises(InputError, match="Ada has no second opinion"):
        agreement.both(workspace, tile.id, "Ada")
