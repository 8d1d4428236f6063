"""The commands on named splits: ``split``, ``splits``, ``split-use``, ``split-move``, ``split-copy`` and others."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError
from core.progress import Progress

if TYPE_CHECKING:
    from core.catalog.splitting.making import Groups
    from core.catalog.splitting.plans import Members
    from core.catalog.tile_table import TileTable
    from core.tables import SplitPlan
    from core.workspace import Workspace

Command = Callable[[argparse.Namespace, Progress], dict[str, Any]]
AddCommand = Callable[[str, Command, str], argparse.ArgumentParser]

_METHODS = ("stratified", "random", "grouped", "hold-out", "glnet", "by-hand", "lists")


def add_split_commands(command: AddCommand) -> None:
    """Add the commands to the command line; ``command`` makes one from its name, function and summary."""
    make = command("split", _make, "Split a collection's tiles into train, val and test, or into folds, under a name.")
    _add_place(make, name="what the split is called")
    make.add_argument("--method", choices=_METHODS, required=True)
    make.add_argument("--shares", type=_percentages, default="70,15,15", help="percent of train, val and test")
    make.add_argument("--seed", type=int, default=0)
    make.add_argument("--folds", type=int, metavar="K", help="so many equal folds; the share of test is kept aside")
    make.add_argument("--regions", type=Path, metavar="FILE", help="groups: a CSV file with columns tile and region")
    make.add_argument("--by", choices=["places", "likeness"], default="likeness", help="groups without --regions")
    make.add_argument("--clusters", type=int, default=8, metavar="K", help="how many groups without --regions")
    make.add_argument("--hold-out", metavar="GROUP", help="the group that hold-out leaves out of training")
    make.add_argument("--to", choices=["val", "test"], default="val", help="the side that --hold-out goes to")
    make.add_argument("--from", dest="base", metavar="NAME", help="the split that by-hand starts from")
    make.add_argument("--lists", type=Path, nargs="+", metavar="FILE", help="train.txt, val.txt, test.txt or a CSV")
    make.add_argument("--keep-related", action="store_true", help="equal, like and neighbouring tiles on one side")
    make.add_argument("--use", action="store_true", help="let the collection follow it from now on")
    make.add_argument("--export", type=Path, metavar="DIR", help="write its lists there")

    _add_place(command("splits", _list, "Say how the splits of a collection lie, and what leaks in each."))

    use = command("split-use", _use, "Let a collection follow a split.")
    _add_place(use, name="by default the split that the tiles came with", required=False)
    use.add_argument("--fold", type=int, metavar="K", help="the fold that judges, from 1")

    move = command("split-move", _move, "Move tiles to a side of a split, or related ones together.")
    _add_place(move, name="by default the split that is followed", required=False)
    move.add_argument("--to", choices=["train", "val", "test", "out"], default="train")
    move.add_argument("--tile", action="append", default=[], help="a tile's name; may be repeated")
    move.add_argument("--related", action="store_true", help="bring all tiles together that belong together")

    twin = command("split-copy", _copy, "Keep a split once more under another name, which can be changed.")
    _add_place(twin, name="the split to copy")
    twin.add_argument("--as", dest="copy_name", required=True, metavar="NAME")

    lists = command("split-export", _export, "Write a split as lists of tiles.")
    _add_place(lists, name="by default the split that the tiles came with", required=False)
    lists.add_argument("--out", type=Path, required=True, metavar="DIR")

    _add_place(command("split-delete", _delete, "Forget a split that no run trained under."), name="the split")


def _add_place(parser: argparse.ArgumentParser, *, name: str = "", required: bool = True) -> None:
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--collection", type=int, required=True)
    if name:
        parser.add_argument("--name", required=required, help=name)


def _make(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.catalog.alike.related import related_pairs
    from core.catalog.splitting import plans as split_plans
    from core.catalog.splitting.making import SplitRequest, make_split

    workspace, table = _table(options)
    method = options.method.replace("-", " ")
    related = related_pairs(workspace, options.collection) if options.keep_related else None
    base, source = _base(options, workspace)
    request = SplitRequest(
        method=method,
        shares=options.shares,
        seed=options.seed,
        folds=options.folds,
        groups=_groups(options, workspace, table) if method in ("grouped", "hold out") else None,
        held_out=options.hold_out or "",
        held_side=options.to,
        together=None if related is None else [(pair.first, pair.second) for pair in related.pairs],
        base=base,
        source=source,
    )
    new = make_split(table, request, options.name)
    row = split_plans.keep(workspace, options.collection, new, followed=options.use)
    if options.export:
        _write(options.export, workspace, options.collection, row)
    return _told(options, workspace, row)


def _list(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.catalog.splitting.plans import plans

    workspace, _ = _table(options)
    rows = [None, *plans(workspace, options.collection)]
    return {"splits": [_told(options, workspace, row) for row in rows]}


def _use(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.catalog.splitting import plans as split_plans

    workspace, _ = _table(options)
    row = _row(options, workspace)
    if options.fold is not None:
        if row is None:
            raise InputError("--fold is of a split with folds; name one with --name.")
        split_plans.judge_with(workspace, row.id, options.fold - 1)
    split_plans.follow(workspace, options.collection, None if row is None else row.id)
    return _told(options, workspace, _row(options, workspace))


def _move(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.catalog.splitting import plans as split_plans
    from core.catalog.splitting.view import split_view

    workspace, table = _table(options)
    row = _row(options, workspace) if options.name else _followed(options, workspace)
    plan_id = None if row is None else row.id
    if options.related:
        moves = split_view(workspace, table, row).mending
        if moves:
            row = split_plans.replace_places(workspace, options.collection, plan_id, moves)
        return _told(options, workspace, row)
    ids = {row.name: row.id for row in table.rows}
    missing = next((name for name in options.tile if name not in ids), None)
    if missing is not None:
        raise InputError(f"There is no tile {missing} in this collection; see the names on the Browse page.")
    if not options.tile:
        raise InputError("Say what to move: name tiles with --tile, or bring related ones together with --related.")
    side = "" if options.to == "out" else options.to
    moved = [ids[name] for name in options.tile]
    return _told(options, workspace, split_plans.move_tiles_of(workspace, options.collection, plan_id, moved, side))


def _copy(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.catalog.splitting import plans as split_plans

    workspace, _ = _table(options)
    row = split_plans.named(workspace, options.collection, options.name)
    return _told(options, workspace, split_plans.copy(workspace, row.id, options.copy_name))


def _export(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    workspace, _ = _table(options)
    row = _row(options, workspace)
    _write(options.out, workspace, options.collection, row)
    return {"out": str(options.out), **_told(options, workspace, row)}


def _delete(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.catalog.splitting import plans as split_plans

    workspace, _ = _table(options)
    row = split_plans.named(workspace, options.collection, options.name)
    split_plans.delete_plan(workspace, row.id)
    return {"deleted": row.name}


def _table(options: argparse.Namespace) -> "tuple[Workspace, TileTable]":
    from core.catalog.catalogue import collection
    from core.catalog.tile_table import tile_table
    from core.workspace import open_workspace

    workspace = open_workspace(options.workspace)
    return workspace, tile_table(workspace, collection(workspace, options.collection))


def _row(options: argparse.Namespace, workspace: "Workspace") -> "SplitPlan | None":
    """The split of the name that was given; None for the one that the tiles came with."""
    from core.catalog.splitting.plans import AS_IT_CAME, named

    return None if options.name in (None, AS_IT_CAME) else named(workspace, options.collection, options.name)


def _followed(options: argparse.Namespace, workspace: "Workspace") -> "SplitPlan | None":
    from core.catalog.catalogue import collection
    from core.catalog.splitting.plans import plan

    plan_id = collection(workspace, options.collection).split_plan_id
    return None if plan_id is None else plan(workspace, plan_id)


def _base(options: argparse.Namespace, workspace: "Workspace") -> "tuple[Members, str]":
    """What a split by hand starts from, or the lists that were given, with what that is called."""
    from core.catalog.splitting import plans as split_plans
    from core.catalog.splitting.lists import parse_lists

    if options.method == "lists":
        if not options.lists:
            raise InputError("Name the lists with --lists, as train.txt val.txt test.txt or one CSV file.")
        return parse_lists((path.name, _read(path)) for path in options.lists), ", ".join(p.name for p in options.lists)
    if options.method != "by-hand":
        return {}, ""
    name = options.base or split_plans.AS_IT_CAME
    row = None if name == split_plans.AS_IT_CAME else split_plans.named(workspace, options.collection, name)
    return split_plans.places(workspace, options.collection, None if row is None else row.id), name


def _groups(options: argparse.Namespace, workspace: "Workspace", table: "TileTable") -> "Groups":
    from core.catalog.splitting import groups as split_groups

    if options.regions:
        return split_groups.groups_of_file(table, _read(options.regions), options.regions.name)
    if options.by == "places":
        return split_groups.groups_of_places(table, options.clusters, seed=options.seed)
    return split_groups.groups_of_likeness(workspace, table, options.clusters, seed=options.seed)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a file that is there.") from error


def _write(folder: Path, workspace: "Workspace", collection_id: int, row: "SplitPlan | None") -> None:
    from core.catalog.splitting.lists import write_lists
    from core.catalog.splitting.plans import places

    write_lists(folder, places(workspace, collection_id, None if row is None else row.id))


def _told(options: argparse.Namespace, workspace: "Workspace", row: "SplitPlan | None") -> dict[str, Any]:
    """What the command line says of a split."""
    from core.catalog.splitting.view import split_view

    _, table = _table(options)
    followed = _followed(options, workspace)
    is_followed = (None if row is None else row.id) == (None if followed is None else followed.id)
    return {**split_view(workspace, table, row).as_dict(), "followed": is_followed}


def _percentages(text: str) -> tuple[float, ...]:
    try:
        shares = tuple(float(part) / 100 for part in text.split(","))
    except ValueError:
        shares = ()
    if len(shares) != len(("train", "val", "test")):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of three percentages, as in 70,15,15")
    return shares
