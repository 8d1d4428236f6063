"""Several people at one server: who labels what now, second opinions on this tile, and how far they agree."""

from html import escape
from urllib.parse import quote

import streamlit as st

from core.catalog.catalogue import tiles
from core.classes import CLASS_NAMES
from core.errors import InputError
from core.labels import agreement, changes, journal, tile_locks, work_status
from core.labels.annotators import DEFAULT_ANNOTATOR
from core.labels.requests import RefusedError
from core.labels.tile_locks import Holder
from core.tables import now
from pages.components.label_desk import PEOPLE_OPEN, Desk, go

_WITH, _TOLD = "label_with", "label_people_told"


def people_panel(desk: Desk) -> None:
    """The button that opens the panel. What is in it is worked out only while it is open."""
    panel = st.popover(
        "", icon=":material/group:", help="People and second opinions", key=PEOPLE_OPEN, on_change="rerun"
    )
    if not panel.open:
        return
    held = tile_locks.holders(desk.workspace, desk.tile.collection_id)
    with panel, st.container(width=440):
        _who(desk, {tile_id: holder for tile_id, holder in held.items() if holder.annotator != desk.annotator})
        _opinions(desk)


def _who(desk: Desk, others: dict[int, Holder]) -> None:
    if desk.annotator == DEFAULT_ANNOTATOR:
        st.caption("You have no name yet; give one on the canvas, then others see who you are.")
    else:
        st.html(f"You are <b>{escape(desk.annotator)}</b>.")
    names = {tile.id: tile.name for tile in tiles(desk.workspace, desk.tile.collection_id)}
    if not others:
        st.caption("Nobody else labels in this collection just now.")
    for tile_id, holder in others.items():
        minutes = round((now() - holder.since).total_seconds() / 60)
        st.html(f"<b>{escape(holder.annotator)}</b> has tile {escape(names[tile_id])} open, for {minutes} min")


def _opinions(desk: Desk) -> None:
    """One's own second opinion, and how far the others' agree with the labels."""
    st.markdown("**Second opinion**")
    if desk.is_opinion:
        st.caption("You are painting this tile blind to its labels. What others think is shown when you go back.")
        st.button(
            "Back to the tile's labels",
            icon=":material/visibility:",
            key="label_opinion_off",
            on_click=go,
            args=(desk.tile.id,),
            width="stretch",
        )
        return
    st.button(
        "Paint this tile blind",
        icon=":material/visibility_off:",
        key="label_opinion_on",
        on_click=go,
        args=(desk.tile.id,),
        kwargs={"opinion": True},
        width="stretch",
        help="The same tile on an empty sheet of your own; its labels stay as they are.",
    )
    names = agreement.opinions(desk.workspace, desk.tile.id)
    if not names:
        st.caption("Nobody has given a second opinion on this tile yet.")
        return
    name = st.selectbox("Compare the labels with the opinion of", names, key=_WITH)
    _agreement(desk, name)
    _compare(desk, name)
    if told := st.session_state.pop(_TOLD, None):
        st.info(told)


def _agreement(desk: Desk, name: str) -> None:
    """Cohen's kappa, overall and per class, as a small table."""
    found = agreement.agree(*agreement.both(desk.workspace, desk.tile.id, name))
    if found.agreement is None:
        st.caption("No pixel is labelled by both, so nothing can be compared yet.")
        return
    st.markdown(f"Cohen's kappa **{_score(found.kappa)}**; the same class on {found.agreement:.1%} of the pixels")
    by_labels, by_opinion = found.confusion.sum(axis=1), found.confusion.sum(axis=0)
    rows = "".join(
        f"<tr><td>{escape(class_name)}</td><td>{_score(found.kappa_by_class[class_name])}</td>"
        f"<td>{by_labels[index] / found.both_labelled_pixels:.1%}</td>"
        f"<td>{by_opinion[index] / found.both_labelled_pixels:.1%}</td></tr>"
        for index, class_name in enumerate(CLASS_NAMES)
    )
    st.html(
        "<style>.tw-kappa{font-size:.88em;line-height:1.35}"
        ".tw-kappa td,.tw-kappa th{padding:.1em .9em .1em 0;text-align:right;"
        "font-variant-numeric:tabular-nums}"
        ".tw-kappa td:first-child,.tw-kappa th:first-child{text-align:left}.tw-kappa th{font-weight:600}</style>"
        '<table class="tw-kappa"><tr><th>class</th><th>kappa</th><th>labels</th>'
        f"<th>{escape(name)}</th></tr>{rows}</table>"
    )
    st.caption(
        f"Over the {found.both_labelled_pixels:,} pixels that both labelled. Kappa: agreement beyond chance, 1 is full "
        "and 0 is chance (Cohen 1960); a class's own is it against all others; a dash where neither used it."
    )


def _score(kappa: float | None) -> str:
    return "–" if kappa is None else f"{kappa:.2f}"


def _compare(desk: Desk, name: str) -> None:
    """Where the two agree and differ, over a small picture of the tile; and the button that takes the opinion in."""
    tile = desk.tile
    below = f"/tiles/{tile.id}/thumbnail.jpg?size=512&v={tile.fingerprint}"
    drawn = work_status.sequence(desk.workspace, tile.id), work_status.sequence(desk.workspace, tile.id, name)
    above = f"/labels/{tile.id}/agreement.png?with={quote(name)}&v={drawn[0]}-{drawn[1]}"
    whole = "position:absolute;inset:0;width:100%;height:100%"
    st.html(
        f'<div style="position:relative;width:100%;aspect-ratio:{tile.width}/{tile.height}">'
        f'<img src="{below}" alt="Tile {escape(tile.name)}" style="{whole};filter:grayscale(.7)">'
        f'<img src="{above}" alt="Where the two agree" style="{whole}"></div>'
    )
    st.caption("Magenta: different classes. Pale: the same class. Dark: only one of the two has a label.")
    st.button(
        "Take it into the labels",
        icon=":material/move_down:",
        key="label_take_in",
        width="stretch",
        on_click=_take_in,
        args=(desk, name),
        help="The opinion's class wherever it has one, as one stroke that can be undone.",
    )


def _take_in(desk: Desk, name: str) -> None:
    """Copy the opinion over the labels, unless somebody else is painting on them."""
    try:
        tile_locks.check_person(desk.workspace, desk.tile.id, "", desk.annotator)
        opinion = journal.load(desk.workspace, desk.tile.id, opinion=name)
        journal.rework(
            desk.workspace,
            desk.tile.id,
            lambda labels: agreement.taken_in(labels, opinion),
            tool="opinion",
            annotator=desk.annotator,
            source=f"the second opinion of {name}",
        )
    except (InputError, RefusedError) as error:
        st.session_state[_TOLD] = str(error)
        return
    changes.announce(desk.workspace, desk.tile.id)
    st.session_state[_TOLD] = f"The opinion of {name} is in the labels now; undo on the canvas takes it back."
