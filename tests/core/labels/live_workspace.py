"""A small workspace with images that an encoder can tell apart: two tiles to train on, one held out with its mask."""

import numpy as np

from core.catalog.catalogue import index_folder, tiles
from core.labels import journal
from core.labels.learner import RECIPE
from core.progress import SilentProgress
from core.tables import Tile
from core.training.feature_cache import FeatureCache
from core.training.joined_features import make_recipe_extractor
from core.training.live_features import FeatureSource
from core.workspace import open_workspace
from tests.core.training.scenes import only_a_patch, scene, write_pair


def held_out_scene():
    """Image and class raster of tile 'held'; borders of its blocks run through cells, as on real tiles."""
    image, raster = scene(2)
    return np.roll(image, (4, 4), (0, 1)), np.roll(raster, (4, 4), (0, 1))


def scenes_workspace(folder, *, names=("1", "2", "held")):
    """The workspace and its tiles; tile 'held' validates and came with a mask, the others train and came without."""
    for seed, name in enumerate(names):
        image, raster = held_out_scene() if name == "held" else (scene(seed)[0], None)
        write_pair(folder / "tiles", name, image, raster)
    workspace = open_workspace(folder / "workspace")
    report = index_folder(workspace, folder / "tiles", SilentProgress())
    with workspace.database.write() as session:
        for tile in tiles(workspace, report.collection_id):
            session.get_one(Tile, tile.id).split = "val" if tile.name == "held" else "train"
    return workspace, tiles(workspace, report.collection_id)


def label(workspace, tile, *, seed, side=48):
    """Label a patch in each block of a tile that ``scene(seed)`` was drawn for."""
    return journal.replace(workspace, tile.id, only_a_patch(scene(seed)[1], side=side), tool="import")


def feature_source(workspace):
    extractor = make_recipe_extractor(RECIPE, device="cpu")
    return FeatureSource(extractor, FeatureCache(workspace.features))
