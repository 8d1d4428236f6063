"""Whether several evaluations can be held against each other: their tiles, their truth, and what was learned from."""

from collections.abc import Sequence
from typing import Any

from core.classes import CLASS_NAMES
from core.evaluation.evaluate import tile_confusion


def common_tiles(results: Sequence[dict[str, Any]]) -> list[str]:
    """The tiles that all results have with the same true pixels of every class, in the order of the first."""
    truths = [
        {row["tile"]: tile_confusion(row).sum(axis=1).tolist() for row in result["per_tile"]} for result in results
    ]
    if not truths:
        return []
    return [name for name, truth in truths[0].items() if all(other.get(name) == truth for other in truths[1:])]


def what_differs(results: Sequence[dict[str, Any]]) -> list[str]:
    """What is not the same of several evaluations, a sentence each: tiles, truth, classes and labels learned from."""
    judged = [{row["tile"] for row in result["per_tile"]} for result in results]
    measured = [result.get("measured_on", {}) for result in results]
    names = [str(facts.get("run", f"number {place}")) for place, facts in enumerate(measured, 1)]
    if len(judged) < 2:
        return []
    warnings = []
    shared, everything = set.intersection(*judged), set.union(*judged)
    if shared != everything:
        named = ", ".join(f"{name} {len(of_run)}" for name, of_run in zip(names, judged, strict=True))
        warnings.append(
            f"They were judged on different tiles ({named}), since each is judged on those it never trained on: only "
            f"the {len(shared)} that all share are counted here."
        )
    changed = len(shared) - len(common_tiles(results))
    if changed:
        warnings.append(
            f"The truth of {changed} shared tile{'s' if changed > 1 else ''} is not the same for all (another version "
            "of the mask, or an imported run that covers a part): left out."
        )
    told = {name: facts.get("trained_on") for name, facts in zip(names, measured, strict=True)}
    return warnings + _of_training([(name, facts) for name, facts in told.items() if facts and facts["tiles"]])


def _of_training(told: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    warnings = []
    for run, facts in told:
        lacking = [name for name in CLASS_NAMES if name not in facts["classes"]]
        if facts["classes"] and lacking:
            warnings.append(f"{run} never learned {', '.join(lacking)}: it cannot find what it was not shown.")
    versions = {facts["label_version"] for _, facts in told if facts["label_version"]}
    if len(versions) > 1:
        sizes = ", ".join(f"{run} {facts['tiles']} tiles, {facts['instances']} instances" for run, facts in told)
        warnings.append(
            f"They learned from different label versions ({sizes}): a difference may come from the labels and not from "
            "the recipe."
        )
    return warnings
