"""A leaderboard, drawn and tabled."""

from core.evaluation.leaderboard import leaderboard
from pages.components.leaderboard_chart import leaderboard_figure, leaderboard_table, ranks_in_words
from tests.core.evaluation.test_intervals import tiles, with_hit_rate
from tests.core.evaluation.test_leaderboard import entry, jittered


def board():
    base = tiles(8)
    rows = [entry("a", jittered(base, 1)), entry("b", jittered(base, 2)), entry("bad", with_hit_rate(base, 0.6))]
    return leaderboard(rows)


def test_a_whisker_spans_the_interval_and_ties_show_the_same_ranks():
    found = board()
    figure = leaderboard_figure(found, [one["run"] for one in found["entries"]])
    [dots] = figure.data
    first = found["entries"][0]
    assert dots.x[0] + dots.error_x.array[0] == first["interval"][1]
    assert [label.split()[0] for label in dots.y] == ["1–2", "1–2", "3"]
    assert "8 common tiles" in figure.layout.title.text


def test_the_table_says_of_each_what_it_is_worth_against_the_best():
    found = board()
    table = leaderboard_table(found, ["", "", "CRF"])
    assert list(table["rank"]) == ["1–2", "1–2", "3"]
    assert list(table["against the best"]) == ["highest score", "cannot tell", "worse"]
    assert table["tiles to tell"].iloc[1] > 8
    assert table["learned from"].iloc[0] == "4 tiles, 90 instances, one"
    assert "switches" not in leaderboard_table(found, ["", "", ""]).columns


def test_one_rank_is_a_number_and_several_are_a_span():
    assert ranks_in_words([2, 2]) == "2"
    assert ranks_in_words([1, 3]) == "1–3"
