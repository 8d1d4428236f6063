"""The panel beside Browse's views: the open tile, or the collection while none is."""

from pathlib import Path

import numpy as np
import streamlit as st

from core.catalog.catalogue import problems
from core.catalog.filter_outside import judged_runs
from core.catalog.tile_filter import WORKS, from_query
from core.catalog.tile_table import STATUSES
from core.classes import CLASS_NAMES
from core.inference import store
from core.inference.prediction_routes import prediction_url
from core.inference.small_masks import small_labels
from core.inference.store_space import kept_groups
from core.inference.switches import Switches
from core.tables import Tile
from pages.components.browse_address import filter_now, show_filter
from pages.components.browsing import Browsing, open_tile
from pages.components.legend import class_legend
from pages.components.predict_kept import words
from pages.components.problems import plain
from pages.components.synthetic import synthetic_note
from pages.components.tile_view import tile_view

PAGES = Path(__file__).resolve().parents[1]
SPLIT_NAMES = {"train": "tiles to train on", "val": "to validate on", "test": "kept for the test"}
_SOURCES = {
    "glnet": "in GLNet's list",
    "folder": "by its folder's name",
    "rule": "by rule: every fourth validates",
    "plan": "by a named split",
}
_STYLE = """<style>
.st-key-browse_panel { gap: .6rem }
.st-key-browse_panel h3 { padding: 0; font-size: 1.35rem; overflow-wrap: anywhere }
.st-key-browse_panel p { font-size: .9rem; line-height: 1.5 }
</style>"""


def collection_panel(browsing: Browsing) -> None:
    """What the panel says while no tile is open: the collection as a whole."""
    collection, table = browsing.collection, browsing.table
    st.html(_STYLE)
    with st.container(key="browse_panel"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.subheader(plain(collection.name), anchor=False)
            synthetic_note(collection)
        st.caption("Click a tile to see it large, with its mask, its class shares and what was wrong with its files.")
        counts = [f"**{count:,}** {SPLIT_NAMES[split]}" for split, count in table.split_counts.items()]
        labelled = len(table.labelled_ids)
        st.markdown("  \n".join([*counts, f"**{labelled:,}** labelled here"]))
        shares = table.given_mean_shares
        if shares is None:
            st.markdown("None of these tiles came with a mask.")
        else:
            masks = int(table.tiles.has_mask.sum())
            st.markdown(f"**{masks:,}** came with a mask; of their pixels")
            class_legend(shares)
        st.markdown(":material/auto_awesome: [Predict these tiles](#predictions)")


def tile_panel(browsing: Browsing, row: Tile) -> None:
    """The open tile: large, with what lies over it, and what is known of it."""
    st.html(_STYLE)
    with st.container(key="browse_panel"):
        _head(browsing, row)
        _actions(row)
        if not Path(row.image_path).is_file():
            st.error(
                f"The image {plain(row.image_path)} is no longer there: put it back, or index its folder again.",
                icon=":material/image_not_supported:",
            )
        overlay, shares = _choose_overlay(browsing, row)
        tile_view(row, overlay=overlay, key=f"view-{row.id}")
        if shares:
            class_legend(shares)
        elif overlay:
            class_legend()
        st.markdown("  \n".join(_facts(browsing, row)))
        for problem in problems(browsing.workspace, browsing.collection.id, row.name):
            st.warning(plain(problem.sentence), icon=":material/warning:")


def _head(browsing: Browsing, row: Tile) -> None:
    number, table = browsing.table.tiles.number_of[row.id], browsing.table
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(f"Tile {plain(row.name)}", anchor=False, width="stretch")
        st.button(
            "Close",
            icon=":material/close:",
            type="tertiary",
            key="close_tile",
            help="Back to the collection",
            on_click=lambda: open_tile(None),
        )
    with st.container(horizontal=True, gap="small"):
        st.badge(row.split or "no split", icon=":material/call_split:", color="gray")
        st.badge(STATUSES[table.statuses[number]], icon=":material/brush:", color="gray")
        if table.labels.work[number]:
            st.badge(WORKS[table.labels.work[number]], icon=":material/task_alt:", color="gray")
        synthetic_note(browsing.collection)


def _actions(row: Tile) -> None:
    with st.container(horizontal=True, gap="small"):
        if st.button("Label this tile", type="primary", icon=":material/brush:", width="stretch"):
            st.switch_page(PAGES / "label.py", query_params={"tile": str(row.id)})
        if st.button("Tiles like this one", icon=":material/grid_view:", width="stretch"):
            _show_alike(row.id)
            st.rerun()  # the whole page: another view of it


def _show_alike(tile_id: int) -> None:
    """The gallery, what looks most like the tile first."""
    alike = {**filter_now().to_query(), "order": "alike", "alike": str(tile_id)}
    show_filter(from_query(alike)[0], view="Gallery")


def _choose_overlay(browsing: Browsing, row: Tile) -> tuple[str | None, list[float] | None]:
    """The address of what is to lie over the tile, None for the given mask; and its class shares where they are known.

    A prediction is shown first where there is one, then the given mask, then labels.
    """
    workspace = browsing.workspace
    groups = {
        f"{group.run}, {words(group)}": group
        for group in kept_groups(workspace)
        if group.collection_id == row.collection_id and row.name in group.tiles
    }
    labels = small_labels(workspace, row)
    choices = [*groups, *(["given mask"] if row.mask_path else []), *(["labels painted here"] if labels else [])]
    if not groups:
        st.markdown(":material/auto_awesome: [Predict this tile](#predictions)")
    if not choices:
        return None, None
    chosen = choices[0]
    if len(choices) > 1:
        chosen = st.selectbox("Over the image", choices, key=f"overlay-{row.id}", label_visibility="collapsed")
    if chosen == "given mask":
        return None, row.class_shares
    if chosen == "labels painted here":
        number = browsing.table.tiles.number_of[row.id]
        painted = browsing.table.labels.pixels[number] / (row.width * row.height)
        return labels, [float(share) for share in painted]
    group = groups[chosen]
    switches = Switches.from_facts(group.switches)
    found = store.find(workspace, group.run, row, switches)
    if found is None:
        return None, row.class_shares
    if found.stale:
        st.warning(f"This prediction is stale: {found.stale}. Predict the tile anew.", icon=":material/history:")
    store.touch(found)
    return f"{prediction_url(group.run, switches, row.id)}?v={found.path.stat().st_mtime_ns}", None


def _facts(browsing: Browsing, row: Tile) -> list[str]:
    """One line a fact: size, ground, split, what was labelled, what runs say."""
    table, number = browsing.table, browsing.table.tiles.number_of[row.id]
    x, y = row.metres_per_pixel_x, row.metres_per_pixel_y
    resolution = f"{x:g} m" if abs(x - y) < 1e-6 * x else f"{x:.4g} m across, {y:.4g} m down"
    area = row.width * x * row.height * y / 1e6
    facts = [
        f"**Size** {row.width} x {row.height} pixels of {resolution}, {area:.3g} km²",
        f"**Coordinates** {plain(row.crs) if row.crs else 'none in the file'}",
        f"**Split** {row.split or 'none'}, {_SOURCES.get(row.split_source, row.split_source)}",
    ]
    instances = table.labels.instances[number]
    if instances.any():
        each = ", ".join(
            f"{count} {name}" for name, count in zip(CLASS_NAMES, instances.tolist(), strict=True) if count
        )
        facts.append(f"**Labelled instances** {each}")
    if not np.isnan(table.opinions.uncertainty[number]):
        facts.append(f"**Uncertainty** {table.opinions.uncertainty[number]:.0%}, by {plain(str(table.opinions.run))}")
    scores = {run: of[row.name] for run, of in judged_runs(browsing.workspace, table).items() if row.name in of}
    if scores:
        told = ", ".join(f"{plain(run)} {score:.0%}" for run, score in scores.items())
        facts.append(f"**IoU where it was held out** {told}")
    return facts
