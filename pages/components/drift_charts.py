"""How far new tiles are from those of training: a chart of effect sizes, and pictures side by side."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from core.tables import Tile

APART, BY_CHANCE = "#d9534f", "#8a938e"
_LARGE = 0.8  # Cohen 1988, "Statistical Power Analysis", section 2.2.3
_FARTHEST = 12.0
"""An axis beyond this would hide the small differences; longer bars are cut and their figure stands beside them."""

_STYLE = """<style>
.tw-near { display: grid; gap: .5rem; font-size: .82rem; }
.tw-near > div { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: .35rem; }
.tw-near figure { margin: 0; min-width: 0; }
.tw-near img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: .3rem; }
.tw-near figure:first-child img { outline: 2px solid #d98a1f; outline-offset: 1px; }
.tw-near figcaption { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; line-height: 1.5; }
.tw-near p { margin: 0; font-size: inherit; opacity: .75; }
</style>"""


def shift_figure(shifts: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Hedges' g of each statistic, new tiles against training tiles, with its 95 % interval; large ones in red."""
    shown = [shift for shift in shifts if shift["g"] is not None]
    figure = go.Figure()
    for apart, name, colour in ((True, "more than chance", APART), (False, "within chance", BY_CHANCE)):
        rows = [shift for shift in shown if (shift["corrected"] <= 0.05) is apart]
        figure.add_scatter(
            x=[_cut(shift["g"]) for shift in rows],
            y=[shift["name"] for shift in rows],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 10},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [_cut(shift["interval"][1]) - _cut(shift["g"]) for shift in rows],
                "arrayminus": [_cut(shift["g"]) - _cut(shift["interval"][0]) for shift in rows],
                "thickness": 1.5,
                "width": 3,
            },
            customdata=[
                [shift["new"], shift["training"], shift["g"], *shift["interval"], shift["corrected"]] for shift in rows
            ],
            hovertemplate="%{y}<br>new %{customdata[0]:.3g}, training %{customdata[1]:.3g}<br>g %{customdata[2]:.2f} "
            "(95 % %{customdata[3]:.2f} to %{customdata[4]:.2f}), corrected p %{customdata[5]:.2g}<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": BY_CHANCE, "width": 1})
    figure.add_vrect(x0=-_LARGE, x1=_LARGE, fillcolor=BY_CHANCE, opacity=0.12, line_width=0)
    figure.update_layout(
        title={"text": "New tiles against training tiles, statistic by statistic", "font": {"size": 15}},
        height=110 + 24 * len(shown),
        margin={"l": 10, "r": 10, "t": 64, "b": 44},
        xaxis={"title": "standardised difference (Hedges' g), new minus training", "zeroline": False},
        yaxis={
            "categoryorder": "array",
            "categoryarray": [shift["name"] for shift in reversed(shown)],
            "automargin": True,
        },
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
    )
    return figure


def shift_table(shifts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The figures of the chart, one row a statistic."""
    return pd.DataFrame(
        [
            {
                "what": shift["group"],
                "statistic": shift["name"],
                "new": shift["new"],
                "training": shift["training"],
                "g": shift["g"],
                "95 % interval": "no spread"
                if shift["interval"] is None
                else "{:+.2f} to {:+.2f}".format(*shift["interval"]),
                "p, corrected": shift["corrected"],
            }
            for shift in shifts
        ]
    )


def nearest_html(rows: Sequence[tuple[Tile, str, Sequence[Tile]]]) -> str:
    """New tiles (framed), a word on each, and the training tiles that are nearest to them, a row each."""
    body = ""
    for tile, said, nearest in rows:
        pictures = [_picture(tile, "new"), *(_picture(one, "training") for one in nearest)]
        body += f"<div>{''.join(pictures)}</div><p>{escape(said)}</p>"
    return f'{_STYLE}<div class="tw-near">{body}</div>'


def _picture(tile: Tile, kind: str) -> str:
    address = f"/tiles/{tile.id}/thumbnail.jpg?size=256&v={tile.fingerprint}"
    name = escape(tile.name)
    return (
        f'<figure><img src="{address}" alt="Tile {name}, {kind}" loading="lazy">'
        f"<figcaption><b>{name}</b></figcaption></figure>"
    )


def _cut(value: float) -> float:
    return max(-_FARTHEST, min(_FARTHEST, value))
