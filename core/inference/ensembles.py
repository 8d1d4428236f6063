"""Several runs as one: heads and networks of any encoders and resolutions, their probabilities averaged by shares.

An ensemble is a folder among the runs with a card and ``ensemble.json``, which names each member by its folder, the
digest of its weights and its share. Nothing of the members is copied, so one that is gone or was trained anew makes the
ensemble useless, and it says so.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.atomic import write_json
from core.catalog.images import fingerprint
from core.classes import ClassRaster
from core.errors import InputError
from core.inference.asked import Asked
from core.training.runs import CARD, ENSEMBLE, RunCard, read_run, weights_file

if TYPE_CHECKING:
    from core.inference.predict import AnySegmenter

KIND: Literal["ensemble"] = "ensemble"
"""What the card of an ensemble has for its head."""
FORMAT: Literal["tilewright-ensemble-1"] = "tilewright-ensemble-1"

Weighting = Literal["equal", "fitted"]
Probabilities = NDArray[np.float32]
"""``(6, height, width)`` float32 that sum to 1 over the classes."""


class EnsembleMember(BaseModel):
    """A run in an ensemble: its folder seen from the ensemble's, the digest of its weights, its share of the mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str
    weights: str
    share: float = Field(ge=0, le=1)


class Ensemble(BaseModel):
    """``ensemble.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["tilewright-ensemble-1"] = FORMAT
    kind: Literal["ensemble"] = KIND
    weighting: Weighting
    members: tuple[EnsembleMember, ...] = Field(min_length=2)

    @property
    def shares(self) -> tuple[float, ...]:
        """The members' shares, which sum to 1 but for rounding."""
        return tuple(member.share for member in self.members)


@dataclass(frozen=True)
class EnsembleSegmenter:
    """Members that predict together; made by ``core.inference.predict.load_segmenter``.

    The counterpart of ``Segmenter`` with the same three methods, so that an ensemble goes wherever a run does.
    ``shares`` are those of the mean, one a member, and sum to 1.
    """

    card: RunCard
    members: tuple["AnySegmenter", ...]
    shares: tuple[float, ...]

    def probabilities(self, image: NDArray[np.uint8], **asked: Unpack[Asked]) -> Probabilities:
        """The mean of the members' probabilities, ``(6, height, width)``, of a ``(height, width, 3)`` uint8 RGB tile.

        With a ``fingerprint`` each member that has features finds its own in the cache.
        """
        told = _for_members(asked)
        return self._mean(lambda member: member.probabilities(image, **told))

    def cell_probabilities(self, image: NDArray[np.uint8], **asked: Unpack[Asked]) -> Probabilities:
        """As ``probabilities``, by cell of the first member; those of members with other cells are interpolated."""
        told = _for_members(asked)
        return self._mean(lambda member: member.cell_probabilities(image, **told))

    def predict(self, image: NDArray[np.uint8], **asked: Unpack[Asked]) -> ClassRaster:
        """The most probable class of every pixel."""
        raster: ClassRaster = self.probabilities(image, **asked).argmax(axis=0).astype(np.uint8)
        return raster

    def _mean(self, ask: Callable[["AnySegmenter"], Probabilities]) -> Probabilities:
        """The mean of what the members answer; those without a share are not asked."""
        (first, share), *others = ((m, np.float32(s)) for m, s in zip(self.members, self.shares, strict=True) if s > 0)
        mean = ask(first)
        mean *= share
        size = mean.shape[1:]
        for member, share in others:
            for index, plane in enumerate(ask(member)):
                mean[index] += share * (plane if plane.shape == size else cv2.resize(plane, (size[1], size[0])))
        return mean


def _for_members(asked: Asked) -> Asked:
    """What the members are told: not the features, for each may see with another encoder."""
    told = asked.copy()
    told.pop("features", None)
    return told


def write_ensemble(folder: Path, *, runs: Sequence[Path], shares: Sequence[float], weighting: Weighting) -> Ensemble:
    """Write ``ensemble.json`` over an older one, whose card goes: the ensemble is whole once it has a card again.

    ``shares`` are one a run and sum to 1. Raises ``InputError`` when the folder cannot be written.
    """
    members = [
        EnsembleMember(
            run=Path(os.path.relpath(run.resolve(), folder.resolve())).as_posix(),
            weights=fingerprint(weights_file(run)),
            share=round(float(share), 6),
        )
        for run, share in zip(runs, shares, strict=True)
    ]
    ensemble = Ensemble(weighting=weighting, members=tuple(members))
    (folder / CARD).unlink(missing_ok=True)
    write_json(folder / ENSEMBLE, ensemble.model_dump(mode="json"))
    return ensemble


def read_ensemble(folder: Path) -> Ensemble:
    """The ensemble in a folder, its members not looked at. Raises ``InputError`` for a file that is damaged."""
    path = folder / ENSEMBLE
    try:
        return Ensemble.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{path} was not written by this Tilewright; make the ensemble anew.") from error


def member_runs(folder: Path) -> list[Path]:
    """The folders of an ensemble's members, all there and as they were when it was made.

    Raises ``InputError`` for the first one that is gone or was trained anew.
    """
    found = []
    for member in read_ensemble(folder).members:
        run = (folder / member.run).resolve()
        try:
            read_run(run)
            digest = fingerprint(weights_file(run))
        except InputError as error:
            raise InputError(
                f"The ensemble {folder} needs the run {run.name}, which is gone from {run.parent}; put it back, or "
                "make the ensemble anew."
            ) from error
        if digest != member.weights:
            raise InputError(
                f"The run {run.name} of the ensemble {folder} was trained anew since; make the ensemble anew."
            )
        found.append(run)
    return found
