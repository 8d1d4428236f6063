import json

from core.classes import CLASS_NAMES
from pages.components.curves import (
    RUN_COLOURS,
    coloured,
    has_classes,
    has_pace,
    iou_by_class,
    loss_and_score,
    pace,
)


def points(count, **more):
    return [
        {"epoch": n, "loss": 1 / n, "validation_miou": 0.1 * n, "seconds": 2.0 * n, **more} for n in range(1, count + 1)
    ]


def texts(chart):
    return [note["style"]["text"] for note in chart["graphic"]]


def along(series):
    return [x for x, _ in series["data"]]


def test_each_run_is_drawn_in_a_colour_of_its_own_in_both_panels():
    chart = loss_and_score(coloured([("a", points(3)), ("b", points(2))]))
    names = ["a · loss", "b · loss", "a · validation mIoU", "b · validation mIoU"]
    assert [one["name"] for one in chart["series"]] == names
    assert [one["color"] for one in chart["series"]] == [*RUN_COLOURS[:2]] * 2
    assert [one["yAxisIndex"] for one in chart["series"]] == [0, 0, 1, 1]
    assert chart["series"][0]["data"] == [[1, 1.0], [2, 0.5], [3, 1 / 3]]
    assert along(chart["series"][3]) == [1, 2]
    assert [axis.get("name") for axis in chart["xAxis"]] == [None, "epoch"]


def test_over_time_the_axis_is_seconds():
    chart = loss_and_score(coloured([("a", points(3))]), by_time=True)
    assert along(chart["series"][0]) == [2.0, 4.0, 6.0]
    assert chart["xAxis"][1]["name"] == "seconds"


def test_iterations_beside_epochs_are_named_both():
    other = [{"iteration": 5, "loss": 1.0, "validation_miou": None, "seconds": 1.0}]
    chart = loss_and_score(coloured([("a", points(3)), ("b", other)]))
    assert chart["xAxis"][1]["name"] == "epoch or iteration"
    assert along(chart["series"][1]) == [5]


def test_without_a_point_it_says_what_is_awaited_and_without_a_score_that_there_is_none():
    assert texts(loss_and_score(coloured([("a", [])]), waiting="Waiting for its turn.")) == ["Waiting for its turn."]
    unjudged = [{"epoch": 1, "loss": 1.0, "validation_miou": None, "seconds": 1.0}]
    assert texts(loss_and_score(coloured([("a", unjudged)]), waiting="x")) == ["no validation score"]


def test_every_fold_is_a_line_of_its_own():
    folds = [*points(2, member=1), *points(2, member=2)]
    chart = loss_and_score(coloured([("a", folds)]))
    assert [along(one) for one in chart["series"]] == [[1, 2]] * 4


def test_a_loss_that_is_no_number_leaves_a_chart_that_is_json():
    odd = [{"epoch": 1, "loss": 0.5, "seconds": 1.0}, {"epoch": 2, "loss": float("nan"), "seconds": 2.0}]
    chart = loss_and_score(coloured([("a", odd)]))
    json.dumps(chart, allow_nan=False)
    assert along(chart["series"][0]) == [1]


def test_a_long_line_is_thinned_but_keeps_its_ends():
    many = [{"iteration": n, "loss": 1.0, "seconds": n} for n in range(1, 5002)]
    drawn = along(loss_and_score(coloured([("a", many)]))["series"][0])
    assert len(drawn) < 600
    assert (drawn[0], drawn[-1]) == (1, 5001)


def test_the_score_axis_ends_above_the_best_and_seldom_moves():
    def top(best):
        curve = [{"epoch": 1, "loss": 1.0, "validation_miou": best, "seconds": 1.0}]
        return loss_and_score(coloured([("a", curve)]))["yAxis"][1]["max"]

    assert [top(best) for best in (0.1, 0.36, 0.5, 0.9)] == [0.4, 0.4, 0.6, 1.0]


def test_each_class_has_a_panel_of_one_scale_and_a_missing_one_stays_empty():
    iou = dict.fromkeys(CLASS_NAMES, 0.5) | {"barren": None}
    curves = coloured([("a", points(3, iou=iou)), ("b", points(2))])
    assert has_classes(curves)
    chart = iou_by_class(curves)
    assert [title["text"] for title in chart["title"]] == list(CLASS_NAMES)
    assert [len(one["data"]) for one in chart["series"]] == [3, 0] * 5 + [0, 0]
    assert {axis["max"] for axis in chart["yAxis"]} == {0.6}
    assert not has_classes(curves[1:])


def test_rate_speed_and_memory_are_for_networks_alone():
    network = points(2, learning_rate=1e-3, images_per_second=9.0, memory_bytes=2**31)
    assert not has_pace(coloured([("a", points(2))]))
    assert has_pace(coloured([("a", network)]))
    chart = pace(coloured([("a", network)]))
    assert [one["data"][0][1] for one in chart["series"]] == [1e-3, 9.0, 2.0]
