"""The tables and drawings of a report, each as a piece of HTML; every name that came from outside is escaped."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_NAMES, CLASSES
from core.evaluation.report_pictures import TilePictures

_FIGURES = (("precision", "Precision"), ("recall", "Recall"), ("f1", "F1"), ("class_kappa", "Kappa"))
_LISTED_TILES = 50
_BAR, _STRIP = 200, 420  # widths, CSS pixels


def number(value: float | None) -> str:
    """A score with three digits."""
    return "none" if value is None else f"{value:.3f}"


def span(interval: Sequence[float] | None) -> str:
    """An interval in words."""
    return f"{number(interval[0])} to {number(interval[1])}" if interval else "no interval"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "", kind: str = "") -> str:
    """A table of ready pieces of HTML; the first cell of a row names it."""
    titles = "".join(f"<th scope='col'>{title}</th>" for title in head)
    body = "".join(f"<tr><th scope='row'>{row[0]}</th>{''.join(map(_cell, row[1:]))}</tr>" for row in rows)
    told = f"<caption>{caption}</caption>" if caption else ""
    return (
        f"<div class='scroll'><table class='{kind}'>{told}<thead><tr>{titles}</tr></thead><tbody>{body}</tbody>"
        "</table></div>"
    )


def classes(result: dict[str, Any]) -> str:
    """The scores by class, with the intervals of the IoU and of the boundary IoU."""
    boundary = result.get("boundary")
    rows = []
    for land in CLASSES:
        swatch = f"<span class='swatch' style='background:{land.hex_colour}'></span>{land.name}"
        if land.name not in result["iou"]:
            width = 4 + len(_FIGURES) + 2 * bool(boundary) - 1
            rows.append([swatch, f"<td colspan='{width}' class='quiet'>not in the truth</td>"])
            continue
        low, high = result["interval"]["iou"][land.name]
        value = result["iou"][land.name]
        row = [swatch, number(value), span((low, high)), _bar(value, low, high, land.hex_colour)]
        row += [number(result[key].get(land.name)) for key, _ in _FIGURES]
        if boundary:
            row += [number(boundary["biou"].get(land.name)), span(boundary["interval"]["biou"].get(land.name))]
        rows.append(row)
    head = ["Class", "IoU", "95 %", "0 to 1, with its interval", *(label for _, label in _FIGURES)]
    return table(head + (["Boundary IoU", "95 %"] if boundary else []), rows)


def rules(by_rule: dict[str, Any]) -> str:
    """The scores by both rules for pixels predicted unlabelled."""
    figures = (("miou", "Mean IoU"), ("accuracy", "Accuracy"), ("mf1", "Mean F1"), ("kappa", "Kappa"))
    rows = [[rule, *(number(scores[key]) for key, _ in figures)] for rule, scores in by_rule.items()]
    return table(["A pixel that is predicted unlabelled", *(label for _, label in figures)], rows)


def bands(boundary: dict[str, Any]) -> str:
    """The scores near the borders of the truth."""
    rows = [
        [
            f"within {width} px",
            f"{band['share']:.1%}",
            number(band["accuracy"]),
            number(band["miou"]),
            *(number(band["iou"][name]) if name in band["iou"] else "" for name in CLASS_NAMES),
        ]
        for width, band in boundary["bands"].items()
    ]
    head = [
        "Of another true class",
        "Share of pixels",
        "Accuracy",
        "Mean IoU",
        *(f"IoU {name}" for name in CLASS_NAMES),
    ]
    return table(head, rows)


def spread(result: dict[str, Any]) -> str:
    """How the scores of single tiles lie."""
    rows = []
    found = {"mean": result["spread"]["miou"], **result["spread"]["iou"]}
    for name, of_tiles in found.items():
        if of_tiles is None:
            continue
        values = [row["miou"] if name == "mean" else row["iou"].get(name) for row in result["per_tile"]]
        strip = _strip([value for value in values if value is not None])
        rows.append(
            [name, str(of_tiles["tiles"]), *(number(of_tiles[key]) for key in ("median", "p5", "worst")), strip]
        )
    return table(["IoU of single tiles", "Tiles", "Median", "5th percentile", "Worst", "0 to 1, a mark a tile"], rows)


def matrices(matrix: NDArray[np.int64]) -> str:
    """The confusion matrix in three readings."""
    truth = matrix.sum(axis=1, keepdims=True)
    predicted = matrix.sum(axis=0, keepdims=True)
    by_truth, by_prediction = matrix / np.maximum(truth, 1), matrix / np.maximum(predicted, 1)
    shares = matrix / max(int(matrix.max()), 1)
    readings = (
        ("Share of each true class, % (rows add up to 100)", by_truth, _percent(by_truth)),
        ("Share of each predicted class, % (columns add up to 100)", by_prediction, _percent(by_prediction)),
        ("Pixels", shares, [[f"{int(cell):,}" for cell in row] for row in matrix]),
    )
    return "".join(f"<section>{_matrix(*reading)}</section>" for reading in readings)


def pictures(worst: Sequence[TilePictures], result: dict[str, Any]) -> str:
    """The worst tiles, each in a row of pictures."""
    miou = {row["tile"]: row["miou"] for row in result["per_tile"]}
    rows = []
    for tile in worst:
        shown = "".join(
            f"<figure><img src='{address}' alt='{title} of tile {escape(tile.tile)}'><figcaption>{title}</figcaption>"
            "</figure>"
            for title, address in tile.pictures.items()
        )
        rows.append(
            f"<section><h3>Tile {escape(tile.tile)}, mean IoU {number(miou[tile.tile])}</h3>"
            f"<div class='pictures'>{shown}</div></section>"
        )
    return "".join(rows)


def tiles(per_tile: Sequence[dict[str, Any]]) -> str:
    """The tiles, worst first."""
    scored = sorted((row for row in per_tile if row["miou"] is not None), key=lambda row: float(row["miou"]))
    rows = [
        [
            escape(str(row["tile"])),
            number(row["miou"]),
            number(row["accuracy"]),
            *(number(row["iou"][name]) if name in row["iou"] else "" for name in CLASS_NAMES),
            f"{row['labelled_pixels']:,}",
        ]
        for row in scored[:_LISTED_TILES]
    ]
    rest = len(per_tile) - len(rows)
    more = f"<p class='quiet'>{rest} more tiles are not listed; the CSV file has them all.</p>" if rest else ""
    head = ["Tile", "Mean IoU", "Accuracy", *(f"IoU {name}" for name in CLASS_NAMES), "Labelled pixels"]
    return table(head, rows) + more


def _cell(content: str) -> str:
    return content if content.startswith("<td") else f"<td>{content}</td>"


def _bar(value: float, low: float, high: float, colour: str) -> str:
    """A bar from 0 to 1 with its interval as a whisker, dark with a white rim to show on any class colour."""
    left, right = max(1.5, low * _BAR), min(_BAR - 1.5, high * _BAR)
    whisker = f"d='M{left:.1f} 8H{right:.1f}M{left:.1f} 4v8M{right:.1f} 4v8'"
    return (
        f"<svg class='bar' viewBox='0 0 {_BAR} 16' width='{_BAR}' height='16' role='img' "
        f"aria-label='IoU {number(value)}'>"
        f"<rect width='{_BAR - 1}' height='15' x='.5' y='.5' fill='none' stroke='#808080' stroke-opacity='.4'/>"
        f"<rect width='{value * _BAR:.1f}' height='16' fill='{colour}' stroke='#808080'/>"
        f"<path {whisker} stroke='#fff' stroke-width='4'/><path {whisker} stroke='#222' stroke-width='1.5'/></svg>"
    )


def _strip(values: Sequence[float]) -> str:
    """A mark for each value from 0 to 1, and a taller one for their median."""
    marks = "".join(f"M{1 + value * (_STRIP - 2):.1f} 4v8" for value in values)
    middle = 1 + float(np.median(values)) * (_STRIP - 2)
    return (
        f"<svg class='strip' viewBox='0 0 {_STRIP} 16' role='img' aria-label='{len(values)} tiles'>"
        f"<path d='M0 15.5H{_STRIP}' stroke='#808080' stroke-opacity='.6'/>"
        f"<path d='{marks}' stroke='currentColor' stroke-width='1.5' stroke-opacity='.55'/>"
        f"<path d='M{middle:.1f} 0v16' stroke='rgb(var(--mark))' stroke-width='3'/></svg>"
    )


def _matrix(caption: str, shade: NDArray[np.float64], texts: Sequence[Sequence[str]]) -> str:
    rows = [
        [
            name,
            *(f"<td style='--share:{0.65 * share:.3f}'>{text}</td>" for share, text in zip(shades, row, strict=True)),
        ]
        for name, shades, row in zip(CLASS_NAMES, shade, texts, strict=True)
    ]
    return table(["truth \\ predicted", *CLASS_NAMES, "unlabelled"], rows, caption=caption, kind="matrix")


def _percent(shares: NDArray[np.float64]) -> list[list[str]]:
    return [[f"{100 * share:.1f}" for share in row] for row in shares]
