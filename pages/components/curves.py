"""Training curves: the loss, and the validation score beside it."""

from typing import Any

import plotly.graph_objects as go


def training_curves(points: list[dict[str, Any]]) -> go.Figure:
    """Loss (left axis) and validation mIoU (right axis) over iterations or epochs, from a run's metrics."""
    step = "epoch" if "epoch" in points[0] else "iteration"
    figure = go.Figure()
    figure.add_scatter(
        x=[p[step] for p in points],
        y=[p["loss"] for p in points],
        name="training loss",
        mode="lines",
        line={"color": "#7a8f86", "width": 2},
    )
    judged = [p for p in points if p.get("validation_miou") is not None]
    if judged:
        figure.add_scatter(
            x=[p[step] for p in judged],
            y=[p["validation_miou"] for p in judged],
            name="validation mIoU",
            mode="lines+markers",
            yaxis="y2",
            line={"color": "#1f9a70", "width": 3},
        )
    figure.update_layout(
        height=300,
        margin={"l": 50, "r": 50, "t": 10, "b": 40},
        xaxis={"title": step},
        yaxis={"title": "loss", "rangemode": "tozero"},
        yaxis2={
            "title": "mIoU",
            "overlaying": "y",
            "side": "right",
            "range": [0, 1],
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "showgrid": False,
        },
        legend={"orientation": "h", "y": 1.12},
        hovermode="x unified",
    )
    return figure
