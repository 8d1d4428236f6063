"""Compare two runs where one covers tiles in part: by their kept predictions, on what both cover and that alone."""

from dataclasses import dataclass
from typing import Any

from core.evaluation.compare import compare_confusions
from core.evaluation.held_out import held_out
from core.evaluation.switch_effects import Side
from core.evaluation.tile_counts import common_extent, kept_confusion
from core.inference import store
from core.inference.extent import Extent
from core.tables import Tile


@dataclass(frozen=True, slots=True)
class InPart:
    """What ``compare_confusions`` says of two runs on the parts of tiles that both cover; ``tiles`` are cut ones."""

    compared: dict[str, Any]
    tiles: tuple[str, ...]


def shared_part(a: Side, b: Side, tile: Tile) -> Extent | None:
    """What both runs say something of on a tile; None where they share nothing."""
    of_a, of_b = (store.extent(store.run_folder(side.workspace, side.run), tile) for side in (a, b))
    return common_extent(of_a, of_b) if of_a and of_b else None


def compare_in_part(a: Side, b: Side, collection_id: int) -> InPart | None:
    """Compare on the tiles that neither trained on, each cut to what both cover and both predictions are kept of.

    None where no labelled pixel is left. Raises ``InputError`` for a run that is not there.
    """
    of_b = {tile.id for tile in held_out(b.workspace, b.run, collection_id).tiles}
    names, matrices_a, matrices_b, cut = [], [], [], []
    for tile in held_out(a.workspace, a.run, collection_id).tiles:
        part = shared_part(a, b, tile) if tile.id in of_b else None
        if part is None:
            continue
        counted = [kept_confusion(one.workspace, one.run, tile, one.switches, within=part) for one in (a, b)]
        if counted[0] is None or counted[1] is None or not counted[0].any():
            continue
        names.append(tile.name)
        matrices_a.append(counted[0])
        matrices_b.append(counted[1])
        if not part.is_whole(tile):
            cut.append(tile.name)
    return InPart(compare_confusions(names, matrices_a, matrices_b), tuple(cut)) if names else None
