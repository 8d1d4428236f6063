"""What Evaluate sent to the Label page: places of the open tile that a run got wrong."""

from dataclasses import asdict
from typing import Any

import streamlit as st

from core.evaluation.error_regions import area_words
from core.labels.mending import mended, mistake_of, places_to_mend
from core.labels.queue_rules import Rule
from core.labels.strokes import Box
from core.tables import PlaceToMend
from pages.components.label_desk import Desk
from pages.components.problems import plain

SHOWN = 4
_LOOK = "label_look"  # (id of the place that is looked at, how often one was chosen)


def label_begins_with_mistakes() -> None:
    """What the Label page needs to begin with what was just sent; the caller then goes there."""
    st.session_state["label_rule"] = Rule.MEND
    st.session_state.pop(_LOOK, None)


def places_to_look_at(desk: Desk) -> dict[str, Any] | None:
    """The strip of places below the bar, where there are any, and what the canvas needs to show them."""
    places = places_to_mend(desk.workspace, desk.tile.collection_id).get(desk.tile.id, [])
    if not places or desk.is_opinion:
        return None
    boxes = {place.id: asdict(Box(place.top, place.left, place.height, place.width)) for place in places}
    looked, turn = st.session_state.get(_LOOK, (None, 0))
    looked = looked if looked in boxes else places[0].id
    _strip(desk, places, looked)
    return {"boxes": list(boxes.values()), "look": boxes[looked], "turn": f"{turn}-{looked}"}


def _strip(desk: Desk, places: list[PlaceToMend], looked: int) -> None:
    here = next(place for place in places if place.id == looked)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="label_places"):
        words = f"**To mend:** {plain(mistake_of(here).words)} by run {plain(here.run)}"
        st.markdown(words, width="content")
        for number, place in enumerate(places[:SHOWN], start=1):
            st.button(
                f"{number}: {area_words(place.pixels, desk.tile)}",
                key=f"label_place_{place.id}",
                type="primary" if place.id == looked else "secondary",
                help=f"Go there: {mistake_of(place).words}, sent by {plain(place.annotator)}",
                on_click=_look_at,
                args=(place.id,),
            )
        if len(places) > SHOWN:
            st.caption(f"and {len(places) - SHOWN} smaller", width="content")
        st.button(
            "Mended",
            icon=":material/check:",
            key="label_mended",
            help="Take this place off the list",
            on_click=mended,
            args=(desk.workspace, [looked]),
        )
        st.button(
            "",
            icon=":material/playlist_remove:",
            key="label_mended_all",
            type="tertiary",
            help="Take all places of this tile off the list",
            on_click=mended,
            args=(desk.workspace, [place.id for place in places]),
        )


def _look_at(place_id: int) -> None:
    _, turn = st.session_state.get(_LOOK, (None, 0))
    st.session_state[_LOOK] = (place_id, turn + 1)
