"""What training will see: patches as they are changed, with their labels outlined, or the views of a tile."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.errors import InputError
from core.inference.tta import transforms
from core.screen_colours import Palette
from core.tables import Tile
from core.training.preview import patch_pictures, view_pictures
from core.training.recipe import Recipe
from pages.components.class_palette import screen_palette
from pages.components.legend import class_legend
from pages.components.problems import plain

COUNT = 8
_SIDE = 300  # pixels of a picture here
_SEED = "preview_seed"


def augmentation_preview(tiles: list[Tile], masks: Mapping[str, Path], recipe: Recipe) -> None:
    """Eight patches of a training tile as this recipe changes them; for heads on cached features, the tile's views.

    ``masks`` holds the class raster of each tile, by name.
    """
    network = recipe.kind == "network"
    title = "Patches as training will see them" if network else "The tiles as training will see them"
    box = st.expander(title, icon=":material/visibility:", key="preview_box", on_change="rerun")
    if not box.open:  # cutting patches takes half a second: only where somebody looks
        return
    with box:
        tile = _choose_tile(tiles, network=network)
        try:
            pictures = _pictures(tile, masks[tile.name], recipe)
        except InputError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        columns = st.columns(4, gap="small")
        for index, picture in enumerate(pictures):
            columns[index % 4].image(picture, width="stretch")
        if network:
            class_legend(unlabelled=False)
        st.caption(_caption(recipe))


def _choose_tile(tiles: list[Tile], *, network: bool) -> Tile:
    by_name = {tile.name: tile for tile in tiles}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Tile", list(by_name), key="preview_tile", width=240)
        if network and st.button("Other patches", icon=":material/casino:", key="preview_other"):
            st.session_state[_SEED] = st.session_state.get(_SEED, 0) + 1
    return by_name.get(str(name), tiles[0])


def _pictures(tile: Tile, mask: Path, recipe: Recipe) -> list[NDArray[np.uint8]]:
    with st.spinner("Cutting patches ..."):
        if recipe.kind != "network":
            return _views(tile.image_path, tile.fingerprint, recipe)
        seed, changed = st.session_state.get(_SEED, 0), mask.stat().st_mtime_ns
        return _patches(tile.image_path, str(mask), changed, recipe, seed, palette=screen_palette())


@st.cache_data(show_spinner=False, max_entries=16, hash_funcs={Recipe: Recipe.model_dump_json})
def _patches(
    image: str,
    mask: str,
    changed: int,  # noqa: ARG001
    recipe: Recipe,
    seed: int,
    *,
    palette: Palette,
) -> list[NDArray[np.uint8]]:
    return patch_pictures(Path(image), Path(mask), recipe, seed=seed, count=COUNT, side=_SIDE, palette=palette)


@st.cache_data(show_spinner=False, max_entries=16, hash_funcs={Recipe: Recipe.model_dump_json})
def _views(image: str, fingerprint: str, recipe: Recipe) -> list[NDArray[np.uint8]]:  # noqa: ARG001
    return view_pictures(Path(image), recipe, side=_SIDE)


def _caption(recipe: Recipe) -> str:
    if recipe.kind == "network":
        moved = "with" if recipe.dihedral else "without"
        return (
            f"{recipe.patch} × {recipe.patch} pixels at {recipe.resolution_m:g} m; changes: {recipe.augmentation}, "
            f"{moved} flips and rotations. The outlines are the labels; only what lies inside one is learnt from."
        )
    if recipe.kind == "convolutional":
        moved = "turned and mirrored at random" if recipe.dihedral else "as they lie"
        return f"The encoder sees each tile once, as it is; the head learns from crops of its features, {moved}."
    if recipe.views == "none":
        return "The encoder sees each tile once, as it is; 'Views' in the recipe adds flips and rotations."
    return f"The encoder sees each tile {len(transforms(recipe.views))} times, and the head learns from all views."
