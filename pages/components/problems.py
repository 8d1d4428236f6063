"""The table of what was wrong with the files of a collection."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.tables import Problem

MAX_ROWS = 200
_EFFECTS = {"error": "left out", "warning": "used"}


def problem_table(found: Sequence[Problem]) -> None:
    """Show one row a problem: what became of the file, its tile, and the sentence, which is never cut off."""
    shown = found[:MAX_ROWS]
    table = pd.DataFrame(
        {
            "The file is": [_EFFECTS[problem.severity] for problem in shown],
            "Tile": [problem.tile_name or "none" for problem in shown],
            "What is wrong, and how to mend it": [plain(problem.sentence) for problem in shown],
        }
    )
    with st.container(height=320 if len(shown) > 6 else "content", border=False):
        st.table(table.set_index("The file is"))
    if len(found) > len(shown):
        st.caption(f"The first {len(shown)} of {len(found)}, errors first.")


def plain(sentence: str) -> str:
    """The sentence with its marks escaped, for where Markdown is read: file names may hold anything."""
    return "".join(f"\\{mark}" if mark in "\\`*_{}[]<>#|~$:" else mark for mark in sentence)
