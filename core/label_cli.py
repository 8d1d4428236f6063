"""The commands that take labels in and give them out: ``export``, ``export-tiles`` and ``import-labels``."""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError
from core.progress import Progress

if TYPE_CHECKING:
    from core.workspace import Workspace

FORMATS = ("deepglobe", "index", "geotiff", "geojson", "coco")
STATUSES = ("new", "in work", "done", "approved", "sent back")
TAKEN_AS = ("labels", "suggestion")
Command = Callable[[argparse.Namespace, Progress], dict[str, Any]]
AddCommand = Callable[[str, Command, str], argparse.ArgumentParser]


def add_label_commands(command: AddCommand) -> None:
    """Add the commands to the command line; ``command`` makes one from its name, function and summary."""
    export = command("export", _export, "Write the labels of a collection to a folder or a zip, with a manifest.")
    _add_tiles(export)
    export.add_argument("--format", choices=FORMATS, required=True)
    export.add_argument("--out", type=Path, required=True, metavar="DIR|FILE.zip")
    export.add_argument("--status", choices=STATUSES, action="append", default=[], help="only tiles of this status")
    export.add_argument("--images", action="store_true", help="copy the images too")

    files = command("export-tiles", _export_tiles, "Pack images and given masks of tiles into a zip, with a table.")
    _add_tiles(files)
    files.add_argument("--kind", choices=("images", "masks"), action="append", default=[], help="both by default")
    files.add_argument("--out", type=Path, required=True, metavar="FILE.zip")

    take = command("import-labels", _import, "Take labels from files into the tiles that their names match.")
    _add_tiles(take)
    take.add_argument("--from", type=Path, required=True, dest="source", metavar="FILE|DIR|FILE.zip")
    take.add_argument("--offset", type=_offset, default=(0, 0), metavar="X,Y", help="where a smaller picture begins")
    take.add_argument("--as", choices=TAKEN_AS, default="labels", dest="taken_as")
    take.add_argument("--only-unlabelled", action="store_true", help="keep what is labelled already")
    take.add_argument("--map", action="append", default=[], metavar="VALUE=CLASS", help="what a value or name means")
    take.add_argument("--annotator", default="", help="whose work it is; 'local' by default")


def _export(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.labels.exporting import ExportRequest, export
    from core.labels.formats.placed import Format
    from core.labels.work_status import Status

    workspace, collection_id = _collection(options)
    request = ExportRequest(
        collection_id=collection_id,
        format=Format(options.format),
        out=options.out,
        tile_names=tuple(options.tile),
        statuses=tuple(Status(status) for status in options.status),
        with_images=options.images,
    )
    return export(workspace, request, progress)


def _export_tiles(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.catalog.tile_export import KINDS, export_tiles

    workspace, collection_id = _collection(options)
    kinds = options.kind or KINDS
    return export_tiles(workspace, collection_id, options.tile, kinds=kinds, out=options.out, progress=progress)


def _import(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.labels import changes, work_status
    from core.labels.annotators import annotator_name
    from core.labels.formats.class_names import parse_meanings
    from core.labels.import_files import Choice, TakenAs
    from core.labels.import_many import import_labels

    workspace, collection_id = _collection(options)
    choice = Choice(
        meanings=parse_meanings(options.map),
        offset=options.offset,
        only_unlabelled=options.only_unlabelled,
        taken_as=TakenAs(options.taken_as),
    )
    stop_listening = changes.listen(work_status.labels_changed)  # the server's own listeners are in its process
    try:
        report = import_labels(
            workspace,
            source=options.source,
            collection_id=collection_id,
            tile_names=tuple(options.tile),
            choice=choice,
            progress=progress,
            annotator=annotator_name(options.annotator),
        )
    finally:
        stop_listening()
    return asdict(report)


def _add_tiles(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--collection", type=int, help="its number; not needed where there is only one")
    parser.add_argument("--tile", action="append", default=[], metavar="NAME", help="only this tile; may be repeated")


def _collection(options: argparse.Namespace) -> "tuple[Workspace, int]":
    """The workspace, and the collection that is meant in it."""
    from core.catalog.catalogue import collection, collections
    from core.workspace import open_workspace

    workspace = open_workspace(options.workspace)
    if options.collection is not None:
        return workspace, collection(workspace, options.collection).id
    known = collections(workspace)
    if len(known) == 1:
        return workspace, known[0].id
    listed = ", ".join(f"{found.id} ({found.name})" for found in known[:8])
    raise InputError(
        f"The workspace has several collections: {listed}; choose one with --collection."
        if known
        else f"The workspace {workspace.root} has no tiles yet; index a folder first."
    )


def _offset(text: str) -> tuple[int, int]:
    column, comma, row = text.partition(",")
    if not comma or not column.strip().isdecimal() or not row.strip().isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no X,Y of two whole numbers, as in 0,448")
    return int(column), int(row)
