"""Looking at every tile of a collection once, and comparing what was seen: the job ``python -m core look``.

Files are read by two threads, which also take the outline, the borders, the colours and the sizes of the given mask's
instances, while the encoder works on the tile before. A tile is written when it is done, so a cancel keeps what there
is, and a tile whose look is up to date is not read again. Copies of one file are looked at once.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from core.catalog.alike import layouts, related
from core.catalog.alike.duplicates import near_duplicates
from core.catalog.alike.likeness_grid import grid_by_likeness
from core.catalog.alike.looks import borders_of, known_looks, look_mark, outline_of, pixels_of, read_details
from core.catalog.alike.neighbours import find_neighbours
from core.catalog.alike.related import MOST_BUT_EQUAL, NEAR_DUPLICATE, NEIGHBOURS, SAME_FILE, RelatedPair
from core.catalog.catalogue import collection, tiles
from core.catalog.images import read_image, read_mask
from core.catalog.maps.mosaic import grid_columns
from core.classes import CLASS_NAMES, ClassRaster
from core.errors import InputError
from core.evaluation.tile_profiles import colour_statistics
from core.labels.instances import MIN_PIXELS, find_parts
from core.labels.queue_facts import embedding
from core.progress import PartProgress, Progress
from core.tables import Tile, TileLook, now
from core.training.features import FeatureExtractor
from core.training.joined_features import make_recipe_extractor
from core.training.recipe import load_recipe
from core.workspace import Workspace

RESOLUTION_M = 4.0
"""At which the encoder sees a tile: 306 x 306 pixels of one of DeepGlobe's. At 2 m it takes four times as long, and of
176 pieces of 11 real tiles the likest on another tile shared the dominant class of 49 %, as at 4 m (19 % by chance)."""

READERS = 2
_READ_AHEAD = 4
"""Tiles whose pixels wait for the encoder: 18 MB each of DeepGlobe's."""

_COMPARISONS = 3
"""Steps behind the last tile: near duplicates, neighbours, the layout."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a reader took from the files of a tile, but for what the encoder says."""

    image: NDArray[np.uint8]
    pixels: str
    outline: NDArray[np.uint8]
    borders: NDArray[np.float16]
    colours: list[float]
    sizes: dict[str, list[int]]


def look_at_collection(workspace: Workspace, *, collection_id: int, device: str, progress: Progress) -> dict[str, Any]:
    """Look at the tiles of a collection that were not looked at as they are, then find pairs and lay them out.

    Returns the counts ``tiles``, ``looked_at`` and ``pairs`` (by kind), and ``left_out``: a sentence for each tile
    whose files cannot be read. Raises ``InputError`` for an unknown collection or device and an encoder that cannot be
    had, ``NotSavedError``, and ``CancelledError``; what was looked at is kept.
    """
    row = collection(workspace, collection_id)
    members = tiles(workspace, collection_id)
    extractor = replace(make_recipe_extractor(load_recipe(), device=device).parts[0], resolution_m=RESOLUTION_M)
    total = len(members) + _COMPARISONS
    looked_at, left_out = _look_at_tiles(workspace, members, extractor, progress, total)
    pairs = _compare(workspace, collection_id, members, progress, total)
    progress.update(total - 1, total, "Laying the tiles out by likeness")
    if order := _order_by_likeness(workspace, collection_id, members):
        layouts.keep_likeness(workspace, row, order)
    progress.update(total, total, f"Looked at {len(members) - len(left_out)} tiles")
    return {"tiles": len(members), "looked_at": looked_at, "pairs": pairs, "left_out": left_out}


def _look_at_tiles(
    workspace: Workspace, members: Sequence[Tile], extractor: FeatureExtractor, progress: Progress, total: int
) -> tuple[int, list[str]]:
    """How many tiles were looked at, and a sentence for each that cannot be."""
    with workspace.database.read() as session:
        kept = dict(session.execute(select(TileLook.tile_id, TileLook.fingerprint)).tuples().all())
    copies: dict[str, list[Tile]] = {}
    for tile in members:
        mark = f"{look_mark(tile.fingerprint, tile.mask_fingerprint)}{extractor.identity}"
        if kept.get(tile.id) != mark:
            copies.setdefault(mark, []).append(tile)
    done = len(members) - sum(map(len, copies.values()))
    looked_at, left_out = 0, []
    for mark, seen in _read_ahead(copies):
        alike = copies[mark]
        progress.update(done, total, f"Looking at tile {alike[0].name}")
        done += len(alike)
        try:
            look = _look(extractor, alike[0], seen.result())
        except InputError as error:
            left_out += [str(error)] * len(alike)
            continue
        with workspace.database.write() as session:
            # A folder may have been read anew meanwhile: of a tile that is gone nothing is kept.
            there = session.scalars(select(Tile.id).where(Tile.id.in_([tile.id for tile in alike]))).all()
            for tile_id in there:
                session.merge(TileLook(tile_id=tile_id, fingerprint=mark, made=now(), **look))
        looked_at += len(alike)
    return looked_at, left_out


def _read_ahead(copies: Mapping[str, Sequence[Tile]]) -> Iterator[tuple[str, "Future[_Seen]"]]:
    """The first tile of each mark as it was read, in order; a few wait at a time."""
    waiting = iter(copies.items())
    running: deque[tuple[str, Future[_Seen]]] = deque()
    with ThreadPoolExecutor(READERS, thread_name_prefix="look") as pool:
        try:
            while True:
                for mark, alike in islice(waiting, _READ_AHEAD - len(running)):
                    running.append((mark, pool.submit(_read, alike[0])))
                if not running:
                    return
                yield running.popleft()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)  # a cancel waits for no tile that was not begun


def _read(tile: Tile) -> _Seen:
    image = read_image(Path(tile.image_path))
    sizes: dict[str, list[int]] = {}
    if tile.mask_path is not None:
        sizes = instance_sizes(read_mask(Path(tile.mask_path), image.shape[:2]).raster)
    colours = colour_statistics(image).tolist()
    return _Seen(image, pixels_of(image), outline_of(image), borders_of(image), colours, sizes)


def instance_sizes(raster: ClassRaster) -> dict[str, list[int]]:
    """The pixels of every instance of each class that occurs on a class raster, by class name, ascending."""
    parts = find_parts(raster)
    counted = parts.pixels >= MIN_PIXELS
    of_class = {name: parts.pixels[counted & (parts.classes == number)] for number, name in enumerate(CLASS_NAMES)}
    return {name: np.sort(pixels).tolist() for name, pixels in of_class.items() if len(pixels)}


def _look(extractor: FeatureExtractor, tile: Tile, seen: _Seen) -> dict[str, Any]:
    """The columns of a tile's look."""
    grid = extractor.grid((tile.height, tile.width), (tile.metres_per_pixel_y, tile.metres_per_pixel_x))
    return {
        "embedding": embedding(extractor.extract(seen.image, grid)).tobytes(),
        "pixels": seen.pixels,
        "outline": seen.outline.tobytes(),
        "borders": seen.borders.tobytes(),
        "colours": seen.colours,
        "sizes": seen.sizes,
    }


def _compare(
    workspace: Workspace, collection_id: int, members: Sequence[Tile], progress: Progress, total: int
) -> dict[str, int]:
    """Find and keep the pairs of tiles that belong together; how many there are of each kind."""
    looked = set(known_looks(workspace, collection_id).ids.tolist())
    by_id = {tile.id: tile for tile in sorted(members, key=lambda tile: tile.id) if tile.id in looked}
    images = {tile_id: tile.fingerprint for tile_id, tile in by_id.items()}
    again = _copies(related.pairs_of_equals(images, SAME_FILE))
    files = [tile_id for tile_id in images if tile_id not in again]
    seen = read_details(workspace, files)
    pairs = related.pairs_of_equals(dict(zip(files, seen.pixels, strict=True)), NEAR_DUPLICATE)
    copies = _copies(pairs)
    single = np.array([row for row, tile_id in enumerate(files) if tile_id not in copies], np.intp)
    rows = [by_id[files[row]] for row in single]
    step = PartProgress(progress, len(members), total, "Near duplicates")
    near = near_duplicates(seen.outlines[single], step)
    for pair in near:
        score = min(pair.score, MOST_BUT_EQUAL)
        pairs.append(RelatedPair(rows[pair.first].id, rows[pair.second].id, NEAR_DUPLICATE, score))
    # Of two that are nearly the same, neither would be clearly the best at an edge that both continue.
    alone = np.setdiff1d(np.arange(len(rows)), [pair.second for pair in near])
    sizes = np.array([(rows[row].height, rows[row].width) for row in alone], np.int64).reshape(-1, 2)
    step = PartProgress(progress, len(members) + 1, total, "Neighbours")
    for found in find_neighbours(seen.borders[single[alone]], sizes, step):
        first, second = rows[alone[found.first]], rows[alone[found.second]]
        pairs.append(RelatedPair(first.id, second.id, NEIGHBOURS, found.score, found.side))
    related.keep_pairs(workspace, collection_id, images=images, pairs=pairs)
    known = Counter(pair.kind for pair in related.related_pairs(workspace, collection_id).pairs)
    return {kind: known[kind] for kind in related.KINDS}


def _order_by_likeness(workspace: Workspace, collection_id: int, members: Sequence[Tile]) -> list[int]:
    """The ids of the tiles that were looked at, on the grid that all tiles are laid on."""
    looks = known_looks(workspace, collection_id)
    if not len(looks.ids):
        return []
    height, width = max(tile.height for tile in members), max(tile.width for tile in members)
    order = grid_by_likeness(looks.vectors, grid_columns(len(members), height / width))
    return [int(tile_id) for tile_id in looks.ids[order]]


def _copies(pairs: Sequence[RelatedPair]) -> set[int]:
    return {pair.second for pair in pairs}
