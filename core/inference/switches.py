"""The switches of a prediction: all that is done on top of the networks, in one value with one key.

Two predictions of a tile by the same runs are the same exactly when their switches have the same ``key`` and were made
by the same ``versions``. Whoever adds a switch adds a field here, a line to ``_VERSIONS``, an option to
``core.switch_options`` and words to ``pages/components/switches.py``; everything else (the store, the jobs, the
addresses, the pages) goes by the key.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from core.classes import CLASS_COUNT, CLASS_NAMES
from core.errors import InputError
from core.inference.crf import CrfParameters
from core.inference.guided_filter import GuidedParameters
from core.inference.refine import REFINEMENTS
from core.inference.regions import smallest_in_pixels
from core.inference.thresholds import LARGEST_OFFSET
from core.inference.tta import TTA_NAMES

PLAIN_KEY = "plain"
"""The key of no switches at all."""

_KEY_DIGITS = 12

_VERSIONS = {
    "tta": 1,
    "guided": 1,
    "crf": 2,
    "offsets": 1,
    "gate": 1,
    "min_region": 1,
    "class_regions": 1,
    "abstain": 1,
}
"""Raised by whoever changes what a switch gives, so that predictions that were kept before are known as stale."""


@dataclass(frozen=True, slots=True)
class Switches:
    """What is done on top of the networks, in the order in which it is done.

    ``tta``: the views of a tile that are averaged, by name (``core.inference.tta``). ``gate``: classes that are less
    present on the tile than this, 0 to 1, are taken out there (``presence``); 0 for no gate. ``refinement``: 'none',
    'guided' or 'crf', with the parameters ``guided`` or ``crf``. ``offsets``: six, added to the classes' log
    probabilities (``thresholds``); empty for none. ``min_region``: regions of fewer pixels are filled from what
    surrounds them (``regions``); ``class_regions``: six areas in square metres in its place, one a class, empty for
    none. ``abstain``: pixels whose greatest probability is below it, 0 to 1, become unlabelled (255); 0 for none.

    Raises ``InputError`` for values that make no sense.
    """

    tta: str = "none"
    refinement: str = "none"
    min_region: int = 0
    guided: GuidedParameters = field(default_factory=GuidedParameters)
    crf: CrfParameters = field(default_factory=CrfParameters)
    gate: float = 0.0
    offsets: tuple[float, ...] = ()
    class_regions: tuple[float, ...] = ()
    abstain: float = 0.0

    def __post_init__(self) -> None:
        if self.tta not in TTA_NAMES or self.refinement not in REFINEMENTS:
            raise InputError(
                f"These switches are not known: TTA '{self.tta}', refinement '{self.refinement}'; TTA is one of "
                f"{', '.join(TTA_NAMES)}, refinement one of {', '.join(REFINEMENTS)}."
            )
        if self.min_region < 0:
            raise InputError(f"The smallest region must be at least 0 pixels, not {self.min_region}.")
        if self.class_regions:
            smallest_in_pixels(self.class_regions, (1.0, 1.0))
        if self.offsets and (
            len(self.offsets) != CLASS_COUNT or not all(abs(one) <= LARGEST_OFFSET for one in self.offsets)
        ):
            raise InputError(
                f"Offsets are six numbers between -{LARGEST_OFFSET:g} and {LARGEST_OFFSET:g}, for "
                f"{', '.join(CLASS_NAMES)}, not {self.offsets}."
            )
        for name, share in (("gate", self.gate), ("smallest probability", self.abstain)):
            if not 0 <= share < 1:
                raise InputError(f"The {name} lies between 0 and 1, without 1, and not at {share:g}.")

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Switches":
        """The switches that ``facts`` told of. Raises ``InputError`` where they name a switch that is not known."""
        unknown = facts.keys() - {one.name for one in fields(cls)}
        if unknown:
            raise InputError(f"This Tilewright has no switch {', '.join(sorted(unknown))}; predict anew.")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()
        }
        if "crf" in values:
            values["crf"] = CrfParameters(**values["crf"])
        if "guided" in values:
            values["guided"] = GuidedParameters(**values["guided"])
        return cls(**values)

    @property
    def facts(self) -> dict[str, Any]:
        """The switches that are on, as plain data for JSON: what has no effect is left out."""
        plain = Switches()
        on = {one.name: getattr(self, one.name) for one in fields(self)}
        on = {name: value for name, value in on.items() if value != getattr(plain, name)}
        for name in ("crf", "guided"):
            on.pop(name, None)
        if self.refinement != "none":  # whole: a default that changes later must not change what these were
            on[self.refinement] = asdict(self.crf if self.refinement == "crf" else self.guided)
        if self.class_regions:
            on.pop("min_region", None)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in sorted(on.items())}

    @property
    def key(self) -> str:
        """Tells these switches from all others: 'plain', or 12 hex digits. Can be a folder's name."""
        if not self.facts:
            return PLAIN_KEY
        return hashlib.sha256(json.dumps(self.facts).encode()).hexdigest()[:_KEY_DIGITS]

    @property
    def versions(self) -> dict[str, int]:
        """The code versions of the switches that are on."""
        return {name: _VERSIONS[name] for name in self.facts if name in _VERSIONS}

    @property
    def of_network(self) -> "Switches":
        """Only those that make the networks look again: their probabilities serve every setting of the others."""
        return Switches(tta=self.tta)

    @property
    def before_offsets(self) -> "Switches":
        """Only those that offsets are fitted after: the views and the refinement."""
        return Switches(tta=self.tta, refinement=self.refinement, crf=self.crf, guided=self.guided)

    @property
    def any_after_network(self) -> bool:
        """Whether anything is done to the averaged probabilities but taking the greatest."""
        return bool(self.facts.keys() - {"tta"})
