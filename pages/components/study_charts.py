"""Charts of kept studies: the learning curve, regions left out against random groups, and an ablation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.evaluation.learning_intervals import CurvePoint
from core.training.learning_curve import PowerLaw

_LINE, _OTHER, _GREY = "#1f9a70", "#4a7fc1", "#8a938e"
_VERDICTS = {"better": "#1f9a70", "worse": "#d9534f", "cannot tell": _GREY}
_AHEAD = 3.0
"""How many times what is labelled the fitted curve is drawn on; further it says little."""


def learning_figure(
    gathered: Sequence[CurvePoint], points: Sequence[Mapping[str, Any]], curve: Mapping[str, float] | None
) -> go.Figure:
    """Mean IoU against labelled instances a class: means with intervals, single draws, and the fitted power law."""
    figure = go.Figure()
    most = max(point.instances for point in gathered)
    if curve is not None:
        law = PowerLaw(curve["a"], curve["b"], curve["c"])
        known = np.geomspace(min(point.instances for point in gathered), most, 60)
        ahead = np.geomspace(most, most * _AHEAD, 30)
        for x, dash, name in ((known, "solid", "fitted power law"), (ahead, "dot", "followed beyond the labels")):
            figure.add_scatter(
                x=x,
                y=[law.at(float(one)) for one in x],
                mode="lines",
                name=name,
                line={"color": _LINE, "dash": dash, "width": 2},
                hovertemplate="%{x:.0f} instances a class: %{y:.3f} by the fit<extra></extra>",
            )
    figure.add_scatter(
        x=[point["instances"] for point in points],
        y=[point["miou"] for point in points],
        mode="markers",
        name="one draw of the labels",
        marker={"color": _GREY, "size": 6, "opacity": 0.7},
        customdata=[[point["share"], point["seed"]] for point in points],
        hovertemplate="%{customdata[0]} % of the labels, seed %{customdata[1]}: mIoU %{y:.3f}<extra></extra>",
    )
    figure.add_scatter(
        x=[point.instances for point in gathered],
        y=[point.miou for point in gathered],
        mode="markers",
        name="mean, 95 % interval over tiles",
        marker={"color": _LINE, "size": 10},
        error_y=_whiskers([point.miou for point in gathered], [point.interval for point in gathered]),
        customdata=[[point.share, *(point.interval or (np.nan, np.nan))] for point in gathered],
        hovertemplate="%{customdata[0]} % of the labels, %{x:.1f} instances a class<br>mIoU %{y:.3f} "
        "(95 % %{customdata[1]:.3f} to %{customdata[2]:.3f})<extra></extra>",
    )
    figure.update_layout(
        title={"text": "Learning curve", "font": {"size": 15}},
        height=400,
        margin={"l": 60, "r": 10, "t": 70, "b": 50},
        xaxis={
            "title": "labelled instances a class that a fit learns from (logarithmic)",
            "type": "log",
            "tickvals": [figure * 10**power for power in range(5) for figure in (1, 2, 5)],
        },
        yaxis={"title": "mean IoU on tiles left out, 0 to 1"},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
    )
    return figure


def learning_table(gathered: Sequence[CurvePoint]) -> pd.DataFrame:
    """One row a share of the labels."""
    return pd.DataFrame(
        [
            {
                "labels": f"{point.share} %",
                "instances a class": point.instances,
                "mIoU": point.miou,
                "95 % over tiles": _range(point.interval),
                "single draws": f"{point.lowest:.3f} to {point.highest:.3f} ({point.draws})",
            }
            for point in gathered
        ]
    )


def hold_out_figure(result: Mapping[str, Any]) -> go.Figure:
    """Mean IoU of each region when it was left out whole, beside that of its tiles in random groups."""
    groups = result["groups"]
    names = [f"{group['name']} ({len(group['tiles'])})" for group in groups]
    figure = go.Figure()
    for key, label, colour in (
        ("random", "left out at random", _OTHER),
        ("regional", "left out as a region", "#d98a1f"),
    ):
        figure.add_bar(
            x=["all tiles", *names],
            y=[result[key]["miou"], *(group[key] for group in groups)],
            name=label,
            marker={"color": colour},
            customdata=["", *(", ".join(group["tiles"]) for group in groups)],
            hovertemplate=f"%{{x}}, {label}: %{{y:.3f}}<br>%{{customdata}}<extra></extra>",
        )
    figure.update_layout(
        title={"text": "The same tiles, left out as regions and at random", "font": {"size": 15}},
        barmode="group",
        height=330,
        margin={"l": 60, "r": 10, "t": 70, "b": 40},
        xaxis={"title": "region (tiles)"},
        yaxis={"title": "mean IoU, 0 to 1", "rangemode": "tozero"},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
    )
    return figure


def ablation_figure(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """The change of the mean IoU that each technique made, with its 95 % interval, coloured by the verdict."""
    compared = sorted(
        (row for row in rows if not row["failed"] and row["difference"]), key=lambda row: row["difference"]["value"]
    )
    figure = go.Figure()
    for verdict, colour in _VERDICTS.items():
        chosen = [row for row in compared if row["difference"]["verdict"] == verdict]
        values = [row["difference"]["value"] for row in chosen]
        figure.add_scatter(
            x=values,
            y=[row["name"] for row in chosen],
            mode="markers",
            name=verdict,
            marker={"color": colour, "size": 9},
            error_x=_whiskers(values, [row["difference"]["interval"] for row in chosen]),
            customdata=[[row["techniques"], row["against"], *row["difference"]["interval"]] for row in chosen],
            hovertemplate="%{y} %{customdata[0]}<br>%{x:+.4f} against %{customdata[1]} "
            "(95 % %{customdata[2]:+.3f} to %{customdata[3]:+.3f})<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": _GREY, "width": 1})
    figure.update_layout(
        title={"text": "What each change is worth", "font": {"size": 15}},
        height=130 + 22 * len(compared),
        margin={"l": 10, "r": 10, "t": 70, "b": 44},
        xaxis={"title": "change of the mean IoU, 95 % interval over tiles and tries", "zeroline": False},
        yaxis={"categoryorder": "array", "categoryarray": [row["name"] for row in compared], "automargin": True},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
    )
    return figure


def ablation_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a variation; one that could not be fitted has its sentence."""
    return pd.DataFrame([_ablated(row) for row in rows])


def _ablated(row: Mapping[str, Any]) -> dict[str, Any]:
    told = {"row": row["name"], "technique": row["techniques"]}
    if row["failed"]:
        return {**told, "verdict": row["failed"]}
    difference = row["difference"]
    return {
        **told,
        "mIoU": row["miou"],
        "change": difference["value"] if difference else None,
        "95 % interval": "{:+.3f} to {:+.3f}".format(*difference["interval"]) if difference else "",
        "verdict": difference["verdict"] if difference else "what the others change",
        "seconds a try": row["seconds"],
    }


def _whiskers(values: Sequence[float], intervals: Sequence[Sequence[float] | None]) -> dict[str, Any]:
    pairs = [(value, interval or (value, value)) for value, interval in zip(values, intervals, strict=True)]
    return {
        "type": "data",
        "symmetric": False,
        "array": [interval[1] - value for value, interval in pairs],
        "arrayminus": [value - interval[0] for value, interval in pairs],
        "thickness": 1.5,
        "width": 4,
    }


def _range(interval: tuple[float, float] | None) -> str:
    return "not kept" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
