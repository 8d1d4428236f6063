"""Collections that were looked at, without an encoder: rows as the job would write them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.catalog.alike.looks import borders_of, look_mark, outline_of
from core.catalog.catalogue import collections, index_folder, tiles
from core.progress import SilentProgress
from core.tables import Collection, Tile, TileLook
from core.workspace import Workspace, open_workspace
from tests.core.catalog.pictures import noise, write_pair


def indexed(folder: Path, count: int) -> tuple[Workspace, Collection]:
    """A workspace with one collection of small tiles named 1 to ``count``."""
    for number in range(count):
        write_pair(folder / "data", str(number + 1), seed=number)
    workspace = open_workspace(folder / "workspace")
    index_folder(workspace, folder / "data", SilentProgress())
    return workspace, collections(workspace)[0]


def look(workspace: Workspace, rows: list[Tile], embeddings: NDArray[np.float32], encoder: str = "encoder") -> None:
    """Keep a look of each tile with the embedding of the same row."""
    with workspace.database.write() as session:
        for tile, embedding in zip(rows, embeddings, strict=True):
            image = noise()
            session.merge(
                TileLook(
                    tile_id=tile.id,
                    fingerprint=look_mark(tile.fingerprint, tile.mask_fingerprint) + encoder,
                    pixels="",
                    embedding=np.asarray(embedding, np.float32).tobytes(),
                    outline=outline_of(image).tobytes(),
                    borders=borders_of(image).tobytes(),
                    colours=[0.0] * 6,
                    sizes={},
                )
            )


def two_kinds(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Embeddings of length 1 of which the first half is of one kind and the second of another."""
    kinds = np.repeat([[1.0, 0, 0.5, 0], [0, 1.0, 0.5, 0]], [count // 2, count - count // 2], axis=0)
    vectors = kinds + np.random.default_rng(seed).normal(scale=0.05, size=kinds.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def members(workspace: Workspace, collection: Collection) -> list[Tile]:
    """The tiles in the order of their ids."""
    return sorted(tiles(workspace, collection.id), key=lambda tile: tile.id)
