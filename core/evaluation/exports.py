"""An evaluation as files for other programs: CSV, one figure a line, and JSON, all that is known."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.atomic import write_text
from core.evaluation.evaluate import restrict
from core.evaluation.scores import RULES

_COLUMNS = ("tile", "class", "predicted_unlabelled", "figure", "value", "low", "high")
_BY_CLASS = {"iou": "miou", "f1": "mf1", "precision": "mprecision", "recall": "mrecall", "class_kappa": "kappa"}
_SPREADSHEET_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_beside(result: dict[str, Any], page: Path) -> dict[str, str]:
    """Write the CSV and JSON beside a report's page, under its name; their paths by kind, as text.

    Raises ``InputError`` when a file cannot be written.
    """
    written = {}
    for kind, text in (("csv", csv_text(result)), ("json", json_text(result))):
        path = page.with_suffix(f".{kind}")
        write_text(path, text)
        written[kind] = str(path)
    return written


def json_text(result: dict[str, Any]) -> str:
    """The whole result, with the scores by both rules for pixels predicted unlabelled."""
    return json.dumps(result, indent=1) + "\n"


def csv_text(result: dict[str, Any]) -> str:
    """Every figure on a line of its own, by both rules; an empty tile means all tiles, an empty class the mean or all.

    ``low`` and ``high`` are the 95 % interval where there is one. What has no value has no line.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for rule in RULES:
        ruled = restrict(result, rule=rule)
        for tile, land, figure, value, interval in (*_of_all(ruled), *_of_tiles(ruled)):
            if value is not None:
                low, high = interval or ("", "")
                writer.writerow((_harmless(tile), land, rule, figure, value, low, high))
    return text.getvalue()


_Line = tuple[str, str, str, float | None, list[float] | None]


def _of_all(result: dict[str, Any]) -> Iterator[_Line]:
    yield "", "", "accuracy", result["accuracy"], None
    for by_class, mean in _BY_CLASS.items():
        figure = by_class.removeprefix("class_")
        yield "", "", figure, result[mean], result["interval"]["miou"] if by_class == "iou" else None
        for land, value in result[by_class].items():
            yield "", land, figure, value, result["interval"]["iou"].get(land) if by_class == "iou" else None
    boundary = result.get("boundary")
    if boundary is None:
        return
    yield "", "", "boundary_iou", boundary["mbiou"], boundary["interval"]["mbiou"]
    for land, value in boundary["biou"].items():
        yield "", land, "boundary_iou", value, boundary["interval"]["biou"].get(land)
    for width, band in boundary["bands"].items():
        yield "", "", f"accuracy_within_{width}_px", band["accuracy"], None
        yield "", "", f"iou_within_{width}_px", band["miou"], None
        for land, value in band["iou"].items():
            yield "", land, f"iou_within_{width}_px", value, None


def _of_tiles(result: dict[str, Any]) -> Iterator[_Line]:
    for row in result["per_tile"]:
        yield row["tile"], "", "accuracy", row["accuracy"], None
        yield row["tile"], "", "iou", row["miou"], None
        for land, value in row["iou"].items():
            yield row["tile"], land, "iou", value, None


def _harmless(name: str) -> str:
    """A tile's name as a spreadsheet does not take it for a formula."""
    return f"'{name}" if name.startswith(_SPREADSHEET_STARTS) else name
