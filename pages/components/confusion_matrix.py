"""The confusion matrix as a heat map with its values written in the cells, in three readings; cells can be chosen."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

from core.classes import CLASS_COUNT, CLASS_NAMES
from core.evaluation.error_regions import PREDICTIONS

Reading = Literal["by truth", "by prediction", "pixels"]
READINGS: tuple[Reading, ...] = ("by truth", "by prediction", "pixels")
EXPLANATIONS: dict[Reading, str] = {
    "by truth": "Of each true class (a row, 100 %): what it was predicted as. The diagonal is recall.",
    "by prediction": "Of each predicted class (a column, 100 %): what it truly is. The diagonal is precision.",
    "pixels": "Labelled pixels of all tiles.",
}

Cell = tuple[int, int]
"""True class 0..5, and the predicted one, 255 for unlabelled."""

_LIGHT = ((0.0, "#f4f8f6"), (0.5, "#7fbfa6"), (1.0, "#14573f"))
_DARK = ((0.0, "#17201b"), (0.5, "#1d5a45"), (1.0, "#238a64"))
_CHOSEN = "#ff2d95"  # as the outlines of the pixels on the image


def confusion_figure(
    matrix: Sequence[Sequence[int]], reading: Reading, *, dark: bool, title: str = "", chosen: Cell | None = None
) -> go.Figure:
    """Draw a (6, 7) confusion matrix, rows truth, columns prediction; the last column is predicted unlabelled.

    That column is left out where it is empty, and so are rows of classes that the truth lacks. With ``chosen``, the
    cells off the diagonal that hold pixels can be chosen by a click, and that one is marked at first; each point of the
    selection then has its ``Cell`` as ``customdata``.
    """
    counts = np.asarray(matrix, np.int64)
    columns = [*CLASS_NAMES, "unlabelled"] if counts[:, -1].any() else list(CLASS_NAMES)
    seen = counts.sum(axis=1) > 0
    shares = _shares(counts, reading)[seen][:, : len(columns)]
    counts = counts[seen][:, : len(columns)]
    rows = [name for name, there in zip(CLASS_NAMES, seen, strict=True) if there]
    texts = [
        [_cell(int(count), float(share), reading) for count, share in zip(*pair, strict=True)]
        for pair in zip(counts, shares, strict=True)
    ]
    heat = go.Heatmap(
        z=shares,
        x=columns,
        y=rows,
        customdata=counts,
        text=texts,
        texttemplate="%{text}",
        hovertemplate="truth %{y}, predicted %{x}<br>%{customdata:,} pixels<extra></extra>",
        colorscale=_DARK if dark else _LIGHT,
        zmin=0,
        zmax=1 if reading != "pixels" else max(float(shares.max(initial=0)), 1e-9),
        showscale=False,
        xgap=2,
        ygap=2,
    )
    figure = go.Figure(heat if chosen is None else [heat, _targets(counts, rows, columns, chosen)])
    quiet = {"showgrid": False, "zeroline": False, "fixedrange": True, "tickfont": {"size": 12}, "automargin": True}
    figure.update_layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "y": 0.985, "yanchor": "top"},
        height=86 + 42 * len(counts) + (34 if title else 0),
        margin={"l": 10, "r": 10, "t": 40 if title else 10, "b": 10},
        xaxis={"title": {"text": "predicted", "standoff": 6}, **quiet},
        yaxis={"title": {"text": "truth"}, "autorange": "reversed", **quiet},
        hovermode="closest",
        hoverdistance=-1,
        showlegend=False,
    )
    return figure


def largest_confusion(matrix: Sequence[Sequence[int]]) -> Cell | None:
    """The cell off the diagonal with most pixels; None where nothing is wrong."""
    wrong = np.asarray(matrix, np.int64).copy()
    wrong[np.arange(CLASS_COUNT), np.arange(CLASS_COUNT)] = 0
    true_class, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return (int(true_class), PREDICTIONS[int(column)]) if wrong.any() else None


def chosen_cell(event: Any) -> Cell | None:
    """The cell in what ``st.plotly_chart(on_select=...)`` returned, or None where none is chosen."""
    points = event.selection.points if event else []
    return (int(points[0]["customdata"][0]), int(points[0]["customdata"][1])) if points else None


def _targets(counts: np.ndarray, rows: Sequence[str], columns: Sequence[str], chosen: Cell) -> go.Scatter:
    """What takes the clicks, since a heat map cannot be selected: an unseen square on every cell that holds errors."""
    cells = [
        (row, column, CLASS_NAMES.index(row), PREDICTIONS[j], int(counts[i, j]))
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
        if row != column and counts[i, j]
    ]
    at = [number for number, cell in enumerate(cells) if cell[2:4] == chosen]
    return go.Scatter(
        x=[cell[1] for cell in cells],
        y=[cell[0] for cell in cells],
        customdata=[cell[2:] for cell in cells],
        mode="markers",
        marker={"symbol": "square-open", "size": 36, "color": _CHOSEN, "line": {"width": 3, "color": _CHOSEN}},
        selectedpoints=at,
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 0}},
        hovertemplate="truth %{y}, predicted %{x}<br>%{customdata[2]:,} pixels: click to see them<extra></extra>",
    )


def _shares(counts: np.ndarray, reading: Reading) -> np.ndarray:
    axis = {"by truth": 1, "by prediction": 0, "pixels": None}[reading]
    return counts / np.maximum(counts.sum(axis=axis, keepdims=True), 1)


def _cell(count: int, share: float, reading: Reading) -> str:
    if count == 0:
        return "0"
    if reading != "pixels":
        return f"{share:.1%}"
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return str(count)
