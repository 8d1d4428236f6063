import numpy as np
import pytest

from core.catalog.splitting.methods import (
    deal_groups,
    deal_random,
    deal_stratified,
    joined,
    mean_deviation,
    merge_groups,
    side_sizes,
)
from core.errors import InputError

SHARES = (0.7, 0.15, 0.15)
VECTORS = np.random.default_rng(0).dirichlet([0.3, 1.5, 0.3, 0.4, 0.1, 0.3], 400)
NOTHING = np.zeros((0, 0))


@pytest.mark.parametrize(
    ("count", "shares", "sizes"),
    [
        (803, SHARES, [562, 121, 120]),
        (10, (0.8, 0.2, 0.0), [8, 2, 0]),
        (3, (0.9, 0.05, 0.05), [1, 1, 1]),
        (1, SHARES, [1, 0, 0]),
        (0, SHARES, [0, 0, 0]),
        (11, (1 / 3, 1 / 3, 1 / 3), [4, 4, 3]),
    ],
)
def test_sizes_sum_to_all_tiles_and_no_wanted_side_is_empty_while_there_are_tiles(count, shares, sizes):
    assert side_sizes(count, shares) == sizes


def test_the_same_seed_deals_alike_and_another_otherwise():
    for deal in (lambda seed: deal_random(400, SHARES, seed), lambda seed: deal_stratified(VECTORS, SHARES, seed)):
        assert np.array_equal(deal(3), deal(3))
        assert not np.array_equal(deal(3), deal(4))


@pytest.mark.parametrize("shares", [SHARES, (0.2,) * 5])
def test_stratified_sides_have_their_sizes_and_lie_nearer_to_all_than_any_of_twenty_random_splits(shares):
    weights = np.ones(len(VECTORS))
    sides = deal_stratified(VECTORS, shares, 0)
    assert np.bincount(sides).tolist() == side_sizes(len(VECTORS), shares)
    ours = mean_deviation(sides, VECTORS, weights, len(shares))
    random = [
        mean_deviation(deal_random(len(VECTORS), shares, seed), VECTORS, weights, len(shares)) for seed in range(20)
    ]
    assert ours < min(random)
    assert ours < 0.5 * np.median(random)


def test_tiles_of_unknown_shares_are_dealt_in_the_same_parts():
    vectors = np.vstack([VECTORS[:100], np.full((40, 6), np.nan)])
    sides = deal_stratified(vectors, SHARES, 0)
    assert np.bincount(sides[100:]).tolist() == [28, 6, 6]


def test_groups_stay_whole_and_the_sides_keep_their_sizes_and_class_shares():
    groups = joined(400, [(number, number + 1) for number in range(0, 399, 3)])
    sides = deal_groups(groups, SHARES, 0, amounts=VECTORS)
    for group in range(groups.max() + 1):
        assert len(set(sides[groups == group].tolist())) == 1
    assert np.abs(np.bincount(sides) - [280, 60, 60]).max() <= 2
    weights = np.ones(400)
    assert mean_deviation(sides, VECTORS, weights, 3) < 0.5 * np.median(
        [mean_deviation(deal_random(400, SHARES, seed), VECTORS, weights, 3) for seed in range(20)]
    )


def test_few_groups_still_fill_every_side_that_is_wanted():
    groups = np.array([0] * 8 + [1] + [2])
    sides = deal_groups(groups, (0.9, 0.05, 0.05), 0, amounts=np.ones((10, 0)))
    assert sorted(np.bincount(sides).tolist()) == [1, 1, 8]
    assert np.bincount(sides)[0] == 8


def test_fewer_groups_than_sides_are_refused():
    with pytest.raises(InputError, match="2 groups of tiles cannot be dealt to 3 sides"):
        deal_groups(np.array([0, 0, 1]), SHARES, 0, amounts=np.ones((3, 0)))


def test_what_is_joined_by_a_chain_is_one_group():
    groups = joined(6, [(0, 1), (1, 2), (4, 5)])
    assert len(set(groups[[0, 1, 2]].tolist())) == len(set(groups[[4, 5]].tolist())) == 1
    assert len(set(groups.tolist())) == 3
    assert joined(3, []).tolist() == [0, 1, 2]


def test_groups_of_two_rules_are_merged_where_they_meet():
    merged = merge_groups(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 2, 3]))
    assert merged.tolist() == [0, 0, 0, 1, 1]


def test_the_deviation_is_that_worked_out_by_hand():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    # Means .5 and .5 of all by pixels; side 0 has 1 and 0, side 1 (weights 1 and 2) has 1/3 and 2/3: |.5|, |.1667|.
    deviation = mean_deviation(np.array([0, 1, 1]), vectors, np.array([1.0, 1.0, 2.0]), 2)
    assert deviation == pytest.approx((0.5 + 0.5 + 1 / 6 + 1 / 6) / 4)


def test_one_side_alone_has_no_deviation():
    assert mean_deviation(np.zeros(3, int), VECTORS[:3], np.ones(3), 3) is None
