"""Ablation: a base recipe and one change at a time, each scored by cross-validation on the same tiles.

Every row is tried with each set of labels and each seed. A difference to the row that it changes comes with an interval
over tries and tiles. What is finished is kept in the study's file, so that a study can be cut short and gone on with.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.atomic import write_json, write_text
from core.catalog.discover import find_mask
from core.catalog.images import fingerprint
from core.cluster.connection import ClusterUse
from core.cluster.fan_out import Asked, Outcome
from core.code_version import code_version
from core.errors import InputError
from core.evaluation import scores
from core.evaluation.confusion import Confusion
from core.evaluation.intervals import few_tiles_note, repeated_difference
from core.progress import Progress
from core.training.cross_validation import LEAVE_ONE_OUT, cross_validate, judged_tiles
from core.training.distributed_calls import call_each
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest
from core.training.parcels import pack_request, unpack_request
from core.training.provenance import digest, recipe_hash
from core.training.recipe import Recipe, load_recipe
from core.training.techniques import BASE, Variation

FORMAT = "tilewright-ablation-1"


@dataclass(frozen=True, slots=True)
class Study:
    """What is varied, on which tiles and labels, and where the table goes.

    ``labels`` are folders of masks, each one a try; empty learns from the masks beside the images. ``folds`` is a
    number of parts, or ``LEAVE_ONE_OUT``. ``recipe`` and ``overrides`` are what ``load_recipe`` takes.
    """

    data: Path
    out: Path
    variations: tuple[Variation, ...]
    labels: tuple[Path, ...] = ()
    recipe: str = "head"
    overrides: tuple[str, ...] = ()
    folds: int = LEAVE_ONE_OUT
    seeds: tuple[int, ...] = (0,)
    device: str = "auto"
    cache: FeatureCache | None = None

    def recipe_of(self, variation: Variation) -> Recipe:
        """The base recipe with a row's settings. Raises ``InputError`` for one that cannot be."""
        return load_recipe(self.recipe, [*self.overrides, *variation.settings])

    @property
    def tries(self) -> list[tuple[Path | None, int]]:
        """Labels and seed of each try."""
        return [(labels, seed) for labels in self.labels or (None,) for seed in self.seeds]


def ablate(study: Study, progress: Progress, *, cluster: ClusterUse | None = None) -> dict[str, Any]:
    """Run what is missing of a study; returns its table and writes it as JSON and, beside that, as Markdown.

    With a ``cluster`` as many tries run at once as it has room for; the scores are the same.
    A variation that cannot be fitted has its sentence in the table instead of a score, and is tried again next time.
    Raises ``InputError`` for settings that cannot be, for a base that cannot be fitted, and where the file holds
    another study; ``CancelledError`` with all finished tries kept.
    """
    _check_names(study.variations)
    recipes = {row.name: study.recipe_of(row) for row in study.variations}
    kept = _Kept.read(study, recipes)
    missing = [
        (row, labels, seed)
        for row in study.variations
        for labels, seed in study.tries
        if kept.result(row.name, labels, seed) is None
    ]
    asked = [Asked(_request(study, recipes[row.name], labels, seed), row.name) for row, labels, seed in missing]

    def keep(number: int, outcome: Outcome) -> None:
        row, labels, seed = missing[number]
        if outcome.result is not None:
            kept.add(row.name, {"labels": _label_source(labels), "seed": seed, **outcome.result})
        elif row.name == BASE:
            raise InputError(outcome.failure or "")
        else:
            kept.failed(row.name, outcome.failure or "")

    call_each(
        try_recipe,
        asked,
        cluster=cluster,
        device=study.device,
        progress=progress,
        on_outcome=keep,
        needless=lambda number: kept.failure(missing[number][0].name) is not None,
    )
    total = len(recipes) * len(study.tries)
    progress.update(total, total, "Writing the table")
    table = {**kept.header, "note": few_tiles_note(kept.tile_count), "table": _table(study, kept)}
    kept.write(table["table"])
    write_text(study.out.with_suffix(".md"), markdown(table))
    return table


def try_recipe(request: dict[str, Any], device: str, progress: Progress) -> dict[str, Any]:
    """A try of a row: its scores and each tile's confusion, as JSON; a ``fan_out.Call``."""
    fit = unpack_request(request["fit"])
    found = cross_validate(
        fit.data,
        fit.labels,
        recipe=fit.recipe,
        progress=progress,
        folds=request["folds"],
        seed=fit.seed,
        device=device,
        cache=fit.cache,
    )
    return {
        "miou": found.scores.miou,
        "accuracy": found.scores.accuracy,
        "iou": found.scores.iou,
        "seconds": round(found.seconds, 2),
        "head_seconds": round(found.head_seconds, 3),
        "tiles": {name: matrix.tolist() for name, matrix in found.matrices.items()},
    }


def _request(study: Study, recipe: Recipe, labels: Path | None, seed: int) -> dict[str, Any]:
    """What ``try_recipe`` takes; the fits of a try have folders of their own."""
    fit = FitRequest(data=study.data, out=study.out, recipe=recipe, labels=labels, seed=seed, cache=study.cache)
    return {"fit": pack_request(fit), "folds": study.folds}


def markdown(table: dict[str, Any]) -> str:
    """The table of ``ablate`` as Markdown."""
    lines = [
        "# Ablation",
        "",
        f"Base: recipe {table['recipe']}. {table['folds']} over the tiles of `{table['data']}`, judged on the masks "
        f"beside the images. Seeds: {', '.join(map(str, table['seeds']))}; labels: {', '.join(table['labels'])}. Mean "
        f"and worst are over the tries. Scores: {scores.AVERAGING_RULE}. The interval (95 %) is over tiles and tries. "
        "Seconds are those of a try (with the features that were not cached), fit seconds the mean of its folds.",
        *(["", table["note"]] if table["note"] else []),
        "",
        "| row | technique | mIoU mean | worst | against | difference | interval | verdict | seconds | fit seconds |",
        "|---|---|---:|---:|---|---:|---|---|---:|---:|",
    ]
    for row in table["table"]:
        named = f"| {row['name']} | {row['techniques']} |"
        if row["failed"]:
            lines.append(f"{named} | | | | | {_cell(row['failed'])} | | |")
            continue
        difference = row["difference"]
        told = ["", "", "", ""]
        if difference is not None:
            low, high = difference["interval"]
            told = [
                row["against"],
                f"{difference['value']:+.4f}",
                f"{low:+.3f} to {high:+.3f}",
                difference["verdict"],
            ]
        score = [f"{row['miou']:.4f}", f"{row['worst']:.4f}"]
        seconds = [f"{row['seconds']:.1f}", f"{row['head_seconds']:.2f}"]
        lines.append(f"{named} {' | '.join([*score, *told, *seconds])} |")
    return "\n".join(lines) + "\n"


class _Kept:
    """The study's file: what is finished of each row, written after every try."""

    def __init__(self, path: Path, header: dict[str, Any], rows: dict[str, dict[str, Any]]) -> None:
        self._path, self.header, self._rows = path, header, rows
        self._failed: dict[str, str] = {}

    @staticmethod
    def read(study: Study, recipes: dict[str, Recipe]) -> "_Kept":
        header = _header(study)
        rows = _old_rows(study.out, header)
        wanted: dict[str, dict[str, Any]] = {}
        for row in study.variations:
            key = {"recipe_hash": recipe_hash(recipes[row.name]), "settings": list(row.settings)}
            old = rows.pop(row.name, {})
            alike = old.get("recipe_hash") == key["recipe_hash"]
            wanted[row.name] = {**key, "tries": old["tries"] if alike else []}
        return _Kept(study.out, header, {**rows, **wanted})  # rows of earlier calls stay, though not in this table

    @property
    def tile_count(self) -> int:
        return max((len(one["tiles"]) for row in self._rows.values() for one in row["tries"]), default=0)

    def result(self, name: str, labels: Path | None, seed: int) -> dict[str, Any] | None:
        for one in self._rows[name]["tries"]:
            if one["labels"] == _label_source(labels) and one["seed"] == seed:
                return dict(one)
        return None

    def add(self, name: str, result: dict[str, Any]) -> None:
        self._rows[name]["tries"].append({**result, "code_version": code_version()})
        self.write()

    def failed(self, name: str, sentence: str) -> None:
        self._failed.setdefault(name, sentence)

    def failure(self, name: str) -> str | None:
        return self._failed.get(name)

    def write(self, table: Sequence[dict[str, Any]] = ()) -> None:
        write_json(self._path, {**self.header, "table": list(table), "rows": self._rows})


def _header(study: Study) -> dict[str, Any]:
    base = load_recipe(study.recipe, list(study.overrides))
    tiles = judged_tiles(study.data, base)
    inputs: dict[str, Any] = {}
    for tile in tiles:
        masks = [tile.mask_path, *(find_mask(folder, tile.name) for folder in study.labels)]
        inputs[tile.name] = [fingerprint(tile.image_path), *(mask and fingerprint(mask) for mask in masks)]
    return {
        "format": FORMAT,
        "data": str(study.data),
        "inputs": digest(inputs),
        "recipe": " ".join([study.recipe, *study.overrides]),
        "base_hash": recipe_hash(base),
        "folds": "Leave one tile out" if study.folds == LEAVE_ONE_OUT else f"{study.folds} folds by whole tile",
        "labels": [_label_source(labels) for labels in study.labels or (None,)],
        "seeds": list(study.seeds),
    }


def _old_rows(path: Path, header: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of an earlier call of the same study; none where there is no file. ``InputError`` for anything else."""
    if not path.exists():
        return {}
    try:
        old = json.loads(path.read_text())
        rows: dict[str, dict[str, Any]] = old["rows"]
        if old["format"] != FORMAT:
            raise ValueError(old["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no ablation that can be gone on with; give --out another file.") from error
    # Further seeds may join; the tiles, their labels, the base and the folds have to be the same.
    for key, what in (("inputs", "tiles or labels"), ("base_hash", "base recipe"), ("folds", "folds")):
        if old[key] != header[key]:
            raise InputError(f"{path} holds a study with other {what}; give --out another file.")
    return rows


def _table(study: Study, kept: _Kept) -> list[dict[str, Any]]:
    rows = []
    for row in study.variations:
        told: dict[str, Any] = {
            "name": row.name,
            "techniques": row.techniques,
            "settings": list(row.settings),
            "against": row.against,
            "failed": kept.failure(row.name),
        }
        if told["failed"] is None:
            tries = _tries(study, kept, row.name)
            mious = [float(one["miou"] or 0.0) for one in tries]
            told |= {
                "tries": len(tries),
                "miou": float(np.mean(mious)),
                "worst": min(mious),
                "seconds": float(np.mean([one["seconds"] for one in tries])),
                "head_seconds": float(np.mean([one["head_seconds"] for one in tries])),
                "difference": _difference(study, kept, row),
            }
        rows.append(told)
    return rows


def _difference(study: Study, kept: _Kept, row: Variation) -> dict[str, Any] | None:
    if row.name == row.against or kept.failure(row.against) is not None:
        return None
    both = [[_matrices(one) for one in _tries(study, kept, name)] for name in (row.name, row.against)]
    difference = repeated_difference(*both)
    return None if difference is None else difference.as_dict()


def _tries(study: Study, kept: _Kept, name: str) -> list[dict[str, Any]]:
    return [one for labels, seed in study.tries if (one := kept.result(name, labels, seed)) is not None]


def _matrices(one: dict[str, Any]) -> list[Confusion]:
    """The confusion of each tile, in the order of their names."""
    return [np.asarray(one["tiles"][name], np.int64) for name in sorted(one["tiles"])]


def _label_source(labels: Path | None) -> str:
    return "full masks" if labels is None else str(labels)


def _check_names(rows: Sequence[Variation]) -> None:
    """Raise ``InputError`` where two rows have one name; a row's result is kept under it."""
    names = [row.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"The variation {name} is there twice; give each once.")


def _cell(text: str) -> str:
    return text.replace("|", "/")
