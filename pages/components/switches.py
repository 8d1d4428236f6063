"""The switches on top of a network: test-time augmentation, refinement, small regions."""

import streamlit as st

from core.inference.switches import Switches

TTA_WORDS = {"none": "none", "flips": "flips (4 ×)", "d4": "all eight (8 ×)"}
REFINEMENT_WORDS = {"none": "none", "guided": "guided filter", "crf": "CRF"}
MIN_REGIONS = (0, 50, 200, 1000, 5000)


def choose_switches(*, key: str) -> Switches:
    """Show the switches in a row; the choice belongs to ``key``."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="top"):
        tta = st.segmented_control(
            "Test-time augmentation",
            list(TTA_WORDS),
            format_func=TTA_WORDS.__getitem__,
            default="none",
            required=True,
            key=f"{key}_tta",
            help="The mean over flips and rotations of the tile: takes that many times as long.",
        )
        refinement = st.segmented_control(
            "Refinement",
            list(REFINEMENT_WORDS),
            format_func=REFINEMENT_WORDS.__getitem__,
            default="none",
            required=True,
            key=f"{key}_refinement",
            help="Fits the borders to the image: the guided filter in half a second, the CRF in two.",
        )
        smallest = st.selectbox(
            "Smallest region",
            MIN_REGIONS,
            format_func=lambda pixels: f"{pixels} px" if pixels else "any",
            key=f"{key}_min_region",
            width=130,
            help="Smaller regions are filled from their neighbours.",
        )
    return Switches(str(tta), str(refinement), int(smallest))


def describe(switches: Switches) -> str:
    """The switches in words, without those that are off."""
    parts = [
        f"TTA {TTA_WORDS[switches.tta]}" if switches.tta != "none" else "",
        REFINEMENT_WORDS[switches.refinement] if switches.refinement != "none" else "",
        f"regions from {switches.min_region} px" if switches.min_region else "",
    ]
    return ", ".join(part for part in parts if part) or "no switches"
