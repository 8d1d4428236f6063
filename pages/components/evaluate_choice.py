"""What the Evaluate page is about: a run with its switches on a collection, and its scores on held-out tiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.evaluation.held_out import HeldOut, held_out, kept_evaluation
from core.evaluation.scores import RULES, UnlabelledRule
from core.inference.switches import Switches
from core.tables import Collection, Tile
from core.training.runs import Run
from core.workspace import Workspace
from pages.components.evaluation_job import evaluation
from pages.components.measuring_job import measure_button
from pages.components.offset_choice import Subject
from pages.components.problems import plain
from pages.components.switches import describe, explain


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen above all sections of the page."""

    workspace: Workspace
    collection: Collection
    run: Run
    switches: Switches


@dataclass(frozen=True, slots=True)
class Judged:
    """The kept result of ``evaluate_run`` (core.evaluation.held_out) for a choice, and the tiles it is of."""

    choice: Choice
    result: dict[str, Any]
    tiles: tuple[Tile, ...]


def judged(choice: Choice) -> Judged | None:
    """The scores of the choice; where there are none yet, says why or offers to compute them, and gives None."""
    found = held_out(choice.workspace, choice.run.name, choice.collection.id)
    if not found.tiles:
        _nothing_held_out(found, choice.run)
        return None
    _say_what_is_judged(found)
    result = kept_evaluation(choice.workspace, choice.run.name, choice.collection.id, choice.switches)
    if result is None:
        _offer(choice, tiles=len(found.tiles))
        return None
    return Judged(choice, result, found.tiles)


def _nothing_held_out(judged: HeldOut, run: Run) -> None:
    if judged.trained_on:
        st.warning(
            f"Run {plain(run.name)} trained on every tile of this collection that has a mask "
            f"({names_of(judged.trained_on)}). Train it on fewer tiles, or choose another collection.",
            icon=":material/warning:",
        )
    elif judged.missing:
        st.info(
            f"Run {plain(run.name)} was imported and has nothing of a tile with a mask; import masks of these tiles, "
            "or choose another collection.",
            icon=":material/info:",
        )
    else:
        st.info(
            "No tile of this collection came with a mask, so there is no truth to judge by.", icon=":material/info:"
        )


def _say_what_is_judged(judged: HeldOut) -> None:
    sentence = f"Judged on {how_many(len(judged.tiles))} with a mask: {names_of([t.name for t in judged.tiles])}."
    if judged.trained_on:
        sentence += f" Left out, since the run trained on them: {names_of(judged.trained_on)}."
    if judged.missing:
        sentence += f" Left out, since {len(judged.missing)} have no imported prediction: {names_of(judged.missing)}."
    if judged.in_part:
        sentence += f" Judged in part, where the imported masks reach: {names_of(judged.in_part)}."
    st.caption(sentence)


def _offer(choice: Choice, *, tiles: int) -> None:
    """The button that starts the job, and the jobs while one runs."""
    workspace, run, collection, switches = choice.workspace, choice.run, choice.collection, choice.switches
    st.info(f"Not computed yet for {plain(run.name)} with {describe(switches)}.", icon=":material/hourglass_empty:")
    st.caption(explain(switches, Subject(workspace, collection, run.name)))
    measure_button(
        workspace,
        evaluation(run.name, collection.id, switches),
        label=f"Evaluate on {how_many(tiles)}",
        key="evaluate_start",
        primary=True,
        icon=":material/analytics:",
    )


def choose_rule(key: str) -> UnlabelledRule:
    """The switch between the two rules for pixels that are predicted unlabelled."""
    chosen: UnlabelledRule = st.segmented_control(
        "Pixels predicted unlabelled",
        RULES,
        default=RULES[0],
        required=True,
        key=key,
        help="Pixels that have a truth, but for which the run says nothing (abstained, or an imported mask with gaps). "
        "Pixels without a truth are always left out.",
    )
    return chosen


def how_many(tiles: int) -> str:
    """A number of tiles in words: '1 tile', '5 tiles'."""
    return "1 tile" if tiles == 1 else f"{tiles:,} tiles"


def names_of(names: Sequence[str], limit: int = 12) -> str:
    """Names in a row, escaped for Markdown, and how many more there are."""
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return plain(", ".join(names[:limit])) + rest
