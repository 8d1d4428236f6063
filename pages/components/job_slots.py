"""How many jobs run at once on each device, to be read and set."""

import streamlit as st

from core.jobs.slots import MOST_SLOTS, SLOTS_VARIABLE, set_slots, slots
from core.workspace import Workspace


def slots_button(workspace: Workspace, devices: list[str]) -> None:
    """A small button that opens the slots of these devices; they take effect at once."""
    counts = {device: slots(workspace, device) for device in devices}
    label = ", ".join(f"{slot.count} at once on {device}" for device, slot in counts.items())
    with st.popover(label, type="tertiary", help="How many jobs run at once on a device"):
        for device, slot in counts.items():
            fixed = slot.source == "environment"
            st.number_input(
                f"Jobs at once on {device}",
                min_value=1,
                max_value=MOST_SLOTS,
                value=slot.count,
                disabled=fixed,
                help=f"Set by {SLOTS_VARIABLE} in the server's environment." if fixed else None,
                key=f"slots-{device}",
                on_change=_set,
                args=(workspace, device),
            )
        st.caption("More at once share the processor and its memory, so that each is slower.")


def _set(workspace: Workspace, device: str) -> None:
    set_slots(workspace, device, int(st.session_state[f"slots-{device}"]))
