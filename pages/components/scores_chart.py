"""Scores by class and by tile, drawn and tabled, with the interval that says how far they can be trusted."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from core.classes import CLASS_NAMES

FIGURES = {"iou": "IoU", "precision": "Precision", "recall": "Recall", "f1": "F1"}
CHART_BAR = {"displaylogo": False, "modeBarButtons": [["toImage"]]}
"""Of plotly's buttons only the one that saves the chart."""

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
        title={"text": f"Scores by class, {result['tiles']} tiles; whisker: 95 % interval of the IoU", "font_size": 14},
        height=340,
        margin={"l": 50, "r": 10, "t": 66, "b": 30},
        xaxis={"title": "class"},
        yaxis={"title": "score, 0 to 1", "range": [0, 1.02]},
        legend={"orientation": "h", "y": 1.13, "x": 0},
    )
    return figure


def spread_figure(result: dict[str, Any]) -> go.Figure:
    """A box and a mark for each tile: its IoU by class, and its mean IoU first."""
    figure = go.Figure()
    for name in ("mean", *(name for name in CLASS_NAMES if name in result["spread"]["iou"])):
        rows = [(row["tile"], row["miou"] if name == "mean" else row["iou"].get(name)) for row in result["per_tile"]]
        known = [(tile, value) for tile, value in rows if value is not None]
        figure.add_box(
            y=[value for _, value in known],
            text=[tile for tile, _ in known],
            name=name,
            boxpoints="all",
            jitter=0.4,
            pointpos=0,
            marker={"color": _COLOURS["iou" if name == "mean" else "precision"], "size": 5, "opacity": 0.7},
            line={"width": 1},
            hoveron="points",
            hovertemplate=f"tile %{{text}}: {name} IoU %{{y:.3f}}<extra></extra>",
        )
    figure.update_layout(
        title={"text": f"IoU of single tiles, {result['tiles']} tiles; a dot a tile", "font_size": 14},
        showlegend=False,
        height=340,
        margin={"l": 50, "r": 10, "t": 66, "b": 30},
        xaxis={"title": "class"},
        yaxis={"title": "IoU, 0 to 1", "range": [-0.02, 1.02]},
    )
    return figure


def borders_table(result: dict[str, Any]) -> pd.DataFrame:
    """Accuracy and IoU of the pixels near a border of the truth, and of all."""
    rows = [
        {
            "pixels": f"within {width} px of another class",
            "share": band["share"],
            "accuracy": band["accuracy"],
            "mIoU": band["miou"],
        }
        | {name: band["iou"].get(name) for name in CLASS_NAMES}
        for width, band in result["boundary"]["bands"].items()
    ]
    everywhere = {"pixels": "all", "share": 1.0, "accuracy": result["accuracy"], "mIoU": result["miou"]}
    return pd.DataFrame([*rows, everywhere | {name: result["iou"].get(name) for name in CLASS_NAMES}])


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
    """A row a class, its mean first; a class that the truth lacks has no figures."""
    boundary = result.get("boundary")
    pixels = [sum(row) for row in result["confusion"]]
    means = {"IoU": "miou", "precision": "mprecision", "recall": "mrecall", "F1": "mf1", "kappa": "kappa"}
    first: dict[str, Any] = {"class": "mean", **{label: result[key] for label, key in means.items()}}
    first |= {"95 % interval": _span(result["interval"]["miou"]), "true pixels": sum(pixels)}
    spread = result["spread"]
    rows = [first | _of_tiles(spread["miou"])]
    if boundary:
        rows[0] |= {"boundary IoU": boundary["mbiou"], "boundary 95 %": _span(boundary["interval"]["mbiou"])}
    for index, name in enumerate(CLASS_NAMES):
        row: dict[str, Any] = {
            "class": name,
            "IoU": result["iou"].get(name),
            "95 % interval": _span(result["interval"]["iou"].get(name)),
            "precision": result["precision"].get(name),
            "recall": result["recall"].get(name),
            "F1": result["f1"].get(name),
            "kappa": result["class_kappa"].get(name),
            "true pixels": pixels[index],
        }
        if boundary:
            row["boundary IoU"] = boundary["biou"].get(name)
            row["boundary 95 %"] = _span(boundary["interval"]["biou"].get(name))
        rows.append(row | _of_tiles(spread["iou"].get(name)))
    columns = ["class", "IoU", "95 % interval", "F1", "precision", "recall", "kappa", "boundary IoU", "boundary 95 %"]
    columns += ["median", "5th %", "true pixels"]
    return pd.DataFrame(rows, columns=[one for one in columns if boundary or not one.startswith("boundary")])


def _of_tiles(spread: dict[str, Any] | None) -> dict[str, Any]:
    return {"median": spread["median"], "5th %": spread["p5"]} if spread else {}


def _span(interval: Sequence[float] | None) -> str | None:
    return f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else None


def difference_table(compared: dict[str, Any]) -> pd.DataFrame:
    """IoU of A and B over the tiles that both were scored on, with the paired interval and the verdict.

    The verdicts of the classes are corrected for their number (Holm 1979), so that one may be 'cannot tell' although
    its own interval leaves zero out. ``tiles to tell`` is about how many tiles would tell what cannot be told.
    """
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
                "A is": difference.get("verdict_corrected", difference["verdict"]),
                "tiles to tell": difference["tiles_needed"],
            }
        )
    return pd.DataFrame(rows).astype({"tiles to tell": "Int64"})
