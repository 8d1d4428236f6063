"""Which tiles of a collection belong together: the same file, nearly the same picture, or side by side on the ground.

Two such tiles on two sides of a split let a run be judged on what it was trained on. Equal files are read off the
catalogue, always up to date. The other pairs are found by the job ``python -m core look`` (``core/inference/
tile_looks.py``) and kept in the workspace as one file a collection, with the fingerprints of the images that were
compared: a pair of which an image changed since is left out, and tiles that nobody compared are counted.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlalchemy import select

from core.atomic import write_text
from core.catalog.keeper import Keeper
from core.tables import Collection, Tile
from core.workspace import Workspace

SAME_FILE = "same file"
NEAR_DUPLICATE = "near duplicate"
NEIGHBOURS = "neighbours"
KINDS = (SAME_FILE, NEAR_DUPLICATE, NEIGHBOURS)
"""The worst leak first."""

RULES = "1"
"""Kept with the pairs; a change in how they are found changes it, and all tiles count as not compared."""

_KEEPER = Keeper(8)

MOST_BUT_EQUAL = 0.9999
"""The highest score of a near duplicate that is not the same picture, pixel for pixel: only that one scores 1."""

_WORDS = {
    SAME_FILE: "the same file twice",
    NEAR_DUPLICATE: "nearly the same picture",
    "right": "the second goes on at the right edge of the first",
    "below": "the second goes on at the lower edge of the first",
}


@dataclass(frozen=True, slots=True)
class RelatedPair:
    """Two tiles, by id, that should lie on one side of a split.

    ``kind`` is one of ``KINDS``. ``score`` is 1 for the same file or picture, else the correlation that the pair was
    told by, -1 to 1: of the two pictures laid over each other, or of the two edges. ``side`` says of neighbours
    where the second lies as seen from the first, 'right' or 'below'; None of the other kinds.
    """

    first: int
    second: int
    kind: str
    score: float
    side: str | None = None

    @property
    def words(self) -> str:
        """What the pair is, for a person."""
        if self.kind == NEAR_DUPLICATE and self.score > MOST_BUT_EQUAL:
            return "the same picture in two files"
        return _WORDS[self.side or self.kind]


@dataclass(frozen=True, slots=True)
class RelatedPairs:
    """The pairs of a collection, the worst kinds first and in each the highest scores first.

    ``looked`` counts the tiles whose pictures were compared with all others as they are now, ``missing`` those that
    were not: of them only equal files are known.
    """

    pairs: tuple[RelatedPair, ...]
    looked: int
    missing: int


def related_pairs(workspace: Workspace, collection_id: int) -> RelatedPairs:
    """The pairs of a collection that are known: equal files, and what the last ``look`` found.

    Of a file or picture that is there many times, each copy is paired with the first one (the one of the lowest id):
    the pairs join all copies, and one of them crosses a split exactly when the copies lie on two sides of it. Pairs
    with other tiles name the first copy only.
    """
    query = select(Collection.indexed, Collection.revision).where(Collection.id == collection_id)
    with workspace.database.read() as session:
        state = session.execute(query).one_or_none()
    kept = _kept(workspace, collection_id)
    place = (str(workspace.root), collection_id)
    return _KEEPER.get(place, (state, kept), lambda: _all_pairs(workspace, collection_id, kept))


def _all_pairs(workspace: Workspace, collection_id: int, kept: "_Kept") -> RelatedPairs:
    query = select(Tile.id, Tile.fingerprint).where(Tile.collection_id == collection_id).order_by(Tile.id)
    with workspace.database.read() as session:
        images: dict[int, str] = {row.id: row.fingerprint for row in session.execute(query)}
    current = {tile_id for tile_id, image in images.items() if kept.images.get(tile_id) == image}
    found = [pair for pair in kept.pairs if pair.first in current and pair.second in current]
    pairs = sorted(
        [*pairs_of_equals(images, SAME_FILE), *found],
        key=lambda pair: (KINDS.index(pair.kind), -pair.score, pair.first),
    )
    return RelatedPairs(tuple(pairs), len(current), len(images) - len(current))


def pairs_of_equals(prints: Mapping[int, str], kind: str) -> list[RelatedPair]:
    """The tiles of equal fingerprints, each with the first of them in the order of ``prints`` (tile id to print)."""
    first_of: dict[str, int] = {}
    pairs = []
    for tile_id, one in prints.items():
        first = first_of.setdefault(one, tile_id)
        if first != tile_id:
            pairs.append(RelatedPair(first, tile_id, kind, 1.0))
    return pairs


def keep_pairs(
    workspace: Workspace, collection_id: int, *, images: Mapping[int, str], pairs: Iterable[RelatedPair]
) -> None:
    """Keep what a comparison of all tiles of ``images`` (tile id to fingerprint) found; atomic.

    Raises ``NotSavedError`` when it cannot be written.
    """
    found = [[pair.first, pair.second, pair.kind, round(pair.score, 4), pair.side] for pair in pairs]
    content = {"rules": RULES, "images": {str(tile_id): image for tile_id, image in images.items()}, "pairs": found}
    write_text(_path(workspace, collection_id), json.dumps(content))


@dataclass(frozen=True, eq=False)
class _Kept:
    """What a file says; another one whenever the file is."""

    images: Mapping[int, str]
    pairs: tuple[RelatedPair, ...]


_NOTHING = _Kept({}, ())


def _path(workspace: Workspace, collection_id: int) -> Path:
    return workspace.looks(collection_id) / "related.json"


def _kept(workspace: Workspace, collection_id: int) -> _Kept:
    path = _path(workspace, collection_id)
    try:
        state = path.stat()
    except FileNotFoundError:
        return _NOTHING
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, _changed_ns: int, _size: int) -> _Kept:
    """What is kept; nothing where the pairs were found by other rules."""
    content = json.loads(path.read_text("utf-8"))
    if content["rules"] != RULES:
        return _NOTHING
    images = {int(tile_id): image for tile_id, image in content["images"].items()}
    return _Kept(images, tuple(RelatedPair(*values) for values in content["pairs"]))
