"""The commands that study recipes: ``ablate``, ``learning-curve`` and ``meta-start``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.fit_options import add_cluster_options, add_fit_options, add_recipe_options, cluster_use, fit_request
from core.progress import Progress

Command = Callable[[argparse.Namespace, Progress], dict[str, Any]]
AddCommand = Callable[[str, Command, str], argparse.ArgumentParser]


def add_study_commands(command: AddCommand) -> None:
    """Add the commands to the command line; ``command`` makes one from its name, function and summary."""
    ablation = command("ablate", _ablate, "Score a recipe and one change at a time on tiles left out; can be resumed.")
    add_recipe_options(ablation)
    ablation.add_argument("--labels", type=Path, action="append", default=[], help="folder of masks; may be repeated")
    ablation.add_argument("--vary", action="append", default=[], metavar="KEY=VALUE[,KEY=VALUE...]")
    ablation.add_argument("--networks", action="store_true", help="without --vary: the slow variations too")
    ablation.add_argument("--out", type=Path, required=True, metavar="FILE.json", help="the table; FILE.md beside it")
    ablation.add_argument("--folds", type=_folds, default="leave-one-out", metavar="K|leave-one-out")
    ablation.add_argument("--seeds", type=_whole_numbers, default="0")
    add_cluster_options(ablation)

    curve = command(
        "learning-curve", _learning_curve, "Measure the score by the labels, and how many more to a target."
    )
    add_recipe_options(curve)
    curve.add_argument("--labels", type=Path, help="folder of <id>_mask.png; by default the masks beside the images")
    curve.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    curve.add_argument("--shares", type=_shares, default="5,10,25,50,100", help="percent of the labelled instances")
    curve.add_argument("--seeds", type=_whole_numbers, default="0,1,2", help="a repeat for each")
    curve.add_argument("--target", type=_share_of_one, metavar="MIOU", help="the mean IoU to reach, 0 to 1")
    curve.add_argument("--folds", type=_folds, metavar="K|leave-one-out", help="by default 5, or one a tile")
    add_cluster_options(curve)

    start = command("meta-start", _meta_start, "Learn a head to start from, each labelled tile a task.")
    add_fit_options(start)
    start.add_argument(
        "--out", type=Path, required=True, metavar="RUN", help="the run's folder, for start=RUN of a fit"
    )


def _ablate(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.training.ablation import Study, ablate, markdown
    from core.training.recipe import load_recipe
    from core.training.techniques import built_in, parse_variations

    _check_json(options.out)
    if options.vary:
        variations = parse_variations(options.vary)
    else:
        variations = built_in(load_recipe(options.recipe, options.set), networks=options.networks)
    study = Study(
        data=options.data,
        out=options.out,
        variations=variations,
        labels=tuple(options.labels),
        recipe=options.recipe,
        overrides=tuple(options.set),
        folds=options.folds,
        seeds=options.seeds,
        device=options.device,
    )
    table = ablate(study, progress, cluster=cluster_use(options) if options.cluster else None)
    print(markdown(table))
    return {"out": str(options.out), "markdown": str(options.out.with_suffix(".md")), **table}


def _learning_curve(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.training.learning_curve import CurveRequest, learning_curve
    from core.training.recipe import load_recipe

    _check_json(options.out)
    request = CurveRequest(
        data=options.data,
        out=options.out,
        recipe=load_recipe(options.recipe, options.set),
        labels=options.labels,
        shares=options.shares,
        seeds=options.seeds,
        target=options.target,
        folds=options.folds,
        device=options.device,
    )
    cluster = cluster_use(options) if options.cluster else None
    return {"out": str(options.out), **learning_curve(request, progress, cluster=cluster)}


def _meta_start(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.training.meta_start import learn_start

    return learn_start(fit_request(options), progress)


def _check_json(path: Path) -> None:
    if path.suffix != ".json":
        raise InputError(f"--out is the study's file and ends in .json; {path} does not.")


def _folds(text: str) -> int:
    """The number of folds, 0 for one a tile (``cross_validation.LEAVE_ONE_OUT``)."""
    if text == "leave-one-out":
        return 0
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"'{text}' is neither leave-one-out nor a whole number of at least 2")
    return int(text)


def _whole_numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of whole numbers, as in 0,1,2")
    return tuple(dict.fromkeys(map(int, parts)))


def _shares(text: str) -> tuple[int, ...]:
    shares = _whole_numbers(text)
    if not all(1 <= share <= 100 for share in shares):
        raise argparse.ArgumentTypeError(
            f"'{text}' is no list of whole percentages from 1 to 100, as in 5,10,25,50,100"
        )
    return shares


def _share_of_one(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number between 0 and 1, as in 0.55")
    return value
