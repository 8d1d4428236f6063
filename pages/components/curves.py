"""Training curves: loss and validation score, IoU by class, and what the optimiser and the device did; by run.

Drawn with ECharts and not with Plotly, as other charts are: Streamlit builds a Plotly chart anew whenever its data
change, which flashes every second, and only gives an ECharts chart with a key its new data.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.classes import CLASS_NAMES
from core.jobs.log import step_of

# Apart from each other on a light and on a dark ground; the first is the app's own green.
RUN_COLOURS = ("#1f9a70", "#4a7fc1", "#d98a1f", "#a06bc4", "#d9534f", "#2a9fb4", "#b0843c", "#c95c96")
CHART_HEIGHT = 400
_MOST_POINTS = 500
_MOST_SYMBOLS = 40
_GREY = "#8a938e"
_SECONDS = "seconds"

Option = dict[str, Any]
"""What ECharts calls an option: a whole chart as JSON."""

Point = dict[str, Any]
Value = Callable[[Point], float | None]


@dataclass(frozen=True, slots=True)
class Curve:
    """One run's points, as ``FitTask.measured`` writes them, and the colour that it is drawn in."""

    name: str
    points: Sequence[Point]
    colour: str

    def members(self) -> list[list[Point]]:
        """The points of each member of an ensemble (fold, round), in one list where there are none."""
        found: dict[Any, list[Point]] = {}
        for point in self.points:
            found.setdefault(point.get("member"), []).append(point)
        return list(found.values())


def coloured(named: Sequence[tuple[str, Sequence[Point]]]) -> list[Curve]:
    """Curves in colours that tell them apart, by their order."""
    return [Curve(name, points, RUN_COLOURS[i % len(RUN_COLOURS)]) for i, (name, points) in enumerate(named)]


def loss_and_score(curves: Sequence[Curve], *, by_time: bool = False, waiting: str = "") -> Option:
    """Training loss above, validation mIoU below, over epochs or iterations, or over seconds.

    ``waiting`` stands in the upper panel where there is no point yet.
    """
    chart = _Chart(curves, by_time)
    chart.panel("loss", lambda p: p.get("loss"), box=_row(0, 2))
    scores = chart.panel("validation mIoU", lambda p: p.get("validation_miou"), box=_row(1, 2), score=True)
    if not any(curve.points for curve in curves):
        chart.say(waiting, top="18%")
    elif not scores:
        chart.say("no validation score", top="70%")
    return chart.option()


def iou_by_class(curves: Sequence[Curve], *, by_time: bool = False) -> Option:
    """One small panel a class, its IoU on the validation tiles; a class that they lack stays empty."""
    chart = _Chart(curves, by_time)
    for index, name in enumerate(CLASS_NAMES):
        row, column = divmod(index, 3)
        box = {"left": f"{9 + 31 * column}%", "width": "28%", "top": 30 + 182 * row, "height": 138}
        chart.panel("", lambda p, name=name: (p.get("iou") or {}).get(name), box=box, score=True, title=name)
    chart.level_scores(columns=3)
    return chart.option()


PACE = {"learning_rate": "learning rate", "images_per_second": "images/s", "memory_bytes": "memory, GiB"}


def pace(curves: Sequence[Curve], *, by_time: bool = False) -> Option:
    """Learning rate, throughput and memory of networks, one below the other."""
    chart = _Chart(curves, by_time)
    for row, (key, label) in enumerate(PACE.items()):
        chart.panel(label, _scaled(key, 2**30 if key == "memory_bytes" else 1), box=_row(row, 3))
    return chart.option()


def has_pace(curves: Sequence[Curve]) -> bool:
    """Whether any curve has what ``pace`` draws."""
    return any(p.get(key) is not None for curve in curves for p in curve.points for key in PACE)


def has_classes(curves: Sequence[Curve]) -> bool:
    """Whether any curve has IoU by class."""
    return any(p.get("iou") for curve in curves for p in curve.points)


def _scaled(key: str, unit: float) -> Value:
    return lambda p: None if p.get(key) is None else p[key] / unit


def _row(index: int, count: int) -> Option:
    """The place of one of ``count`` panels below each other, in pixels."""
    gap, top, bottom = 22, 12, 48
    height = (CHART_HEIGHT - top - bottom - gap * (count - 1)) // count
    return {"left": 64, "right": 10, "top": top + index * (height + gap), "height": height}


class _Chart:
    """Panels that share what lies along them; a line a run and member in each."""

    def __init__(self, curves: Sequence[Curve], by_time: bool) -> None:
        self._curves, self._by_time = curves, by_time
        self._grids: list[Option] = []
        self._titles: list[Option] = []
        self._x: list[Option] = []
        self._y: list[Option] = []
        self._series: list[Option] = []
        self._notes: list[Option] = []
        self._best = 0.0

    def panel(self, label: str, value: Value, *, box: Option, score: bool = False, title: str = "") -> list[float]:
        """Add a panel with its lines; ``score`` for values of 0 to 1. Returns the values that are drawn."""
        index = len(self._grids)
        drawn: list[float] = []
        for curve in self._curves:
            members = curve.members()
            for points in members:
                found = [(_place(p, i, self._by_time), y) for i, p in enumerate(points) if _is_number(y := value(p))]
                drawn += [y for _, y in found]
                self._series.append(
                    _line(curve, found, index, what=title or label, one=len(members) == 1, marked=score)
                )
        self._best = max([self._best, *drawn])
        self._grids.append({**box, "outerBoundsMode": "none"})  # or panels with longer figures begin further right
        if title:
            style = {"fontSize": 12, "fontWeight": 500}
            centre = {"left": f"{float(box['left'].rstrip('%')) + 14}%", "textAlign": "center"}
            self._titles.append({"text": title, "top": box["top"] - 24, "textStyle": style, **centre})
        self._x.append(
            {
                "axisPointer": {"label": {"precision": 0}},
                "type": "value",
                "gridIndex": index,
                "minInterval": 1,
                "splitLine": {"show": False},
            }
        )
        top = {"max": _top(drawn)} if score else {}
        name = {"name": label, "nameLocation": "middle", "nameGap": 48}
        self._y.append({"type": "value", "gridIndex": index, "min": 0, "splitNumber": 3, **name, **top})
        return drawn

    def level_scores(self, *, columns: int) -> None:
        """Give all panels one scale, with its figures beside the first of each row and below the last row."""
        for index, axis in enumerate(self._y):
            axis["max"] = _top([self._best])
            axis["axisLabel"] = {"show": index % columns == 0}

    def say(self, text: str, *, top: str) -> None:
        """A sentence where a line would be."""
        style = {
            "text": text,
            "fill": _GREY,
            "fontSize": 13,
            "width": 240,
            "overflow": "break",
            "lineHeight": 20,
            "align": "center",
        }
        self._notes.append({"type": "text", "left": "center", "top": top, "style": style})

    def option(self) -> Option:
        """The whole chart."""
        lowest = max(grid["top"] for grid in self._grids)
        for grid, axis in zip(self._grids, self._x, strict=True):
            last = grid["top"] == lowest
            axis["axisLabel"] = {"show": last, "hideOverlap": True}
            if last:
                axis |= {"name": _axis(self._curves, self._by_time), "nameLocation": "middle", "nameGap": 28}
        return {
            "animation": False,
            "grid": self._grids,
            "title": self._titles,
            "xAxis": self._x,
            "yAxis": self._y,
            "series": self._series,
            "graphic": self._notes,
            "legend": {"show": False},  # the table of the runs above the chart has their colours
            "tooltip": {"trigger": "axis", "valueFormatter": "%.4g", "confine": True},
            "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        }


def _line(curve: Curve, found: list[tuple[float, float]], index: int, *, what: str, one: bool, marked: bool) -> Option:
    stride = -(-len(found) // _MOST_POINTS)
    kept = found if stride <= 1 else [*found[:-1:stride], found[-1]]
    return {
        "type": "line",
        "name": f"{curve.name} · {what}",
        "xAxisIndex": index,
        "yAxisIndex": index,
        "data": [list(pair) for pair in kept],
        "color": curve.colour,
        "lineStyle": {"width": 2.2 if one else 1.2, "opacity": 1 if one else 0.75},
        "showSymbol": len(kept) < 2 or (marked and len(kept) <= _MOST_SYMBOLS),
        "symbol": "circle",
        "symbolSize": 5,
    }


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _place(point: Point, index: int, by_time: bool) -> float:
    step = point.get(_SECONDS) if by_time else step_of(point)
    return float(step) if step is not None else index + 1


def _axis(curves: Sequence[Curve], by_time: bool) -> str:
    if by_time:
        return _SECONDS
    kinds = {key for curve in curves for p in curve.points[:1] for key in ("epoch", "iteration") if key in p}
    return " or ".join(sorted(kinds)) or "epoch"


def _top(values: Sequence[float]) -> float:
    """The upper end of an axis of scores: steps of 0.2, so that it seldom moves."""
    return next((top for top in (0.4, 0.6, 0.8) if max(values, default=1.0) <= top - 0.03), 1.0)
