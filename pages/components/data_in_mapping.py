"""Any layout by a small mapping: two patterns, a table of classes, and a look at what becomes of one tile."""

import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.atomic import write_json
from core.catalog.images import count_bands, mask_pixels, read_info
from core.catalog.incoming.colour_tables import (
    BECOMES,
    ColourTable,
    TableRow,
    colour_of,
    hex_of,
    values_in,
)
from core.catalog.incoming.layout_presets import DEEPGLOBE_COLOURS, PRESETS, Preset
from core.catalog.incoming.mapped_import import LayoutMapping, mapped_image, mapping_from_json
from core.catalog.incoming.mapped_layout import Matches, match
from core.errors import InputError
from core.screen_colours import Palette, raster_colours
from core.workspace import Workspace
from pages.components.class_palette import screen_palette
from pages.components.data_in_jobs import begin, new_import_name
from pages.components.legend import class_legend
from pages.components.problems import plain

SHOWN_MATCHES = 4
LOOK_SIDE = 320
CHOICES = 50
AS_THEY_ARE = "as they are"


def mapping_way(workspace: Workspace) -> None:
    """The card that opens the dialogue."""
    st.markdown(":material/account_tree: **Any other layout**")
    st.caption(
        "LoveDA, OpenEarthMap, or images and masks of your own: name the files by patterns, map the classes to ours, "
        "see what becomes of one tile, import."
    )
    if st.button("Map a layout …", icon=":material/account_tree:", width="stretch", key="mapping"):
        _dialogue(workspace)


@st.dialog("Map a layout", width="large")
def _dialogue(workspace: Workspace) -> None:
    left, right = st.columns([3, 2])
    folder = left.text_input("Folder on this machine", placeholder="/data/LoveDA", key="mapping_folder").strip()
    name = right.selectbox("Start from", list(PRESETS), key="mapping_preset")
    preset = PRESETS[name]
    st.caption(f"{preset.source} **What is lost:** {preset.loss}")
    left, right = st.columns(2)
    image_pattern = left.text_input("Images", preset.image_pattern, key=f"mapping_images_{name}", help=_PATTERN_HELP)
    mask_pattern = right.text_input("Masks", preset.mask_pattern, key=f"mapping_masks_{name}", help=_PATTERN_HELP)
    if not folder:
        st.info("Type the folder first: what the patterns match shows here.", icon=":material/folder_open:")
        return
    try:
        found = _match(folder, image_pattern, mask_pattern)
        _show_matches(found)
        if not found.tiles:
            return
        mapping = _mapping(preset, name, found, image_pattern, mask_pattern)
        _show_one_tile(found, mapping)
        _import_button(workspace, found, mapping, name)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")


_PATTERN_HELP = (
    "A path below the folder. {id} is the tile's name, * anything within a name, **/ any folders. Upper and lower case "
    "are the same."
)


@st.cache_data(ttl=20, max_entries=8, show_spinner="Looking through the folder")
def _match(folder: str, image_pattern: str, mask_pattern: str) -> Matches:
    return match(Path(folder), image_pattern, mask_pattern)


def _show_matches(found: Matches) -> None:
    without = len(found.tiles) - found.with_mask
    figures = {
        "Images": len(found.tiles),
        "With a mask": found.with_mask,
        "Without": without,
        "Masks without image": len(found.lonely_masks),
        "Second of one name": len(found.findings),
    }
    for column, (label, value) in zip(st.columns(len(figures)), figures.items(), strict=True):
        column.metric(label, f"{value:,}")
    if not found.tiles:
        st.warning(
            f"The image pattern matches none of the {found.files:,} pictures below the folder.",
            icon=":material/search_off:",
        )
        return
    rows = [
        (name, str(image.relative_to(found.root)), str(mask.relative_to(found.root)) if mask else "none")
        for name, image, mask in found.tiles[:SHOWN_MATCHES]
    ]
    st.dataframe(pd.DataFrame(rows, columns=["Tile", "Image", "Mask"]), hide_index=True, width="stretch")
    if found.lonely_masks:
        st.caption(f"The first mask without an image: {found.lonely_masks[0].relative_to(found.root)}")


def _mapping(preset: Preset, name: str, found: Matches, image_pattern: str, mask_pattern: str) -> LayoutMapping:
    table = _edit_table(preset, name, found)
    first = found.tiles[0][1]
    with st.expander("Bands, stretch, ground resolution"):
        info, bands = read_info(first), count_bands(first)
        left, middle, right = st.columns(3)
        order = left.selectbox(
            "Bands as red, green, blue",
            [AS_THEY_ARE, *_orders(bands)],
            accept_new_options=bands > 3,
            help=f"The first image has {bands}. Others than the first three: type three numbers, like 4, 3, 2.",
            key=f"mapping_bands_{name}",
        )
        stretched = middle.toggle("Stretch to 8 bits", key=f"mapping_stretch_{name}", help=_STRETCH_HELP)
        low, high = middle.slider(
            "Percentiles", 0.0, 100.0, (2.0, 98.0), 0.5, disabled=not stretched, key=f"mapping_percentiles_{name}"
        )
        places = info.crs is not None
        metres = right.number_input(
            "Metres a pixel",
            0.01,
            1000.0,
            info.metres_per_pixel_x if places else preset.metres_per_pixel or info.metres_per_pixel_x,
            format="%.3f",
            disabled=places,
            help="Taken where a file does not say its own" + (", as the first one does." if places else "."),
            key=f"mapping_metres_{name}",
        )
    return LayoutMapping(
        image_pattern,
        mask_pattern,
        table,
        bands=None if order == AS_THEY_ARE else _bands_of(order),
        percentiles=(low, high) if stretched else None,
        metres_per_pixel=None if places else metres,
    )


_STRETCH_HELP = "Images of more than 8 bits a band are stretched from the 2nd to the 98th percentile anyhow."


def _orders(bands: int) -> list[str]:
    return ["3, 2, 1", "4, 3, 2", "4, 1, 2"] if bands > 3 else ["3, 2, 1"]


def _bands_of(text: str) -> tuple[int, int, int]:
    parts = text.replace(",", " ").split()
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise InputError(f"'{text}' names no three bands; write them by number, counted from 1, like 3, 2, 1.")
    return int(parts[0]), int(parts[1]), int(parts[2])


def _edit_table(preset: Preset, name: str, found: Matches) -> ColourTable:
    mask = next((mask for _, _, mask in found.tiles if mask), None)
    if preset is DEEPGLOBE_COLOURS and mask is not None:
        table = _with_values_of(preset.table, str(mask))
    else:
        table = preset.table
    start = pd.DataFrame(
        [(row.index, hex_of(row.colour) if row.colour else "", row.name, row.becomes) for row in table.rows],
        columns=["Index", "Colour", "Their class", "Becomes"],
    ).astype({"Index": "Int64"})
    edited = st.data_editor(
        start,
        num_rows="dynamic",
        hide_index=True,
        width="stretch",
        key=f"mapping_table_{name}_{mask if table is not preset.table else ''}",
        column_config={
            "Index": st.column_config.NumberColumn(min_value=0, max_value=255, step=1, help="In masks of one band"),
            "Colour": st.column_config.TextColumn(help="In RGB masks, like #00ff24"),
            "Becomes": st.column_config.SelectboxColumn(options=list(BECOMES), required=True),
        },
    )
    return _table_of(edited)


@st.cache_data(ttl=60, max_entries=8, show_spinner=False)
def _with_values_of(table: ColourTable, mask: str) -> ColourTable:
    """The table with a row more for each value of a mask that it does not name."""
    indices = {row.index for row in table.rows}
    colours = {row.colour for row in table.rows}
    rows = list(table.rows)
    for value, share in values_in(Path(mask)):
        colour = isinstance(value, tuple)
        if value not in (colours if colour else indices):
            said = f"{share:.1%} of the first mask"
            rows.append(TableRow(said, None if colour else value, value if colour else None, "unlabelled"))
    return replace(table, rows=tuple(rows))


def _table_of(edited: pd.DataFrame) -> ColourTable:
    rows = []
    for number, row in enumerate(edited.to_dict("records"), start=1):
        index, colour = row["Index"], str(row["Colour"] or "").strip()
        rows.append(
            TableRow(
                str(row["Their class"] or f"row {number}"),
                None if pd.isna(index) else int(index),
                colour_of(colour) if colour and colour != "None" else None,
                str(row["Becomes"]),
            )
        )
    return ColourTable(tuple(rows))


def _show_one_tile(found: Matches, mapping: LayoutMapping) -> None:
    names = [name for name, _, mask in found.tiles if mask][:CHOICES] or [found.tiles[0][0]]
    chosen = st.selectbox("A tile, before and after", names, key="mapping_tile")
    image, mask = next((image, mask) for name, image, mask in found.tiles if name == chosen)
    picture, before, after, note = _look(
        str(image), str(mask) if mask else None, json.dumps(mapping.to_json()), screen_palette()
    )
    columns = st.columns(3)
    columns[0].image(picture, caption="The image as it will be", width="stretch")
    if before is not None and after is not None:
        columns[1].image(before, caption="Its mask as it is", width="stretch")
        columns[2].image(after, caption="Its mask in our classes", width="stretch")
        class_legend()
    if note:
        st.warning(note, icon=":material/warning:")


@st.cache_data(ttl=60, max_entries=16, show_spinner="Reading the tile")
def _look(image: str, mask: str | None, mapping_json: str, palette_name: Palette) -> tuple[Any, Any, Any, str]:
    """Small pictures of the image, its mask and the mapped mask, and a sentence on pixels that are not in the table."""
    mapping = mapping_from_json(json.loads(mapping_json))
    info = read_info(Path(image))
    picture = _small(mapped_image(Path(image), mapping), cv2.INTER_AREA)
    if mask is None:
        return picture, None, None, ""
    decoded = mapping.table.decode(Path(mask), (info.height, info.width))
    pixels, palette = mask_pixels(Path(mask))
    if pixels.ndim == 2:
        pixels = (palette if palette is not None else _their_colours(mapping.table))[pixels]
    ours = raster_colours(palette_name)[decoded.raster]
    note = ""
    if decoded.off_palette:
        share = decoded.off_palette / decoded.raster.size
        note = f"{share:.2%} of this mask's pixels are not in the table; they become unlabelled."
    return picture, _small(pixels, cv2.INTER_NEAREST), _small(ours, cv2.INTER_NEAREST), note


def _their_colours(table: ColourTable) -> NDArray[np.uint8]:
    """A palette for masks of indices: the table's colours, grey where it has none."""
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    for row in table.rows:
        if row.index is not None and row.colour is not None:
            palette[row.index] = row.colour
    return palette


def _small(pixels: NDArray[np.uint8], interpolation: int) -> NDArray[np.uint8]:
    scale = LOOK_SIDE / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(np.ascontiguousarray(pixels), size, interpolation=interpolation), np.uint8)


def _import_button(workspace: Workspace, found: Matches, mapping: LayoutMapping, name: str) -> None:
    left, right = st.columns(2, vertical_alignment="bottom")
    title = left.text_input("Name of the import", name.replace("'", ""), key=f"mapping_name_{name}")
    changed = mapping.bands is not None or mapping.percentiles is not None
    st.caption(
        "Masks are written in our palette. Images "
        + ("are written anew with these bands" if changed else "stay where they are, and are linked")
        + "; a file that cannot be used is listed, and the others come in."
    )
    if not right.button(
        f"Import {len(found.tiles):,} tiles", type="primary", icon=":material/download_done:", width="stretch"
    ):
        return
    into = new_import_name(workspace, title)
    file = workspace.imports / f".mapping-{secrets.token_hex(8)}.json"
    write_json(file, mapping.to_json())
    begin(
        workspace,
        title=f"Importing {into}",
        arguments=("import-mapped", "--data", str(found.root), "--mapping", str(file), "--to", into),
    )
    st.rerun()
