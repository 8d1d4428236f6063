"""Browse > Splits: which tiles train, validate and test, how alike the sides are, and what leaks between them."""

from collections import Counter
from functools import partial

import streamlit as st

from core.catalog.splits import SPLITS
from core.catalog.splitting.lists import zip_lists
from core.catalog.splitting.plans import AS_IT_CAME, copy, delete_plan, follow, free_name, judge_with, plans
from core.catalog.splitting.view import SplitView, split_view
from core.catalog.tile_filter import TileFilter
from core.tables import SplitPlan
from pages.components.browse_address import show_filter
from pages.components.browsing import Browsing
from pages.components.class_palette import screen_colours
from pages.components.problems import plain
from pages.components.scores_chart import CHART_BAR
from pages.components.split_actions import act, say_how_it_went, shown_key
from pages.components.split_chart import sides_figure
from pages.components.split_form import new_split_form
from pages.components.split_leak_list import leak_list, leak_summary
from pages.components.split_move import move_popover


def view(browsing: Browsing) -> None:
    """The whole view."""
    say_how_it_went()
    known = plans(browsing.workspace, browsing.collection.id)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        row = _choose(browsing, known)
        shown = split_view(browsing.workspace, browsing.table, row)
        _follow_button(browsing, shown)
        _judge(browsing, shown)
        move_popover(browsing, shown)
        _more(browsing, shown)
    _facts(browsing, shown)
    new_split_form(browsing, known)
    left, right = st.columns([5, 3], gap="large")
    with left:
        _sides(shown)
        _to_gallery(browsing, shown)
    with right:
        leak_summary(browsing, shown)
    leak_list(browsing, shown)


def _choose(browsing: Browsing, known: list[SplitPlan]) -> SplitPlan | None:
    """The split that is shown: the one that was chosen, else the one that the collection follows."""
    names = [AS_IT_CAME, *(one.name for one in known)]
    followed = next((one.name for one in known if one.id == browsing.collection.split_plan_id), AS_IT_CAME)
    key = shown_key(browsing.collection.id)
    if st.session_state.get(key) not in names:
        st.session_state[key] = followed
    name = st.selectbox(
        "Split",
        names,
        key=key,
        format_func=lambda one: f"{one} (in use)" if one == followed else one,
        width=260,
    )
    return next((one for one in known if one.name == name), None)


def _follow_button(browsing: Browsing, shown: SplitView) -> None:
    plan_id = None if shown.plan is None else shown.plan.id
    if browsing.collection.split_plan_id == plan_id:
        return
    st.button(
        "Use this split",
        type="primary",
        icon=":material/call_split:",
        key="split_use",
        help="Training, judging, the queue and all filters go by it from then on. Runs that are made stay as they are.",
        on_click=partial(
            act,
            lambda: (follow(browsing.workspace, browsing.collection.id, plan_id), shown.plan)[1],
            "The tiles follow the split '{name}' now.",
        ),
    )


def _judge(browsing: Browsing, shown: SplitView) -> None:
    """Of folds: which one validates."""
    row = shown.plan
    if row is None or row.judge is None:
        return
    folds = sorted({place.fold for place in shown.places.values() if place.fold is not None})
    key = f"split_judge_{row.id}_{row.judge}"
    st.segmented_control(
        "Fold that validates",
        folds,
        default=row.judge,
        required=True,
        format_func=lambda fold: str(fold + 1),
        key=key,
        help="The others train. Another may validate at any time: that changes nobody's fold.",
        on_change=lambda: act(
            lambda: (judge_with(browsing.workspace, row.id, st.session_state[key]), row)[1],
            "Another fold of '{name}' validates now.",
        ),
    )


def _more(browsing: Browsing, shown: SplitView) -> None:
    """Export, copy and delete."""
    box = st.popover("More", icon=":material/more_horiz:", key="split_more", on_change="rerun")
    if not box.open:
        return
    with box:
        st.download_button(
            "Export as lists",
            data=lambda: zip_lists(shown.places),
            file_name=f"{_file_name(shown.name)}.zip",
            mime="application/zip",
            icon=":material/download:",
            key="split_export",
            help="train.txt, val.txt and test.txt with a tile's name on each line, and split.csv with the folds too.",
            on_click="ignore",
            width="stretch",
        )
        row = shown.plan
        if row is None:
            st.caption("The split that the tiles came with is changed by moving tiles: that makes a copy 'by hand'.")
            return
        suggested = free_name(browsing.workspace, browsing.collection.id, f"{row.name} copy")
        name = st.text_input("Name of the copy", value=suggested, key=f"split_copy_name_{suggested}", max_chars=60)
        st.button(
            "Copy",
            icon=":material/content_copy:",
            key="split_copy",
            width="stretch",
            on_click=partial(act, partial(copy, browsing.workspace, row.id, name), "There is a copy, '{name}', now."),
        )
        st.button(
            "Delete",
            icon=":material/delete:",
            key="split_delete",
            width="stretch",
            help="A collection that follows it goes back to the split that its tiles came with.",
            on_click=partial(
                act, partial(delete_plan, browsing.workspace, row.id), f"The split '{row.name}' is deleted."
            ),
        )


def _facts(browsing: Browsing, shown: SplitView) -> None:
    """How it was made, what it leaves out, and who holds it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if shown.users:
            st.badge("frozen", icon=":material/lock:", color="blue")
        st.markdown(plain(shown.how), width="content")
    if shown.users:
        names = ", ".join(shown.users[:6]) + (f" and {len(shown.users) - 6} more" if len(shown.users) > 6 else "")
        st.caption(
            f"Frozen: {plain(names)} trained under it. Copy it (More) and change the copy; runs keep to what their "
            "cards say."
        )
    left_out = shown.balance.left_out
    if left_out:
        st.caption(
            f":orange[:material/info: {left_out:,} of {len(browsing.table.rows):,} tiles are in no side of it]: "
            "while it is in use, Train suggests none of them, and none validates."
        )


def _sides(shown: SplitView) -> None:
    """Tiles and class shares by side, and how far these lie from each other."""
    found = shown.balance
    if found.overall is None:
        counts = ", ".join(f"**{side.tiles:,}** {side.name}" for side in found.sides)
        st.markdown(counts)
        st.info("Nothing of this collection is labelled yet, so there are no class shares.", icon=":material/info:")
        return
    figure = sides_figure(found, screen_colours(), title=f"Tiles and class shares of '{shown.name}'")
    st.plotly_chart(figure, key="split_sides", config=CHART_BAR)
    if found.deviation is None or found.random is None:
        st.caption(f"Measured on {found.measured:,} labelled tiles, all on one side: nothing to compare.")
        return
    median, low, high = (100 * figure for figure in found.random)
    st.caption(
        f"A side's class shares lie **{100 * found.deviation:.1f}** percentage points from those of all, in the mean; "
        f"of random splits of the same sizes {median:.1f} (99 draws, {low:.1f} to {high:.1f}). Measured on "
        f"{found.measured:,} labelled tiles, by pixels."
    )


def _to_gallery(browsing: Browsing, shown: SplitView) -> None:
    """Links to the tiles of each side; of the split in use alone, since filters go by that one."""
    if browsing.collection.split_plan_id != (None if shown.plan is None else shown.plan.id):
        return
    counts = Counter(place.split for place in shown.places.values())
    sides = [side for side in SPLITS if counts[side]] + (["none"] if shown.balance.left_out else [])
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("In the gallery:", width="content")
        for side in sides:
            st.button(
                "in no side" if side == "none" else side,
                type="tertiary",
                icon=":material/grid_view:",
                key=f"split_gallery_{side}",
                on_click=partial(show_filter, TileFilter(split=side), view="Gallery", tile=None),
            )


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name) or "split"
