"""A workspace with tiles, finished runs and kept predictions, without training anything: for the tests of pages."""

from pathlib import Path

import numpy as np
from PIL import Image

from core.atomic import write_json
from core.catalog.catalogue import collections, index_folder, tiles
from core.evaluation import held_out
from core.evaluation.evaluate import MaskPair, count_pair, summarise
from core.inference import store
from core.inference.compact import CompactProbabilities
from core.inference.switches import Switches
from core.progress import SilentProgress
from core.tables import Tile
from core.training.runs import RunCard
from core.workspace import Workspace, open_workspace
from tests.core.evaluation.masks import blobs, save, worsen

SIZE = (60, 60)


def make_workspace(root: Path, *, masks: int = 6) -> Workspace:
    """Six tiles of 60 x 60 pixels; the first ``masks`` of them come with a mask."""
    data = root / "data"
    for index in range(6):
        picture = np.random.default_rng(index).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
        data.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(data / f"{index}_sat.jpg")
        if index < masks:
            save(data, str(index), blobs(index, SIZE))
    workspace = open_workspace(root / "workspace")
    index_folder(workspace, data, SilentProgress())
    return workspace


def add_run(workspace: Workspace, name: str, *, trained_on: int = 2) -> None:
    """A run that trained on the first tiles; its weights are a stand-in that nothing reads."""
    training = all_tiles(workspace)[:trained_on]
    folder = workspace.runs / name
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(name.encode())
    card = RunCard(
        state="finished",
        created="2026-01-01T00:00:00",
        recipe_name="head",
        encoder="none",
        encoder_identity="none",
        encoder_parameters=0,
        encoder_licence="none",
        head="linear",
        head_parameters=0,
        seed=0,
        device="cpu",
        training_tiles={tile.name: tile.fingerprint for tile in training},
        validation_tiles={},
        label_fingerprints={},
        label_source="given",
        classes={},
        missing_classes=[],
        warnings=[],
        validation=None,
        features_seconds=0,
        head_seconds=0,
        versions={},
    )
    write_json(folder / "card.json", card.model_dump(mode="json"))


def keep_predictions(workspace: Workspace, run: str, *, wrong: float, switches: Switches | None = None) -> None:
    """Predictions of every tile, with a share of the pixels wrong."""
    chosen = switches or Switches()
    look = CompactProbabilities.by_pixel(np.full((6, *SIZE), 1 / 6, np.float32))
    for tile in all_tiles(workspace):
        raster = worsen(blobs(int(tile.name), SIZE), wrong, seed=int(tile.name))
        store.put(workspace, run, tile, chosen, store.Made(raster, [look], 0.25))


def keep_evaluation(workspace: Workspace, run: str, switches: Switches | None = None) -> None:
    """What the job ``evaluate-run`` would have written from the kept predictions."""
    chosen = switches or Switches()
    collection = collections(workspace)[0]
    judged = held_out.held_out(workspace, run, collection.id).tiles
    matrices = []
    for tile in judged:
        kept = store.kept(workspace, run, tile, chosen)
        assert kept is not None
        matrices.append(count_pair(MaskPair(tile.name, Path(str(tile.mask_path)), kept.path)))
    names = [tile.name for tile in judged]
    measured_on = {
        "run": run,
        "collection": collection.name,
        "tiles": names,
        "truth": "the masks that came with the tiles",
        "switches": chosen.facts,
        "day": "2026-01-01T00:00",
    }
    path = held_out._path(workspace, run, collection.id, chosen)
    write_json(path, {**summarise(names, matrices), "measured_on": measured_on})


def all_tiles(workspace: Workspace) -> list[Tile]:
    """The tiles of the only collection."""
    return tiles(workspace, collections(workspace)[0].id)
