"""The options that several commands share with ``fit``, and the request that they make."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import InputError

if TYPE_CHECKING:
    from core.cluster.connection import ClusterUse
    from core.training.fit import FitRequest


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Tiles, recipe and device."""
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", default="head", help="a preset's name or a TOML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one value of the recipe"
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")


def add_fit_options(parser: argparse.ArgumentParser) -> None:
    """What ``fit`` takes besides where the run goes."""
    add_recipe_options(parser)
    parser.add_argument("--labels", type=Path, help="folder of <id>_mask.png; by default the masks beside the images")
    parser.add_argument("--seed", type=int, default=0)


def fit_request(options: argparse.Namespace, *, resume: bool = False, split_record: str | None = None) -> "FitRequest":
    """The fit that the options of ``add_fit_options`` and ``--out`` ask for.

    Raises ``InputError`` for a bad recipe, and for a ``split_record`` that is none.
    """
    from core.catalog.splitting.users import parse_record
    from core.training.fit import FitRequest
    from core.training.recipe import load_recipe

    return FitRequest(
        data=options.data,
        labels=options.labels,
        out=options.out,
        recipe=load_recipe(options.recipe, options.set),
        seed=options.seed,
        device=options.device,
        resume=resume,
        split=None if split_record is None else parse_record(split_record),
    )


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """A Ray cluster for calls at once, and what each gets of it."""
    parser.add_argument(
        "--cluster", metavar="ADDRESS|local|auto", help="a Ray cluster; local is this machine alone, auto the job's own"
    )
    parser.add_argument("--worker-cpus", type=int, default=1, metavar="N", help="cores and threads of each worker")
    parser.add_argument(
        "--worker-gpus", type=float, metavar="N", help="GPUs of each worker; by default one where there are any"
    )


def cluster_use(options: argparse.Namespace) -> "ClusterUse":
    """What the options of ``add_cluster_options`` ask for; without an address the usual one.

    Raises ``InputError`` for a worker without a core, or with less than no GPU.
    """
    from core.cluster.connection import ClusterUse, usual_address

    if options.worker_cpus < 1:
        raise InputError(f"A worker needs a CPU core at least; --worker-cpus is {options.worker_cpus}.")
    if options.worker_gpus is not None and options.worker_gpus < 0:
        raise InputError(f"A worker cannot have less than no GPU; --worker-gpus is {options.worker_gpus:g}.")
    return ClusterUse(options.cluster or usual_address(), options.worker_cpus, options.worker_gpus)
