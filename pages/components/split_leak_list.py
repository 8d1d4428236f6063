"""The leaks of a split: how many, both tiles of each beside each other, and what brings them together."""

from collections.abc import Mapping
from functools import partial
from html import escape

import streamlit as st

from core.catalog.alike.looks import KIND, look_arguments
from core.catalog.alike.related import NEIGHBOURS, RelatedPair
from core.catalog.splitting.leaks import Leak, leaks_in_words
from core.catalog.splitting.plans import Place, copy, free_name, replace_places
from core.catalog.splitting.view import SplitView
from core.tables import SplitPlan, Tile
from pages.components.browsing import Browsing
from pages.components.measuring_job import Measurement, measure_button
from pages.components.split_actions import act
from pages.components.tile_map import SPLIT_COLOURS

PAGE_SIZE = 9
COLUMNS = 3
_FOLD_COLOUR = "#9aa7d8"

_STYLE = """<style>
.tw-pair { display: flex; gap: 10px; align-items: center; justify-content: center; min-height: 168px; }
.tw-pair.below { flex-direction: column; gap: 0; } .tw-pair.right { gap: 0; }
.tw-pair a { position: relative; display: block; line-height: 0; }
.tw-pair img { height: 132px; max-width: 140px; background: rgba(128,128,128,.25); }
.tw-pair.below img { width: 100px; height: auto; max-height: 140px; }
.tw-pair b { position: absolute; left: 4px; bottom: 4px; font: 600 .72rem/1.5 sans-serif; color: #101814;
  padding: 0 .4em; border-radius: 3px; }
.tw-pair.below a:first-child b { top: 4px; bottom: auto; } .tw-pair.right a:last-child b { left: auto; right: 4px; }
.tw-leak { text-align: center; font-size: .86rem; line-height: 1.45; overflow-wrap: anywhere; }
</style>"""


def leak_summary(browsing: Browsing, view: SplitView) -> None:
    """How much leaks, and the button that mends all; or that nothing does, and what is not known yet."""
    related, leaks = view.related, view.leaks
    if leaks:
        tiles = len({tile_id for leak in leaks for tile_id in (leak.pair.first, leak.pair.second)})
        st.subheader(f":red[:material/warning: {len(leaks):,} leak{'s' if len(leaks) > 1 else ''}]", anchor=False)
        st.markdown(
            f"{leaks_in_words([leak.pair for leak in leaks]).capitalize()}: {tiles:,} tiles that belong together lie "
            "on two sides. A run that learnt one of them is judged too kindly on the other."
        )
        moved = len(view.mending)
        _move_button(
            browsing,
            view,
            view.mending,
            label="Move all together",
            help=f"{moved:,} tile{'s' if moved > 1 else ''} move: each group of related tiles to the side that has "
            "most of it, of equals to train.",
            key="split_mend_all",
            primary=True,
        )
    elif related.missing < len(browsing.table.rows):
        st.subheader(":green[:material/verified_user: No leak]", anchor=False)
        within = f": {leaks_in_words(related.pairs)}, each on one side" if related.pairs else ""
        st.markdown(f"No two tiles that belong together lie on two sides{within}.")
    if related.missing:
        _offer_look(browsing, view)
    else:
        st.caption(f"Measured on all {related.looked:,} tiles: equal files, near duplicates and neighbouring edges.")


def leak_list(browsing: Browsing, view: SplitView) -> None:
    """The leaks, a page at a time, the worst kinds first."""
    leaks = view.leaks
    if not leaks:
        return
    st.subheader("Tiles that belong together, on two sides", anchor=False)
    pages = -(-len(leaks) // PAGE_SIZE)
    number = st.pagination(pages, key="split_leak_page") if pages > 1 else 1
    first = (min(number, pages) - 1) * PAGE_SIZE
    st.html(_STYLE)
    rows = browsing.table.rows
    number_of = browsing.table.tiles.number_of
    for start in range(first, min(first + PAGE_SIZE, len(leaks)), COLUMNS):
        for place, column in enumerate(st.columns(COLUMNS, border=True)):
            if start + place >= min(first + PAGE_SIZE, len(leaks)):
                continue
            leak = leaks[start + place]
            with column:
                pair = (rows[number_of[leak.pair.first]], rows[number_of[leak.pair.second]])
                st.html(pair_html(leak, *pair))
                moves = view.moves_of(leak.moves)
                _move_button(
                    browsing,
                    view,
                    moves,
                    label="Move them together",
                    help=_what_moves(leak),
                    key=f"split_mend_{leak.pair.first}_{leak.pair.second}",
                )


def pair_html(leak: Leak, first: Tile, second: Tile) -> str:
    """Both tiles as a picture, neighbours touching where one goes on in the other, and what they are below it."""
    tiles = "".join(_tile(tile, side) for tile, side in zip((first, second), leak.sides, strict=True))
    return (
        f'<div class="tw-pair {leak.pair.side or ""}">{tiles}</div><div class="tw-leak"><b>{escape(first.name)}</b> '
        f"and <b>{escape(second.name)}</b><br>{escape(_kind(leak.pair))}</div>"
    )


def _tile(tile: Tile, side: str) -> str:
    source = f"/tiles/{tile.id}/thumbnail.jpg?size=256&amp;v={escape(tile.fingerprint)}"
    name, colour = escape(tile.name), SPLIT_COLOURS.get(side, _FOLD_COLOUR)
    shape = f"aspect-ratio:{tile.width}/{tile.height}"
    picture = f'<img src="{source}" alt="Tile {name}" style="{shape}" loading="lazy">'
    return (
        f'<a href="/browse?tile={tile.id}" target="_self" title="Open tile {name}">{picture}'
        f'<b style="background:{colour}">{escape(side)}</b></a>'
    )


def _kind(pair: RelatedPair) -> str:
    of_what = "of the edges" if pair.kind == NEIGHBOURS else "of the pictures"
    score = "" if pair.score >= 1 else f", correlation {of_what} {pair.score:.2f}"
    return f"{pair.words}{score}"


def _what_moves(leak: Leak) -> str:
    count = len(leak.moves)
    return (
        f"{count} of the {len(leak.group)} tiles that are related to each other move{'s' if count == 1 else ''} to the "
        "side that has most of them."
    )


def _move_button(
    browsing: Browsing,
    view: SplitView,
    moves: Mapping[str, Place],
    *,
    label: str,
    help: str,
    key: str,
    primary: bool = False,
) -> None:
    st.button(
        f"{label} in a copy" if view.users else label,
        type="primary" if primary else "secondary",
        icon=":material/merge:",
        key=key,
        help=help,
        width="stretch",
        on_click=partial(act, partial(_move, browsing, view, moves), "Moved together in the split '{name}'."),
    )


def _move(browsing: Browsing, view: SplitView, moves: Mapping[str, Place]) -> SplitPlan:
    """Change the split, or a copy of one that is frozen."""
    workspace, collection_id = browsing.workspace, browsing.collection.id
    plan_id = None if view.plan is None else view.plan.id
    if plan_id is not None and view.users:
        plan_id = copy(workspace, plan_id, free_name(workspace, collection_id, f"{view.name} mended")).id
    return replace_places(workspace, collection_id, plan_id, moves)


def _offer_look(browsing: Browsing, view: SplitView) -> None:
    """Say that tiles were not compared yet, with the button of the job that does."""
    missing, every = view.related.missing, len(browsing.table.rows)
    which = "The tiles were" if missing == every else f"{missing:,} of {every:,} tiles were"
    st.info(
        f"{which} not looked at yet: of them only equal files are known, no near duplicates and no neighbours.",
        icon=":material/visibility_off:",
    )
    job = Measurement(KIND, f"Look at {browsing.collection.name}", look_arguments(browsing.collection.id))
    measure_button(
        browsing.workspace,
        job,
        label="Look at the tiles",
        key="split_look",
        primary=not view.leaks,
        icon=":material/visibility:",
    )
