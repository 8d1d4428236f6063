"""Small workspaces with one tile or two, and strokes to paint on them."""

import uuid
from pathlib import Path

import numpy as np
from PIL import Image
from sqlalchemy import select

from core.classes import ClassRaster, encode_colours
from core.labels.strokes import BrushStroke
from core.tables import Collection, Tile
from core.tables import Stroke as StrokeRow
from core.workspace import Workspace, open_workspace


def new_workspace(folder: Path, *, tiles: int = 1, width: int = 60, height: int = 40) -> tuple[Workspace, list[Tile]]:
    """A workspace whose tiles need no image: labels never look at it."""
    workspace = open_workspace(folder)
    with workspace.database.write() as session:
        home = Collection(name="c", root=str(folder / "tiles"))
        session.add(home)
        session.flush()
        made = [
            Tile(
                collection_id=home.id,
                name=f"t{number}",
                image_path=str(folder / f"t{number}_sat.jpg"),
                width=width,
                height=height,
                metres_per_pixel_x=0.5,
                metres_per_pixel_y=0.5,
                fingerprint=f"f{number}",
                split="train",
                split_source="rule",
            )
            for number in range(tiles)
        ]
        session.add_all(made)
    return workspace, made


def brush(
    points: list[tuple[float, float]], *, class_index: int = 1, radius: float = 4, key: str | None = None
) -> BrushStroke:
    return BrushStroke(
        client_key=key or str(uuid.uuid4()), tool="brush", class_index=class_index, points=points, radius=radius
    )


def random_brush(generator: np.random.Generator, *, width: int = 60, height: int = 40) -> BrushStroke:
    points = [(float(x), float(y)) for x, y in generator.uniform(-5, (width + 5, height + 5), (4, 2)).round(2)]
    points[0] = (width / 2, height / 2)  # some of it is on the tile
    return brush(points, class_index=int(generator.integers(6)), radius=float(generator.uniform(0.5, 9)))


def colours_on_disk(workspace: Workspace, tile: Tile) -> np.ndarray:
    """The mask file as any other program reads it: RGB."""
    with Image.open(workspace.labels(tile.collection_id) / f"{tile.name}_mask.png") as image:
        return np.asarray(image.convert("RGB"))


def is_on_disk(workspace: Workspace, tile: Tile, raster: ClassRaster) -> bool:
    return np.array_equal(colours_on_disk(workspace, tile), encode_colours(raster))


def strokes_of(workspace: Workspace, tile: Tile) -> list[StrokeRow]:
    """The tile's strokes in the order in which they were made."""
    with workspace.database.read() as session:
        return list(session.scalars(select(StrokeRow).where(StrokeRow.tile_id == tile.id).order_by(StrokeRow.id)))
