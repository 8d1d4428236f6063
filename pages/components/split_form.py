"""The form of a new split: a method, what it needs, what would come of it, and the button that keeps it."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from core.catalog.alike.related import related_pairs
from core.catalog.splitting import groups as split_groups
from core.catalog.splitting import making as split_making
from core.catalog.splitting import plans as split_plans
from core.catalog.splitting.balance import balance
from core.catalog.splitting.leaks import find_leaks, leaks_in_words
from core.catalog.splitting.lists import parse_lists
from core.catalog.splitting.making import METHODS, Groups, SplitRequest, make_split
from core.catalog.splitting.plans import AS_IT_CAME, NewSplit
from core.errors import InputError
from core.tables import SplitPlan
from pages.components.browsing import Browsing
from pages.components.problems import plain
from pages.components.split_actions import act

_BY_FILE, _BY_PLACE, _BY_LIKENESS = "regions of a CSV file", "where they lie", "what looks alike"
_HELP = {
    split_making.STRATIFIED: "Iterative stratification: every side gets its share of each class, the rare ones too.",
    split_making.RANDOM: "Dealt at random, tiles with and without a mask apart.",
    split_making.GROUPED: "Regions or likenesses go to a side as a whole, so that a run is judged where it never was.",
    split_making.HOLD_OUT: "One region is kept out of training: does a run hold where it never was?",
    split_making.GLNET: "The published split of DeepGlobe's 803 labelled tiles, which most papers score on.",
    split_plans.BY_HAND: "Starts as another split; then tiles are moved, with Move tiles or in the gallery.",
    split_making.LISTS: "Lists that somebody made: train.txt, val.txt, test.txt, or a CSV with tile, split and fold.",
}


def new_split_form(browsing: Browsing, known: list[SplitPlan]) -> None:
    """The form, in a box that is closed at first; nothing is computed before it is opened."""
    box = st.expander("New split", icon=":material/add:", key="split_new", on_change="rerun")
    if not box.open:
        return
    with box:
        method = str(
            st.segmented_control(
                "How",
                list(METHODS),
                default=split_making.STRATIFIED,
                required=True,
                format_func=METHODS.__getitem__,
                key="split_method",
            )
        )
        st.caption(_HELP[method])
        try:
            request = _request(browsing, known, method)
            if request is not None:
                _outcome(browsing, request)
        except InputError as error:
            st.warning(plain(str(error)), icon=":material/warning:")


def _request(browsing: Browsing, known: list[SplitPlan], method: str) -> SplitRequest | None:
    """What the widgets of a method ask for; None while something is still to be given."""
    if method == split_making.GLNET:
        return SplitRequest(method)
    if method == split_plans.BY_HAND:
        return _by_hand(browsing, known)
    if method == split_making.LISTS:
        return _from_lists()
    if method == split_making.HOLD_OUT:
        return _hold_out(browsing)
    shares, seed, folds = _dealing(method)
    groups = None
    if method == split_making.GROUPED:
        groups = _groups(browsing, seed)
        if groups is None:
            return None
    together = None
    if st.checkbox(
        "Keep related tiles together",
        value=True,
        key="split_together",
        help="Equal files, near duplicates and neighbours stay on one side, so that nothing leaks.",
    ):
        related = related_pairs(browsing.workspace, browsing.collection.id)
        together = [(pair.first, pair.second) for pair in related.pairs]
        if related.missing:
            st.caption(
                f":orange[:material/visibility_off: {related.missing:,} tiles were not looked at yet: of them only "
                "equal files are known.] Look at the tiles first, on the right below."
            )
    return SplitRequest(method, shares=shares, seed=seed, folds=folds, groups=groups, together=together)


def _dealing(method: str) -> tuple[tuple[float, float, float], int, int | None]:
    """Shares, seed and folds."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        form = st.segmented_control(
            "Into", ["train, val, test", "folds"], default="train, val, test", required=True, key=f"split_into_{method}"
        )
        if form == "folds":
            folds = int(st.number_input("Folds", 2, split_plans.MOST_FOLDS, 5, key="split_folds", width=110))
            test = int(st.number_input("test, %", 0, 90, 0, key="split_test_aside", width=110))
            seed = int(st.number_input("Seed", 0, 2**31 - 1, 0, key="split_seed", width=110))
            return ((100 - test) / 100, 0.0, test / 100), seed, folds
        val = int(st.number_input("val, %", 0, 90, 15, key="split_val", width=110))
        test = int(st.number_input("test, %", 0, 90, 15, key="split_test", width=110))
        seed = int(st.number_input("Seed", 0, 2**31 - 1, 0, key="split_seed", width=110))
        train = 100 - val - test
        st.caption(f"train: {max(0, train)} %")
    if train <= 0:
        raise InputError("Nothing is left to train on; lower the shares of val and test.")
    return (train / 100, val / 100, test / 100), seed, None


def _groups(browsing: Browsing, seed: int) -> Groups | None:
    """The groups that were chosen; None while a file is still to be given."""
    table = browsing.table
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        kinds = [_BY_LIKENESS, _BY_FILE]
        if any(row.transform for row in table.rows):
            kinds.insert(1, _BY_PLACE)
        kind = st.segmented_control("Groups by", kinds, default=kinds[0], required=True, key="split_groups_by")
        if kind != _BY_FILE:
            most = max(2, min(50, len(table.rows)))
            count = int(st.number_input("Groups", 2, most, min(8, most), key="split_groups_count", width=110))
    if kind == _BY_FILE:
        file = st.file_uploader("A CSV file with the columns tile and region", type="csv", key="split_regions")
        return None if file is None else split_groups.groups_of_file(table, file.getvalue(), file.name)
    if kind == _BY_PLACE:
        return split_groups.groups_of_places(table, count, seed=seed)
    return split_groups.groups_of_likeness(browsing.workspace, table, count, seed=seed)


def _hold_out(browsing: Browsing) -> SplitRequest | None:
    groups = _groups(browsing, seed=0)
    if groups is None:
        return None
    sizes: dict[str, int] = {}
    for group in groups.of_tile.values():
        sizes[group] = sizes.get(group, 0) + 1
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        held = st.selectbox(
            "Held out",
            sorted(sizes),
            format_func=lambda name: f"{name} ({sizes[name]} tiles)",
            key="split_held",
            width=240,
        )
        side = st.segmented_control("as", ["val", "test"], default="val", required=True, key="split_held_side")
    return SplitRequest(split_making.HOLD_OUT, groups=groups, held_out=str(held), held_side=str(side))


def _by_hand(browsing: Browsing, known: list[SplitPlan]) -> SplitRequest:
    names = {AS_IT_CAME: None, **{one.name: one.id for one in known}}
    name = str(st.selectbox("Start from", list(names), key="split_base", width=260))
    places = split_plans.places(browsing.workspace, browsing.collection.id, names[name])
    return SplitRequest(split_plans.BY_HAND, base=places, source=name)


def _from_lists() -> SplitRequest | None:
    files = st.file_uploader(
        "train.txt, val.txt and test.txt, a CSV with tile and split, or a zip of them",
        type=["txt", "csv", "zip"],
        accept_multiple_files=True,
        key="split_lists",
    )
    if not files:
        return None
    places = parse_lists((file.name, file.getvalue()) for file in files)
    return SplitRequest(split_making.LISTS, base=places, source=", ".join(file.name for file in files)[:120])


def _outcome(browsing: Browsing, request: SplitRequest) -> None:
    """What would come of it, and the button that keeps it."""
    workspace, table = browsing.workspace, browsing.table
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        suggested = split_plans.free_name(workspace, browsing.collection.id, _suggestion(request))
        name = st.text_input(
            "Name", value=suggested, key=f"split_name_{suggested}", max_chars=split_plans.MOST_LETTERS, width=260
        )
        used = st.checkbox("use it at once", value=True, key="split_use_at_once")
    new = make_split(table, request, name)
    st.markdown(_foretold(browsing, new))
    st.button(
        "Keep this split",
        type="primary",
        icon=":material/save:",
        key="split_keep",
        on_click=_keeping(browsing, new, used=used),
    )


def _keeping(browsing: Browsing, new: NewSplit, *, used: bool) -> Callable[[], None]:
    def keep() -> None:
        made = partial(split_plans.keep, browsing.workspace, browsing.collection.id, new, followed=used)
        act(made, "The split '{name}' is kept" + (" and in use." if used else "."))

    return keep


def _suggestion(request: SplitRequest) -> str:
    kind = {split_making.GLNET: "GLNet", split_making.LISTS: "imported"}.get(request.method, request.method)
    if request.method == split_making.HOLD_OUT:
        kind = f"without {request.held_out}"
    return f"{kind}, {request.folds} folds" if request.folds else kind


def _foretold(browsing: Browsing, new: NewSplit) -> str:
    """Tiles by side, balance and leaks of a split that is not kept yet, in a sentence or two."""
    table = browsing.table
    found = balance(table, new.members)
    sides = ", ".join(f"**{side.tiles:,}** {side.name}" for side in found.sides)
    out = f", {found.left_out:,} in no side" if found.left_out else ""
    parts = [f"{sides}{out}."]
    if found.deviation is not None and found.random is not None:
        parts.append(
            f"Class shares {100 * found.deviation:.1f} points from those of all in the mean, of random splits "
            f"{100 * found.random[0]:.1f}."
        )
    by_id = {row.id: new.members[row.name] for row in table.rows if row.name in new.members}
    leaks = find_leaks(related_pairs(browsing.workspace, browsing.collection.id), by_id)
    parts.append(f":red[Leaks: {leaks_in_words([leak.pair for leak in leaks])}.]" if leaks else "No leak is known.")
    return " ".join(parts)
