"""The commands that bring tiles into a workspace: ``index``, and what ends in an index.

``draw-sample``, ``add-files``, ``import-mapped`` and ``download-deepglobe`` are what the Start page runs as jobs. The
last line of each on stdout is the index's report, so that a page shows what came of any of them in the same way.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError
from core.progress import PartProgress, Progress

if TYPE_CHECKING:
    from core.catalog.catalogue import IndexReport
    from core.workspace import Workspace

Command = Callable[[argparse.Namespace, Progress], dict[str, Any]]
AddCommand = Callable[[str, Command, str], argparse.ArgumentParser]

SAMPLE_TILES, SAMPLE_SIZE, SAMPLE_SEED = 6, 2448, 0

_FIRST, _SECOND = "Step 1 of 2", "Step 2 of 2"


def add_data_commands(command: AddCommand) -> None:
    """Add the commands to the command line; ``command`` makes one from its name, function and summary."""
    index = command("index", _index, "Read a folder of tiles into a workspace's catalogue.")
    index.add_argument("--data", type=Path, required=True)
    index.add_argument("--workspace", type=Path)
    index.add_argument("--collection", type=int, help="the collection whose folder lies at --data now")

    draw = command("draw-sample", _draw_sample, "Draw the synthetic sample in a workspace and index it.")
    draw.add_argument("--workspace", type=Path)
    draw.add_argument("--tiles", type=int, default=SAMPLE_TILES)
    draw.add_argument("--size", type=int, default=SAMPLE_SIZE, help="side of a tile, pixels")

    add = command("add-files", _add_files, "Take uploaded zips and pictures into an import and index it.")
    add.add_argument("--from", type=Path, required=True, dest="source", metavar="DIR", help="is emptied and removed")
    add.add_argument("--to", required=True, metavar="NAME", help="the import, new or there already")
    add.add_argument("--workspace", type=Path)

    mapped = command("import-mapped", _import_mapped, "Import images and masks of any layout by a mapping; index them.")
    mapped.add_argument("--data", type=Path, required=True)
    mapped.add_argument("--mapping", type=Path, required=True, metavar="FILE.json")
    mapped.add_argument("--to", required=True, metavar="NAME", help="the new import")
    mapped.add_argument("--workspace", type=Path)

    download = command("download-deepglobe", _download, "Download DeepGlobe from Kaggle on your account and index it.")
    download.add_argument("--workspace", type=Path)
    download.add_argument("--credentials", type=Path, metavar="PIPE", help="where the page hands over what was typed")


def _index(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.catalog.catalogue import index_folder

    return _written(index_folder(_workspace(options), options.data, progress, moved=options.collection))


def _draw_sample(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.catalog.catalogue import index_folder
    from core.catalog.sample import write_sample

    workspace = _workspace(options)
    if not any(workspace.sample.glob("*_sat.jpg")):
        drawing = PartProgress(progress, 0, 2, _FIRST)
        write_sample(workspace.sample, options.tiles, options.size, SAMPLE_SEED, drawing)
    report = index_folder(workspace, workspace.sample, PartProgress(progress, 1, 2, _SECOND), synthetic=True)
    return _written(report)


def _add_files(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.catalog.catalogue import index_folder
    from core.catalog.incoming.added_files import Added, add_files

    workspace = _workspace(options)
    into = workspace.imports / _plain_name(options.to)
    added = Added(into, 0, 0, 0, ())
    if options.source.is_dir() or not into.is_dir():  # else it was taken before this job was paused
        added = add_files(options.source, into, PartProgress(progress, 0, 2, _FIRST))
    report = index_folder(workspace, into, PartProgress(progress, 1, 2, _SECOND), also=added.findings)
    return {**_written(report), "added": added.added, "already": added.already, "skipped": added.skipped}


def _import_mapped(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.catalog.catalogue import index_folder
    from core.catalog.incoming.mapped_import import import_mapped, mapping_from_json

    workspace = _workspace(options)
    try:
        mapping = mapping_from_json(json.loads(options.mapping.read_text()))
    except (OSError, ValueError) as error:
        raise InputError(
            f"The mapping {options.mapping} cannot be read ({error}); make it on the Start page."
        ) from error
    into = workspace.imports / _plain_name(options.to)
    done = import_mapped(options.data, mapping, into, PartProgress(progress, 0, 2, _FIRST))
    report = index_folder(workspace, into, PartProgress(progress, 1, 2, _SECOND), also=done.findings)
    return {**_written(report), "linked": done.linked, "written": done.written, "masks": done.masks}


def _download(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.catalog.catalogue import index_folder
    from core.catalog.incoming.kaggle import prepare_environment
    from core.jobs.handover import take

    workspace = _workspace(options)
    typed = take(options.credentials) if options.credentials else None
    prepare_environment(workspace)
    from core.catalog.incoming.download import download_deepglobe  # loads kagglehub, which reads that environment

    folder = download_deepglobe(workspace, progress, typed)
    return _written(index_folder(workspace, folder, progress))


def _workspace(options: argparse.Namespace) -> "Workspace":
    from core.workspace import open_workspace

    return open_workspace(options.workspace)


def _plain_name(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or name.startswith("."):
        raise InputError(f"'{name}' is no name for an import; use letters, digits, dash and underscore.")
    return name


def _written(report: "IndexReport") -> dict[str, Any]:
    written = asdict(report)
    written["findings"] = [{**finding, "path": str(finding["path"])} for finding in written["findings"]]
    return written
