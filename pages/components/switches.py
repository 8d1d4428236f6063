"""The switches on top of a network, each with a sentence of what it does and what it cost here so far."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import streamlit as st

from core.classes import CLASS_NAMES
from core.errors import InputError
from core.inference.crf import CrfParameters
from core.inference.guided_filter import GUIDED_LIMITS, GuidedParameters
from core.inference.limits import Limit
from core.inference.measured_costs import Cost, measured_costs
from core.inference.switches import Switches
from pages.components.offset_choice import Subject, choose_offsets, numbers_by_class

TTA_WORDS = {
    "none": "none",
    "flips": "flips (4)",
    "d4": "all eight",
    "scales": "scales (3)",
    "all": "both (24)",
}
REFINEMENT_WORDS = {"none": "none", "guided": "guided filter", "crf": "CRF"}
MIN_REGIONS = (0, 50, 200, 1000, 5000)

_VIEWS = {
    "none": "",
    "flips": "Looks at the tile as it is, mirrored, upside down and both, and averages.",
    "d4": "Looks at the tile turned and mirrored in all eight ways, and averages.",
    "scales": "Looks at the tile at three sizes, and averages.",
    "all": "Looks at the tile in all eight ways at three sizes, and averages.",
}
_REFINEMENTS = {
    "guided": "The guided filter moves borders to edges of the image.",
    "crf": "The CRF joins pixels that are near and alike in colour.",
}


def explain(switches: Switches, subject: Subject) -> str:
    """What the switches that are on do, in plain sentences, and what they took a tile on this machine."""
    costs = measured_costs(subject.workspace, subject.run, subject.collection.id)
    sentences = [
        _VIEWS[switches.tta],
        f"The network {_took(costs.networks.get(switches.tta))}.",
        "Classes that are hardly on the tile are taken out." if switches.gate else "",
    ]
    if switches.refinement != "none":
        sentences.append(f"{_REFINEMENTS[switches.refinement]} It {_took(costs.refinements.get(switches.refinement))}.")
    if switches.offsets:
        sentences.append("Classes are preferred or avoided by their offsets.")
    if switches.min_region or switches.class_regions:
        sentences.append(f"Small islands are filled from what surrounds them, which {_took(costs.regions)}.")
    if switches.abstain:
        sentences.append("Unsure pixels stay unlabelled, and count as wrong in scores.")
    return " ".join(sentence for sentence in sentences if sentence)


def _took(cost: Cost | None) -> str:
    """What was measured on this machine, or that nothing was."""
    if cost is None:
        return "was not timed here yet"
    tiles = "on one tile" if cost.tiles == 1 else f"a tile, the median of {cost.tiles}"
    return f"took {cost.seconds:.{1 if cost.seconds >= 1 else 2}f} s here ({tiles})"


def choose_switches(subject: Subject, *, key: str, with_parameters: bool = True) -> Switches:
    """Show the switches in a row; the choice belongs to ``key``.

    ``with_parameters`` offers those of the refinement and the regions by class too, where no preview does that better.
    """
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        tta = st.segmented_control(
            "Test-time augmentation",
            list(TTA_WORDS),
            format_func=TTA_WORDS.__getitem__,
            default="none",
            required=True,
            key=f"{key}_tta",
            help="The mean over as many views of the tile; the network is asked for each of them. It suits runs that "
            "were trained on turned and mirrored tiles. The default head was not: on real tiles flips cost it 2 points "
            "of mean IoU and all eight 4.5.",
        )
        refinement = st.segmented_control(
            "Refinement",
            list(REFINEMENT_WORDS),
            format_func=REFINEMENT_WORDS.__getitem__,
            default="none",
            required=True,
            key=f"{key}_refinement",
            help="Fits the borders to the image.",
        )
        smallest = st.selectbox(
            "Smallest region",
            MIN_REGIONS,
            format_func=lambda pixels: f"{pixels} px" if pixels else "any",
            key=f"{key}_min_region",
            width=130,
            help="Smaller regions are filled from their neighbours.",
        )
        chosen = Switches(str(tta), str(refinement), int(smallest))
        with st.popover("More switches", icon=":material/tune:"):
            try:
                chosen = replace(chosen, **_more(key))
                chosen = replace(chosen, **_parameters(str(refinement), key)) if with_parameters else chosen
                chosen = replace(chosen, offsets=choose_offsets(subject, chosen, key=f"{key}_offset"))
            except InputError as error:
                st.error(str(error), icon=":material/error:")
    return chosen


def describe(switches: Switches) -> str:
    """The switches in words, without those that are off."""
    parts = [
        f"TTA {TTA_WORDS[switches.tta]}" if switches.tta != "none" else "",
        f"gate {switches.gate:.0%}" if switches.gate else "",
        _refinement_words(switches),
        _offset_words(switches),
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


def _offset_words(switches: Switches) -> str:
    named = [f"{name} {value:+g}" for name, value in zip(CLASS_NAMES, switches.offsets, strict=False) if value]
    return f"offsets {', '.join(named)}" if named else ""


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
    return {"gate": gate / 100, "abstain": abstain / 100}


def _parameters(refinement: str, key: str) -> dict[str, Any]:
    """The refinement's own numbers and the regions by class, as arguments of ``Switches``."""
    values: dict[str, Any] = {}
    if refinement == "guided":
        values["guided"] = GuidedParameters(**_sliders(asdict(GuidedParameters()), GUIDED_LIMITS, f"{key}_guided"))
    if refinement == "crf":
        values["crf"] = _crf(key)
    if st.checkbox("Smallest region by class, in square metres", key=f"{key}_by_class"):
        values["class_regions"] = numbers_by_class(f"{key}_region", 0.0, 100_000.0, 50.0)
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
