"""Named splits of a collection: kept, followed, changed by hand, and frozen once a run trained under one.

The splits that tiles came with are the unnamed first one. A collection follows it or one named split; what it follows
stands in ``Tile.split``, where training, judging and the queue read it. A split of folds is one whose fold ``judge``
validates while the others train; another fold may judge at any time, which changes nobody's fold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from core.catalog.catalogue import UnknownIdError, collection
from core.catalog.splits import LEFT_OUT, SPLITS
from core.catalog.splitting import came_splits
from core.catalog.splitting.users import SplitRecord, digest, runs_under
from core.errors import InputError
from core.tables import Collection, SplitMember, SplitPlan, Tile
from core.workspace import Workspace

AS_IT_CAME = "as it came"
"""What the unnamed split is called."""

BY_HAND = "by hand"
MOST_LETTERS = 60
MOST_FOLDS = 20

_ROOM_FOR_NUMBER = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Where a split puts a tile: its side (one of ``SPLITS``), and its fold where the split has folds."""

    split: str
    fold: int | None = None

    @property
    def fixed(self) -> str | int:
        """What does not change when another fold judges."""
        return self.split if self.fold is None else self.fold


Members = Mapping[str, Place]
"""The places by tile name; a tile that is not among them is left out."""


@dataclass(frozen=True, slots=True)
class NewSplit:
    """A split that is to be kept: how it was made and who is where. ``judge`` is the fold that judges, of folds."""

    name: str
    method: str
    members: Members
    parameters: Mapping[str, Any] = field(default_factory=dict)
    judge: int | None = None


def plans(workspace: Workspace, collection_id: int) -> list[SplitPlan]:
    """The named splits of a collection, the oldest first."""
    with workspace.database.read() as session:
        query = select(SplitPlan).where(SplitPlan.collection_id == collection_id)
        return list(session.scalars(query.order_by(SplitPlan.id)))


def plan(workspace: Workspace, plan_id: int) -> SplitPlan:
    """One named split. Raises ``UnknownIdError``, an ``InputError``, when there is none of that id."""
    with workspace.database.read() as session:
        return _plan(session, plan_id)


def named(workspace: Workspace, collection_id: int, name: str) -> SplitPlan:
    """The split of a collection that has this name. Raises ``InputError`` when there is none."""
    known = plans(workspace, collection_id)
    found = next((one for one in known if one.name == name), None)
    if found is None:
        there = ", ".join(f"'{one.name}'" for one in known) or "none"
        raise InputError(f"This collection has no split '{name}'; named splits of it: {there}.")
    return found


def members(workspace: Workspace, plan_id: int) -> dict[str, Place]:
    """Who is where in a named split, tiles whose files are away at present too."""
    with workspace.database.read() as session:
        return _members(session, plan_id)


def came_members(workspace: Workspace, collection_id: int) -> dict[str, Place]:
    """Who is where in the split that the tiles came with, whatever they follow now."""
    with workspace.database.read() as session:
        rows = session.execute(
            select(Tile.name, came_splits.came_split()).where(Tile.collection_id == collection_id)
        ).tuples()
        return {name: Place(split) for name, split in rows}


def places(workspace: Workspace, collection_id: int, plan_id: int | None) -> dict[str, Place]:
    """Who is where in a named split, or with None in the one that the tiles came with."""
    return came_members(workspace, collection_id) if plan_id is None else members(workspace, plan_id)


def keep(workspace: Workspace, collection_id: int, new: NewSplit, *, followed: bool = False) -> SplitPlan:
    """Keep a new split, and with ``followed`` let the collection follow it.

    Raises ``InputError`` for a name that is taken or none, and for a split without a tile to train on.
    """
    name = _checked_name(new.name)
    if not any(place.split == "train" for place in new.members.values()):
        raise InputError("This split would leave no tile to train on; give training a greater share.")
    row = SplitPlan(
        collection_id=collection(workspace, collection_id).id,
        name=name,
        method=new.method,
        parameters=dict(new.parameters),
        judge=new.judge,
    )
    with workspace.database.write() as session:
        _refuse_taken(session, collection_id, name)
        session.add(row)
        session.flush()
        _add_members(session, row.id, new.members)
        if followed:
            _follow(session, collection_id, row.id)
    return row


def copy(workspace: Workspace, plan_id: int, name: str) -> SplitPlan:
    """Keep a split once more under another name, which can be changed."""
    row = plan(workspace, plan_id)
    parameters = {**row.parameters, "copy of": row.name}
    new = NewSplit(name, row.method, members(workspace, plan_id), parameters, row.judge)
    return keep(workspace, row.collection_id, new)


def follow(workspace: Workspace, collection_id: int, plan_id: int | None) -> None:
    """Let a collection follow a named split of it, None for the one its tiles came with."""
    with workspace.database.write() as session:
        if plan_id is not None and _plan(session, plan_id).collection_id != collection_id:
            raise InputError("That split is of another collection; choose one of this collection.")
        _follow(session, collection_id, plan_id)


def judge_with(workspace: Workspace, plan_id: int, fold: int) -> None:
    """Let another fold validate. Raises ``InputError`` for a split without that fold."""
    with workspace.database.write() as session:
        row = _plan(session, plan_id)
        of_plan = SplitMember.plan_id == plan_id
        if session.scalar(select(SplitMember.tile_name).where(of_plan, SplitMember.fold == fold).limit(1)) is None:
            raise InputError(f"The split '{row.name}' has no fold {fold + 1}; choose one that it has.")
        session.execute(update(SplitMember).where(of_plan, SplitMember.fold == fold).values(split="val"))
        others = (of_plan, SplitMember.fold.is_not(None), SplitMember.fold != fold)
        session.execute(update(SplitMember).where(*others).values(split="train"))
        row.judge = fold
        _follow_again(session, row)


def move_tiles(workspace: Workspace, collection_id: int, tile_ids: Sequence[int], side: str) -> SplitPlan:
    """As ``move_tiles_of``, in the split that a collection follows."""
    return move_tiles_of(workspace, collection_id, collection(workspace, collection_id).split_plan_id, tile_ids, side)


def move_tiles_of(
    workspace: Workspace, collection_id: int, plan_id: int | None, tile_ids: Sequence[int], side: str
) -> SplitPlan:
    """Put tiles on a side (one of ``SPLITS``, or ``LEFT_OUT``) of a split, as ``replace_places`` does.

    Of folds, 'val' is the fold that judges and 'train' the smallest other one. Returns the split. Raises ``InputError``
    as ``replace_places`` does, and for another word than a side.
    """
    if side not in (*SPLITS, LEFT_OUT):
        raise InputError(f"A tile is moved to {', '.join(SPLITS)} or out of the split, not to '{side}'.")
    names = _names(workspace, collection_id, tile_ids)
    place: Place | None = Place(side) if side else None
    if plan_id is not None:
        place = _place_on(side, plan(workspace, plan_id), members(workspace, plan_id))
    return replace_places(workspace, collection_id, plan_id, dict.fromkeys(names, place))


def replace_places(
    workspace: Workspace, collection_id: int, plan_id: int | None, moves: Mapping[str, Place | None]
) -> SplitPlan:
    """Change where a split puts tiles, by name; None leaves one out. Those that stay where they are do not count.

    The split that the tiles came with (``plan_id`` None) is copied to a new one 'by hand', which is followed where that
    was.
    Returns the split that was changed. Raises ``InputError`` for a split under which a run has trained, and when
    nothing would be left to train on.
    """
    if plan_id is None:
        places = _changed(came_members(workspace, collection_id), moves)
        name = free_name(workspace, collection_id, BY_HAND)
        followed = collection(workspace, collection_id).split_plan_id is None
        new = NewSplit(name, BY_HAND, places, {"started from": AS_IT_CAME})
        return keep(workspace, collection_id, new, followed=followed)
    refuse_frozen(workspace, plan_id)
    with workspace.database.write() as session:
        row = _plan(session, plan_id)
        before = _members(session, plan_id)
        changed = {name: place for name, place in moves.items() if before.get(name) != place}
        if not any(place.split == "train" for place in _changed(before, changed).values()):
            raise InputError(f"That would leave no tile of '{row.name}' to train on; leave some there.")
        _drop_members(session, plan_id, list(changed))
        _add_members(session, plan_id, {name: place for name, place in changed.items() if place is not None})
        row.moved += len(changed)
        _follow_again(session, row)
    return row


def delete_plan(workspace: Workspace, plan_id: int) -> None:
    """Forget a split; a collection that followed it goes back to the one its tiles came with.

    Raises ``InputError`` for a split under which a run has trained.
    """
    refuse_frozen(workspace, plan_id)
    with workspace.database.write() as session:
        row = _plan(session, plan_id)
        if session.get_one(Collection, row.collection_id).split_plan_id == plan_id:
            _follow(session, row.collection_id, None)
        session.execute(delete(SplitPlan).where(SplitPlan.id == plan_id))


def users(workspace: Workspace, plan_id: int) -> list[str]:
    """The runs that trained, or are about to train, under a split: while there are any, it is frozen."""
    return runs_under(workspace, plan(workspace, plan_id).name, members_digest(members(workspace, plan_id)))


def refuse_frozen(workspace: Workspace, plan_id: int) -> None:
    """Raise ``InputError`` for a split that is frozen."""
    used_by = users(workspace, plan_id)
    if used_by:
        others = f" and {len(used_by) - 1} more" if len(used_by) > 1 else ""
        raise InputError(
            f"The split '{plan(workspace, plan_id).name}' is frozen, since run '{used_by[0]}'{others} trained under "
            "it; copy it and change the copy."
        )


def record(
    workspace: Workspace, collection_id: int, *, training: Iterable[str], validation: Iterable[str]
) -> SplitRecord | None:
    """What the card of a run says that trains under the split that a collection follows.

    None where that is the one its tiles came with, and where one of the tiles to train on or to be judged with is on
    another side of the split.
    """
    plan_id = collection(workspace, collection_id).split_plan_id
    if plan_id is None:
        return None
    row, found = plan(workspace, plan_id), members(workspace, plan_id)
    on_side = {side: {name for name, place in found.items() if place.split == side} for side in SPLITS}
    if not (on_side["train"].issuperset(training) and on_side["val"].issuperset(validation)):
        return None
    return SplitRecord(row.name, members_digest(found), row.judge)


def members_digest(places: Members) -> str:
    """The digest of who is where; the same whichever fold judges."""
    return digest({name: place.fixed for name, place in places.items()})


def free_name(workspace: Workspace, collection_id: int, wanted: str) -> str:
    """``wanted``, shortened to what a name may have, or with a number behind it where that is taken."""
    wanted = wanted[: MOST_LETTERS - _ROOM_FOR_NUMBER]
    taken = {one.name.casefold() for one in plans(workspace, collection_id)} | {AS_IT_CAME}
    names = [wanted, *(f"{wanted} {number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name.casefold() not in taken)


def _changed(places: Members, moves: Mapping[str, Place | None]) -> dict[str, Place]:
    """The places after the moves; a tile that is left out is none of them."""
    after = {**places, **moves}
    return {name: place for name, place in after.items() if place is not None and place.split != LEFT_OUT}


def _place_on(side: str, row: SplitPlan, places: Members) -> Place | None:
    """Where a tile goes that is to be on a side of a split."""
    if side == LEFT_OUT:
        return None
    if row.judge is None or side == "test":
        return Place(side)
    if side == "val":
        return Place(side, row.judge)
    sizes = np.bincount([place.fold for place in places.values() if place.fold is not None]).astype(float)
    sizes[row.judge] = np.inf
    return Place(side, int(sizes.argmin()))


def _follow(session: Session, collection_id: int, plan_id: int | None) -> None:
    if plan_id is None:
        came_splits.put_back(session, collection_id)
    else:
        came_splits.follow(session, collection_id, plan_id)
    row = session.get_one(Collection, collection_id)
    row.split_plan_id, row.revision = plan_id, row.revision + 1


def _follow_again(session: Session, row: SplitPlan) -> None:
    """Bring the tiles up to date with a split that changed, where their collection follows it."""
    if session.get_one(Collection, row.collection_id).split_plan_id == row.id:
        _follow(session, row.collection_id, row.id)


def _plan(session: Session, plan_id: int) -> SplitPlan:
    row = session.get(SplitPlan, plan_id)
    if row is None:
        raise UnknownIdError("There is no such split in this workspace; reload the page to see those there are.")
    return row


def _members(session: Session, plan_id: int) -> dict[str, Place]:
    columns = select(SplitMember.tile_name, SplitMember.split, SplitMember.fold)
    rows = session.execute(columns.where(SplitMember.plan_id == plan_id)).tuples()
    return {name: Place(split, fold) for name, split, fold in rows}


def _add_members(session: Session, plan_id: int, places: Members) -> None:
    if places:
        rows = [
            {"plan_id": plan_id, "tile_name": name, "split": place.split, "fold": place.fold}
            for name, place in places.items()
        ]
        session.execute(insert(SplitMember), rows)


_AT_ONCE = 500
"""Names in one statement: SQLite takes a bounded number of values."""


def _drop_members(session: Session, plan_id: int, names: Sequence[str]) -> None:
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        session.execute(delete(SplitMember).where(SplitMember.plan_id == plan_id, SplitMember.tile_name.in_(some)))


def _names(workspace: Workspace, collection_id: int, tile_ids: Sequence[int]) -> list[str]:
    with workspace.database.read() as session:
        known = dict(
            session.execute(select(Tile.id, Tile.name).where(Tile.collection_id == collection_id)).tuples().all()
        )
    missing = next((tile_id for tile_id in tile_ids if tile_id not in known), None)
    if missing is not None:
        raise UnknownIdError(f"There is no tile {missing} in this collection; reload the page to see those there are.")
    return [known[tile_id] for tile_id in tile_ids]


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= MOST_LETTERS or not name.isprintable():
        raise InputError(f"Name the split with 1 to {MOST_LETTERS} letters on one line.")
    if name.casefold() == AS_IT_CAME:
        raise InputError(f"'{AS_IT_CAME}' is what the split is called that the tiles came with; take another name.")
    return name


def _refuse_taken(session: Session, collection_id: int, name: str) -> None:
    taken = session.scalars(select(SplitPlan.name).where(SplitPlan.collection_id == collection_id)).all()
    if name.casefold() in {one.casefold() for one in taken}:
        raise InputError(f"This collection has a split '{name}' already; give the new one another name.")
