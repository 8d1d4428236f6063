"""Members of one run, and their average as the model: by folds of whole tiles, or of several seeds.

By folds every part of the training tiles is left out once. Tiles are parted, never pixels, since pixels of one tile are
alike. Each member is judged on the tiles that it never saw; one confusion matrix over all of them is the
cross-validation score of the recipe (Stone 1974). The average has seen all tiles, so that score tells of the recipe and
not of the average. Networks may also be averaged over seeds, each trained on all tiles (Lakshminarayanan et al. 2017);
heads on cached features have that inside their fit.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.classes import CLASS_NAMES
from core.errors import CancelledError, InputError
from core.evaluation.evaluate import summarise
from core.progress import Progress
from core.training.cached_members import CachedMembers
from core.training.fitted import FitTask, Fitted
from core.training.members import Member, MemberKind, MemberPlan
from core.training.training_data import LabelledTile
from core.training.validation import validation_scores
from models.checkpoint import Trained


@dataclass(frozen=True, slots=True)
class PartProgress:
    """A part of longer work: its steps count from ``start`` of ``total``, as one step; its figures are its own."""

    whole: Progress
    start: int
    total: int
    name: str

    def update(self, done: float, total: float, message: str) -> None:
        """Tell the whole; may raise ``CancelledError``."""
        share = min(done / total, 1.0) if total else 0.0
        self.whole.update(self.start + share, self.total, f"{self.name}: {message}")

    def metrics(self, values: dict[str, Any]) -> None:
        """A part's curve is not the whole's."""


def fit_folds(task: FitTask) -> Fitted:
    """Train a member for every part of the training tiles that is left out, or for every seed, and average them.

    Linear heads become one linear head, so that prediction costs no more; others an ``EnsembleHead``, networks a
    ``NetworkEnsemble``. A network's fit that was cut goes on in the member where it was cut (``task.resume``). Raises
    ``InputError`` for fewer tiles than folds, where without a part fewer than two classes are labelled, and for a
    network's folds and members together; ``CancelledError`` where no member is ready. Else the members so far are
    kept.
    """
    plans = checked_plans(task)
    run = MembersRun(task, plans, member_kind(task))
    cancelled = False
    try:
        for number in range(len(plans)):
            name = f"Member {number + 1} of {len(plans)}"
            run.member(number, PartProgress(task.progress, number, len(plans), name))
            if run.failure:
                break
    except CancelledError:
        if not run.members:
            raise
        cancelled = True
    return run.result(cancelled=cancelled or any(member.fitted.cancelled for member in run.members))


def part_tiles(dominant: Sequence[str], folds: int, *, seed: int) -> list[list[int]]:
    """Part tiles, given each one's dominant class, into ``folds`` groups of their indices, ascending.

    The sizes of the groups differ by at most one, and so do the numbers of a class's tiles in them: class by class, the
    rarest first, tiles are dealt in random order, each to the group with the fewest of its class so far, and among
    those to the smallest. With at least as many tiles as groups none is empty.
    """
    order = np.random.default_rng(seed).permutation(len(dominant)).tolist()
    often = Counter(dominant)
    groups: list[list[int]] = [[] for _ in range(folds)]
    for index in sorted(order, key=lambda index: (often[dominant[index]], dominant[index])):
        alike = [sum(dominant[other] == dominant[index] for other in group) for group in groups]
        groups[min(range(folds), key=lambda g: (alike[g], len(groups[g])))].append(index)
    return [sorted(group) for group in groups]


def dominant_class(pixels: dict[str, int]) -> str:
    """The class with the most labelled pixels; the first in class order where several have."""
    return max(CLASS_NAMES, key=lambda name: pixels[name])


def member_kind(task: FitTask) -> MemberKind:
    """What the members of a task's recipe are."""
    if task.recipe.kind != "network":
        return CachedMembers(task)
    # Imported late: the networks' libraries take seconds that a head on cached features need not wait for.
    from core.training.network_members import NetworkMembers  # noqa: PLC0415

    return NetworkMembers(task)


def checked_plans(task: FitTask) -> list[MemberPlan]:
    """The members that a task's recipe asks for, by number. Raises ``InputError`` as ``fit_folds`` does."""
    recipe, tiles = task.recipe, task.tiles.training
    if recipe.folds == 1:
        return [MemberPlan((), task.seed + number) for number in range(recipe.members)]
    if recipe.kind == "network" and recipe.members > 1:
        raise InputError(
            f"A network's members are averaged over folds or over seeds, and this recipe asks for {recipe.folds} folds "
            f"and {recipe.members} members; set one of the two to 1."
        )
    if len(tiles) < recipe.folds:
        raise InputError(
            f"{recipe.folds} folds need as many labelled tiles to train on, and there are {len(tiles)}; label more "
            "tiles, or take fewer folds."
        )
    parts = part_tiles([dominant_class(tile.pixels) for tile in tiles], recipe.folds, seed=task.seed)
    for part in parts:
        others = [tile for index, tile in enumerate(tiles) if index not in part]
        labelled = [name for name in CLASS_NAMES if any(tile.pixels[name] for tile in others)]
        if len(labelled) < 2:
            names = ", ".join(tiles[index].name for index in part)
            raise InputError(
                f"Without the tiles of one fold ({names}) only {labelled[0]} is labelled, and nothing is left to tell "
                "apart; label more classes on the other tiles, or set folds to 1."
            )
    return [MemberPlan(tuple(part), task.seed) for part in parts]


class MembersRun:
    """The members so far, and what they made of the tiles that they never saw."""

    def __init__(self, task: FitTask, plans: Sequence[MemberPlan], kind: MemberKind) -> None:
        self._task, self._plans, self._kind = task, plans, kind
        self.members: list[Member] = []

    @property
    def failure(self) -> str | None:
        """Why the last member could not go on; what there is before it is kept."""
        return self.members[-1].fitted.failure if self.members else None

    def member(self, number: int, progress: Progress) -> None:
        """Train a member and judge it, or take it as it was kept before a cut."""
        task, plan = self._task, self._plans[number]
        tiles = task.tiles.training
        kept = tuple(tile for index, tile in enumerate(tiles) if index not in plan.left_out)
        one = replace(
            task,
            recipe=task.recipe.model_copy(update={"folds": 1, **self._kind.alone}),
            tiles=replace(task.tiles, training=kept),
            seed=plan.seed,
            progress=progress,
        )
        left_out = [tiles[index] for index in plan.left_out]
        member = self._kind.kept(one, number) or self._trained(one, number, left_out)
        self.members.append(member)
        if member.fitted.cancelled:
            raise CancelledError
        self._kind.judged(member, number, len(self._plans))

    def _trained(self, task: FitTask, number: int, left_out: Sequence[LabelledTile]) -> Member:
        fitted = self._kind.fit(task, number)
        if fitted.cancelled and self.members:
            raise CancelledError  # whole members only, as long as there is one
        matrices = []
        for tile in left_out if not (fitted.cancelled or fitted.failure) else ():
            task.progress.update(1, 1, f"Judging it on tile {tile.name}")
            matrices.append(self._kind.judge(fitted.model, tile))
        member = Member(fitted, tuple(tile.name for tile in left_out), tuple(matrices))
        if not (fitted.cancelled or fitted.failure):
            self._kind.keep(task, number, member)
        return member

    def result(self, *, cancelled: bool) -> Fitted:
        """The average of the members, and what there is to say of it."""
        failure = self.failure
        whole = self.members[:-1] if failure and len(self.members) > 1 else self.members
        joined = self._kind.join(whole)
        fitted = [member.fitted for member in whole]
        told = [member.told() for member in whole if not (member.fitted.cancelled or member.fitted.failure)]
        return replace(
            fitted[0],
            model=joined.model,
            cancelled=cancelled,
            failure=failure,
            trained_parameters=joined.trained_parameters,
            features_seconds=sum(one.features_seconds for one in fitted),
            training_seconds=sum(one.training_seconds for one in fitted),
            validation=None if cancelled or failure else self._validation(joined.model),
            measured={**joined.measured, "members": len(whole), **self._told(told)},
            warnings=tuple(dict.fromkeys(sentence for one in fitted for sentence in one.warnings)),
        )

    def _told(self, members: list[dict[str, Any]]) -> dict[str, Any]:
        if self._task.recipe.folds == 1:
            return {"seed_members": members}
        return {"fold_members": members, "cross_validation": self._crossed()}

    def _crossed(self) -> dict[str, Any] | None:
        """The score on left-out tiles, of the members that were judged; None before the first was."""
        judged = [member for member in self.members if member.matrices]
        names = [name for member in judged for name in member.left_out]
        return summarise(names, [matrix for member in judged for matrix in member.matrices]) if names else None

    def _validation(self, model: Trained) -> dict[str, Any] | None:
        tiles = self._task.tiles.validation
        if not tiles:
            return None
        return validation_scores({tile.name: self._kind.judge(model, tile) for tile in tiles})
