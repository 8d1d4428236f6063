"""Workspaces whose tiles have pictures, for the tools that look at them."""

from pathlib import Path

import cv2
import numpy as np

from core.catalog.images import fingerprint
from core.tables import Collection, Tile
from core.workspace import Workspace, open_workspace


def four_fields(height: int, width: int) -> np.ndarray:
    """Four fields of plain colours with a little noise, parted in the middle of either side."""
    colours = np.array([[[60, 110, 40], [190, 170, 90]], [[40, 60, 120], [150, 150, 150]]], float)
    rows, columns = (np.arange(height) >= height // 2) * 1, (np.arange(width) >= width // 2) * 1
    noise = np.random.default_rng(0).normal(0, 3, (height, width, 3))
    return np.clip(colours[rows[:, None], columns[None, :]] + noise, 0, 255).astype(np.uint8)


def workspace_of(folder: Path, *images: np.ndarray, metres: float = 0.5) -> tuple[Workspace, list[Tile]]:
    """A workspace with one tile an image, kept without loss."""
    workspace = open_workspace(folder / "workspace")
    with workspace.database.write() as session:
        home = Collection(name="c", root=str(folder))
        session.add(home)
        session.flush()
        tiles = []
        for number, image in enumerate(images):
            path = folder / f"t{number}_sat.png"
            cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            tile = Tile(
                collection_id=home.id,
                name=f"t{number}",
                image_path=str(path),
                width=image.shape[1],
                height=image.shape[0],
                metres_per_pixel_x=metres,
                metres_per_pixel_y=metres,
                fingerprint=fingerprint(path),
                split="train",
                split_source="rule",
            )
            tiles.append(tile)
        session.add_all(tiles)
    return workspace, tiles
