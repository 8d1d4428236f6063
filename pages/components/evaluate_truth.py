"""Evaluate, Truth: where the given masks may be wrong, judged by a person one by one; and a gallery of false alarms."""

from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from core.classes import CLASS_NAMES
from core.errors import InputError
from core.evaluation.confidence_files import ConfidenceResult
from core.evaluation.error_regions import area_words, class_word
from core.evaluation.error_routes import crop_url
from core.evaluation.held_out import held_out, kept_evaluation
from core.evaluation.label_noise import AT_MOST, LEAST_METRES, Finding
from core.evaluation.truth_judgements import (
    Disputed,
    Verdict,
    judge,
    judgements,
    region_key,
    scores_without_disputed,
    undo_last,
)
from core.inference.prediction_routes import prediction_url
from core.tables import Tile, TruthJudgement
from pages.components.class_palette import in_palette
from pages.components.evaluate_choice import Choice
from pages.components.evaluate_confidence import kept_or_offered
from pages.components.image_pair import truth_address
from pages.components.label_desk import annotator
from pages.components.legend import class_legend
from pages.components.problems import plain
from pages.components.region_view import RegionPanel, outline_of, region_view
from pages.components.switches import describe

_VIEWS = ("Doubtful labels", "False positives")
_SKIPPED = "truth_skipped"  # region keys that this session does not want to see now
_GALLERY = 18
_BUTTONS = (
    (Verdict.MODEL, ":material/smart_toy:", "M", "The mask is right here"),
    (Verdict.LABEL, ":material/label_off:", "L", "The mask is wrong here, whatever the model says"),
    (Verdict.AMBIGUOUS, ":material/help:", "A", "Both can be defended, or the image does not tell"),
)

_Doubt = tuple[Tile, Finding]


def section(choice: Choice) -> None:
    """The whole section."""
    result = kept_or_offered(choice, "where masks and run disagree")
    if result is None:
        return
    view = st.segmented_control(
        "View", _VIEWS, default=_VIEWS[0], required=True, key="truth_view", label_visibility="collapsed"
    )
    if view == _VIEWS[1]:
        st.fragment(_gallery)(choice, result)
    elif result.calibrated is None:
        st.info(
            f"Run {plain(choice.run.name)} was imported as masks: it does not say how sure it is, so there is nothing "
            "to rank doubtful labels by. Its false positives are shown by their area.",
            icon=":material/info:",
        )
    else:
        st.fragment(_doubts)(choice, result)


def _doubts(choice: Choice, result: ConfidenceResult) -> None:
    """The next region, the verdicts, and what they do to the scores."""
    tiles = {tile.name: tile for tile in held_out(choice.workspace, choice.run.name, choice.collection.id).tiles}
    doubts = [(tiles[name], one) for name, found in result.doubts.items() if name in tiles for one in found]
    doubts.sort(key=lambda doubt: -doubt[1].weight)
    given = judgements(choice.workspace, choice.collection.id)
    judged = {row.region for row in given}
    waiting = [doubt for doubt in doubts if region_key(doubt[1]) not in judged]
    skipped: list[str] = st.session_state.setdefault(_SKIPPED, [])
    fresh = [doubt for doubt in waiting if region_key(doubt[1]) not in skipped]
    st.caption(
        f"{len(doubts)} regions of {len(tiles)} held-out tiles where run {plain(choice.run.name)} "
        f"({describe(choice.switches)}) confidently says another class than the given mask, by confidence x area. "
        f"Confident: its probability reaches the mean of the pixels labelled so (Northcutt et al. 2021). Narrower than "
        f"{LEAST_METRES:g} m is left out. {result.measured_on['day'].replace('T', ' ')} UTC."
    )
    if fresh:
        _one(choice, fresh[0], place=len(doubts) - len(waiting) + 1, total=len(doubts))
    elif waiting:
        st.info(f"{len(waiting)} regions were skipped.", icon=":material/skip_next:")
        st.button("Show them again", key="truth_again", on_click=skipped.clear)
    else:
        st.success("Every region has a verdict.", icon=":material/check:")
    _verdict_buttons(choice, fresh[0] if fresh else None, given)
    _scores(choice, given)
    _log(given, {tile.id: tile for tile in tiles.values()})


def _one(choice: Choice, doubt: _Doubt, *, place: int, total: int) -> None:
    tile, found = doubt
    says, truth = class_word(found.predicted), class_word(found.true_class)
    st.markdown(
        f"**{place} of {total}.** The mask says **{truth}**, the run says **{says}** and is "
        f"**{found.confidence or 0:.0%}** sure, on {area_words(found.pixels, tile)} of tile {plain(tile.name)}."
    )
    prediction = in_palette(prediction_url(choice.run.name, choice.switches, tile.id))
    given = truth_address(tile)
    region_view(
        tile,
        [
            RegionPanel("Image", f"tile {tile.name}"),
            RegionPanel("Given mask", truth, None if given is None else in_palette(given)),
            RegionPanel("Prediction", says, prediction),
        ],
        outline=outline_of(found.mask, found.box),
        focus=found.box,
        height=300,
        key="truth_view_of",
    )


def _verdict_buttons(choice: Choice, doubt: _Doubt | None, given: list[TruthJudgement]) -> None:
    who = annotator()
    with st.container(horizontal=True):
        for verdict, icon, key, words in _BUTTONS:
            st.button(
                verdict.capitalize(),
                icon=icon,
                shortcut=key,
                help=words,
                key=f"truth_{verdict}",
                disabled=doubt is None,
                on_click=_judge,
                args=(choice, doubt, verdict, who),
            )
        st.button(
            "Skip",
            icon=":material/skip_next:",
            shortcut="S",
            key="truth_skip",
            disabled=doubt is None,
            on_click=_skip,
            args=(doubt,),
        )
        st.button(
            "Undo",
            icon=":material/undo:",
            shortcut="U",
            key="truth_undo",
            type="tertiary",
            help="Take back the last verdict that you gave",
            disabled=not any(row.annotator == who for row in given),
            on_click=undo_last,
            args=(choice.workspace, choice.collection.id),
            kwargs={"annotator": who},
        )
    trouble = st.session_state.pop("truth_trouble", None)
    if trouble:
        st.error(plain(trouble), icon=":material/error:")
    class_legend()


def _judge(choice: Choice, doubt: _Doubt, verdict: Verdict, who: str) -> None:
    tile, found = doubt
    try:
        judge(choice.workspace, tile, found, verdict, run=choice.run.name, annotator=who)
    except InputError as error:
        st.session_state["truth_trouble"] = str(error)


def _skip(doubt: _Doubt) -> None:
    st.session_state[_SKIPPED].append(region_key(doubt[1]))


def _scores(choice: Choice, given: list[TruthJudgement]) -> None:
    """Scores with and without what is disputed, side by side."""
    st.subheader("Scores with and without disputed pixels", anchor=False)
    if not any(Verdict(row.verdict).disputes for row in given):
        st.caption("Nothing is disputed yet: 'label wrong' and 'ambiguous' regions are left out here.")
        return
    workspace, run = choice.workspace, choice.run.name
    kept = kept_evaluation(workspace, run, choice.collection.id, choice.switches)
    if kept is None:
        st.caption("The run is not scored with these switches yet; the Scores section does that.")
        return
    tiles = held_out(workspace, run, choice.collection.id).tiles
    try:
        found = scores_without_disputed(workspace, run, choice.switches, tiles, kept)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if found is None:
        st.caption("Nothing is disputed on the tiles that this run is judged on.")
        return
    _side_by_side(found)


def _side_by_side(found: Disputed) -> None:
    table = pd.DataFrame({"all labelled pixels": _column(found.whole), "without disputed": _column(found.without)})
    left, right = st.columns([3, 4], gap="medium")
    with left:
        st.table(table)
    with right:
        if found.change is not None and found.interval is not None:
            low, high = found.interval
            sure = "" if low > 0 or high < 0 else " The interval holds 0: on other tiles it might do nothing."
            st.markdown(
                f"Leaving out **{found.pixels:,} disputed pixels** on {found.tiles} "
                f"{'tile' if found.tiles == 1 else 'tiles'} changes the mean IoU by "
                f"**{found.change:+.3f}** ({low:+.3f} to {high:+.3f}).{sure}"
            )
        st.caption(
            "Only places where this run disagrees with the mask were looked at, so leaving them out favours it: take "
            "the right-hand column as the most that the labels may cost, not as its score. To compare runs, judge the "
            f"doubts of each. {found.without['tiles']} tiles; interval by bootstrap over whole tiles."
        )
        if found.without["note"]:
            st.caption(found.without["note"])


def _column(scores: dict[str, Any]) -> dict[str, str]:
    pixels = sum(row["labelled_pixels"] for row in scores["per_tile"])
    figures = {"mean IoU": scores["miou"], "accuracy": scores["accuracy"], **scores["iou"]}
    return {name: "none" if value is None else f"{value:.3f}" for name, value in figures.items()} | {
        "pixels": f"{pixels:,}"
    }


def _log(given: list[TruthJudgement], tiles: dict[int, Tile]) -> None:
    """Who said what, and when."""
    rows = [(row, tiles[row.tile_id]) for row in given if row.tile_id in tiles]
    if not rows:
        return
    with st.expander(f"{len(rows)} verdicts on these tiles", icon=":material/history:"):
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "tile": tile.name,
                        "mask says": class_word(row.true_class),
                        "run says": class_word(row.predicted),
                        "verdict": row.verdict,
                        "area": area_words(row.pixels, tile),
                        "by": row.annotator,
                        "when (UTC)": f"{row.created:%Y-%m-%d %H:%M}",
                        "found with run": row.run,
                    }
                    for row, tile in rows
                ]
            ),
            hide_index=True,
        )


def _gallery(choice: Choice, result: ConfidenceResult) -> None:
    """False positives of a class as crops, each with what it truly is."""
    tiles = {tile.name: tile for tile in held_out(choice.workspace, choice.run.name, choice.collection.id).tiles}
    found = [(tiles[name], one) for name, some in result.alarms.items() if name in tiles for one in some]
    orders = {"area x confidence": lambda one: one.weight, "area": lambda one: one.pixels}
    if result.calibrated is not None:
        orders["confidence"] = lambda one: one.confidence or 0.0
    else:
        orders.pop("area x confidence")
    counts = {index: sum(one.predicted == index for _, one in found) for index in range(len(CLASS_NAMES))}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        index = st.selectbox(
            "Wrongly predicted as",
            [index for index, count in counts.items() if count],
            format_func=lambda index: f"{CLASS_NAMES[index]} ({counts[index]})",
            key="truth_alarms_of",
            width=220,
        )
        order = st.segmented_control(
            "Order", list(orders), default=next(iter(orders)), required=True, key="truth_order"
        )
    if index is None:
        st.success("The run has no false positives on these tiles.", icon=":material/check:")
        return
    shown = sorted((pair for pair in found if pair[1].predicted == index), key=lambda pair: -orders[order](pair[1]))
    st.html(_CARDS + "".join(_card(choice, tile, one) for tile, one in shown[:_GALLERY]) + "</div>")
    st.caption(
        f"The first {min(len(shown), _GALLERY)} of {len(shown)} regions that run {plain(choice.run.name)} "
        f"({describe(choice.switches)}) takes for {CLASS_NAMES[index]} and that are something else by the masks of "
        f"{len(tiles)} held-out tiles; narrower than {LEAST_METRES:g} m is left out, and the {AT_MOST} weightiest of "
        "each tile are kept. A crop opens its tile on the Label page."
    )


_CARDS = """<style>
.tw-alarms { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px; }
.tw-alarms a { color: inherit; text-decoration: none; font-size: .86rem; }
.tw-alarms img { display: block; width: 100%; aspect-ratio: 1; border-radius: 8px; background: #262b33; }
.tw-alarms span { display: block; opacity: .8; }
</style><div class="tw-alarms">"""


def _card(choice: Choice, tile: Tile, found: Finding) -> str:
    address = crop_url(choice.run.name, choice.switches, tile.id, predicted=found.predicted, box=found.box)
    truth = class_word(found.true_class)
    sure = "" if found.confidence is None else f", {found.confidence:.0%} sure"
    return (
        f'<a href="/label?tile={tile.id}" target="_self"><img src="{escape(address)}" loading="lazy" '
        f'alt="{escape(f"A part of tile {tile.name}, truly {truth}")}">'
        f"<b>truly {truth}</b><span>{area_words(found.pixels, tile)}{sure}, tile {escape(tile.name)}</span></a>"
    )
