"""What Train says of the split that is followed: its name, whether the chosen tiles keep to it, and what leaks."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core.catalog.alike.related import related_pairs
from core.catalog.catalogue import collection as find_collection
from core.catalog.splitting.leaks import find_leaks, leaks_in_words
from core.catalog.splitting.plans import Place, plan
from core.catalog.splitting.users import SplitRecord
from core.tables import Collection, Tile
from core.workspace import Workspace
from pages.components.problems import plain

_BROWSE = Path(__file__).resolve().parents[1] / "browse.py"


def split_note(
    workspace: Workspace,
    collection: Collection,
    training: Sequence[Tile],
    validation: Sequence[Tile],
    *,
    record: SplitRecord | None,
) -> None:
    """One line on the split, and a warning with a link where tiles to train on and to be judged with belong together.

    ``record`` is what the run's card will say, None where these tiles do not keep to a named split.
    """
    plan_id = find_collection(workspace, collection.id).split_plan_id
    if record is not None:
        st.caption(
            f":material/call_split: Split '{plain(record.name)}': it is frozen as soon as a run trains under it."
        )
    elif plan_id is not None:
        st.caption(
            f":material/call_split: These are not the tiles of the split '{plain(plan(workspace, plan_id).name)}' that "
            "is in use: the run will not count as trained under it."
        )
    sides = {**{tile.id: Place("train") for tile in training}, **{tile.id: Place("val") for tile in validation}}
    leaks = find_leaks(related_pairs(workspace, collection.id), sides)
    if leaks:
        st.warning(
            f"Of the tiles to train on and to validate with, some belong together: "
            f"{leaks_in_words([leak.pair for leak in leaks])}. The validation will say more than is true.",
            icon=":material/warning:",
        )
        st.page_link(
            _BROWSE,
            label="See and mend it on Browse",
            icon=":material/merge:",
            query_params={"view": "Splits", "collection": collection.name},
        )
