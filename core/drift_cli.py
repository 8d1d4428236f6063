"""Commands that tell whether a run holds elsewhere and what its map is worth: ``drift``, ``hold-out``, ``areas``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.fit_options import add_recipe_options
from core.progress import Progress
from core.switch_options import add_switch_options, chosen_switches

Command = Callable[[argparse.Namespace, Progress], dict[str, Any]]
AddCommand = Callable[[str, Command, str], argparse.ArgumentParser]


def add_drift_commands(command: AddCommand) -> None:
    """Add the commands to the command line; ``command`` makes one from its name, function and summary."""
    drift = command("drift", _drift, "Tell whether a collection is like what a run was trained on; needs no truth.")
    drift.add_argument("--workspace", type=Path)
    drift.add_argument("--run", required=True, help="a run's name in the workspace")
    drift.add_argument("--collection", type=int, required=True)

    areas = command("areas", _areas, "Hectares of each class: as mapped by a run, and as estimated from its errors.")
    areas.add_argument("--workspace", type=Path)
    areas.add_argument("--run", required=True, help="a run's name in the workspace, evaluated with these switches")
    areas.add_argument("--collection", type=int, required=True)
    areas.add_argument("--split", help="train, val or test; by default the whole collection")
    areas.add_argument("--tile", help="one tile by its name")
    areas.add_argument("--csv", type=Path, metavar="FILE.csv", help="the table, beside the JSON")
    add_switch_options(areas)

    hold_out = command(
        "hold-out", _hold_out, "Judge a recipe on regions left out, beside random groups of their sizes."
    )
    add_recipe_options(hold_out)
    hold_out.add_argument("--labels", type=Path, help="folder of <id>_mask.png; by default the masks beside the images")
    hold_out.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    hold_out.add_argument("--regions", type=Path, metavar="FILE.csv", help="columns tile and region")
    hold_out.add_argument("--clusters", type=int, default=3, help="without --regions: groups of tiles that look alike")
    hold_out.add_argument("--draws", type=int, default=3, help="how often the random groups are drawn")


def _drift(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.evaluation.drift_of_run import compute_drift
    from core.workspace import open_workspace

    workspace = open_workspace(options.workspace)
    return compute_drift(workspace, run=options.run, collection_id=options.collection, progress=progress)


def _areas(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.atomic import write_text
    from core.evaluation.areas_of_run import areas_of_run, csv_text
    from core.workspace import open_workspace

    found = areas_of_run(
        open_workspace(options.workspace),
        run=options.run,
        collection_id=options.collection,
        switches=chosen_switches(options),
        progress=progress,
        split=options.split,
        tile=options.tile,
    )
    if options.csv:
        write_text(options.csv, csv_text({found["measured_on"]["area"]: found}))
    return found


def _hold_out(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.evaluation.hold_out import HoldOutRequest, hold_out
    from core.training.recipe import load_recipe

    if options.draws < 1:
        raise InputError(f"Random groups are drawn once at least; --draws is {options.draws}.")
    request = HoldOutRequest(
        data=options.data,
        out=options.out,
        recipe=load_recipe(options.recipe, options.set),
        labels=options.labels,
        regions=options.regions,
        clusters=options.clusters,
        seeds=tuple(range(options.draws)),
        device=options.device,
    )
    return {"out": str(options.out), **hold_out(request, progress)}
