"""The charts of Browse > Explore, drawn from figures; each point of one that can be clicked says what it leads to."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from core.catalog.exploring import GroupShares, Together
from core.catalog.exploring_files import PatchCount, Seen
from core.catalog.splits import SPLITS
from core.catalog.tile_table import TileTable
from core.classes import CLASS_NAMES
from core.evaluation.tile_profiles import COLOUR_STATISTICS
from pages.components.tile_map import SPLIT_COLOURS

_BAR = "#1f9a70"
_GREY = "#9aa5a0"
_LIGHT = ((0.0, "#f4f8f6"), (0.5, "#7fbfa6"), (1.0, "#14573f"))
_DARK = ((0.0, "#17201b"), (0.5, "#1d5a45"), (1.0, "#238a64"))
_QUIET = {"showgrid": False, "zeroline": False, "fixedrange": True, "automargin": True}
_OUTLINE = {"color": "rgba(128,128,128,.7)", "width": 1}
_BINS_A_DECADE = 5


def shares_figure(groups: Sequence[GroupShares], colours: Sequence[str]) -> go.Figure:
    """A stacked bar for the collection and for each split; a click's ``customdata`` is (group, class)."""
    figure = go.Figure()
    labels = [f"{group.name} · {group.tiles}" for group in groups]
    for index, (name, colour) in enumerate(zip(CLASS_NAMES, colours, strict=True)):
        values = [100 * float(group.shares[index]) for group in groups]
        figure.add_bar(
            y=labels,
            x=values,
            orientation="h",
            name=name,
            marker={"color": colour, "line": _OUTLINE},
            customdata=[(group.name, name, group.tiles) for group in groups],
            text=[f"{value:.0f}" if value >= 4 else "" for value in values],
            textposition="inside",
            insidetextanchor="middle",
            textfont={"color": _ink(colour)},
            hovertemplate="%{customdata[0]}: %{customdata[1]} %{x:.1f} % of the pixels of %{customdata[2]} tiles"
            "<extra></extra>",
        )
    rest = [100 * max(0.0, 1 - float(group.shares.sum())) for group in groups]
    figure.add_bar(
        y=labels,
        x=rest,
        orientation="h",
        name="unlabelled",
        marker={"color": "rgba(128,128,128,.25)", "pattern": {"shape": "/", "size": 5}},
        customdata=[(group.name, "", group.tiles) for group in groups],
        hovertemplate="%{customdata[0]}: unlabelled %{x:.1f} %<extra></extra>",
    )
    _lay_out(figure, "Class shares, by split (number of tiles)", 150 + 42 * len(groups), top=96)
    figure.update_layout(
        barmode="stack",
        bargap=0.3,
        xaxis={"title": {"text": "share of the pixels (%)"}, "range": [0, 100.5], **_QUIET},
        yaxis={"autorange": "reversed", "title": {"text": "split"}, **_QUIET},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
    )
    return figure


def together_figure(found: Together, *, dark: bool) -> go.Figure:
    """Of the tiles with the row's class the share with the column's; a click's ``customdata`` is (row, column, ...)."""
    there = [index for index in range(len(CLASS_NAMES)) if found.counts[index, index]]
    names = [CLASS_NAMES[index] for index in there]
    shares = 100 * found.shares[np.ix_(there, there)]
    counts = found.counts[np.ix_(there, there)]
    heat = go.Heatmap(
        z=shares,
        x=names,
        y=[f"{name} · {found.counts[index, index]}" for name, index in zip(names, there, strict=True)],
        text=[[f"{value:.0f}" for value in row] for row in shares],
        texttemplate="%{text}",
        textfont={"color": "#fff"} if dark else None,
        colorscale=_DARK if dark else _LIGHT,
        zmin=0,
        zmax=100,
        showscale=False,
        xgap=2,
        ygap=2,
        hoverinfo="skip",
    )
    # A heat map cannot be clicked: an unseen square on every cell can.
    cells = [(i, j) for i in range(len(there)) for j in range(len(there))]
    points = go.Scatter(
        x=[names[j] for _, j in cells],
        y=[heat.y[i] for i, _ in cells],
        mode="markers",
        marker={"symbol": "square", "size": 34, "opacity": 0},
        customdata=[(names[i], names[j], int(counts[i, j]), int(counts[i, i]), float(shares[i, j])) for i, j in cells],
        hovertemplate="%{customdata[2]} of %{customdata[3]} tiles with %{customdata[0]} (%{customdata[4]:.0f} %) have "
        "%{customdata[1]} too<extra></extra>",
        unselected={"marker": {"opacity": 0}},
        selected={"marker": {"opacity": 0}},
        showlegend=False,
    )
    figure = go.Figure([heat, points])
    title = f"Classes on the same tile: % of the tiles with the row's class, {found.tiles} tiles"
    _lay_out(figure, title, 110 + 36 * len(there))
    figure.update_layout(
        xaxis={"title": {"text": "that have this one too"}, "tickangle": 0, "tickfont": {"size": 10}, **_QUIET},
        yaxis={"title": {"text": "tiles with (number)"}, "autorange": "reversed", **_QUIET},
        hovermode="closest",
    )
    return figure


def class_count_figure(counts: NDArray[np.int64]) -> go.Figure:
    """Tiles by how many classes they have; a click's ``customdata`` is that number."""
    tiles = int(counts.sum())
    figure = go.Figure(
        go.Bar(
            x=list(range(len(counts))),
            y=counts,
            marker={"color": [_GREY if number < 2 else _BAR for number in range(len(counts))]},
            customdata=list(range(len(counts))),
            text=[str(count) if count else "" for count in counts],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y} tiles have %{x} classes<extra></extra>",
        )
    )
    _lay_out(figure, f"Classes on a tile, {tiles} tiles", 270)
    figure.update_layout(
        xaxis={"title": {"text": "number of classes"}, "dtick": 1, **_QUIET},
        yaxis={"title": {"text": "tiles"}, **{**_QUIET, "showgrid": True}},
    )
    return figure


def patches_figure(counts: Sequence[PatchCount]) -> go.Figure:
    """The share of patches that hold one class only, by the patch's side."""
    tiles = counts[0].tiles if counts else 0
    figure = go.Figure(
        go.Bar(
            x=[f"{count.side} px" for count in counts],
            y=[100 * count.single / max(1, count.every) for count in counts],
            marker={"color": _BAR},
            customdata=[(count.single, count.every) for count in counts],
            texttemplate="%{y:.0f} %",
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{customdata[0]} of %{customdata[1]} patches of %{x} hold one class only<extra></extra>",
        )
    )
    _lay_out(figure, f"Patches of one class only, on {tiles} masks", 270)
    figure.update_layout(
        xaxis={"title": {"text": "side of a patch"}, **_QUIET},
        yaxis={"title": {"text": "of the patches (%)"}, "range": [0, 109], **{**_QUIET, "showgrid": True}},
    )
    return figure


def areas_figure(known: Seen, colours: Sequence[str]) -> go.Figure:
    """How large the instances of each class are, on a logarithmic axis; a click's ``customdata`` is the class."""
    logs = {name: np.log10(known.areas[name]) for name in CLASS_NAMES if len(known.areas.get(name, ()))}
    every = np.concatenate(list(logs.values()))
    edges = np.arange(np.floor(every.min()), np.ceil(every.max()) + 1 / _BINS_A_DECADE, 1 / _BINS_A_DECADE)
    titles = [
        f"{name}: {len(values)} instances, median {_area(10 ** float(np.median(values)))}"
        for name, values in logs.items()
    ]
    figure = make_subplots(len(logs), 1, shared_xaxes=True, vertical_spacing=0.05, subplot_titles=titles)
    for row, (name, values) in enumerate(logs.items(), start=1):
        counts, _ = np.histogram(values, edges)
        figure.add_bar(
            x=(edges[1:] + edges[:-1]) / 2,
            y=counts,
            width=0.94 / _BINS_A_DECADE,
            marker={"color": colours[CLASS_NAMES.index(name)], "line": _OUTLINE},
            customdata=[
                (name, _area(10 ** float(edge)), _area(10 ** float(edge + 1 / _BINS_A_DECADE))) for edge in edges
            ],
            hovertemplate="%{y} instances of %{customdata[0]} of %{customdata[1]} to %{customdata[2]}<extra></extra>",
            row=row,
            col=1,
        )
    _lay_out(
        figure, f"Instances of the given masks by size, {known.masks} masks (upward: instances)", 90 + 78 * len(logs)
    )
    ticks = np.arange(edges[0], edges[-1] + 1)
    figure.update_xaxes(
        tickvals=ticks, ticktext=[_area(10**tick) for tick in ticks.tolist()], fixedrange=True, zeroline=False
    )
    figure.update_xaxes(title="area of an instance", row=len(logs), col=1)
    figure.update_yaxes(nticks=3, fixedrange=True, zeroline=False)
    figure.update_annotations(font_size=12, x=0, xanchor="left")
    figure.update_layout(showlegend=False)
    return figure


def colours_figure(table: TileTable, known: Seen, x: int, y: int) -> go.Figure:
    """A dot a tile by two of its colour statistics, odd ones marked; ``customdata`` begins with the tile's id."""
    figure, odd = go.Figure(), known.odd
    splits = table.tiles.splits[known.numbers]
    for number, name in [*enumerate(SPLITS), (-1, "no split")]:
        here = np.flatnonzero(splits == number)
        if not len(here):
            continue
        rows = known.numbers[here]
        figure.add_scattergl(
            x=known.colours[here, x],
            y=known.colours[here, y],
            mode="markers",
            name=f"{name} · {len(here)}",
            marker={
                "color": SPLIT_COLOURS.get(name, _GREY),
                "size": np.where(odd[here], 12, 7),
                "symbol": np.where(odd[here], "diamond", "circle"),
                "line": _OUTLINE,
                "opacity": 0.8,
            },
            customdata=[(int(table.tiles.ids[row]), table.rows[row].name) for row in rows],
            hovertemplate=f"tile %{{customdata[1]}}, {name}<br>{COLOUR_STATISTICS[x]} %{{x:.1f}}, "
            f"{COLOUR_STATISTICS[y]} %{{y:.1f}}: click to open it<extra></extra>",
        )
    _lay_out(figure, f"Colours of {len(known.numbers)} tiles; a diamond is odd among them", 330, top=62)
    figure.update_layout(
        xaxis={"title": {"text": _unit(x)}, "zeroline": False, "fixedrange": True},
        yaxis={"title": {"text": _unit(y)}, "zeroline": False, "fixedrange": True},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="closest",
    )
    return figure


def _unit(statistic: int) -> str:
    units = ("L*, 0 to 100", "standard deviation of L*", "mean a*", "mean b*", "mean chroma", "grey levels of 255")
    return f"{COLOUR_STATISTICS[statistic]} ({units[statistic]})"


def _area(square_metres: float) -> str:
    if square_metres >= 1e6:
        return f"{square_metres / 1e6:.3g} km²"
    return f"{square_metres / 1e4:.2g} ha" if square_metres >= 1000 else f"{square_metres:.3g} m²"


def _ink(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#111" if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else "#fff"


def _lay_out(figure: go.Figure, title: str, height: int, *, top: int = 40) -> None:
    figure.update_layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "container", "y": 0.985, "yanchor": "top"},
        height=height,
        margin={"l": 10, "r": 10, "t": top, "b": 10},
        showlegend=len(figure.data) > 2 or figure.data[0].type == "scattergl",
        dragmode=False,
        clickmode="event+select",
    )
