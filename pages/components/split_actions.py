"""What a press on Splits does: change something, say how it went, and show the split that was made or changed."""

from collections.abc import Callable

import streamlit as st

from core.catalog.splitting.plans import AS_IT_CAME
from core.errors import InputError
from core.tables import SplitPlan
from pages.components.problems import plain

_SAID = "split_said"


def shown_key(collection_id: int) -> str:
    """Where the session keeps the name of the split of a collection that is shown."""
    return f"split_shown_{collection_id}"


def act(do: Callable[[], SplitPlan | None], said: str) -> None:
    """Run a change as a button's callback; ``said`` may name the split as {name}.

    The split that it returns is shown from then on. What it refuses is told in the view.
    """
    try:
        row = do()
    except InputError as error:
        st.session_state[_SAID] = (False, str(error))
        return
    if row is not None:
        st.session_state[shown_key(row.collection_id)] = row.name
    st.session_state[_SAID] = (True, said.replace("{name}", row.name if row else AS_IT_CAME))


def say_how_it_went() -> None:
    """What the last press did, once."""
    went, sentence = st.session_state.pop(_SAID, (True, ""))
    if not sentence:
        return
    if went:
        st.toast(plain(sentence), icon=":material/check_circle:")
    else:
        st.error(plain(sentence), icon=":material/error:")
