"""What a run was measured to be worth when it was made: on its validation tiles, and by its folds."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core.classes import CLASS_NAMES
from core.training.model_card import cross_validation
from core.training.runs import RunCard
from pages.components.problems import plain


def run_scores(card: RunCard) -> None:
    """Each score with its interval, what it was measured on, and its classes; the members of folds one by one."""
    crossed = cross_validation(card)
    if crossed:
        st.markdown(f"**Cross-validation: {_miou(crossed)}**, measured on {crossed['tiles']} left-out tiles")
        st.caption(
            "Every tile was judged by a member that never saw it. It tells how good the recipe is; the model itself is "
            "the members' average."
        )
        _score(crossed, key="run_crossed")
        _members(card.measured.get("fold_members", []))
    if card.validation and card.validation.get("miou") is not None:
        names = ", ".join(card.validation.get("tiles", []))
        st.markdown(f"**Validation: {_miou(card.validation)}**, measured on {plain(names)}")
        st.caption("These tiles were watched while it trained, which flatters it a little.")
        _score(card.validation, key="run_validation")
    elif not crossed:
        st.info(
            "It was trained without validation tiles and without folds, so nothing was measured. 'Evaluate a run' "
            "above scores it on tiles that it never saw.",
            icon=":material/info:",
        )


def _miou(scores: Mapping[str, Any]) -> str:
    ends = (scores.get("interval") or {}).get("miou")
    return f"mIoU {scores['miou']:.3f}" + (f", 95 % interval {ends[0]:.3f} to {ends[1]:.3f}" if ends else "")


def _score(scores: Mapping[str, Any], *, key: str) -> None:
    if scores.get("note"):
        st.warning(plain(scores["note"]), icon=":material/warning:")
    ends = (scores.get("interval") or {}).get("iou", {})
    rows = [
        {
            "class": name,
            "IoU": scores["iou"][name],
            "95 % interval": f"{ends[name][0]:.2f} to {ends[name][1]:.2f}" if name in ends else None,
            "precision": scores["precision"][name],
            "recall": scores["recall"][name],
        }
        for name in CLASS_NAMES
        if name in scores["iou"]
    ]
    figures = {name: st.column_config.NumberColumn(format="%.3f") for name in ("IoU", "precision", "recall")}
    table = pd.DataFrame(rows).dropna(axis="columns", how="all")
    st.dataframe(table, hide_index=True, column_config=figures, key=key)


def _members(members: list[Mapping[str, Any]]) -> None:
    rows = [
        {
            "member": number,
            "left out": ", ".join(member["left_out"]),
            "mIoU on them": member["miou"],
            "training, s": member["seconds"],
        }
        for number, member in enumerate(members, start=1)
    ]
    if rows:
        figures = {"mIoU on them": st.column_config.NumberColumn(format="%.3f")}
        st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=figures, key="run_members")
