"""Moving tiles of a split by name."""

import re

import streamlit as st

from core.catalog.splits import LEFT_OUT, SPLITS
from core.catalog.splitting.plans import move_tiles_of
from core.catalog.splitting.view import SplitView
from core.errors import InputError
from core.tables import SplitPlan
from pages.components.browsing import Browsing
from pages.components.split_actions import act

_OUT = "in no side"


def move_popover(browsing: Browsing, shown: SplitView) -> None:
    """The button, and behind it names, a side, and what moves."""
    box = st.popover("Move tiles", icon=":material/drive_file_move:", key="split_move", on_change="rerun")
    if not box.open:
        return
    with box:
        st.text_area(
            "Tiles",
            key="split_move_names",
            placeholder="119, 266, 855",
            height=100,
            help="Their names, between commas or on lines. In the gallery tiles can be selected by their pictures.",
        )
        left_out = shown.balance.left_out
        if left_out:
            st.checkbox(f"and the {left_out:,} tiles in no side", key="split_move_rest")
        st.segmented_control("to", [*SPLITS, _OUT], default="train", required=True, key="split_move_side")
        st.button(
            "Move",
            type="primary",
            key="split_move_go",
            width="stretch",
            disabled=bool(shown.users),
            on_click=lambda: act(lambda: _move(browsing, shown), "Moved in the split '{name}'."),
        )


def _move(browsing: Browsing, shown: SplitView) -> SplitPlan:
    names = [name for part in re.split(r"[,\n]", st.session_state["split_move_names"]) if (name := part.strip())]
    ids = {row.name: row.id for row in browsing.table.rows}
    missing = next((name for name in names if name not in ids), None)
    if missing is not None:
        raise InputError(f"There is no tile {missing} in this collection; write names as the gallery shows them.")
    if st.session_state.get("split_move_rest"):
        names += [name for name in ids if name not in shown.places]
    if not names:
        raise InputError("Name the tiles that are to move, between commas.")
    side = st.session_state["split_move_side"]
    side = LEFT_OUT if side == _OUT else side
    plan_id = None if shown.plan is None else shown.plan.id
    return move_tiles_of(browsing.workspace, browsing.collection.id, plan_id, [ids[name] for name in names], side)
