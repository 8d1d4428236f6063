"""A report of an evaluation as one HTML file: no script, no picture file, nothing asked of a network.

It prints well, and follows the reader's choice of light or dark.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from core.atomic import write_text
from core.evaluation import report_tables as tables
from core.evaluation.evaluate import by_rule, pair_masks
from core.evaluation.exports import write_beside
from core.evaluation.report_pictures import TilePictures, worst_tiles
from core.evaluation.report_tables import number, span

_NAMED_TILES = 12

_STYLE = """
:root { color-scheme: light dark;
  --ink: #17231d; --paper: #fbfcfb; --line: #d5dfd9; --soft: #eef3f0; --mark: 31 122 92; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eee9; --paper: #101613; --line: #2f3c36; --soft: #1a231f; --mark: 63 182 139; } }
@page { size: A4; margin: 14mm; }
* { box-sizing: border-box; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.5rem; background: var(--paper); color: var(--ink);
  font: 14px/1.5 Inter, 'Segoe UI', Roboto, Arial, sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 1.7em; margin: 0 0 .25rem; } h2 { font-size: 1.25em; margin: 2rem 0 .5rem; }
h3 { font-size: 1em; margin: 1rem 0 .35rem; } p { margin: .35rem 0; max-width: 60rem; }
.headline { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; margin: 1.25rem 0; }
.headline b { display: block; font-size: 2em; line-height: 1.2; } .quiet { opacity: .72; }
.note { border-left: 4px solid #c77700; background: var(--soft); padding: .5rem .75rem; font-weight: 600; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; font-weight: 600; padding: 1rem 0 .25rem; }
th, td { padding: .3rem .5rem; border-bottom: 1px solid var(--line); text-align: right; font-weight: 400; }
th[scope=row], th:first-child { text-align: left; } thead th { font-weight: 600; vertical-align: bottom; }
td:has(svg) { text-align: left; } svg { display: block; } .strip { width: 100%; min-width: 11rem; height: 16px; }
.facts th { width: 22%; } .facts td { text-align: left; overflow-wrap: anywhere; }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .45em; border: 1px solid #808080;
  vertical-align: -.05em; }
.matrix td { background: rgb(var(--mark) / var(--share)); } .scroll { overflow-x: auto; }
.pictures { display: flex; gap: .6rem; } figure { margin: 0; flex: 0 1 260px; }
figure img { display: block; width: 100%; } figcaption { font-size: .9em; opacity: .8; }
pre { background: var(--soft); padding: .75rem; white-space: pre-wrap; overflow-wrap: anywhere; columns: 20rem 3; }
@media print { :root { color-scheme: light;
  --ink: #000; --paper: #fff; --line: #bbb; --soft: #f2f2f2; --mark: 31 122 92; }
  body { font-size: 9.5px; padding: 0; } th, td { padding: .15rem .25rem; } .bar { width: 90px; }
  h2 { margin-top: 1.25rem; } .strip { min-width: 6rem; } pre { columns: 14rem 3; }
  section, tr, figure { break-inside: avoid; } h2, h3, caption { break-after: avoid; } .scroll { overflow: visible; } }
"""


def write_report(
    result: dict[str, Any], path: Path, *, recipe: str | None = None, worst: Sequence[TilePictures] = ()
) -> dict[str, str]:
    """Write a report (see ``report_html``), each file atomically, with CSV and JSON beside it.

    Returns the files' paths by kind, as text. Raises ``InputError`` when one cannot be written.
    """
    write_text(path, report_html(result, recipe=recipe, worst=worst))
    return {"html": str(path), **write_beside(result, path)}


def write_folder_report(result: dict[str, Any], path: Path) -> dict[str, str]:
    """Write the report of a result of ``evaluate_folder``, with pictures of the worst tiles; as ``write_report``."""
    truth, predictions = Path(result["truth"]), Path(result["predictions"])
    pairs = {pair.tile: pair for pair in pair_masks(truth, predictions).pairs}
    beside = {name: pair.truth.with_name(f"{name}_sat.jpg") for name, pair in pairs.items()}
    images = {name: image for name, image in beside.items() if image.is_file()}
    return write_report(result, path, worst=worst_tiles(result, pairs, images))


def report_html(result: dict[str, Any], *, recipe: str | None = None, worst: Sequence[TilePictures] = ()) -> str:
    """The result of ``evaluate_folder``, ``evaluate_run`` or ``summarise`` as the text of one self-contained page.

    ``recipe`` is the run's, as TOML; ``worst`` are pictures of the worst tiles (``report_pictures.worst_tiles``).
    Every name that came from outside is escaped.
    """
    boundary = result.get("boundary")
    measured = result.get("measured_on", {})
    title = f"Evaluation of {measured['run']}" if "run" in measured else "Evaluation"
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<meta name='viewport' content='width=device-width'><title>{escape(title)}</title>",
        f"<style>{_STYLE}</style></head><body>",
        _headline(title, result),
        _section("By class", tables.classes(result)),
        _section("Pixels that are predicted unlabelled, by both rules", tables.rules(by_rule(result))),
        _section("Near the borders of classes", _near_borders(boundary) if boundary else ""),
        _section("Over single tiles", tables.spread(result)),
        "<h2>What was taken for what</h2>",
        tables.matrices(np.asarray(result["confusion"], np.int64)),
        "<h2>The worst tiles</h2>" + tables.pictures(worst, result) if worst else "",
        _section("By tile, worst first", tables.tiles(result["per_tile"])),
        _section("How it was made", _facts(result)),
        f"<h3>Recipe</h3><pre>{escape(recipe)}</pre>" if recipe else "",
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _headline(title: str, result: dict[str, Any]) -> str:
    measured = result.get("measured_on", {})
    where = [f"{result['tiles']} tiles", f"{int(np.sum(result['confusion'])):,} labelled pixels"]
    where += [f"{key}: {result[key]}" for key in ("truth", "predictions") if key in result]
    where += [
        f"{key}: {_words(measured[key])}" for key in ("collection", "truth", "switches", "day") if key in measured
    ]
    note = f"<p class='note'>{escape(result['note'])}</p>" if result["note"] else ""
    boundary = result.get("boundary")
    figures = [
        ("Mean IoU", result["miou"], f"95 % interval {span(result['interval']['miou'])}"),
        ("Pixel accuracy", result["accuracy"], ""),
        ("Mean F1", result["mf1"], ""),
        ("Kappa", result["kappa"], ""),
    ]
    if boundary:
        figures.append(("Mean boundary IoU", boundary["mbiou"], f"95 % interval {span(boundary['interval']['mbiou'])}"))
    shown = "".join(
        f"<div><span class='quiet'>{label}</span><b>{number(value)}</b><span class='quiet'>{detail}</span></div>"
        for label, value, detail in figures
    )
    method = f"{result['averaging']}. {result['interval'].get('method', '')}"
    return (
        f"<h1>{escape(title)}</h1><p class='quiet'>Measured on {escape('; '.join(where))}.</p>"
        f"<p class='quiet'>Averaging: {escape(method)}.</p>"
        f"{note}<div class='headline'>{shown}</div>"
    )


def _near_borders(boundary: dict[str, Any]) -> str:
    low, high = boundary["distance"]
    reach = f"{low} pixels" if low == high else f"{low} to {high} pixels"
    return (
        "<p class='quiet'>Boundary IoU (Cheng et al. 2021; in the table by class) is of the pixels "
        f"{boundary['within']}: {reach} here. Below, the scores of the pixels near a border of the truth.</p>"
        + tables.bands(boundary)
    )


def _facts(result: dict[str, Any]) -> str:
    measured = result.get("measured_on")
    if not measured:
        return ""
    rows = []
    for key, value in measured.items():
        if key == "trained_on":
            rows += [[f"trained on: {escape(inner.replace('_', ' '))}", _words(one)] for inner, one in value.items()]
        else:
            rows.append([escape(key.replace("_", " ")), _words(value)])
    return tables.table(["", ""], [[name, escape(value) or "none"] for name, value in rows], kind="facts")


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>" if content else ""


def _words(value: object) -> str:
    """A fact in words, long lists cut."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        value = [f"{key} {_words(inner)}" for key, inner in value.items()]
    if isinstance(value, list):
        rest = f" and {len(value) - _NAMED_TILES} more" if len(value) > _NAMED_TILES else ""
        return (", ".join(str(one) for one in value[:_NAMED_TILES]) + rest) or "none"
    return str(value)
