"""A whole run in a folder without any training, with weights that load: for tests of what is done with runs."""

from pathlib import Path

from core.atomic import write_json
from core.classes import CLASS_NAMES
from core.training.recipe import load_recipe
from core.training.runs import RunCard, add_metrics, finish_run, start_run
from models.heads import ContextLinearHead

VALIDATION = {
    "tiles": ["9"],
    "accuracy": 0.75,
    "miou": 0.5,
    "mf1": 0.6,
    **{figure: {"urban": 0.4, "forest": 0.6} for figure in ("iou", "f1", "precision", "recall")},
}

NARROW, WIDE = {"miou": [0.41, 0.59], "iou": {"urban": [0.2, 0.5]}}, {"miou": [0.0, 1.0], "iou": {}}
CROSSED = {**VALIDATION, "tiles": 6, "miou": 0.512, "interval": NARROW, "note": None, "confusion": [], "per_tile": []}
FOLDS = {
    "members": 2,
    "cross_validation": CROSSED,
    "fold_members": [
        {"left_out": ["1", "2", "3"], "miou": 0.4, "seconds": 1.0},
        {"left_out": ["4", "5", "6"], "miou": 0.6, "seconds": 2.0},
    ],
}
"""What a fit with folds measures of its members on the tiles that each had not seen."""


def write_run(folder: Path, settings=(), **changes) -> Path:
    """A finished run with a small linear head; ``changes`` go into its card."""
    recipe = load_recipe("head", list(settings))
    head = ContextLinearHead(channels=4, classes=6, windows=(1, 3))
    card = {
        "state": "finished",
        "created": "2026-01-01T00:00:00+00:00",
        "recipe_name": recipe.name,
        "encoder": recipe.encoder,
        "encoder_identity": "abc",
        "encoder_parameters": 4_000_000,
        "encoder_licence": "apache-2.0",
        "head": head.kind,
        "head_parameters": 54,
        "seed": 0,
        "device": "cpu",
        "training_tiles": {"1": "f1", "2": "f2"},
        "validation_tiles": {"9": "f9"},
        "label_fingerprints": {"1": "m1", "2": "m2", "9": "m9"},
        "label_source": "given",
        "classes": {name: {"instances": 30, "pixels": 900, "cells": 9} for name in CLASS_NAMES},
        "missing_classes": [],
        "warnings": [],
        "validation": VALIDATION,
        "features_seconds": 2.5,
        "head_seconds": 1.5,
        "versions": {"torch": "2.13.0"},
        "recipe_hash": "0123456789abcdef",
        "data_fingerprint": "dddd",
        "label_fingerprint": "llll",
        "code_version": "0.1.0+1234567",
        "environment": {"processor": "a processor", "cores": "2"},
        "peak_memory_bytes": 2**30,
        **changes,
    }
    start_run(folder, recipe)
    add_metrics(folder, {"iteration": 5, "loss": 1.5})
    finish_run(folder, head=head, card=RunCard(**card))
    return folder


def keep_evaluation(folder: Path, *, day: str = "2026-02-01T00:00", tiles=("7", "8")) -> None:
    """Scores on held-out tiles as ``evaluate-run`` keeps them, in the workspace's folder for this run."""
    result = {
        **{key: value for key, value in VALIDATION.items() if key != "tiles"},
        "miou": 0.321,
        "interval": {"miou": [0.2, 0.4], "iou": {"urban": [0.1, 0.5]}},
        "measured_on": {
            "run": folder.name,
            "collection": "a collection",
            "tiles": list(tiles),
            "truth": "the masks that came with the tiles",
            "switches": {"tta": "flips", "refinement": "none", "min_region": 0},
            "day": day,
        },
    }
    write_json(folder / "1_flips.json", result)
