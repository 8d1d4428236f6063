"""Evaluate, Confidence: does the run know when it is wrong? Computed by a job; this only shows what it kept."""

import pandas as pd
import streamlit as st

from core.classes import CLASS_NAMES
from core.errors import InputError
from core.evaluation.calibration import BINS, reliability
from core.evaluation.confidence import has_probabilities, kept_confidence, split_tiles
from core.evaluation.confidence_files import COLOUR_MAP, Calibrated, ConfidenceResult, colours
from core.evaluation.confidence_scores import Scored, class_scores, coverage, too_sure, top_score
from core.evaluation.error_routes import layer_url
from core.evaluation.intervals import few_tiles_note
from core.inference.prediction_routes import prediction_url
from pages.components.class_palette import in_palette
from pages.components.confidence_charts import CHART_CONFIG, coverage_figure, reliability_figure
from pages.components.evaluate_choice import Choice, how_many, names_of
from pages.components.evaluation_job import confidence
from pages.components.legend import class_legend
from pages.components.measuring_job import measure_button
from pages.components.problems import plain
from pages.components.region_view import RegionPanel, region_view
from pages.components.switches import describe

_ALL = "predicted class"
_STEPS = 16  # of the legend's colour ramp


def section(choice: Choice) -> None:
    """The whole section."""
    if not has_probabilities(choice.workspace, choice.run.name):
        st.info(
            f"Run {plain(choice.run.name)} was imported as masks: it does not say how sure it is, so there is no "
            "confidence to judge. Its scores, confusion and false positives are in the other sections.",
            icon=":material/info:",
        )
        return
    result = kept_or_offered(choice, "the confidence")
    if result is None or result.calibrated is None:
        return
    found = result.calibrated
    _say_on_what(choice, result, found)
    _headline(found)
    st.fragment(_charts)(found, choice.run.name)
    _classes(found)
    st.fragment(_layers)(choice)


def kept_or_offered(choice: Choice, what: str) -> ConfidenceResult | None:
    """What the job kept; where there is nothing, says why or offers to compute it, and gives None."""
    workspace, run, collection = choice.workspace, choice.run.name, choice.collection
    try:
        split = split_tiles(workspace, run, collection.id)
    except InputError as error:
        st.warning(plain(str(error)), icon=":material/warning:")
        return None
    result = kept_confidence(workspace, run, collection.id, choice.switches)
    if result is not None:
        return result
    st.info(
        f"Not computed yet for {plain(run)} with {describe(choice.switches)}: {what} on {len(split.tiles)} held-out "
        "tiles. It takes some seconds a tile.",
        icon=":material/hourglass_empty:",
    )
    measure_button(
        workspace,
        confidence(run, collection.id, choice.switches),
        label=f"Compute on {how_many(len(split.tiles))}",
        key="confidence_start",
        primary=True,
        icon=":material/analytics:",
    )
    return None


def _say_on_what(choice: Choice, result: ConfidenceResult, found: Calibrated) -> None:
    fitted = {
        "validation": f"The temperature was fitted on the run's validation tiles {names_of(found.fitted_on)}, which "
        "are not judged here.",
        "left out": "The run has no validation tiles here beside the judged ones, so each tile takes the temperature "
        "that fits the others.",
        "none": "There is one tile only, so no temperature could be fitted.",
    }[found.way]
    st.caption(
        f"Measured on {len(found.tiles)} held-out tiles of {plain(choice.collection.name)}: {names_of(found.tiles)}; "
        f"truth: the masks that came with them; run {plain(choice.run.name)}, {describe(choice.switches)}; "
        f"{result.measured_on['day'].replace('T', ' ')} UTC. {fitted} Of the probabilities, before small regions are "
        "filled."
    )
    note = few_tiles_note(len(found.tiles))
    if note:
        st.warning(note, icon=":material/warning:")


def _headline(found: Calibrated) -> None:
    """Says and right, in one sentence; then the errors."""
    counts = found.top[0].sum(axis=(0, 1))
    pixels, said, right = counts.sum(axis=0)
    gap = too_sure(found)
    low, high = gap.interval
    word = "it is too sure" if low > 0 else "it is too timid" if high < 0 else "cannot tell which it is on other tiles"
    st.markdown(
        f"On average the run says **{said / pixels:.1%}** and is right on **{right / pixels:.1%}** of the pixels. "
        f"Says minus right: **{100 * gap.value:+.1f} points** ({100 * low:+.1f} to {100 * high:+.1f}): **{word}**."
    )
    score = top_score(found)
    first, second, third = st.columns(3)
    _metric(
        first, "Calibration error", score.before, f"Expected calibration error of the predicted class, {BINS} bins."
    )
    _metric(second, "With the temperature", score.after, "The same after softmax(log p / T).")
    low, high = min(found.temperatures), max(found.temperatures)
    third.metric(
        "Temperature",
        f"{low:.2f}" if high - low < 0.005 else f"{low:.2f} to {high:.2f}",
        delta=_change(score.change),
        delta_color="off",
        delta_arrow="off",
        border=True,
        height="stretch",
        help="Above 1 makes the run less sure, below 1 surer; it never changes a class (Guo et al. 2017). Under it: "
        "what it does to the calibration error, paired over tiles.",
    )


def _metric(column: st.delta_generator.DeltaGenerator, label: str, scored: Scored, words: str) -> None:
    low, high = scored.interval
    column.metric(
        label,
        f"{scored.value:.3f}",
        delta=f"95 % interval {low:.3f} to {high:.3f}",
        delta_color="off",
        delta_arrow="off",
        border=True,
        height="stretch",
        help=f"{words} 0 is honest. The interval comes from a bootstrap over whole tiles.",
    )


def _change(change: Scored) -> str:
    low, high = change.interval
    return f"{_verdict(change)}: {change.value:+.3f} ({low:+.2f} to {high:+.2f})"


def _verdict(change: Scored) -> str:
    """Of a change of an error: less is better."""
    low, high = change.interval
    return "worse" if low > 0 else "better" if high < 0 else "cannot tell"


def _charts(found: Calibrated, run: str) -> None:
    left, right = st.columns(2, gap="medium")
    present = [CLASS_NAMES[index] for index in class_scores(found)]
    with left:
        with st.container(horizontal=True):
            of = st.selectbox("Confidence of", [_ALL, *present], key="confidence_of", width=170)
            bins = st.segmented_control(
                "Bins", ["equal width", "equal counts"], default="equal width", required=True, key="confidence_bins"
            )
        all_of_it = of == _ALL
        counts = found.top.sum(axis=(1, 2)) if all_of_it else found.each[:, :, CLASS_NAMES.index(of)].sum(axis=1)
        before = reliability(counts[0], bins)
        after = reliability(counts[1], bins) if found.way != "none" else None
        st.plotly_chart(
            reliability_figure(
                before,
                after,
                title=f"Does it come true? Run {run}" + ("" if all_of_it else f", {of}"),
                of_what="probability of the predicted class" if all_of_it else f"probability of {of}",
            ),
            key="confidence_reliability",
            config=CHART_CONFIG,
        )
        st.caption(
            "Below the dashed line the run is too sure, above it too timid. "
            + ("Of the predicted class (top label)" if all_of_it else "Of this class on all labelled pixels")
            + f", in {BINS} bins of {bins}: calibration error {before.error:.3f}"
            + (f", {after.error:.3f} with the temperature." if after else ".")
        )
    with right:
        st.container(height=68, border=False)  # as high as the widgets on the left
        curve = coverage(found)
        st.plotly_chart(
            coverage_figure(curve, title=f"Right on the pixels that it is sure of? Run {run}"),
            key="confidence_coverage",
            config=CHART_CONFIG,
        )
        st.caption(
            f"Keeping only the surest half of the pixels, {curve.accuracy[9]:.1%} of them are right "
            f"({curve.low[9]:.1%} to {curve.high[9]:.1%}); keeping all, {curve.accuracy[-1]:.1%}. A flat curve means "
            "that the confidence does not tell right from wrong."
        )


def _classes(found: Calibrated) -> None:
    st.subheader("By class", anchor=False)
    rows = []
    for index, one in class_scores(found).items():
        rows.append(
            {
                "class": CLASS_NAMES[index],
                "of the truth": one.share,
                "calibration error": one.score.before.value,
                "95 %": _span(one.score.before),
                "with temperature": one.score.after.value,
                "does it help?": _verdict(one.score.change),
                "says minus right": None if one.too_sure is None else one.too_sure.value,
                "95 % of that": "never said" if one.too_sure is None else _span(one.too_sure, sign="+"),
            }
        )
    score = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "of the truth": st.column_config.NumberColumn(format="percent"),
            "calibration error": score,
            "with temperature": score,
            "says minus right": st.column_config.NumberColumn(format="%+.3f"),
        },
    )
    st.caption(
        "Calibration error of a class: its probability on all labelled pixels against how often it is the truth "
        "(class-wise, Kull et al. 2019). Says minus right: where the run predicts the class, its mean probability less "
        "the share that is right; above 0 is too sure. Verdicts of single classes are not corrected for their number."
    )


def _span(scored: Scored, sign: str = "") -> str:
    low, high = scored.interval
    return f"{low:{sign}.3f} to {high:{sign}.3f}"


def _layers(choice: Choice) -> None:
    """Confidence and entropy over a tile, beside the prediction."""
    st.subheader("Where is it unsure?", anchor=False)
    tiles = split_tiles(choice.workspace, choice.run.name, choice.collection.id).tiles
    tile = st.selectbox("Tile", tiles, format_func=lambda t: t.name, key="confidence_tile", width=170)
    run, switches = choice.run.name, choice.switches
    region_view(
        tile,
        [
            RegionPanel("Prediction", run, in_palette(prediction_url(run, switches, tile.id))),
            RegionPanel("Confidence", "yellow: sure", layer_url(run, switches, tile.id, "confidence")),
            RegionPanel("Entropy", "yellow: torn between classes", layer_url(run, switches, tile.id, "entropy")),
        ],
        height=340,
        key="confidence_layers",
    )
    _ramp()
    class_legend()


def _ramp() -> None:
    """The colour map with its ends and its middle in words."""
    picked = colours()[:: 256 // _STEPS]
    stops = ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in picked.tolist())
    st.html(
        '<div style="display:flex;align-items:center;gap:.6em;font-size:.85em">'
        "<span>0</span>"
        f'<span role="img" aria-label="{COLOUR_MAP}" style="width:220px;height:12px;border-radius:3px;'
        f'background:linear-gradient(90deg, {stops})"></span><span>1</span>'
        "<span>Confidence: the greatest class probability. Entropy: −Σ p log p, divided by log 6.</span></div>"
    )
