"""What is known of chosen tiles as a table that other programs read."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

import numpy as np

from core.catalog.tile_filter import Outside
from core.catalog.tile_table import STATUSES, TileTable
from core.classes import CLASS_NAMES
from core.labels.work_status import Status

COLUMNS = (
    "tile", "split", "width", "height", "metres_per_pixel_x", "metres_per_pixel_y", "crs", "labels", "work",
    *(f"share_{name}" for name in CLASS_NAMES), *(f"instances_{name}" for name in CLASS_NAMES),
    "annotators", "last_labelled_utc", "uncertainty", *(f"predicted_{name}" for name in CLASS_NAMES),
    "iou", "likeness", "problems",
)  # fmt: skip
"""Shares, uncertainty and IoU are 0 to 1, of a tile's pixels; empty where nothing is known."""


def figures_csv(table: TileTable, numbers: Sequence[int], outside: Outside) -> str:
    """A row for each of these row numbers, in their order, under ``COLUMNS``."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    order = list(Status)
    for number in numbers:
        row, labels = table.rows[number], table.labels
        people = [name for name, there in zip(labels.annotators, labels.painters[number], strict=True) if there]
        moment = labels.changed[number]
        writer.writerow(
            [
                *(row.name, row.split, row.width, row.height, row.metres_per_pixel_x, row.metres_per_pixel_y, row.crs),
                *(STATUSES[table.statuses[number]], str(order[labels.work[number]])),
                *_known(table.shares[number]),
                *labels.instances[number].tolist(),
                *(" ".join(people), "" if np.isnat(moment) else str(moment)),
                *_known([table.opinions.uncertainty[number], *table.opinions.shares[number]]),
                *_known([np.nan if one is None else one[number] for one in (outside.iou, outside.alike)]),
                "yes" if table.tiles.has_problem[number] else "",
            ]
        )
    return out.getvalue()


def _known(values: Iterable[float]) -> list[str]:
    return ["" if np.isnan(value) else f"{value:.6g}" for value in values]
