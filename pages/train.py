"""Train: choose tiles and labels, see what is labelled, start, watch, cancel; finished runs in a table."""

from datetime import datetime
from pathlib import Path

import pandas as pd
import streamlit as st

from core.catalog.catalogue import collections, tiles
from core.jobs import log, queue, worker
from core.jobs.outcome import JobState
from core.labels.amounts import Amount, LabelSource, amounts, label_path
from core.system import devices
from core.tables import Collection, Tile
from core.training.recipe import PRESETS
from core.training.runs import list_runs
from core.workspace import Workspace, open_workspace
from pages.components.curves import training_curves
from pages.components.jobs import job_list
from pages.components.synthetic import synthetic_note

HERE = Path(__file__).resolve().parent

SOURCE_NAMES = {
    LabelSource.PAINTED: "My labels, painted here",
    LabelSource.GIVEN: "The masks that came with the tiles",
}
RECIPE_WORDS = {
    "head": "linear; stable with few labels",
    "head-convolutional": "convolutional; for whole masks",
}
FEW, ENOUGH = 20, 50


def page() -> None:
    """The whole page."""
    st.title("Train")
    st.caption("A head on a frozen, pretrained encoder: seconds on a processor, from a few labelled instances.")
    workspace = open_workspace()
    known = collections(workspace)
    if not known:
        st.info("No tiles yet. Open a folder or the sample first.", icon=":material/info:")
        st.page_link(HERE / "start.py", label="Go to Start", icon=":material/home:")
        return
    left, right = st.columns([5, 4], gap="large")
    with left:
        _new_run(workspace, known)
    with right:
        _progress(workspace)
    st.divider()
    _runs(workspace)


def _new_run(workspace: Workspace, known: list[Collection]) -> None:
    """The form: data, labels, tiles, recipe, and the button."""
    st.subheader("New run", anchor=False)
    collection = st.selectbox("Collection", known, format_func=lambda c: c.name, key="train_collection")
    synthetic_note(collection)
    all_tiles = tiles(workspace, collection.id)
    source = _choose_source(workspace, all_tiles)
    labelled = [t for t in all_tiles if label_path(workspace, t, source)]
    if not labelled:
        _nothing_labelled(source)
        return
    training, validation = _choose_tiles(all_tiles, labelled, key=f"{collection.id}-{source}")
    with st.spinner("Counting labelled instances ..."):
        counted = amounts(workspace, training, source)
    _amounts_table(counted)
    preset, seed, device, name = _choose_recipe(workspace)
    reason = _why_not(training, counted, name, workspace)
    if reason:
        st.warning(reason, icon=":material/warning:")
    if st.button("Start training", type="primary", icon=":material/play_arrow:", disabled=reason is not None):
        labels = workspace.labels(collection.id) if source is LabelSource.PAINTED else None
        arguments = _fit_arguments(
            Path(collection.root),
            labels=labels,
            out=workspace.runs / name,
            preset=preset,
            training=training,
            validation=validation,
            seed=seed,
            device=device,
        )
        queue.submit(workspace, kind="fit", title=f"Train {name}", arguments=arguments, device=device)
        worker.ensure_running(workspace, device)
        st.rerun()


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
        column_config={
            "towards 50": st.column_config.ProgressColumn(
                "towards 50", min_value=0, max_value=1, format="percent", help="20 to 50 instances a class are wanted"
            ),
            "labelled pixels": st.column_config.NumberColumn(format="localized"),
        },
    )


def _enough(instances: int) -> str:
    if instances >= ENOUGH:
        return "yes"
    if instances >= FEW:
        return "a start"
    return "few" if instances else "none"


def _choose_recipe(workspace: Workspace) -> tuple[str, int, str, str]:
    preset = st.selectbox(
        "Recipe",
        list(PRESETS),
        format_func=lambda key: f"{key}: {RECIPE_WORDS[key]}",
        key="train_recipe",
    )
    first, second, third = st.columns([3, 1, 1])
    suggestion = f"{preset}-{len(list_runs(workspace.runs)) + 1}"
    name = first.text_input("Name of the run", value=suggestion, key=f"train_name-{suggestion}", max_chars=60)
    seed = second.number_input("Seed", min_value=0, max_value=2**31 - 1, value=0, key="train_seed")
    device = third.selectbox("Device", devices(), index=len(devices()) - 1, key="train_device")
    return preset, int(seed), device, name.strip()


def _why_not(training: list[Tile], counted: dict[str, Amount], name: str, workspace: Workspace) -> str | None:
    """The one reason why training cannot start, or None."""
    if not training:
        return "Choose at least one training tile."
    if sum(amount.pixels > 0 for amount in counted.values()) < 2:
        return "Label at least two classes: a head that knows one class has nothing to tell apart."
    if not name or not all(c.isalnum() or c in "-_" for c in name):
        return "Name the run with letters, digits, hyphens and underscores."
    out = str(workspace.runs / name)
    if Path(out).exists() or any(out in job.arguments for job in queue.jobs(workspace) if job.state.active):
        return f"There is a run '{name}' already, or it is being trained; give the next one another name."
    return None


def _fit_arguments(
    data: Path,
    *,
    labels: Path | None,
    out: Path,
    preset: str,
    training: list[Tile],
    validation: list[Tile],
    seed: int,
    device: str,
) -> list[str]:
    """The command line of the job; what anybody could type."""
    arguments = ["fit", "--data", str(data), "--out", str(out), "--recipe", preset]
    if labels is not None:
        arguments += ["--labels", str(labels)]
    arguments += ["--set", "train_tiles=" + ",".join(t.name for t in training)]
    if validation:
        arguments += ["--set", "validation_tiles=" + ",".join(t.name for t in validation)]
    return [*arguments, "--seed", str(seed), "--device", device]


def _progress(workspace: Workspace) -> None:
    """The running or the latest fit: its curve, then all jobs."""
    st.subheader("Progress", anchor=False)
    job_list(workspace)
    fits = [job for job in queue.jobs(workspace) if job.kind == "fit"]
    if not fits:
        st.caption("Nothing has been trained in this workspace yet; the curves will appear here.")
        return
    st.fragment(_curves, run_every=1.0 if fits[0].state is JobState.RUNNING else None)(workspace, fits[0].id)


def _curves(workspace: Workspace, job_id: int) -> None:
    view = queue.job(workspace, job_id)
    points = log.read_metrics(workspace, job_id)
    if points:
        st.caption(f"{view.title}: loss and validation score as the head learns")
        st.plotly_chart(training_curves(points), key=f"curves-{job_id}", config={"displayModeBar": False})
    elif view.state is JobState.RUNNING:
        st.caption("The encoder is reading the tiles; the curve begins when the head does.")


def _runs(workspace: Workspace) -> None:
    st.subheader("Runs", anchor=False)
    runs = list_runs(workspace.runs)
    if not runs:
        st.caption("No finished run yet.")
        return
    rows = [
        {
            "run": run.name,
            "state": run.card.state,
            "trained": datetime.fromisoformat(run.card.created),
            "recipe": run.card.recipe_name,
            "tiles": len(run.card.training_tiles),
            "instances": sum(amount["instances"] for amount in run.card.classes.values()),
            "validation mIoU": run.card.validation["miou"] if run.card.validation else None,
            "head, s": run.card.head_seconds,
            "encoder": run.card.encoder,
        }
        for run in runs
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "trained": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm"),
            "validation mIoU": st.column_config.NumberColumn(format="%.3f"),
            "head, s": st.column_config.NumberColumn(format="%.1f"),
        },
    )
    first, second, _ = st.columns([1, 1, 4])
    first.page_link(HERE / "evaluate.py", label="Evaluate a run", icon=":material/analytics:")
    second.page_link(HERE / "compare.py", label="Compare two", icon=":material/compare:")


page()
