"""What a tile looks like, kept in the workspace: for finding what is alike, the same, or next to it.

A job looks at every tile once (``core/inference/tile_looks.py``) and keeps of it

- the embedding: the mean features of the usual encoder on the tile at 4 m a pixel, of length 1;
- the outline: the tile in grey at 96 x 96, by which near duplicates are told (``duplicates.py``);
- the borders: the outermost pixels of its four edges, by which neighbours are told (``neighbours.py``);
- colour statistics, and the sizes of the instances of its given mask.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from core.catalog.keeper import Keeper
from core.tables import Collection, Tile, TileLook
from core.workspace import Workspace

KIND = "look"
"""What kind of job looks at tiles."""

RULES = "1"
"""Part of every look's fingerprint; a change in what is kept of a tile changes it."""

OUTLINE_SIDE = 96
BORDER_SAMPLES = 128
"""Along an edge, whatever its length: the finer, the more a pixel of noise weighs; with 256 fewer pairs are found."""

TOP, RIGHT, BOTTOM, LEFT = range(4)
"""The edges in the order of ``borders_of``."""

_READ_AT_ONCE = 500
_LEAST_LENGTH = 1e-6
_KEEPER = Keeper(8)


@dataclass(frozen=True, eq=False)
class Looks:
    """How the tiles of a collection look, in the order of their ids.

    ``ids`` is int64 (n,). ``vectors`` is float32 (n, channels): the embeddings less their mean over the collection,
    scaled to length 1 again. All tiles resemble each other in most features; without the mean, what is left is how
    they differ. A product of two rows is the likeness of two tiles, -1 to 1. ``missing`` counts the tiles of the
    collection that nobody looked at as they are now.
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    missing: int


@dataclass(frozen=True, eq=False)
class Details:
    """Of each tile its outline, uint8 (n, 96, 96), its borders, float16 (n, 4, 128, 3), and its pixels' fingerprint."""

    outlines: NDArray[np.uint8]
    borders: NDArray[np.float16]
    pixels: tuple[str, ...]


def look_arguments(collection_id: int) -> list[str]:
    """The command line of the job that looks at a collection's tiles, after ``python -m core``."""
    return ["look", "--collection", str(collection_id)]


def look_mark(image: str, mask: str | None) -> str:
    """How a look's fingerprint begins while it is of these two files, by their fingerprints; the encoder's follows."""
    return f"{image}-{mask or 'unmasked'}-{RULES}-"


def outline_of(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The outline of a ``(height, width, 3)`` uint8 RGB image: uint8 (96, 96) grey, averaged."""
    small = cv2.resize(image, (OUTLINE_SIDE, OUTLINE_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def borders_of(image: NDArray[np.uint8]) -> NDArray[np.float16]:
    """The edges of a ``(height, width, 3)`` uint8 RGB image: float16 (4, 128, 3), 0 to 255.

    The outermost row or column of pixels of the top, right, bottom and left edge, averaged along the edge to 128
    samples, from left to right and from top to bottom.
    """
    edges = (image[0], image[:, -1], image[-1], image[:, 0])
    samples = [
        cv2.resize(edge[None].astype(np.float32), (BORDER_SAMPLES, 1), interpolation=cv2.INTER_AREA)[0]
        for edge in edges
    ]
    return np.stack(samples).astype(np.float16)


def pixels_of(image: NDArray[np.uint8]) -> str:
    """The first 16 hex digits of the SHA-256 of an image's size and pixels: the same for files that show the same."""
    digest = hashlib.sha256(str(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()[:16]


def known_looks(workspace: Workspace, collection_id: int) -> Looks:
    """The looks of a collection's tiles that are there and up to date; kept in memory until one changes."""
    last = select(func.count(), func.max(TileLook.made))
    revision = select(Collection.indexed, Collection.revision).where(Collection.id == collection_id)
    with workspace.database.read() as session:
        mark = (*session.execute(last).one(), *(session.execute(revision).one_or_none() or ()))
    place = (str(workspace.root), collection_id)
    return _KEEPER.get(place, mark, lambda: _read(workspace, collection_id))


def read_details(workspace: Workspace, tile_ids: Sequence[int]) -> Details:
    """What is kept of tiles that were looked at for comparing them one by one, in the order of ``tile_ids``."""
    outlines = np.zeros((len(tile_ids), OUTLINE_SIDE, OUTLINE_SIDE), np.uint8)
    borders = np.zeros((len(tile_ids), 4, BORDER_SAMPLES, 3), np.float16)
    pixels = [""] * len(tile_ids)
    number = {tile_id: row for row, tile_id in enumerate(tile_ids)}
    query = select(TileLook.tile_id, TileLook.pixels, TileLook.outline, TileLook.borders)
    with workspace.database.read() as session:
        for start in range(0, len(tile_ids), _READ_AT_ONCE):
            asked = query.where(TileLook.tile_id.in_(tile_ids[start : start + _READ_AT_ONCE]))
            for tile_id, picture, outline, edges in session.execute(asked).tuples():
                row = number[tile_id]
                pixels[row] = picture
                outlines[row] = np.frombuffer(outline, np.uint8).reshape(outlines.shape[1:])
                borders[row] = np.frombuffer(edges, np.float16).reshape(borders.shape[1:])
    return Details(outlines, borders, tuple(pixels))


def _read(workspace: Workspace, collection_id: int) -> Looks:
    members = select(Tile.id, Tile.fingerprint, Tile.mask_fingerprint, TileLook.fingerprint, TileLook.embedding)
    query = members.outerjoin(TileLook, TileLook.tile_id == Tile.id).where(Tile.collection_id == collection_id)
    with workspace.database.read() as session:
        rows = session.execute(query.order_by(Tile.id)).tuples().all()
    found = []
    for tile_id, image, mask, made_of, embedding in rows:
        begins = look_mark(image, mask)
        if made_of is not None and made_of.startswith(begins):
            found.append((tile_id, made_of.removeprefix(begins), embedding))
    encoders = Counter(encoder for _, encoder, _ in found)
    usual = max(encoders, key=lambda encoder: encoders[encoder], default="")
    # What another encoder saw cannot be compared with the rest.
    alike = [
        (tile_id, np.frombuffer(embedding, np.float32)) for tile_id, encoder, embedding in found if encoder == usual
    ]
    return Looks(
        ids=np.array([tile_id for tile_id, _ in alike], np.int64),
        vectors=centred(np.stack([vector for _, vector in alike])) if alike else np.empty((0, 0), np.float32),
        missing=len(rows) - len(alike),
    )


def centred(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embeddings (n, channels) less their mean, of length 1 again; one that is the mean itself becomes 0."""
    apart = embeddings - embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
    lengths = np.linalg.norm(apart, axis=1, keepdims=True)
    return np.asarray(apart / np.maximum(lengths, _LEAST_LENGTH), np.float32)
