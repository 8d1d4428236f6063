"""Tables of tiles for tests, without a workspace."""

from collections.abc import Sequence

import numpy as np

from core.catalog.splits import SPLITS
from core.catalog.tile_table import TileLabels, TileOpinions, TileRows, TileTable
from core.tables import Tile


def table_of(
    shares: Sequence[Sequence[float] | None], *, splits: str = "", sides: Sequence[int] | None = None
) -> TileTable:
    """A tile for each of ``shares`` (None: unknown), ``sides`` pixels wide; ``splits`` by first letters, - for none."""
    count = len(shares)
    known = np.full((count, 6), np.nan)
    for number, of_tile in enumerate(shares):
        if of_tile is not None:
            known[number] = of_tile
    letters = splits or "t" * count
    codes = [next((code for code, name in enumerate(SPLITS) if name[0] == letter), -1) for letter in letters]
    lengths = list(sides or [10] * count)
    names = [f"t{number}" for number in range(count)]
    rows = tuple(
        Tile(id=100 + number, name=name, width=side, height=side, metres_per_pixel_x=0.5, metres_per_pixel_y=0.5)
        for number, (name, side) in enumerate(zip(names, lengths, strict=True))
    )
    nothing = np.zeros((count, 6), np.int64)
    return TileTable(
        collection_id=1,
        mark="made",
        tiles=TileRows(
            rows=rows,
            ids=np.arange(100, 100 + count),
            splits=np.array(codes, np.int8),
            has_mask=~np.isnan(known[:, 0]),
            given_shares=known,
            pixels=np.array(lengths) ** 2,
            has_problem=np.zeros(count, np.bool_),
        ),
        labels=TileLabels(
            labelled=np.zeros(count, np.bool_),
            instances=nothing,
            pixels=nothing,
            work=np.zeros(count, np.int8),
            changed=np.full(count, "NaT", "datetime64[s]"),
            annotators=(),
            painters=np.zeros((count, 0), np.bool_),
        ),
        opinions=TileOpinions(None, np.full(count, np.nan), np.full((count, 6), np.nan)),
    )
