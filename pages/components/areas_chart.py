"""Hectares by class: what was counted, and what is estimated, with its interval."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from core.evaluation.areas import AreaEstimate

_ON_LIGHT, _ON_DARK = "#1d2a24", "#f2f5f3"
_EDGE = "#808a85"


def areas_figure(estimate: AreaEstimate, colours: Sequence[str], *, area: str, dark: bool) -> go.Figure:
    """Bars of the counted hectares in the classes' ``colours``, and the estimates with their intervals over tiles."""
    ink, halo = (_ON_DARK, _ON_LIGHT) if dark else (_ON_LIGHT, _ON_DARK)
    names = [one.name for one in estimate.classes]
    figure = go.Figure()
    figure.add_bar(
        x=names,
        y=[one.counted for one in estimate.classes],
        name="counted on the map",
        marker={"color": list(colours), "line": {"color": _EDGE, "width": 1}},
        hovertemplate="%{x}: %{y:,.1f} ha counted<extra></extra>",
    )
    figure.add_scatter(
        x=names,
        y=[one.estimated for one in estimate.classes],
        mode="markers",
        name="estimated, 95 % interval over tiles",
        marker={"color": ink, "size": 11, "symbol": "diamond", "line": {"color": halo, "width": 1.5}},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [one.over_tiles[1] - one.estimated for one in estimate.classes],
            "arrayminus": [one.estimated - one.over_tiles[0] for one in estimate.classes],
            "color": ink,
            "thickness": 2,
            "width": 6,
        },
        customdata=[one.over_tiles for one in estimate.classes],
        hovertemplate="%{x}: %{y:,.1f} ha estimated<br>95 % interval %{customdata[0]:,.1f} to %{customdata[1]:,.1f} ha"
        "<extra></extra>",
    )
    figure.update_layout(
        title={
            "text": f"Hectares by class: {area}",
            "subtitle": {"text": "bars: counted on the map; diamonds: estimated, with the 95 % interval over tiles"},
            "font": {"size": 15},
        },
        height=330,
        margin={"l": 60, "r": 10, "t": 70, "b": 30},
        yaxis={"title": "area, hectares", "rangemode": "tozero"},
        showlegend=False,
    )
    return figure


def areas_table(estimate: AreaEstimate) -> pd.DataFrame:
    """One row a class, in hectares."""
    return pd.DataFrame(
        [
            {
                "class": one.name,
                "counted, ha": one.counted,
                "estimated, ha": one.estimated,
                "95 % interval over tiles, ha": _range(one.over_tiles),
                "by formula, ha": _range(one.by_formula),
                "counted against interval": one.counted_is,
            }
            for one in estimate.classes
        ]
    )


def counted_table(names: Sequence[str], hectares: Sequence[float]) -> pd.DataFrame:
    """One row a class, where nothing is known of the map's errors."""
    return pd.DataFrame({"class": list(names), "counted, ha": list(hectares)})


def _range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:,.1f} to {interval[1]:,.1f}"
