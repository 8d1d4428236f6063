"""A report of an evaluation as one HTML file: no script, no picture file, nothing asked of a network.

It prints well, and follows the reader's choice of light or dark.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.atomic import write_text
from core.classes import CLASS_NAMES, CLASSES

_FIGURES = (("iou", "IoU"), ("precision", "Precision"), ("recall", "Recall"), ("f1", "F1"))
_LISTED_TILES = 50

_STYLE = """
:root { color-scheme: light dark;
  --ink: #17231d; --paper: #fbfcfb; --line: #d5dfd9; --soft: #eef3f0; --mark: 31 122 92; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eee9; --paper: #101613; --line: #2f3c36; --soft: #1a231f; --mark: 63 182 139; } }
@media print { :root { color-scheme: light;
  --ink: #000; --paper: #fff; --line: #bbb; --soft: #f2f2f2; --mark: 31 122 92; }
  section { break-inside: avoid; } }
* { box-sizing: border-box; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 Inter, 'Segoe UI', Roboto, Arial, sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.headline { display: flex; flex-wrap: wrap; gap: 2.5rem; margin: 1.25rem 0; }
.headline b { display: block; font-size: 2rem; line-height: 1.2; } .quiet { opacity: .72; }
.note { border-left: 4px solid #c77700; background: var(--soft); padding: .5rem .75rem; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; font-weight: 600; padding: 1rem 0 .25rem; }
th, td { padding: .3rem .5rem; border-bottom: 1px solid var(--line); text-align: right; font-weight: 400; }
th[scope=row], th:first-child { text-align: left; } thead th { font-weight: 600; }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .45em; border: 1px solid #808080;
  vertical-align: -.05em; }
.matrix td { background: rgb(var(--mark) / var(--share)); } .scroll { overflow-x: auto; }
"""


def write_report(result: dict[str, Any], path: Path) -> None:
    """Write the result of ``evaluate_folder`` or ``summarise`` as one self-contained HTML page, atomically.

    Raises ``InputError`` when the file cannot be written.
    """
    write_text(path, report_html(result))


def report_html(result: dict[str, Any]) -> str:
    """The page as text; every name that came from outside is escaped."""
    matrix = np.asarray(result["confusion"], np.int64)
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'><title>Evaluation</title>",
        f"<style>{_STYLE}</style></head><body>",
        _headline(result),
        _classes(result),
        _matrices(matrix),
        _tiles(result["per_tile"]),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _headline(result: dict[str, Any]) -> str:
    interval = result["interval"]["miou"]
    span = f"95 % interval {_number(interval[0])} to {_number(interval[1])}" if interval else "no interval"
    measured = [f"{result['tiles']} tiles", f"{int(np.sum(result['confusion'])):,} labelled pixels"]
    measured += [f"{key}: {result[key]}" for key in ("truth", "predictions") if key in result]
    measured += [f"{key}: {_words(value)}" for key, value in result.get("measured_on", {}).items()]
    note = f"<p class='note'>{escape(result['note'])}</p>" if result["note"] else ""
    return (
        "<h1>Evaluation</h1>"
        f"<p class='quiet'>Measured on {escape('; '.join(measured))}.<br>Averaging: {escape(result['averaging'])}.</p>"
        f"{note}<div class='headline'>"
        f"<div><span class='quiet'>Mean IoU</span><b>{_number(result['miou'])}</b>"
        f"<span class='quiet'>{span}</span></div>"
        f"<div><span class='quiet'>Pixel accuracy</span><b>{_number(result['accuracy'])}</b></div>"
        f"<div><span class='quiet'>Mean F1</span><b>{_number(result['mf1'])}</b></div></div>"
    )


def _classes(result: dict[str, Any]) -> str:
    head = "".join(f"<th scope='col'>{label}</th>" for _, label in _FIGURES)
    rows = []
    for land in CLASSES:
        swatch = f"<span class='swatch' style='background:{land.hex_colour}'></span>{land.name}"
        if land.name not in result["iou"]:
            rows.append(f"<tr><th scope='row'>{swatch}</th><td colspan='6' class='quiet'>not in the truth</td></tr>")
            continue
        low, high = result["interval"]["iou"][land.name]
        figures = "".join(f"<td>{_number(result[key][land.name])}</td>" for key, _ in _FIGURES)
        bar = _bar(result["iou"][land.name], low, high, land.hex_colour)
        rows.append(
            f"<tr><th scope='row'>{swatch}</th>{figures}<td>{_number(low)} to {_number(high)}</td><td>{bar}</td></tr>"
        )
    return (
        "<section><h2>By class</h2><div class='scroll'><table><thead><tr><th scope='col'>Class</th>"
        f"{head}<th scope='col'>IoU, 95 %</th><th scope='col'>IoU from 0 to 1, with its interval</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _bar(value: float, low: float, high: float, colour: str) -> str:
    """A bar from 0 to 1 with its interval as a whisker, dark with a white rim to show on any class colour."""
    width = 240
    left, right = max(1.5, low * width), min(width - 1.5, high * width)
    whisker = f"d='M{left:.1f} 8H{right:.1f}M{left:.1f} 4v8M{right:.1f} 4v8'"
    return (
        f"<svg width='{width}' height='16' role='img' aria-label='IoU {_number(value)}'>"
        f"<rect width='{width - 1}' height='15' x='.5' y='.5' fill='none' stroke='#808080' stroke-opacity='.4'/>"
        f"<rect width='{value * width:.1f}' height='16' fill='{colour}' stroke='#808080'/>"
        f"<path {whisker} stroke='#fff' stroke-width='4'/><path {whisker} stroke='#222' stroke-width='1.5'/></svg>"
    )


def _matrices(matrix: NDArray[np.int64]) -> str:
    truth = matrix.sum(axis=1, keepdims=True)
    predicted = matrix.sum(axis=0, keepdims=True)
    by_truth, by_prediction = matrix / np.maximum(truth, 1), matrix / np.maximum(predicted, 1)
    shares = matrix / max(int(matrix.max()), 1)
    tables = (
        ("Share of each true class (rows add up to 100 %)", by_truth, _percent(by_truth)),
        ("Share of each predicted class (columns add up to 100 %)", by_prediction, _percent(by_prediction)),
        ("Pixels", shares, [[f"{int(cell):,}" for cell in row] for row in matrix]),
    )
    return "<h2>What was taken for what</h2>" + "".join(_matrix(*table) for table in tables)


def _matrix(caption: str, shade: NDArray[np.float64], texts: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th scope='col'>{name}</th>" for name in (*CLASS_NAMES, "unlabelled"))
    rows = []
    for name, shades, row in zip(CLASS_NAMES, shade, texts, strict=True):
        cells = "".join(
            f"<td style='--share:{0.65 * share:.3f}'>{text}</td>" for share, text in zip(shades, row, strict=True)
        )
        rows.append(f"<tr><th scope='row'>{name}</th>{cells}</tr>")
    return (
        f"<section class='scroll'><table class='matrix'><caption>{caption}</caption>"
        f"<thead><tr><th scope='col'>truth \\ predicted</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></section>"
    )


def _tiles(per_tile: Sequence[dict[str, Any]]) -> str:
    scored = sorted((row for row in per_tile if row["miou"] is not None), key=lambda row: float(row["miou"]))
    rows = "".join(
        f"<tr><th scope='row'>{escape(str(row['tile']))}</th><td>{_number(row['miou'])}</td>"
        f"<td>{_number(row['accuracy'])}</td><td>{row['labelled_pixels']:,}</td></tr>"
        for row in scored[:_LISTED_TILES]
    )
    rest = len(per_tile) - min(len(scored), _LISTED_TILES)
    more = f"<p class='quiet'>{rest} more tiles are not listed.</p>" if rest else ""
    return (
        "<section><h2>By tile, worst first</h2><table><thead><tr><th scope='col'>Tile</th><th scope='col'>Mean IoU</th>"
        "<th scope='col'>Accuracy</th><th scope='col'>Labelled pixels</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>{more}</section>"
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _percent(shares: NDArray[np.float64]) -> list[list[str]]:
    return [[f"{100 * share:.1f}" for share in row] for row in shares]


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
