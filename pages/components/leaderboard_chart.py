"""A leaderboard, drawn with its intervals and tabled with its shared ranks."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

_COLOUR = "#1f9a70"


def leaderboard_figure(board: dict[str, Any], names: Sequence[str]) -> go.Figure:
    """A dot and a whisker for each entry of ``leaderboard``, best on top; ``names`` are theirs in words."""
    entries = board["entries"]
    labels = [f"{ranks_in_words(entry['ranks'])}  {name}" for entry, name in zip(entries, names, strict=True)]
    values = [entry["miou"] for entry in entries]
    spans = [entry["interval"] or (entry["miou"], entry["miou"]) for entry in entries]
    figure = go.Figure(
        go.Scatter(
            x=values,
            y=labels,
            mode="markers",
            marker={"size": 11, "color": _COLOUR},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - value for value, (_, high) in zip(values, spans, strict=True)],
                "arrayminus": [value - low for value, (low, _) in zip(values, spans, strict=True)],
                "color": "#808a85",
                "thickness": 1.5,
                "width": 5,
            },
            customdata=spans,
            hovertemplate="%{y}<br>mean IoU %{x:.3f}, 95 % %{customdata[0]:.3f} to %{customdata[1]:.3f}<extra></extra>",
        )
    )
    tiles = len(board["tiles"])
    figure.update_layout(
        title={
            "text": f"Mean IoU with 95 % interval on {tiles} common tile{'s' if tiles > 1 else ''}",
            "font_size": 14,
        },
        height=110 + 36 * len(entries),
        margin={"l": 10, "r": 20, "t": 40, "b": 40},
        xaxis={"title": "mean IoU, 0 to 1", "range": [-0.01, 1.01]},
        yaxis={"title": "rank and run", "autorange": "reversed", "automargin": True},
    )
    return figure


def leaderboard_table(board: dict[str, Any], switches: Sequence[str]) -> pd.DataFrame:
    """A row an entry, best first; ``switches`` are theirs in words, empty for none. Columns without a value are out."""
    rows = []
    for entry, words in zip(board["entries"], switches, strict=True):
        row = {
            "rank": ranks_in_words(entry["ranks"]),
            "run": entry["run"],
            "switches": words,
            "mIoU": entry["miou"],
            "95 % interval": _span(entry["interval"], "{:.3f}"),
        }
        rows.append(row | _to_best(entry["to_best"]) | {"s a tile": entry["seconds_per_tile"]} | _learned(entry))
    table = pd.DataFrame(rows).astype({"tiles to tell": "Int64"})
    return table.dropna(axis="columns", how="all").drop(columns=[] if any(switches) else ["switches"])


def ranks_in_words(ranks: Sequence[int]) -> str:
    """'2', or '1-3' where a run may have any of these ranks."""
    first, last = ranks
    return str(first) if first == last else f"{first}–{last}"


def _to_best(difference: dict[str, Any] | None) -> dict[str, Any]:
    if difference is None:
        return {
            "− best": 0.0,
            "95 % interval of that": "",
            "against the best": "highest score",
            "tiles to tell": None,
        }
    return {
        "− best": difference["value"],
        "95 % interval of that": _span(difference["interval"], "{:+.3f}"),
        "against the best": difference["verdict"],
        "tiles to tell": difference["tiles_needed"],
    }


def _learned(entry: dict[str, Any]) -> dict[str, Any]:
    facts = entry["trained_on"]
    if not facts or not facts["tiles"]:
        return {"learned from": "not known"}
    return {"learned from": f"{facts['tiles']} tiles, {facts['instances']} instances, {facts['label_version'][:6]}"}


def _span(interval: Sequence[float] | None, style: str) -> str | None:
    return " to ".join(style.format(end) for end in interval) if interval else None
