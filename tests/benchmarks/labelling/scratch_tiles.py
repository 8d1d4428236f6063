"""Tiles to paint on: drawn ones of any size, or the real ones, in a workspace of their own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from core.catalog.catalogue import index_folder, tiles
from core.progress import SilentProgress
from core.tables import Tile
from core.workspace import Workspace, open_workspace

REAL_TILES = Path(__file__).resolve().parents[4] / "shared" / "data" / "deepglobe" / "land-train"


def grey_tiles(folder: Path, sizes: Sequence[tuple[int, int]]) -> tuple[Workspace, list[Tile]]:
    """A new workspace below ``folder`` with one tile of random grey for each (height, width)."""
    images = folder / "tiles"
    images.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number, (height, width) in enumerate(sizes, start=1):
        coarse = generator.integers(60, 200, (-(-height // 16), -(-width // 16)), np.uint8)
        pixels = np.kron(coarse, np.ones((16, 16), np.uint8))[:height, :width]
        Image.fromarray(pixels).convert("RGB").save(images / f"{number}_sat.jpg")
    return _indexed(folder / "workspace", images)


def real_tiles(folder: Path, names: Sequence[str]) -> tuple[Workspace, list[Tile]]:
    """A new workspace below ``folder`` with the real pairs of these names, which stay where they are."""
    images = folder / "tiles"
    images.mkdir(parents=True)
    for name in names:
        for ending in ("_sat.jpg", "_mask.png"):
            (images / f"{name}{ending}").symlink_to(REAL_TILES / f"{name}{ending}")
    return _indexed(folder / "workspace", images)


def all_real_tiles(folder: Path) -> tuple[Workspace, list[Tile]]:
    """As ``real_tiles`` with all images of both folders, and no mask."""
    images = folder / "tiles"
    images.mkdir(parents=True)
    for source in (REAL_TILES, REAL_TILES.parent / "unlabelled"):
        for path in sorted(source.glob("*_sat.jpg")):
            (images / path.name).symlink_to(path)
    return _indexed(folder / "workspace", images)


def _indexed(root: Path, images: Path) -> tuple[Workspace, list[Tile]]:
    workspace = open_workspace(root)
    report = index_folder(workspace, images, SilentProgress())
    return workspace, tiles(workspace, report.collection_id)
