"""The class shares of a split's sides as stacked bars."""

from collections.abc import Sequence

import plotly.graph_objects as go

from core.catalog.splitting.balance import Balance, Side
from core.classes import CLASS_NAMES

_EDGE = "#808a85"


def sides_figure(found: Balance, colours: Sequence[str], *, title: str) -> go.Figure:
    """A bar for all labelled tiles of the split and one for each side, in the classes' ``colours``."""
    inside = sum(side.tiles for side in found.sides)
    everything = Side("all", inside, found.measured, found.overall)
    rows = [everything, *found.sides]
    labels = [_label(side, inside) for side in rows]
    figure = go.Figure()
    for index, (name, colour) in enumerate(zip(CLASS_NAMES, colours, strict=True)):
        figure.add_bar(
            y=labels,
            x=[100 * side.shares[index] if side.shares else None for side in rows],
            name=name,
            orientation="h",
            marker={"color": colour, "line": {"color": _EDGE, "width": 0.7}},
            customdata=[[side.name, side.labelled, 100 * (found.overall or [0.0] * 6)[index]] for side in rows],
            hovertemplate=f"{name}: %{{x:.1f}} % of %{{customdata[0]}}, %{{customdata[2]:.1f}} % of all<br>"
            "measured on %{customdata[1]} labelled tiles<extra></extra>",
        )
    figure.update_layout(
        title={"text": title, "font": {"size": 15}, "y": 0.98, "yanchor": "top"},
        barmode="stack",
        bargap=0.28,
        height=140 + 38 * len(rows),
        margin={"l": 10, "r": 14, "t": 78, "b": 46},
        xaxis={"title": "share of the labelled pixels, %", "range": [0, 100.3], "zeroline": False},
        yaxis={"autorange": "reversed", "automargin": True, "title": {"text": "side (tiles)", "standoff": 8}},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal", "entrywidth": 78},
    )
    return figure


def _label(side: Side, inside: int) -> str:
    share = "" if side.name == "all" or not inside else f" ({side.tiles / inside:.0%})"
    unlabelled = "" if side.labelled == side.tiles else f"<br>{side.labelled:,} of them labelled"
    return f"<b>{side.name}</b>  {side.tiles:,}{share}{unlabelled}"
