import math

import numpy as np
import pytest

from core.labels import queue_rules
from core.labels.queue_facts import Facts
from core.labels.queue_rules import ACCOUNTS, DEFAULT_SECONDS_PER_CLASS, Rule


def facts(uncertainty=0.5, shares=(1, 0, 0, 0, 0, 0), embedding=(1, 0)):
    return Facts("run", uncertainty, np.array(shares, float), np.array(embedding, np.float32))


ENCODER_ONLY = Facts(None, None, None, np.array([1, 0], np.float32))


def worths(judged):
    return [one.worth for one in judged]


def test_every_rule_gives_an_account_of_itself():
    assert set(ACCOUNTS) == set(Rule)
    assert all(account.sentence and account.formula for account in ACCOUNTS.values())


def test_lots_are_the_same_for_a_seed_whatever_tiles_join():
    few = queue_rules.draw_lots(["a", "b"], seed=1)
    more = queue_rules.draw_lots(["c", "a", "d", "b"], seed=1)
    assert worths(few) == [more[1].worth, more[3].worth]
    assert worths(few) != worths(queue_rules.draw_lots(["a", "b"], seed=2))


def test_lots_are_fair():
    drawn = worths(queue_rules.draw_lots([str(number) for number in range(2000)], seed=0))
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.03)
    assert min(drawn) >= 0
    assert max(drawn) < 1


def test_the_most_uncertain_comes_first_and_what_is_unknown_cannot_be_judged():
    judged = queue_rules.judge_uncertainty([facts(0.2), facts(0.41), None, ENCODER_ONLY])
    assert worths(judged[:2]) == [0.2, 0.41]
    assert judged[1].reason == "uncertainty .41"
    assert all(math.isnan(one.worth) for one in judged[2:])


def test_the_rarest_class_is_the_one_with_fewest_instances_that_the_run_expects_somewhere():
    seen = [facts(shares=(0.5, 0.5, 0, 0, 0, 0)), facts(shares=(0.895, 0, 0, 0.1, 0, 0.005)), None]
    judged = queue_rules.judge_rarest(seen, [30, 8, 0, 2, 0, 0])  # barren is doubt, rangeland and water are nowhere
    assert worths(judged[:2]) == [0, 0.1]
    assert judged[1].reason == "forest is rarest (2 instances), 10% of this tile"
    assert math.isnan(judged[2].worth)


def test_of_classes_with_equally_few_instances_the_one_predicted_least_counts():
    seen = [facts(shares=(0.6, 0.4, 0, 0, 0, 0)), facts(shares=(0.7, 0.3, 0, 0, 0, 0))]
    assert worths(queue_rules.judge_rarest(seen, [0] * 6)) == [0.4, 0.3]


def test_farthest_first_takes_the_greatest_distance_to_the_nearest_taken():
    places = np.array([[0, 0], [1, 0], [10, 0], [0, 4]], np.float32)
    order = queue_rules.farthest_first(places, chosen=np.array([[0, 0]], np.float32), count=3)
    assert order == [(2, 10.0), (3, 4.0), (1, 1.0)]


def test_farthest_first_begins_with_the_most_typical_and_takes_each_once():
    places = np.array([[0, 0], [5, 0], [10, 0], [5, 1]], np.float32)
    order = queue_rules.farthest_first(places, chosen=np.empty((0, 2), np.float32), count=9)
    assert [row for row, _ in order] == [1, 0, 2, 3]
    assert math.isinf(order[0][1])


def test_farthest_first_covers_better_than_chance():
    generator = np.random.default_rng(0)
    centres = generator.normal(0, 10, (5, 8))
    places = (centres[np.repeat(np.arange(5), 40)] + generator.normal(0, 0.1, (200, 8))).astype(np.float32)
    order = queue_rules.farthest_first(places, chosen=np.empty((0, 8), np.float32), count=5)
    assert {row // 40 for row, _ in order} == set(range(5))


def test_diversity_compares_with_what_is_labelled_and_leaves_other_encoders_out():
    seen = [facts(embedding=(1, 0)), facts(embedding=(0, 1)), None, facts(embedding=(1, 0, 0))]
    judged = queue_rules.judge_diversity(seen, [facts(embedding=(1, 0))], count=10)
    assert worths(judged[:2]) == [-1, 0]
    assert "distance 1.41" in judged[1].reason
    assert all(math.isnan(one.worth) for one in judged[2:])


def test_rarity_halves_at_twenty_instances():
    assert queue_rules.rarity([0, 20, 60]).tolist() == [1, 0.5, 0.25]


def test_effective_classes_count_equal_shares():
    assert queue_rules.effective_classes(np.array([1.0, 0, 0, 0, 0, 0])) == 1
    assert queue_rules.effective_classes(np.array([0.25] * 4 + [0, 0])) == pytest.approx(4)


def test_the_pace_is_the_median_of_finished_tiles_once_there_are_three():
    two_classes = facts(shares=(0.5, 0.5, 0, 0, 0, 0))
    done = [(100.0, two_classes), (20.0, facts())]
    assert queue_rules.seconds_per_class(done) == DEFAULT_SECONDS_PER_CLASS
    assert queue_rules.seconds_per_class([*done, (0.0, facts()), (30.0, None)]) == DEFAULT_SECONDS_PER_CLASS
    assert queue_rules.seconds_per_class([*done, (900.0, facts())]) == pytest.approx(50)


def test_worth_is_gain_times_rarity_per_minute():
    shares = (0.5, 0.5, 0, 0, 0, 0)
    [one] = queue_rules.judge_worth([facts(0.4, shares)], [20, 0, 0, 0, 0, 0], pace=30)
    assert one.worth == pytest.approx(0.4 * (0.5 * 0.5 + 0.5 * 1) / (30 * 2 / 60))
    assert one.reason == "uncertainty .40, rarity .75 (most by agriculture), about 1.0 min"


def test_of_two_tiles_alike_but_for_their_cost_the_cheaper_is_worth_more():
    simple, mixed = facts(0.4, (1, 0, 0, 0, 0, 0)), facts(0.4, (0.5, 0.5, 0, 0, 0, 0))
    first, second = worths(queue_rules.judge_worth([simple, mixed], [0] * 6, pace=60))
    assert first == pytest.approx(2 * second)
    assert math.isnan(queue_rules.judge_worth([ENCODER_ONLY], [0] * 6, pace=60)[0].worth)
