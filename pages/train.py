"""Train: choose tiles, labels and recipe, see what it would take, start, watch; finished runs below."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.catalog.catalogue import collections, tiles
from core.catalog.splitting import plans as split_plans
from core.catalog.splitting.users import SplitRecord
from core.cluster.submission import on_cluster
from core.jobs import queue, worker
from core.jobs.slots import CLUSTER
from core.labels.amounts import Amount, LabelSource, amounts, label_path
from core.system import devices
from core.tables import Collection, Tile
from core.training import forecast_process
from core.training.forecast import label_warnings
from core.training.recipe_files import recipe_arguments
from core.training.recipe_hints import recipe_hints
from core.training.runs import list_runs
from core.workspace import Workspace, open_workspace
from pages.components.augmentation_preview import augmentation_preview
from pages.components.cluster_form import cluster_button, cluster_devices, cluster_request
from pages.components.forecast_box import forecast_box
from pages.components.problems import plain
from pages.components.recipe_form import ChosenRecipe, recipe_form
from pages.components.runs_table import runs_table
from pages.components.split_note import split_note
from pages.components.synthetic import synthetic_note
from pages.components.training_live import training_progress

HERE = Path(__file__).resolve().parent

SOURCE_NAMES = {
    LabelSource.PAINTED: "My labels, painted here",
    LabelSource.GIVEN: "The masks that came with the tiles",
}
FEW, ENOUGH = 20, 50
LINEAR = "context-linear"
_COUNTED = "train_counted"


@dataclass(frozen=True, slots=True)
class _Material:
    """What a run would learn from and be judged on; ``masks`` are the class rasters by tile name.

    ``split`` is the named split that the tiles keep to, if any.
    """

    collection: Collection
    source: LabelSource
    training: list[Tile]
    validation: list[Tile]
    masks: Mapping[str, Path]
    counted: Mapping[str, Amount]
    split: SplitRecord | None

    def tile_names(self) -> dict[str, tuple[str, ...]]:
        """As a recipe's settings."""
        return {
            "train_tiles": tuple(tile.name for tile in self.training),
            "validation_tiles": tuple(tile.name for tile in self.validation),
        }

    def label_version(self) -> str:
        """What tells these labels from the same tiles' at another time."""
        return " ".join(f"{tile.name}:{self.masks[tile.name].stat().st_mtime_ns}" for tile in self.training)


def page() -> None:
    """The whole page."""
    st.title("Train")
    st.caption("Teach a model from what is labelled: choose tiles and a recipe, and start. The default takes seconds.")
    workspace = open_workspace()
    known = collections(workspace)
    if not known:
        st.info("No tiles yet. Open a folder or the sample first.", icon=":material/info:")
        st.page_link(HERE / "start.py", label="Go to Start", icon=":material/home:")
        return
    busy = any(job.state.active for job in queue.jobs(workspace))
    left, right = st.columns([5, 4], gap="large")
    with right:  # first: the form may take a moment
        start = st.expander("Start another run", icon=":material/play_arrow:") if busy else st.container(border=True)
        start = start.empty()
        if _COUNTED not in st.session_state:  # later on the last state stands until it is drawn anew
            start.caption("What it will take and the button to start stand here once the labels are counted.")
        training_progress(workspace)
    with left:
        _new_run(workspace, known, start, busy=busy)
    st.divider()
    runs_table(workspace)


def _new_run(workspace: Workspace, known: list[Collection], start: DeltaGenerator, *, busy: bool) -> None:
    """The form: data, labels, tiles, recipe; in ``start`` what it would take, and the button."""
    st.subheader("New run", anchor=False)
    collection = st.selectbox("Collection", known, format_func=lambda c: c.name, key="train_collection")
    synthetic_note(collection)
    all_tiles = tiles(workspace, collection.id)
    source = _choose_source(workspace, all_tiles)
    masks = {t.name: path for t in all_tiles if (path := label_path(workspace, t, source))}
    if not masks:
        _nothing_labelled(source)
        start.caption("The button to start stands here as soon as there are labels to learn from.")
        return
    labelled = [t for t in all_tiles if t.name in masks]
    key = f"{collection.id}-{source}-{collection.split_plan_id}"
    training, validation = _choose_tiles(all_tiles, labelled, key=key)
    split = split_plans.record(
        workspace,
        collection.id,
        training=(tile.name for tile in training),
        validation=(tile.name for tile in validation),
    )
    split_note(workspace, collection, training, validation, record=split)
    with st.spinner("Counting labelled instances ..."):
        counted = amounts(workspace, training, source)
    st.session_state[_COUNTED] = True
    _amounts_table(counted)
    chosen = recipe_form(
        starting_heads=[str(r.folder) for r in list_runs(workspace.runs) if r.card.head == LINEAR],
        look_over=partial(
            recipe_hints, training_tiles=len(training), gpu=_on_gpu(), tile_metres=_shortest_side(training)
        ),
    )
    if training and chosen.recipe:
        augmentation_preview(training, masks, chosen.recipe)
    with start.container():
        _start(workspace, chosen, _Material(collection, source, training, validation, masks, counted, split), busy=busy)


def _start(workspace: Workspace, chosen: ChosenRecipe, material: _Material, *, busy: bool) -> None:
    """What the run is called, what it would take, and the button."""
    st.markdown(f"**{_in_words(chosen.recipe.name if chosen.recipe else chosen.preset, material)}**")
    seed, device, name = _choose_run(workspace, chosen.preset)
    resources = cluster_request(workspace) if device == CLUSTER else None
    reason = _why_not(material, name, workspace) or chosen.obstacle
    if chosen.recipe is None:
        reason = "A value of the recipe is not allowed; the red sentence below the settings says which."
    if reason:
        st.warning(plain(reason), icon=":material/warning:")
    pressed = st.button(
        "Start training", type="primary", icon=":material/play_arrow:", disabled=reason is not None, width="stretch"
    )
    if chosen.recipe is None:
        return
    data = _data_arguments(workspace, material)
    named = ["--out", str(workspace.runs / name)]
    recipe = chosen.recipe.model_copy(update=material.tile_names())
    rest = recipe_arguments(recipe, preset=chosen.preset, folder=workspace.root / "recipes", name=name)
    rest += ["--seed", str(seed), "--device", "auto" if resources else device]
    split = material.split.option() if material.split else []
    arguments = ["fit", *data, *named, *rest, *split]
    if resources:
        arguments = on_cluster(workspace, arguments, resources)
    if pressed:
        forecast_process.stop(workspace)  # it would only be in the way
        queue.submit(workspace, kind="fit", title=f"Train {name}", arguments=arguments, device=device)
        worker.ensure_running(workspace, device)
        st.rerun()
    if reason is None and resources is None:  # what this machine would take says nothing of another
        forecast_box(workspace, ["forecast", *data, *rest], labels=material.label_version(), busy=busy)
    with st.container(horizontal=True):
        with st.popover("Command line", icon=":material/terminal:", help="The same, typed in a terminal"):
            st.code(shlex.join(["python", "-m", "core", *arguments]), language="bash", wrap_lines=True)
        cluster_button(workspace)


def _in_words(name: str, material: _Material) -> str:
    """What is about to be started, in one line."""
    judged = f"judged on {_tiles(len(material.validation))}" if material.validation else "judged on none"
    return f"Recipe {name}, on {_tiles(len(material.training))}, {judged}"


def _tiles(count: int) -> str:
    return f"{count} tile{'' if count == 1 else 's'}"


def _on_gpu() -> bool:
    """Whether the device that is chosen further down is a GPU, or a cluster, which has one more often than not."""
    return str(st.session_state.get("train_device", devices()[-1])).startswith(("cuda", CLUSTER))


def _shortest_side(training: list[Tile]) -> float | None:
    """Of the smallest tile, on the ground, in metres."""
    sides = [min(t.width * t.metres_per_pixel_x, t.height * t.metres_per_pixel_y) for t in training]
    return min(sides, default=None)


def _choose_source(workspace: Workspace, all_tiles: list[Tile]) -> LabelSource:
    painted = any(label_path(workspace, t, LabelSource.PAINTED) for t in all_tiles)
    return st.radio(
        "Labels",
        list(LabelSource),
        format_func=SOURCE_NAMES.__getitem__,
        index=0 if painted else 1,
        horizontal=True,
        key="train_source",
    )


def _nothing_labelled(source: LabelSource) -> None:
    if source is LabelSource.PAINTED:
        st.info("You have not painted any labels in this collection yet.", icon=":material/brush:")
        st.page_link(HERE / "label.py", label="Label some instances", icon=":material/brush:")
    else:
        st.info("No tile of this collection came with a mask: paint some labels instead.", icon=":material/brush:")


def _choose_tiles(all_tiles: list[Tile], labelled: list[Tile], *, key: str) -> tuple[list[Tile], list[Tile]]:
    """Training and validation tiles; a tile is never both."""
    by_name = {t.name: t for t in all_tiles}
    suggested = [t.name for t in labelled if t.split == "train"] or [t.name for t in labelled]
    training = st.multiselect(
        "Training tiles",
        [t.name for t in labelled],
        default=suggested,
        key=f"train_tiles-{key}",
        help="Only labelled pixels of these tiles are learnt from.",
    )
    judged = [t.name for t in all_tiles if t.mask_path and t.name not in training]
    validation = st.multiselect(
        "Validation tiles",
        judged,
        default=[name for name in judged if by_name[name].split == "val"],
        key=f"validation_tiles-{key}-{len(training)}",
        help="Whole tiles with a mask, never learnt from: the validation curve is their score.",
    )
    return [by_name[name] for name in training], [by_name[name] for name in validation]


def _amounts_table(counted: dict[str, Amount]) -> None:
    rows = [
        {
            "class": name,
            "instances": amount.instances,
            "towards 50": min(1.0, amount.instances / ENOUGH),
            "labelled pixels": amount.pixels,
            "enough?": _enough(amount.instances),
        }
        for name, amount in counted.items()
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="train_amounts",
        column_config={
            "towards 50": st.column_config.ProgressColumn(
                "towards 50",
                min_value=0,
                max_value=1,
                format="percent",
                width=96,
                help="20 to 50 instances a class are wanted",
            ),
            "labelled pixels": st.column_config.NumberColumn("pixels", format="localized", help="Labelled pixels"),
        },
    )
    for sentence in label_warnings({name: amount.instances for name, amount in counted.items()}):
        st.markdown(f":small[:orange[:material/warning: {plain(sentence)}]]")


def _enough(instances: int) -> str:
    if instances >= ENOUGH:
        return "yes"
    if instances >= FEW:
        return "a start"
    return "few" if instances else "none"


def _choose_run(workspace: Workspace, preset: str) -> tuple[int, str, str]:
    """Seed, device and the run's name."""
    first, second, third = st.columns([2.4, 1.1, 1.7])
    first_number = len(list_runs(workspace.runs)) + 1
    suggestion = next(name for number in count(first_number) if not _is_taken(workspace, name := f"{preset}-{number}"))
    name = first.text_input("Name of the run", value=suggestion, key=f"train_name-{suggestion}", max_chars=60)
    seed = second.number_input("Seed", min_value=0, max_value=2**31 - 1, value=0, key="train_seed")
    choices = [*devices(), *cluster_devices(workspace)]
    device = third.selectbox("Device", choices, index=len(devices()) - 1, key="train_device")
    return int(seed), device, name.strip()


def _why_not(material: _Material, name: str, workspace: Workspace) -> str | None:
    """The one reason why training cannot start, or None."""
    if not material.training:
        return "Choose at least one training tile."
    if sum(amount.pixels > 0 for amount in material.counted.values()) < 2:
        return "Label at least two classes: a head that knows one class has nothing to tell apart."
    if not name or not all(c.isalnum() or c in "-_" for c in name):
        return "Name the run with letters, digits, hyphens and underscores."
    if _is_taken(workspace, name):
        return f"There is a run '{name}' already, or it is being trained; give the next one another name."
    return None


def _is_taken(workspace: Workspace, name: str) -> bool:
    """Whether there is a run of this name, or one in the queue."""
    out = workspace.runs / name
    return out.exists() or any(str(out) in job.arguments for job in queue.jobs(workspace) if not job.state.ended)


def _data_arguments(workspace: Workspace, material: _Material) -> list[str]:
    painted = material.source is LabelSource.PAINTED
    labels = ["--labels", str(workspace.labels(material.collection.id))] if painted else []
    return ["--data", material.collection.root, *labels]


page()
