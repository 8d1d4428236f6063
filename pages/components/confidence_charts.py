"""The charts of a run's confidence: reliability, and accuracy against coverage."""

import numpy as np
import plotly.graph_objects as go

from core.evaluation.calibration import Reliability
from core.evaluation.confidence_scores import COVERAGES, Coverage

AS_IT_IS, WITH_TEMPERATURE = "#d95f02", "#1b9e77"
"""Safe for the colour-blind beside each other (ColorBrewer's Dark2), readable on light and dark."""

_GREY = "rgba(128, 128, 128, 0.8)"
CHART_CONFIG = {"displaylogo": False, "modeBarButtons": [["toImage"]]}


def reliability_figure(before: Reliability, after: Reliability | None, *, title: str, of_what: str) -> go.Figure:
    """What the run says against what came true, by bin; below it how many pixels each bin holds.

    On the diagonal it is honest, below it is too sure, above too timid. ``of_what`` names the probability of the
    x axis.
    """
    figure = go.Figure()
    figure.add_trace(
        go.Bar(
            x=before.confidence,
            y=before.share,
            width=0.03,
            marker={"color": _GREY, "opacity": 0.45},
            name="share of the pixels",
            hovertemplate="%{y:.1%} of the pixels<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[0, 1], y=[0, 1], mode="lines", name="honest", hoverinfo="skip", line={"color": _GREY, "dash": "dash"}
        )
    )
    for one, name, colour in ((before, "as it is", AS_IT_IS), (after, "with the temperature", WITH_TEMPERATURE)):
        if one is None:
            continue
        figure.add_trace(
            go.Scatter(
                x=one.confidence,
                y=one.accuracy,
                mode="lines+markers",
                name=name,
                line={"color": colour, "width": 2},
                marker={"color": colour, "size": 4 + 14 * np.sqrt(one.share)},
                customdata=one.share,
                hovertemplate="says %{x:.1%}, is right %{y:.1%}<br>%{customdata:.1%} of the pixels"
                f"<extra>{name}</extra>",
            )
        )
    figure.update_layout(**_layout(title))
    figure.update_xaxes(title=of_what, range=[0, 1.02], dtick=0.2, tickformat=".0%")
    figure.update_yaxes(title="came true, share of pixels", range=[0, 1.03], tickformat=".0%")
    return figure


def coverage_figure(found: Coverage, *, title: str) -> go.Figure:
    """Accuracy of the most confident share of the pixels, with its 95 % band."""
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=np.concatenate([COVERAGES, COVERAGES[::-1]]),
            y=np.concatenate([found.high, found.low[::-1]]),
            fill="toself",
            fillcolor="rgba(27, 158, 119, 0.18)",
            line={"width": 0},
            hoverinfo="skip",
            name="95 % interval over tiles",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=COVERAGES,
            y=found.accuracy,
            mode="lines+markers",
            line={"color": WITH_TEMPERATURE, "width": 2},
            marker={"size": 5},
            name="accuracy",
            customdata=np.stack([found.low, found.high], axis=1),
            hovertemplate="of the surest %{x:.0%} of the pixels<br>%{y:.1%} are right "
            "(%{customdata[0]:.1%} to %{customdata[1]:.1%})<extra></extra>",
        )
    )
    figure.update_layout(**_layout(title))
    figure.update_xaxes(
        title="share of the pixels that are kept, the surest first", range=[0, 1.02], dtick=0.2, tickformat=".0%"
    )
    figure.update_yaxes(title="accuracy of those", range=[0, 1.03], tickformat=".0%")
    return figure


def _layout(title: str) -> dict[str, object]:
    return {
        "title": {"text": title, "font": {"size": 14}, "x": 0, "xref": "container"},
        "height": 360,
        "margin": {"l": 10, "r": 24, "t": 40, "b": 10},
        "legend": {"orientation": "h", "y": -0.22, "x": 0},
        "hovermode": "closest",
        "bargap": 0,
    }
