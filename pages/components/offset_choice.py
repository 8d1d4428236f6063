"""The offsets of a prediction: none, those that were fitted for the run on its validation tiles, or by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.classes import CLASS_NAMES
from core.inference.predict_tiles import switch_arguments
from core.inference.run_offsets import read_offsets
from core.inference.switches import Switches
from core.inference.thresholds import LARGEST_OFFSET, FittedOffsets
from core.jobs import queue, worker
from core.jobs.outcome import JobState
from core.system import devices
from core.tables import Collection
from core.training.runs import read_run
from core.workspace import Workspace
from pages.components.problems import plain

KIND = "fit-offsets"
"""Of the jobs that fit offsets."""

_WORDS = {"none": "none", "fitted": "fitted", "hand": "by hand"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be predicted: tiles of a collection, by a run; ``run`` is None where several speak together."""

    workspace: Workspace
    collection: Collection
    run: str | None


def choose_offsets(subject: Subject, switches: Switches, *, key: str) -> tuple[float, ...]:
    """Six offsets, or none; ``switches`` are the others that are chosen.

    Raises ``InputError`` where what was fitted cannot be read.
    """
    way = st.segmented_control(
        "Offsets: prefer or avoid classes",
        list(_WORDS),
        format_func=_WORDS.__getitem__,
        default="none",
        required=True,
        key=f"{key}_way",
        help="Added to the classes' log probabilities: 0.7 counts a class double, -0.7 half.",
    )
    if way == "hand":
        by_hand = numbers_by_class(f"{key}_of", -LARGEST_OFFSET, LARGEST_OFFSET, 0.1)
        return by_hand if any(by_hand) else ()
    return _fitted(subject, switches, key=key) if way == "fitted" else ()


def numbers_by_class(key: str, low: float, high: float, step: float) -> tuple[float, ...]:
    """A number field for each class."""
    columns = st.columns(3)
    return tuple(
        columns[number % 3].number_input(name, low, high, 0.0, step, key=f"{key}_{name}")
        for number, name in enumerate(CLASS_NAMES)
    )


def _fitted(subject: Subject, switches: Switches, *, key: str) -> tuple[float, ...]:
    """What was fitted for the run and on what; where nothing was, how to get it."""
    if subject.run is None:
        st.caption("Offsets are fitted for one run; choose one alone.")
        return ()
    folder = subject.workspace.runs / subject.run
    known = read_run(folder).card.validation_tiles
    fitted = read_offsets(folder)
    if fitted is None and not known:
        st.caption(
            "There are none, and none can be fitted: this run was trained without validation tiles, and tiles that it "
            "trained on say nothing of others. Train it anew with some."
        )
        return ()
    if fitted is None:
        st.caption(
            f"None were fitted for {plain(subject.run)} yet. They are found on its validation tiles "
            f"({plain(', '.join(known))}) and tried on each of them with that one left out."
        )
    else:
        _say_on_what(fitted, switches)
    if fitted is None or fitted.switches != switches.before_offsets.key:
        _fit_now(subject, folder, switches, key=key)
    return fitted.offsets if fitted and any(fitted.offsets) else ()


def _say_on_what(fitted: FittedOffsets, switches: Switches) -> None:
    if any(fitted.offsets):
        st.markdown(
            ", ".join(f"{name} **{value:+.2f}**" for name, value in zip(CLASS_NAMES, fitted.offsets, strict=True))
        )
        found = (
            f"there, each tile left out in turn, the mean IoU went from {fitted.before:.3f} to {fitted.after:.3f}. "
            "Scores on these very tiles flatter them"
        )
    else:
        found = "they did not hold up on tiles that were left out of the fit, so all six are 0 and change nothing"
    st.caption(
        f"Fitted on {fitted.pixels:,} labelled pixels of the run's validation tiles {plain(', '.join(fitted.tiles))}: "
        f"{found}."
    )
    if fitted.switches != switches.before_offsets.key:
        st.caption("They were fitted with another test-time augmentation or refinement than is chosen here.")


def _fit_now(subject: Subject, folder: Path, switches: Switches, *, key: str) -> None:
    """A button that queues the fit; what became of the last one."""
    mine = [job for job in queue.jobs(subject.workspace) if job.kind == KIND and str(folder) in job.arguments]
    active = any(job.state.active for job in mine)
    if st.button("Fit them now", icon=":material/tune:", key=f"{key}_fit", disabled=active):
        device = devices()[-1]
        title = f"Fit offsets of {subject.run}"
        arguments = _arguments(subject, folder, switches, device)
        queue.submit(subject.workspace, kind=KIND, title=title, arguments=arguments, device=device)
        worker.ensure_running(subject.workspace, device)
        st.rerun()
    if active:
        st.caption("They are being fitted; how far that is stands at the left of the page.")
    elif mine and mine[0].state is JobState.FAILED:
        st.error(plain(mine[0].message or "Fitting them failed."), icon=":material/error:")


def _arguments(subject: Subject, folder: Path, switches: Switches, device: str) -> Sequence[str]:
    """The command line of the fit, on the masks that the run was judged with."""
    source = read_run(folder).card.label_source
    labels = [] if source == "given" else ["--labels", source]
    places = ["--run", str(folder), "--data", subject.collection.root, *labels]
    return [KIND, *places, "--device", device.partition(":")[0], *switch_arguments(switches.before_offsets)]
