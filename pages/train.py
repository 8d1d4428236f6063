"""Train: choose tiles, labels and recipe, see what it would take, start, watch; finished runs below."""

import shlex
from itertools import count
from pathlib import Path

import pandas as pd
import streamlit as st

from core.catalog.catalogue import collections, tiles
from core.jobs import queue, worker
from core.labels.amounts import Amount, LabelSource, amounts, label_path
from core.system import devices
from core.tables import Collection, Tile
from core.training import forecast_process
from core.training.forecast import label_warnings
from core.training.recipe import Recipe
from core.training.recipe_files import recipe_arguments
from core.training.runs import list_runs
from core.workspace import Workspace, open_workspace
from pages.components.augmentation_preview import augmentation_preview
from pages.components.forecast_box import forecast_box
from pages.components.problems import plain
from pages.components.recipe_form import ChosenRecipe, recipe_form
from pages.components.runs_table import runs_table
from pages.components.synthetic import synthetic_note
from pages.components.training_live import training_progress

HERE = Path(__file__).resolve().parent

SOURCE_NAMES = {
    LabelSource.PAINTED: "My labels, painted here",
    LabelSource.GIVEN: "The masks that came with the tiles",
}
FEW, ENOUGH = 20, 50
LINEAR = "context-linear"


def page() -> None:
    """The whole page."""
    st.title("Train")
    st.caption("A head on a frozen, pretrained encoder in seconds, or a whole network, from what is labelled.")
    workspace = open_workspace()
    known = collections(workspace)
    if not known:
        st.info("No tiles yet. Open a folder or the sample first.", icon=":material/info:")
        st.page_link(HERE / "start.py", label="Go to Start", icon=":material/home:")
        return
    left, right = st.columns([5, 4], gap="large")
    with right:  # first: the form may take a moment
        training_progress(workspace)
    with left:
        _new_run(workspace, known)
    st.divider()
    runs_table(workspace)


def _new_run(workspace: Workspace, known: list[Collection]) -> None:
    """The form: data, labels, tiles, recipe, what it would take, and the button."""
    st.subheader("New run", anchor=False)
    collection = st.selectbox("Collection", known, format_func=lambda c: c.name, key="train_collection")
    synthetic_note(collection)
    all_tiles = tiles(workspace, collection.id)
    source = _choose_source(workspace, all_tiles)
    masks = {t.name: path for t in all_tiles if (path := label_path(workspace, t, source))}
    if not masks:
        _nothing_labelled(source)
        return
    labelled = [t for t in all_tiles if t.name in masks]
    training, validation = _choose_tiles(all_tiles, labelled, key=f"{collection.id}-{source}")
    with st.spinner("Counting labelled instances ..."):
        counted = amounts(workspace, training, source)
    _amounts_table(counted)
    chosen = recipe_form(starting_heads=[str(r.folder) for r in list_runs(workspace.runs) if r.card.head == LINEAR])
    if training and chosen.recipe:
        augmentation_preview(training, masks, chosen.recipe)
    seed, device, name = _choose_run(workspace, chosen.preset)
    reason = _why_not(training, counted, name, workspace)
    if reason:
        st.warning(reason, icon=":material/warning:")
    if chosen.recipe is None:
        return
    data = _data_arguments(workspace, collection, source)
    named = ["--out", str(workspace.runs / name)]
    rest = _recipe_arguments(workspace, chosen, name, training, validation)
    rest += ["--seed", str(seed), "--device", device]
    if reason is None:
        busy = any(job.state.active for job in queue.jobs(workspace))
        version = " ".join(f"{t.name}:{masks[t.name].stat().st_mtime_ns}" for t in training)
        forecast_box(workspace, ["forecast", *data, *rest], labels=version, busy=busy)
    arguments = ["fit", *data, *named, *rest]
    if st.button("Start training", type="primary", icon=":material/play_arrow:", disabled=reason is not None):
        forecast_process.stop(workspace)  # it would only be in the way
        queue.submit(workspace, kind="fit", title=f"Train {name}", arguments=arguments, device=device)
        worker.ensure_running(workspace, device)
        st.rerun()
    with st.expander("The same on the command line", icon=":material/terminal:"):
        st.code(shlex.join(["python", "-m", "core", *arguments]), language="bash", wrap_lines=True)


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
                "towards 50", min_value=0, max_value=1, format="percent", help="20 to 50 instances a class are wanted"
            ),
            "labelled pixels": st.column_config.NumberColumn(format="localized"),
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
    first, second, third = st.columns([3, 1.2, 1.4])
    first_number = len(list_runs(workspace.runs)) + 1
    suggestion = next(name for number in count(first_number) if not _is_taken(workspace, name := f"{preset}-{number}"))
    name = first.text_input("Name of the run", value=suggestion, key=f"train_name-{suggestion}", max_chars=60)
    seed = second.number_input("Seed", min_value=0, max_value=2**31 - 1, value=0, key="train_seed")
    device = third.selectbox("Device", devices(), index=len(devices()) - 1, key="train_device")
    return int(seed), device, name.strip()


def _why_not(training: list[Tile], counted: dict[str, Amount], name: str, workspace: Workspace) -> str | None:
    """The one reason why training cannot start, or None."""
    if not training:
        return "Choose at least one training tile."
    if sum(amount.pixels > 0 for amount in counted.values()) < 2:
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


def _data_arguments(workspace: Workspace, collection: Collection, source: LabelSource) -> list[str]:
    labels = ["--labels", str(workspace.labels(collection.id))] if source is LabelSource.PAINTED else []
    return ["--data", collection.root, *labels]


def _recipe_arguments(
    workspace: Workspace, chosen: ChosenRecipe, name: str, training: list[Tile], validation: list[Tile]
) -> list[str]:
    """The recipe with its tiles, as the command line takes it."""
    recipe: Recipe = chosen.recipe.model_copy(
        update={
            "train_tiles": tuple(t.name for t in training),
            "validation_tiles": tuple(t.name for t in validation),
        }
    )
    return recipe_arguments(recipe, preset=chosen.preset, folder=workspace.root / "recipes", name=name)


page()
