"""Scores by class, drawn and tabled, with the interval that says how far they can be trusted."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from core.classes import CLASS_NAMES

FIGURES = {"iou": "IoU", "precision": "Precision", "recall": "Recall", "f1": "F1"}
_COLOURS = {"iou": "#1f9a70", "precision": "#4a7fc1", "recall": "#c98a2b", "f1": "#8f6bb3"}


def scores_figure(result: dict[str, Any]) -> go.Figure:
    """Grouped bars of IoU (with its 95 % interval), precision, recall and F1 of the classes in the truth."""
    names = [name for name in CLASS_NAMES if name in result["iou"]]
    figure = go.Figure()
    for key, label in FIGURES.items():
        values = [result[key][name] for name in names]
        figure.add_bar(
            x=names,
            y=values,
            name=label,
            marker={"color": _COLOURS[key]},
            error_y=_whiskers(names, result) if key == "iou" else None,
            hovertemplate=f"%{{x}}: {label} %{{y:.3f}}<extra></extra>",
        )
    figure.update_layout(
        barmode="group",
        bargap=0.25,
        height=330,
        margin={"l": 50, "r": 10, "t": 30, "b": 30},
        yaxis={"title": "score, 0 to 1", "range": [0, 1.02]},
        legend={"orientation": "h", "y": 1.14, "x": 0},
    )
    return figure


def _whiskers(names: list[str], result: dict[str, Any]) -> dict[str, Any]:
    intervals = result["interval"]["iou"]
    return {
        "type": "data",
        "symmetric": False,
        "array": [intervals[name][1] - result["iou"][name] for name in names],
        "arrayminus": [result["iou"][name] - intervals[name][0] for name in names],
        "color": "#808a85",
        "thickness": 1.5,
        "width": 4,
    }


def scores_table(result: dict[str, Any]) -> pd.DataFrame:
    """One row a class; a class that the truth lacks has empty cells."""
    intervals = result["interval"]["iou"]
    pixels = [sum(row) for row in result["confusion"]]
    return pd.DataFrame(
        [
            {
                "class": name,
                "IoU": result["iou"].get(name),
                "95 % interval": f"{intervals[name][0]:.3f} to {intervals[name][1]:.3f}" if name in intervals else None,
                "precision": result["precision"].get(name),
                "recall": result["recall"].get(name),
                "F1": result["f1"].get(name),
                "true pixels": pixels[index],
            }
            for index, name in enumerate(CLASS_NAMES)
        ]
    )


def difference_table(compared: dict[str, Any]) -> pd.DataFrame:
    """IoU of A and B over the tiles that both were scored on, with the paired interval and the verdict."""
    rows = []
    entries = {"mean": compared["difference"]["miou"], **compared["difference"]["iou"]}
    for name, difference in entries.items():
        low, high = difference["interval"]
        rows.append(
            {
                "class": name,
                "A": compared["a"]["miou"] if name == "mean" else compared["a"]["iou"][name],
                "B": compared["b"]["miou"] if name == "mean" else compared["b"]["iou"][name],
                "A − B": difference["value"],
                "95 % interval": f"{low:+.3f} to {high:+.3f}",
                "A is": difference["verdict"],
            }
        )
    return pd.DataFrame(rows)
