"""The commands about predictions: ``predict``, ``predict-tiles``, ``import-predictions`` and ``delete-run``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.fit_options import add_cluster_options, cluster_use
from core.progress import Progress
from core.switch_options import add_switch_options, chosen_switches

Command = Callable[[argparse.Namespace, Progress], dict[str, Any]]
AddCommand = Callable[[str, Command, str], argparse.ArgumentParser]


def add_predict_command(command: AddCommand) -> None:
    """Add ``predict``; ``command`` makes one from its name, function and summary."""
    predict = command("predict", _predict, "Predict every tile of a folder, or one raster; several runs are averaged.")
    predict.add_argument("--run", type=Path, action="append", required=True)
    predict.add_argument("--data", type=Path, required=True, help="a folder of tiles, or one GeoTIFF of any size")
    predict.add_argument("--out", type=Path, required=True)
    add_switch_options(predict)
    predict.add_argument("--probabilities", action="store_true", help="write <id>_probabilities.tif too")
    predict.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add_cluster_options(predict)


def add_workspace_predict_commands(command: AddCommand) -> None:
    """Add those that work on a workspace."""
    tiles = command("predict-tiles", _predict_tiles, "Predict tiles of a collection, and keep them in the workspace.")
    tiles.add_argument("--workspace", type=Path)
    tiles.add_argument("--run", required=True, help="a run's name in the workspace")
    tiles.add_argument("--collection", type=int, required=True)
    tiles.add_argument("--split", choices=["train", "val", "test"], help="by default the whole collection")
    tiles.add_argument("--tile", action="append", default=[], metavar="NAME", help="only this tile; may be repeated")
    add_switch_options(tiles)
    add_cluster_options(tiles)

    take = command("import-predictions", _import, "Take a folder of somebody else's predicted masks as a run.")
    take.add_argument("--workspace", type=Path)
    take.add_argument("--from", dest="source", type=Path, required=True, metavar="DIR")
    take.add_argument("--collection", type=int, help="by default the one indexed last")
    take.add_argument("--name", required=True, help="what the run shall be called")
    take.add_argument("--offset", type=_place, default=(0, 0), metavar="X,Y", help="where masks smaller than tiles lie")

    gone = command("delete-run", _delete_run, "Delete a run of a workspace with its predictions and scores.")
    gone.add_argument("--workspace", type=Path)
    gone.add_argument("--run", required=True, help="a run's name in the workspace")


def _predict(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.inference.batch import predict_folder, predict_one_raster

    order = {
        "runs": options.run,
        "data": options.data,
        "out": options.out,
        "switches": chosen_switches(options),
        "keep_probabilities": options.probabilities,
        "progress": progress,
        "device": options.device,
    }
    if options.data.is_file():
        if options.cluster:
            raise InputError(
                "One raster is predicted on one machine, strip after strip; leave out --cluster, or hand the whole "
                "command to the cluster with on-cluster."
            )
        return predict_one_raster(**order)
    return predict_folder(**order, cluster=cluster_use(options) if options.cluster else None)


def _predict_tiles(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.inference.predict_tiles import chosen_tiles, predict_tiles
    from core.workspace import open_workspace

    workspace = open_workspace(options.workspace)
    return predict_tiles(
        workspace,
        run=options.run,
        rows=chosen_tiles(workspace, options.collection, split=options.split, names=options.tile),
        switches=chosen_switches(options),
        progress=progress,
        cluster=cluster_use(options) if options.cluster else None,
    )


def _import(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.catalog.catalogue import collections
    from core.inference.imported import import_predictions
    from core.workspace import open_workspace

    workspace = open_workspace(options.workspace)
    known = collections(workspace)
    if options.collection is None and not known:
        raise InputError("This workspace has no collection; index the tiles that were predicted first.")
    return import_predictions(
        workspace,
        options.source,
        name=options.name,
        collection_id=known[0].id if options.collection is None else options.collection,
        progress=progress,
        offset=options.offset,
    )


def _delete_run(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.inference.store_space import delete_run
    from core.workspace import open_workspace

    delete_run(open_workspace(options.workspace), options.run)
    return {"run": options.run, "deleted": True}


def _place(text: str) -> tuple[int, int]:
    x, _, y = text.partition(",")
    if not (x.isdecimal() and y.isdecimal()):
        raise argparse.ArgumentTypeError(f"'{text}' is no place; write X,Y in pixels, for example 0,0")
    return int(x), int(y)
