"""A workspace whose run says probabilities, without any network: for the tests of confidence."""

from pathlib import Path

import numpy as np

from core.atomic import write_json
from core.catalog.catalogue import index_folder
from core.classes import ClassRaster
from core.evaluation.calibration import tempered
from core.inference import store
from core.inference.compact import CompactProbabilities
from core.inference.switches import Switches
from core.progress import SilentProgress
from core.training.runs import CARD
from core.workspace import Workspace
from tests.core.evaluation.masks import blobs, save, worsen
from tests.pages.runs_on_disk import SIZE, add_run, all_tiles, make_workspace


def make_sure_workspace(root: Path, *, temperature: float = 1.0, trained_on: int = 2) -> Workspace:
    """Six tiles of 60 x 60; a run 'sure' that trained on the first and is right nearly everywhere."""
    workspace = make_workspace(root)
    for tile in all_tiles(workspace):
        save(root / "data", tile.name, truth_of(tile.name))
    index_folder(workspace, root / "data", SilentProgress())
    add_run(workspace, "sure", trained_on=trained_on)
    keep_sure_predictions(workspace, "sure", temperature=temperature)
    return workspace


def truth_of(name: str) -> ClassRaster:
    """The mask of a tile: blocks of random classes, and a large one of rangeland."""
    raster = blobs(int(name), SIZE)
    raster[10:40, 10:40] = 2
    return raster


def keep_sure_predictions(workspace: Workspace, run: str, *, temperature: float = 1.0) -> None:
    """What the run says of every tile: 0.8 for the class it takes, at temperature 1."""
    for tile in all_tiles(workspace):
        raster = worsen(truth_of(tile.name), 0.15, seed=int(tile.name))
        raster[raster == 255] = 0
        raster[12:36, 12:36] = 5  # a mistake that is wide enough to be told
        probabilities = np.full((6, *SIZE), 0.04, np.float32)
        np.put_along_axis(probabilities, raster[None].astype(np.intp), np.float32(0.8), axis=0)
        look = CompactProbabilities.by_pixel(tempered(probabilities, temperature))
        store.put(workspace, run, tile, Switches(), store.Made(raster, [look], 0.25))


def say_validation_tiles(workspace: Workspace, run: str, names: list[str]) -> None:
    """Write on the run's card that these were its validation tiles."""
    folder = store.run_folder(workspace, run)
    card = store.read_run(folder).card
    known = {tile.name: tile.fingerprint for tile in all_tiles(workspace)}
    card = card.model_copy(update={"validation_tiles": {name: known[name] for name in names}})
    write_json(folder / CARD, card.model_dump(mode="json"))
