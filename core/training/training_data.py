"""Which tiles a fit trains on, with which labels, and which tiles judge it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.catalog.discover import Discovery, TileFile, discover, find_mask
from core.catalog.images import fingerprint, read_info, read_mask
from core.classes import CLASS_NAMES, UNLABELLED
from core.errors import InputError
from core.labels.instances import count
from core.training.cell_grid import CellGrid, cell_grid
from core.training.cells import LabelledCells, label_cells
from core.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class LabelledTile:
    """A tile with labels: its files, their fingerprints, its cells and what is labelled by class."""

    name: str
    image_path: Path
    mask_path: Path
    image_fingerprint: str
    mask_fingerprint: str
    grid: CellGrid
    cells: LabelledCells
    instances: dict[str, int]
    pixels: dict[str, int]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The tiles of a fit, and a sentence for each that had to be left out."""

    training: tuple[LabelledTile, ...]
    validation: tuple[LabelledTile, ...]
    warnings: tuple[str, ...]

    def amounts(self) -> dict[str, dict[str, int]]:
        """Instances, pixels and cells of the training labels, by class name."""
        return {
            name: {
                "instances": sum(tile.instances[name] for tile in self.training),
                "pixels": sum(tile.pixels[name] for tile in self.training),
                "cells": sum(int((tile.cells.classes == index).sum()) for tile in self.training),
            }
            for index, name in enumerate(CLASS_NAMES)
        }


def gather(data: Path, labels: Path | None, recipe: Recipe) -> TrainingData:
    """Read the masks of the tiles that the recipe names (or of all).

    Training labels come from ``labels`` where it is given, else from beside the images. A validation tile is
    judged with its mask in ``labels`` if it has one there, else with the mask beside its image, and never trains.
    A training tile without labels is left out with a warning. Raises ``InputError`` when a named tile is not
    there, no training tile has labels, fewer than two classes are labelled, or a validation tile has no labels.
    """
    if labels is not None and not labels.is_dir():
        raise InputError(
            f"There is no folder of labels at {labels}; give the folder that holds the <id>_mask.png files."
        )
    found = discover(data)
    judged = _named(found, recipe.validation_tiles, key="validation_tiles")
    aside = {tile.name for tile in judged}
    chosen = _named(found, recipe.train_tiles, key="train_tiles") if recipe.train_tiles else found.tiles
    both = sorted(aside & set(recipe.train_tiles))
    if both:
        raise InputError(f"Tile {both[0]} is to train and to validate at once; take it out of one of the two lists.")
    warnings = [finding.sentence for finding in found.findings]
    training = []
    for tile in chosen:
        if tile.name in aside:
            continue
        try:
            training.append(_labelled(tile, _training_mask(tile, labels), recipe))
        except _WithoutLabelsError:
            warnings.append(f"Tile {tile.name} has no labels and was left out of training.")
        except InputError as error:
            warnings.append(str(error))
    validation = []
    for tile in judged:
        mask = (find_mask(labels, tile.name) if labels else None) or tile.mask_path
        try:
            validation.append(_labelled(tile, mask, recipe))
        except _WithoutLabelsError as error:
            raise InputError(f"The validation tile {tile.name} has no labels to judge by; choose another.") from error
    gathered = TrainingData(tuple(training), tuple(validation), tuple(warnings))
    _check_enough(gathered, data=data, labels=labels)
    return gathered


class _WithoutLabelsError(Exception):
    """The tile has no mask, or one without a labelled pixel."""


def _named(found: Discovery, names: Sequence[str], *, key: str) -> tuple[TileFile, ...]:
    by_name = {tile.name: tile for tile in found.tiles}
    for name in names:
        if name not in by_name:
            raise InputError(f"{key} names the tile {name}, but {found.root} has none of that name; mend the list.")
    return tuple(by_name[name] for name in dict.fromkeys(names))


def _training_mask(tile: TileFile, labels: Path | None) -> Path | None:
    return tile.mask_path if labels is None else find_mask(labels, tile.name)


def _labelled(tile: TileFile, mask: Path | None, recipe: Recipe) -> LabelledTile:
    if mask is None:
        raise _WithoutLabelsError
    info = read_info(tile.image_path)
    raster = read_mask(mask, shape=(info.height, info.width)).raster
    if not np.any(raster != UNLABELLED):
        raise _WithoutLabelsError
    grid = cell_grid(
        raster.shape,
        metres_per_pixel=(info.metres_per_pixel_y, info.metres_per_pixel_x),
        resolution_m=recipe.resolution_m,
        cell_m=None if recipe.kind == "network" else recipe.cell_m,
    )
    counted = count(raster)
    return LabelledTile(
        name=tile.name,
        image_path=tile.image_path,
        mask_path=mask,
        image_fingerprint=fingerprint(tile.image_path),
        mask_fingerprint=fingerprint(mask),
        grid=grid,
        cells=label_cells(raster, grid),
        instances={name: counted[name].instances for name in CLASS_NAMES},
        pixels={name: counted[name].pixels for name in CLASS_NAMES},
    )


def _check_enough(gathered: TrainingData, *, data: Path, labels: Path | None) -> None:
    if not gathered.training:
        why = f" {gathered.warnings[0]}" if gathered.warnings else ""
        raise InputError(
            f"No tile to train on has labels in {labels or data}; label some on the Label page, "
            f"or name a folder of masks with --labels.{why}"
        )
    labelled = [name for name, amount in gathered.amounts().items() if amount["pixels"]]
    if len(labelled) < 2:
        raise InputError(
            f"Only {labelled[0]} is labelled in {labels or data}, and a head that knows one class has nothing "
            "to tell apart; label at least two classes."
        )
