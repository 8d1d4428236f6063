"""Moving selected tiles to a side of the split, with a way back."""

from collections.abc import Callable

from core.catalog.catalogue import collection
from core.catalog.splitting import plans as split_plans
from pages.components.browsing import Browsing


def move_to(browsing: Browsing, chosen: list[int], side: str) -> tuple[str, Callable[[], None]]:
    """Put the tiles of these row numbers on ``side``; what was done in a sentence, and what takes it back.

    Raises ``InputError`` where the split that is followed is frozen by a run.
    """
    workspace, place = browsing.workspace, browsing.collection.id
    followed = collection(workspace, place).split_plan_id
    before = {} if followed is None else split_plans.members(workspace, followed)
    names = [browsing.table.rows[number].name for number in chosen]
    ids = [int(browsing.table.tiles.ids[number]) for number in chosen]
    plan = split_plans.move_tiles(workspace, place, ids, side)

    def back() -> None:
        if followed is None:
            split_plans.delete_plan(workspace, plan.id)
        else:
            split_plans.replace_places(workspace, plan.id, {name: before.get(name) for name in names})

    tiles = "1 tile is" if len(ids) == 1 else f"{len(ids)} tiles are"
    new = " It is new: the collection follows it from now on." if followed is None else ""
    return f"{tiles} in {side} of the split '{plan.name}' now.{new}", back
