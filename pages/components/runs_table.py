"""The runs of a workspace: all in a table, one looked at closely, and runs that come and go as a zip."""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.errors import InputError
from core.evaluation.intervals import FEW_TILES
from core.inference.ensembles import member_runs, read_ensemble
from core.jobs.fits import Fit, list_fits
from core.jobs.outcome import JobState
from core.training.model_card import cross_validation, model_card
from core.training.recipe import Recipe, dump_recipe
from core.training.recipe_files import differences
from core.training.run_archive import MODEL_CARD, archive_bytes, import_run
from core.training.runs import Run, RunCard, is_ensemble, list_runs, read_recipe
from core.workspace import Workspace
from pages.components.forecast_box import count
from pages.components.problems import plain
from pages.components.run_scores import run_scores

HERE = Path(__file__).resolve().parent
_ROUND = "runs_import_round"  # a new number empties the uploader
_CHOSEN = "runs_chosen"


def runs_table(workspace: Workspace) -> None:
    """The table, the run that is chosen, and the import."""
    runs = list_runs(workspace.runs)
    fits = {fit.name: fit for fit in list_fits(workspace)}
    begun = [fit for fit in fits.values() if fit.folder is None and fit.job and not fit.state.ended]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Runs", anchor=False, width="stretch")
        with st.popover("Import a run", icon=":material/upload:"):
            _import(workspace)
    if not runs and not begun:
        st.caption("No run yet. What you train appears here, with its score, its recipe and a model card.")
        return
    rows = [*({"run": fit.name, "state": fit.state.value} for fit in begun), *(_row(run, fits) for run in runs)]
    table = pd.DataFrame(rows)
    st.dataframe(table.dropna(axis="columns", how="all"), hide_index=True, column_config=_COLUMNS, key="runs_rows")
    if not runs:
        return
    with st.container(horizontal=True):
        st.page_link(HERE.parent / "evaluate.py", label="Evaluate a run", icon=":material/analytics:")
        st.page_link(HERE.parent / "compare.py", label="Compare two", icon=":material/compare:")
    _one_run(runs)


_COLUMNS = {
    "trained": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm"),
    "state": st.column_config.TextColumn(help="Cancelled and failed runs keep the best there was by then"),
    "validation mIoU": st.column_config.NumberColumn(
        format="%.3f", help="On the validation tiles, which were watched while it trained"
    ),
    "95 % interval": st.column_config.TextColumn(
        help="Of the validation mIoU: how far off it may be because only these tiles were looked at"
    ),
    "validated on": st.column_config.TextColumn(help="The tiles of the validation mIoU"),
    "left-out mIoU": st.column_config.TextColumn(
        help="Of folds: each member on the tiles that it never saw, with its 95 % interval"
    ),
    "labels": st.column_config.TextColumn(help="Where the labels came from, and their version"),
    "features, s": st.column_config.NumberColumn(format="%.1f"),
    "training, s": st.column_config.NumberColumn(format="%.1f"),
    "memory, GiB": st.column_config.NumberColumn(format="%.1f", help="The most that its process held at once"),
}


def _row(run: Run, fits: Mapping[str, Fit]) -> dict[str, Any]:
    card = run.card
    crossed = cross_validation(card)
    return {
        "run": run.name,
        "state": _state(card, fits.get(run.name)),
        "validation mIoU": card.validation["miou"] if card.validation else None,
        "95 % interval": _interval(card.validation) or None,
        "validated on": _validated_on(card.validation) if card.validation else "no tile",
        "left-out mIoU": f"{crossed['miou']:.3f} ({_interval(crossed)})" if crossed else None,
        "recipe": card.recipe_name,
        "kind": card.head,
        "labels": _labels(card),
        "training, s": card.head_seconds,
        "memory, GiB": card.peak_memory_bytes / 2**30 if card.peak_memory_bytes else None,
        "tiles": len(card.training_tiles),
        "instances": sum(amount["instances"] for amount in card.classes.values()),
        "encoder": card.encoder,
        "features, s": card.features_seconds,
        "trained": datetime.fromisoformat(card.created),
    }


def _state(card: RunCard, fit: Fit | None) -> str:
    """A run that is not over has the state of its job: its card only knows that it was stopped."""
    if fit is not None and fit.job is not None and (not fit.state.ended or fit.state is JobState.FAILED):
        return fit.state.value
    return card.state


def _interval(scores: Mapping[str, Any] | None) -> str:
    """Of the mIoU; empty where it was not kept, as in runs of before."""
    ends = ((scores or {}).get("interval") or {}).get("miou")
    return f"{ends[0]:.2f} to {ends[1]:.2f}" if ends else ""


def _validated_on(validation: Mapping[str, Any]) -> str:
    names = validation.get("tiles", [])
    few = f"{len(names)} tile{'s' if names[1:] else ''} only: " if len(names) < FEW_TILES else ""
    return few + ", ".join(names)


def _labels(card: RunCard) -> str:
    source = "given" if card.label_source == "given" else "painted"
    return f"{source} {card.label_fingerprint[:8]}" if card.label_fingerprint else source


def _one_run(runs: list[Run]) -> None:
    by_name = {run.name: run for run in runs}
    with st.expander("Look at a run", icon=":material/search:", key="runs_one", on_change="rerun") as box:
        if not box.open:  # its files are read only where somebody looks
            return
        chosen = st.selectbox("Run", list(by_name), key=_CHOSEN, width=320)
        run = by_name.get(str(chosen), runs[0])
        if is_ensemble(run.folder):
            _ensemble(run)
            return
        try:
            recipe = read_recipe(run.folder)
            card = model_card(run)
        except InputError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        _headline(run.card)
        scores, about, settings, carry = st.tabs(["Scores", "Model card", "Recipe", "Export"])
        with scores:
            run_scores(run.card)
        with about, st.container(height=460, border=False):
            st.markdown(re.sub(r"^#", "####", card, flags=re.MULTILINE))  # its headings stand below the page's
        with settings:
            _recipe(run, recipe, [other for other in runs if other.name != run.name and not is_ensemble(other.folder)])
        with carry:
            _export(run, card)


def _ensemble(run: Run) -> None:
    """What is known of a run that is made of others: its members, their shares, and what each is worth alone."""
    try:
        members = read_ensemble(run.folder).members
        member_runs(run.folder)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    measured = run.card.measured
    alone = measured.get("miou_alone", {})
    names = list(measured["shares"])
    rows = {"member": names, "share": [member.share for member in members], "mIoU alone": [alone.get(n) for n in names]}
    table = pd.DataFrame(rows).dropna(axis="columns", how="all")
    st.dataframe(table, hide_index=True, column_config=_ENSEMBLE_COLUMNS, key="runs_members")
    if alone:
        left_out = measured["miou_fitted_left_out"]
        apart = f", {left_out:.3f} with shares fitted on the other tiles each time" if left_out is not None else ""
        st.caption(
            f"mIoU on {measured['pixels']:,} labelled pixels of the common validation tiles: "
            f"{measured['miou_equal']:.3f} with equal shares, {measured['miou_fitted']:.3f} with fitted ones{apart}."
        )
    for sentence in run.card.warnings:
        st.warning(plain(sentence), icon=":material/warning:")
    run_scores(run.card)


_ENSEMBLE_COLUMNS = {
    "share": st.column_config.NumberColumn(format="%.2f", help="Of the mean of the probabilities"),
    "mIoU alone": st.column_config.NumberColumn(format="%.3f", help="On the common validation tiles"),
}


def _headline(card: RunCard) -> None:
    facts = [
        f"{count(card.head_parameters)} trained parameters",
        f"seed {card.seed}",
        f"recipe `{card.recipe_hash[:8]}`" if card.recipe_hash else "",
        f"data `{card.data_fingerprint[:8]}`" if card.data_fingerprint else "",
        f"labels `{card.label_fingerprint[:8]}`" if card.label_fingerprint else "",
        f"code `{plain(card.code_version)}`" if card.code_version else "",
    ]
    st.markdown(":small[" + " · ".join(fact for fact in facts if fact) + "]")


def _recipe(run: Run, recipe: Recipe, others: list[Run]) -> None:
    if others:
        by_name = {other.name: other for other in others}
        against = st.selectbox("Compare its recipe with that of", list(by_name), key="runs_against", width=320)
        other = by_name.get(str(against), others[0])
        _differences(run, recipe, other)
    with st.popover("The whole recipe", icon=":material/description:"):
        st.code(dump_recipe(recipe), language="toml")


def _differences(run: Run, recipe: Recipe, other: Run) -> None:
    try:
        found = differences(recipe, read_recipe(other.folder))
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    rows = {key: (_value(mine), _value(theirs)) for key, (mine, theirs) in found.items()}
    for name, mine, theirs in (
        ("seed", run.card.seed, other.card.seed),
        ("labels", run.card.label_fingerprint, other.card.label_fingerprint),
        ("images", run.card.data_fingerprint, other.card.data_fingerprint),
        ("code", run.card.code_version, other.card.code_version),
    ):
        if mine != theirs:
            rows[f"({name})"] = (_value(mine), _value(theirs))
    if not rows:
        st.caption("The same recipe, seed, data, labels and code.")
        return
    table = pd.DataFrame(
        {
            "setting": list(rows),
            run.name: [mine for mine, _ in rows.values()],
            other.name: [theirs for _, theirs in rows.values()],
        }
    )
    st.dataframe(table, hide_index=True, key="runs_differences")


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value) if value != "" else "none"


def _export(run: Run, card: str) -> None:
    st.caption("One zip with recipe, weights, curve and cards; 'Import a run' takes it into another workspace.")
    with st.container(horizontal=True):
        st.download_button(
            "Download the run",
            lambda: archive_bytes(run.folder),
            file_name=f"{run.name}.zip",
            mime="application/zip",
            icon=":material/folder_zip:",
            type="primary",
            on_click="ignore",
            key="runs_zip",
        )
        st.download_button(
            "Download the model card",
            card,
            file_name=f"{run.name}-{MODEL_CARD}",
            mime="text/markdown",
            icon=":material/description:",
            on_click="ignore",
            key="runs_card",
        )
    st.code(f"python -m core export-run --run {run.folder} --out {run.name}.zip", language="bash", wrap_lines=True)


def _import(workspace: Workspace) -> None:
    key = f"runs_import_{st.session_state.get(_ROUND, 0)}"
    file = st.file_uploader("A run's zip, as export wrote it", type=["zip"], key=key)
    name = st.text_input("Name here", key=f"{key}_name", max_chars=60, placeholder="as in the zip")
    if not st.button("Import", type="primary", disabled=file is None, key="runs_import_go") or file is None:
        return
    try:
        with st.spinner("Checking and unpacking ..."):
            run = import_run(file, workspace.runs, name=name.strip() or None)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    st.session_state[_CHOSEN] = run.name
    st.toast(f"Run {run.name} is here.")
    st.rerun()
