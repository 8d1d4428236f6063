"""Regions left out whole, beside random groups of the same sizes: does the recipe hold where it never was?"""

from typing import Any

import streamlit as st

from core.catalog.catalogue import tiles
from core.errors import InputError
from core.evaluation.hold_out import DEFAULT_CLUSTERS, KIND
from core.evaluation.kept_studies import hold_out_arguments, kept_hold_out
from pages.components.evaluate_choice import Choice
from pages.components.measuring_job import Measurement, measure_button
from pages.components.problems import plain
from pages.components.study_charts import hold_out_figure

_WORDS = {
    "worse": "Regions that were never seen score lower than a random split says, by {:.3f} in mean IoU.",
    "better": "Regions that were never seen score higher than a random split says, by {:.3f} in mean IoU.",
    "cannot tell": "Cannot tell whether regions that were never seen score lower than a random split says.",
}


def hold_out_card(choice: Choice, *, config: dict[str, Any]) -> None:
    """The kept result of the chosen run's recipe on the collection, and the button that measures it."""
    workspace, run, collection = choice.workspace, choice.run.name, choice.collection
    st.subheader("Regions left out, beside a random split", anchor=False)
    result = kept_hold_out(workspace, run, collection.id)
    if result is not None:
        _show(result, collection.name, config)
    masked = sum(row.mask_path is not None for row in tiles(workspace, collection.id))
    if masked < 3:
        st.info("This needs at least three tiles with a mask.", icon=":material/info:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        clusters = st.number_input(
            "Regions",
            2,
            min(12, masked - 1),
            min(DEFAULT_CLUSTERS, masked - 1),
            key="hold_out_clusters",
            width=140,
            help="Tiles that look alike make a region. Known ones are given on the command line: hold-out --regions.",
        )
    try:
        arguments = hold_out_arguments(workspace, run, collection, clusters=int(clusters))
    except InputError as error:
        st.caption(plain(str(error)))
        return
    st.caption(
        f"Fits the recipe of {plain(run)} anew, {int(clusters)} times with a region left out and three times as often "
        f"with random groups, on the {masked} tiles with a mask."
    )
    measure_button(
        workspace,
        Measurement(KIND, f"Regions left out, recipe of {run} on {collection.name}", arguments),
        label="Measure again" if result else "Measure",
        key="hold_out_start",
        primary=False,
    )


def _show(result: dict[str, Any], collection: str, config: dict[str, Any]) -> None:
    difference = result["difference"]
    if difference is not None:
        low, high = difference["interval"]
        sentence = _WORDS[difference["verdict"]].format(abs(difference["value"]))
        st.markdown(
            f"**{sentence}** Regional minus random: {difference['value']:+.3f}, 95 % interval {low:+.3f} to "
            f"{high:+.3f}."
        )
    if result["note"]:
        st.warning(result["note"], icon=":material/warning:")
    st.plotly_chart(hold_out_figure(result), key="hold_out_chart", config=config)
    st.caption(
        f"Measured on {result['tiles']} tiles of {plain(collection)}, {plain(result['regions'])}, {result['draws']} "
        f"draws of random groups; recipe {plain(result['recipe'])}, labels: {plain(result['labels'])}; "
        f"{result['day']} UTC. The interval is paired over tiles and draws; bars of single regions have none and "
        "are no verdict."
    )
