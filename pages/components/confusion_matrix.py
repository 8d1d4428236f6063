"""The confusion matrix as a heat map with its values written in the cells, in three readings."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from core.classes import CLASS_NAMES

Reading = Literal["by truth", "by prediction", "pixels"]
READINGS: tuple[Reading, ...] = ("by truth", "by prediction", "pixels")
EXPLANATIONS: dict[Reading, str] = {
    "by truth": "Of each true class (a row, 100 %): what it was predicted as. The diagonal is recall.",
    "by prediction": "Of each predicted class (a column, 100 %): what it truly is. The diagonal is precision.",
    "pixels": "Labelled pixels of all tiles.",
}

_LIGHT = ((0.0, "#f4f8f6"), (0.5, "#7fbfa6"), (1.0, "#14573f"))
_DARK = ((0.0, "#17201b"), (0.5, "#1d5a45"), (1.0, "#238a64"))


def confusion_figure(matrix: Sequence[Sequence[int]], reading: Reading, *, dark: bool) -> go.Figure:
    """Draw a (6, 7) confusion matrix, rows truth, columns prediction; the last column is predicted unlabelled.

    That column is left out where it is empty, and so are rows of classes that the truth lacks.
    """
    counts = np.asarray(matrix, np.int64)
    columns = [*CLASS_NAMES, "unlabelled"] if counts[:, -1].any() else list(CLASS_NAMES)
    seen = counts.sum(axis=1) > 0
    shares = _shares(counts, reading)[seen][:, : len(columns)]
    counts = counts[seen][:, : len(columns)]
    texts = [
        [_cell(int(count), float(share), reading) for count, share in zip(*rows, strict=True)]
        for rows in zip(counts, shares, strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=columns,
            y=[name for name, there in zip(CLASS_NAMES, seen, strict=True) if there],
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
    )
    figure.update_layout(
        height=90 + 44 * len(counts),
        margin={"l": 90, "r": 10, "t": 50, "b": 10},
        xaxis={"title": {"text": "predicted", "standoff": 6}, "side": "top", "showgrid": False},
        yaxis={"title": "truth", "autorange": "reversed", "showgrid": False},
    )
    return figure


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
