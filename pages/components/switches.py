"""The switches on top of a network, each with a sentence of what it does and what it costs."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import streamlit as st

from core.classes import CLASS_NAMES
from core.errors import InputError
from core.inference.crf import CrfParameters
from core.inference.guided_filter import GUIDED_LIMITS, GuidedParameters
from core.inference.limits import Limit
from core.inference.switches import Switches
from core.inference.thresholds import LARGEST_OFFSET

TTA_WORDS = {
    "none": "none",
    "flips": "flips (4 ×)",
    "d4": "all eight (8 ×)",
    "scales": "scales (3 ×)",
    "all": "both (24 ×)",
}
REFINEMENT_WORDS = {"none": "none", "guided": "guided filter", "crf": "CRF"}
MIN_REGIONS = (0, 50, 200, 1000, 5000)

_VIEWS = {
    "flips": "Looks at the tile as it is, mirrored and upside down, and averages: 4 times as long.",
    "d4": "Looks at the tile turned and mirrored in all eight ways, and averages: 8 times as long.",
    "scales": "Looks at the tile at three sizes, and averages: 3 to 4 times as long.",
    "all": "Looks at the tile in all eight ways at three sizes, and averages: some 25 times as long.",
}
_REFINEMENTS = {
    "guided": "The guided filter moves borders to edges of the image: half a second a tile more.",
    "crf": "The CRF joins pixels that are near and alike in colour: one to two seconds a tile more.",
}


def explain(switches: Switches) -> str:
    """What the switches that are on do and cost, in plain sentences; times of a 2448 x 2448 tile on two cores."""
    sentences = [
        _VIEWS.get(switches.tta, ""),
        "Classes that are hardly on the tile are taken out." if switches.gate else "",
        _REFINEMENTS.get(switches.refinement, ""),
        "Classes are preferred or avoided by their offsets." if switches.offsets else "",
        "Small islands are filled from what surrounds them: a tenth of a second a tile more."
        if switches.min_region or switches.class_regions
        else "",
        "Unsure pixels stay unlabelled, and count as wrong in scores." if switches.abstain else "",
    ]
    told = " ".join(sentence for sentence in sentences if sentence)
    return told or "No switches: the plain answer of the network. Refining it later does not ask it again."


def choose_switches(*, key: str, with_parameters: bool = True) -> Switches:
    """Show the switches in a row; the choice belongs to ``key``.

    ``with_parameters`` offers those of the refinement and the regions by class too, where no preview does that better.
    """
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        tta = st.segmented_control(
            "Test-time augmentation",
            list(TTA_WORDS),
            format_func=TTA_WORDS.__getitem__,
            default="none",
            required=True,
            key=f"{key}_tta",
            help="The mean over other views of the tile: takes that many times as long.",
        )
        refinement = st.segmented_control(
            "Refinement",
            list(REFINEMENT_WORDS),
            format_func=REFINEMENT_WORDS.__getitem__,
            default="none",
            required=True,
            key=f"{key}_refinement",
            help="Fits the borders to the image: the guided filter in half a second, the CRF in one to two.",
        )
        smallest = st.selectbox(
            "Smallest region",
            MIN_REGIONS,
            format_func=lambda pixels: f"{pixels} px" if pixels else "any",
            key=f"{key}_min_region",
            width=130,
            help="Smaller regions are filled from their neighbours.",
        )
        with st.popover("More switches", icon=":material/tune:"):
            more = _more(key)
            more |= _parameters(str(refinement), key) if with_parameters else {}
    try:
        return Switches(str(tta), str(refinement), int(smallest), **more)
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        return Switches(str(tta), str(refinement), int(smallest))


def describe(switches: Switches) -> str:
    """The switches in words, without those that are off."""
    parts = [
        f"TTA {TTA_WORDS[switches.tta]}" if switches.tta != "none" else "",
        f"gate {switches.gate:.0%}" if switches.gate else "",
        _refinement_words(switches),
        "offsets" if switches.offsets else "",
        _region_words(switches),
        f"unlabelled below {switches.abstain:.0%}" if switches.abstain else "",
    ]
    return ", ".join(part for part in parts if part) or "no switches"


def _refinement_words(switches: Switches) -> str:
    if switches.refinement == "none":
        return ""
    chosen: Any = switches.crf if switches.refinement == "crf" else switches.guided
    own = asdict(type(chosen)())
    changed = [f"{name.replace('_', ' ')} {value:g}" for name, value in asdict(chosen).items() if value != own[name]]
    return REFINEMENT_WORDS[switches.refinement] + (f" ({', '.join(changed)})" if changed else "")


def _region_words(switches: Switches) -> str:
    if switches.class_regions:
        named = [f"{n} {v:g}" for n, v in zip(CLASS_NAMES, switches.class_regions, strict=True) if v]
        return f"regions from {', '.join(named)} m²" if named else ""
    return f"regions from {switches.min_region} px" if switches.min_region else ""


def _more(key: str) -> dict[str, Any]:
    """The switches that fewer people touch, as arguments of ``Switches``."""
    gate = st.slider(
        "Leave out classes that cover less than (%)",
        *(0.0, 10.0, 0.0, 0.5),
        key=f"{key}_gate",
        help="A class that is hardly anywhere on the tile is taken out there. Costs nothing to speak of.",
    )
    abstain = st.slider(
        "Leave pixels unlabelled below a probability of (%)",
        *(0, 95, 0, 5),
        key=f"{key}_abstain",
        help="Where no class is that sure, the tile stays black: somebody has to look. Counts as wrong in scores.",
    )
    values: dict[str, Any] = {"gate": gate / 100, "abstain": abstain / 100}
    if st.checkbox("Offsets: prefer or avoid classes", key=f"{key}_with_offsets"):
        values["offsets"] = _by_class(f"{key}_offset", -LARGEST_OFFSET, LARGEST_OFFSET, 0.1)
        st.caption("Added to a class's log probability: 0.7 counts it double, -0.7 half.")
    return values


def _parameters(refinement: str, key: str) -> dict[str, Any]:
    """The refinement's own numbers and the regions by class, as arguments of ``Switches``."""
    values: dict[str, Any] = {}
    if refinement == "guided":
        values["guided"] = GuidedParameters(**_sliders(asdict(GuidedParameters()), GUIDED_LIMITS, f"{key}_guided"))
    if refinement == "crf":
        values["crf"] = _crf(key)
    if st.checkbox("Smallest region by class, in square metres", key=f"{key}_by_class"):
        values["class_regions"] = _by_class(f"{key}_region", 0.0, 100_000.0, 50.0)
    return values


def _crf(key: str) -> CrfParameters:
    """Widths in metres and grey levels, and weights."""
    limits = {
        "bilateral_metres": Limit(2, 200, 1, "m", "how far pixels of like colour speak to each other"),
        "bilateral_grey_levels": Limit(1, 64, 0.5, "grey levels", "how unlike colours may be and still count as like"),
        "bilateral_weight": Limit(0, 20, 0.5, "", "how much like colours count"),
        "smooth_metres": Limit(0.5, 50, 0.5, "m", "how far neighbours of any colour speak to each other"),
        "smooth_weight": Limit(0, 20, 0.5, "", "how much neighbours count"),
    }
    own = asdict(CrfParameters())
    return CrfParameters(**_sliders({name: own[name] for name in limits}, limits, f"{key}_crf"))


def _sliders(own: Mapping[str, float], limits: Mapping[str, Limit], key: str) -> dict[str, float]:
    return {
        name: st.slider(
            name.replace("_", " ").capitalize() + (f" ({limit.unit})" if limit.unit else ""),
            float(limit.low),
            float(limit.high),
            float(own[name]),
            float(limit.step),
            key=f"{key}_{name}",
            help=limit.meaning.capitalize() + ".",
        )
        for name, limit in limits.items()
        if name in own
    }


def _by_class(key: str, low: float, high: float, step: float) -> tuple[float, ...]:
    columns = st.columns(3)
    return tuple(
        columns[number % 3].number_input(name, low, high, 0.0, step, key=f"{key}_{name}")
        for number, name in enumerate(CLASS_NAMES)
    )
