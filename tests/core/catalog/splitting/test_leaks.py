import pytest

from core.catalog.alike.related import RelatedPair, RelatedPairs
from core.catalog.splitting.leaks import all_moves, find_leaks, leaks_in_words
from core.catalog.splitting.plans import Place

TRAIN, VAL, TEST = Place("train"), Place("val"), Place("test")


def _pairs(*pairs, kind="neighbours"):
    return RelatedPairs(tuple(RelatedPair(a, b, kind, 0.9, "right") for a, b in pairs), 9, 0)


def test_only_pairs_on_two_sides_leak_in_their_order():
    related = RelatedPairs(
        (
            RelatedPair(1, 2, "same file", 1.0),
            RelatedPair(3, 4, "near duplicate", 0.99),
            RelatedPair(5, 6, "neighbours", 0.9, "below"),
        ),
        6,
        0,
    )
    leaks = find_leaks(related, {1: TRAIN, 2: TEST, 3: VAL, 4: VAL, 5: TRAIN, 6: VAL})
    assert [(leak.pair.first, leak.sides) for leak in leaks] == [(1, ("train", "test")), (5, ("train", "val"))]
    assert leaks_in_words([leak.pair for leak in leaks]) == "1 pair of equal files and 1 pair of neighbours"


def test_a_tile_that_is_left_out_leaks_nothing():
    assert find_leaks(_pairs((1, 2)), {1: TRAIN}) == []


@pytest.mark.parametrize(
    ("places", "moves"),
    [
        ([TRAIN, VAL, VAL, TRAIN, VAL], {1: VAL, 4: VAL}),
        ([TRAIN, VAL, VAL, TRAIN, TEST], {2: TRAIN, 3: TRAIN, 5: TRAIN}),
        ([VAL, TEST, VAL, TEST, TRAIN], {2: VAL, 4: VAL, 5: VAL}),
    ],
    ids=["most", "train of equals", "the first of other equals"],
)
def test_a_whole_chain_moves_to_the_side_that_has_most_of_it(places, moves):
    chain = _pairs((1, 2), (2, 3), (3, 4), (4, 5))
    leaks = find_leaks(chain, dict(enumerate(places, 1)))
    assert all(leak.group == (1, 2, 3, 4, 5) and leak.moves == moves for leak in leaks)


def test_moving_all_leaves_no_leak():
    related = _pairs((1, 2), (2, 3), (4, 5), (6, 7))
    places = {1: TRAIN, 2: VAL, 3: VAL, 4: TEST, 5: TRAIN, 6: VAL, 7: VAL}
    moved = {**places, **all_moves(find_leaks(related, places))}
    assert find_leaks(related, moved) == []
    assert (moved[1], moved[4], moved[6]) == (VAL, TRAIN, VAL)


def test_two_folds_are_two_sides_whichever_judges():
    first, second, third = Place("val", 0), Place("train", 1), Place("train", 2)
    leaks = find_leaks(_pairs((1, 2), (2, 3)), {1: first, 2: second, 3: third})
    assert [leak.sides for leak in leaks] == [("fold 1", "fold 2"), ("fold 2", "fold 3")]
    assert all_moves(leaks) == {2: first, 3: first}
