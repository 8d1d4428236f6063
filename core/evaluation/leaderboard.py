"""Several runs on the same tiles: which is better than which, and which cannot be told apart.

All are scored on the tiles that every one of them was judged on with the same truth. Each pair is compared tile by
tile, and the p-values of all pairs are corrected together (Holm 1979). A run's ranks are those that it may have by
that: 1 + how many are better, to all less how many are worse, which is a simultaneous confidence set at 95 %
(Mogstad, Romano, Shaikh & Wilhelm 2024, "Inference for ranks with applications to mobility across neighbourhoods and
academic achievement across countries", Review of Economic Studies 91). Runs that cannot be told apart share ranks.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from core.catalog.catalogue import collection, collections
from core.errors import InputError
from core.evaluation.confusion import Confusion
from core.evaluation.evaluate import tile_confusion
from core.evaluation.held_out import kept_evaluations
from core.evaluation.intervals import FEW_TILES, METHOD, few_tiles_note, paired_differences, score_intervals
from core.evaluation.sameness import common_tiles, what_differs
from core.evaluation.scores import DEFAULT_RULE, UnlabelledRule, averaging, from_confusion
from core.evaluation.verdicts import CORRECTION, Verdict, holm, verdict
from core.inference.switches import Switches
from core.training.runs import list_runs
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Entry:
    """A run with its switches, and its kept result (``held_out.evaluate_run``)."""

    run: str
    switches: Switches
    result: dict[str, Any]


def entries(workspace: Workspace, collection_id: int) -> list[Entry]:
    """All kept evaluations of a collection, runs newest first."""
    return [Entry(*kept) for kept in kept_evaluations(workspace, collection_id)]


def collection_leaderboard(
    workspace: Workspace,
    *,
    collection_id: int | None = None,
    runs: Collection[str] = (),
    rule: UnlabelledRule = DEFAULT_RULE,
) -> dict[str, Any]:
    """``leaderboard`` of the kept evaluations of a collection (None: the one indexed last), of ``runs`` or of all.

    The result names the ``collection`` and, under ``not_evaluated``, the runs that have no kept evaluation. Raises
    ``InputError`` for a collection or run that is not there, and where nothing was evaluated.
    """
    known = collections(workspace)
    if not known:
        raise InputError("This workspace has no collection; index tiles with masks first.")
    chosen = known[0] if collection_id is None else collection(workspace, collection_id)
    names = [run.name for run in list_runs(workspace.runs)]
    for run in runs:
        if run not in names:
            raise InputError(f"This workspace has no run '{run}'; it has {', '.join(names) or 'none'}.")
    wanted = list(runs) or names
    rows = [entry for entry in entries(workspace, chosen.id) if entry.run in wanted]
    if not rows:
        raise InputError(
            f"No run is evaluated on {chosen.name} yet; do it with: "
            f"python -m core evaluate-run --run NAME --collection {chosen.id}."
        )
    evaluated = {row.run for row in rows}
    return {
        "collection": {"id": chosen.id, "name": chosen.name},
        **leaderboard(rows, rule),
        "not_evaluated": [name for name in wanted if name not in evaluated],
    }


def leaderboard(rows: Sequence[Entry], rule: UnlabelledRule = DEFAULT_RULE) -> dict[str, Any]:
    """Rank entries by mean IoU over their common tiles; the result is JSON-able.

    Keys: ``tiles`` (the common ones' names), ``entries``, best first, each with ``run``, ``switches``, ``miou``,
    ``iou`` by class, ``interval`` (95 %), ``accuracy``, ``mf1``, ``ranks`` ([first, last]), ``to_best`` (None for the
    best; else the difference to it: ``value``, ``interval`` (95 %, of this pair alone), ``p_corrected``, ``verdict``,
    ``tiles_needed``), ``seconds_per_tile`` and ``trained_on`` (None where an older result does not say) and
    ``judged_on`` (how many tiles it was judged on by itself); ``warnings``, ``note``, ``averaging``, ``method``,
    ``correction`` and ``comparisons`` (how many pairs it corrects for). Without a common tile ``entries`` is empty.
    """
    names = common_tiles([row.result for row in rows])
    frame = {
        "tiles": names,
        "warnings": what_differs([row.result for row in rows]),
        "averaging": averaging(rule),
        "rule": rule,
        "method": METHOD,
        "correction": CORRECTION,
        "comparisons": len(rows) * (len(rows) - 1) // 2,
    }
    if not names:
        return {**frame, "entries": [], "note": None}
    matrices = [_matrices(row.result, names) for row in rows]
    scores = [from_confusion(np.sum(of_run, axis=0), rule) for of_run in matrices]
    order = sorted(range(len(rows)), key=lambda i: -(scores[i].miou or 0.0))
    differences, verdicts = _pairs([matrices[i] for i in order], rule)
    found = []
    for place, index in enumerate(order):
        interval = score_intervals(matrices[index], rule).miou
        found.append(
            {
                "run": rows[index].run,
                "switches": rows[index].switches.facts,
                "miou": scores[index].miou,
                "iou": scores[index].iou,
                "accuracy": scores[index].accuracy,
                "mf1": scores[index].mf1,
                "interval": list(interval) if interval else None,
                "ranks": _ranks(place, len(order), verdicts),
                "to_best": differences.get((0, place)),
                "judged_on": len(rows[index].result["per_tile"]),
                "seconds_per_tile": rows[index].result["measured_on"].get("seconds_per_tile"),
                "trained_on": rows[index].result["measured_on"].get("trained_on"),
            }
        )
    return {**frame, "entries": found, "note": few_tiles_note(len(names))}


def with_shared_tiles(rows: Sequence[Entry]) -> list[Entry]:
    """As many of the entries as share at least five tiles: of the others that one goes first whose going helps most.

    All of them where they share enough; two at least.
    """
    kept = list(rows)
    while len(kept) > 2 and len(common_tiles([row.result for row in kept])) < FEW_TILES:
        without = [[row for row in kept if row is not gone] for gone in kept]
        kept = max(without, key=lambda rest: len(common_tiles([row.result for row in rest])))
    return kept


def _pairs(
    matrices: Sequence[Sequence[Confusion]], rule: UnlabelledRule
) -> tuple[dict[tuple[int, int], dict[str, Any]], dict[tuple[int, int], Verdict]]:
    """Of every pair (better place, worse place): the second less the first, and the corrected verdict on the second."""
    found = {
        (first, second): paired_differences(matrices[second], matrices[first], rule).miou
        for first, second in combinations(range(len(matrices)), 2)
    }
    known = {pair: difference for pair, difference in found.items() if difference is not None}
    corrected = holm({pair: difference.p_value for pair, difference in known.items()})
    verdicts = {pair: verdict(difference.value, corrected[pair]) for pair, difference in known.items()}
    told = {
        pair: {**difference.as_dict(), "p_corrected": corrected[pair], "verdict": verdicts[pair]}
        for pair, difference in known.items()
    }
    return told, verdicts


def _ranks(place: int, runs: int, verdicts: dict[tuple[int, int], Verdict]) -> list[int]:
    """The first and last rank that a run may have."""
    beaten_by = sum(told == "worse" for (_, second), told in verdicts.items() if second == place)
    beaten_by += sum(told == "better" for (first, _), told in verdicts.items() if first == place)
    beats = sum(told == "worse" for (first, _), told in verdicts.items() if first == place)
    beats += sum(told == "better" for (_, second), told in verdicts.items() if second == place)
    return [1 + beaten_by, runs - beats]


def _matrices(result: dict[str, Any], names: Sequence[str]) -> list[Confusion]:
    of_tile = {row["tile"]: tile_confusion(row) for row in result["per_tile"]}
    return [of_tile[name] for name in names]
