"""The table of what was wrong with the files of a collection."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from core.catalog.discover import Finding
from core.database import Problem

_EFFECTS = {"error": "left out", "warning": "used"}


def problem_table(found: Sequence[Problem | Finding]) -> None:
    """Show one row a problem: what became of the file, its tile, its name, and the sentence."""
    table = pd.DataFrame(
        {
            "File is": [_EFFECTS[problem.severity] for problem in found],
            "Tile": [problem.tile_name or "" for problem in found],
            "File": [Path(problem.path).name for problem in found],
            "What is wrong and how to mend it": [problem.sentence for problem in found],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        row_height=None,
        column_config={"What is wrong and how to mend it": st.column_config.TextColumn(width="large")},
    )
