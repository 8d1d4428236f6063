"""The tables of the workspace's database (see ``core/database.py`` for how it is opened and migrated)."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def now() -> datetime:
    """The current time in UTC, without a zone, as SQLite keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)


class Base(DeclarativeBase):
    """The base of all tables."""

    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class Collection(Base):
    """A folder of tiles that was opened."""

    __tablename__ = "collection"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    root: Mapped[str] = mapped_column(unique=True)
    synthetic: Mapped[bool] = mapped_column(default=False)
    indexed: Mapped[datetime] = mapped_column(default=now)
    # Raised by every change of its tiles' rows: what is kept of them in memory is known by it.
    revision: Mapped[int] = mapped_column(default=0, server_default="0")
    split_plan_id: Mapped[int | None]  # the named split that its tiles follow; None: the splits that came with them


class Tile(Base):
    """One image, with the mask that came with it, if any."""

    __tablename__ = "tile"
    __table_args__ = (UniqueConstraint("collection_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"))
    name: Mapped[str]
    image_path: Mapped[str]
    mask_path: Mapped[str | None]
    width: Mapped[int]
    height: Mapped[int]
    metres_per_pixel_x: Mapped[float]
    metres_per_pixel_y: Mapped[float]
    crs: Mapped[str | None]
    # From pixels to the CRS: a to f of x = a column + b row + c, y = d column + e row + f; None without a CRS.
    transform: Mapped[list[Any] | None]
    fingerprint: Mapped[str]  # of the image file's bytes: keys every cache
    mask_fingerprint: Mapped[str | None]
    split: Mapped[str]  # train, val, test; "" where the named split that it follows leaves it out
    split_source: Mapped[str]  # glnet, folder, rule, plan (a named split of this workspace)
    class_shares: Mapped[list[Any] | None]  # of the given mask: six floats that sum to its labelled share


class Problem(Base):
    """Something wrong with a file of a collection, in one sentence."""

    __tablename__ = "problem"
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"))
    tile_name: Mapped[str | None]
    path: Mapped[str]
    severity: Mapped[str]  # error: the file is left out; warning: used, with this caveat
    sentence: Mapped[str]


class SplitPlan(Base):
    """A named split of a collection, and how it was made (see ``core/catalog/splitting/plans.py``)."""

    __tablename__ = "split_plan"
    __table_args__ = (UniqueConstraint("collection_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"))
    name: Mapped[str]
    method: Mapped[str]  # one of core.catalog.splitting.making.METHODS
    parameters: Mapped[dict[str, Any]]
    judge: Mapped[int | None]  # of folds: the one that validates at present, from 0
    moved: Mapped[int] = mapped_column(default=0)  # tiles that were moved by hand since it was made
    created: Mapped[datetime] = mapped_column(default=now)


class SplitMember(Base):
    """Where a named split puts a tile: by its name, which outlives a file that is away for a while."""

    __tablename__ = "split_member"
    plan_id: Mapped[int] = mapped_column(ForeignKey("split_plan.id", ondelete="CASCADE"), primary_key=True)
    tile_name: Mapped[str] = mapped_column(primary_key=True)
    split: Mapped[str]  # train, val, test; of a tile in a fold: what it is while ``SplitPlan.judge`` judges
    fold: Mapped[int | None]  # the fold that the tile is in, from 0


class CameSplit(Base):
    """The split that a tile came with, kept while it follows a named one."""

    __tablename__ = "came_split"
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id", ondelete="CASCADE"), primary_key=True)
    split: Mapped[str]
    source: Mapped[str]  # glnet, folder, rule


class TileLook(Base):
    """What a tile looks like, for finding what is alike, the same, or next to it: ``core/catalog/alike/looks.py``."""

    __tablename__ = "tile_look"
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id", ondelete="CASCADE"), primary_key=True)
    fingerprint: Mapped[str]  # of the image and of the way it was looked at
    pixels: Mapped[str]  # of the decoded picture: two files may show the same one
    embedding: Mapped[bytes] = mapped_column(LargeBinary)  # float32, unit length: the encoder's mean features
    outline: Mapped[bytes] = mapped_column(LargeBinary)  # what near duplicates are told by
    borders: Mapped[bytes] = mapped_column(LargeBinary)  # what neighbouring tiles are told by
    colours: Mapped[list[Any]]  # six floats: core.evaluation.tile_profiles.COLOUR_STATISTICS
    sizes: Mapped[dict[str, Any]]  # of the given mask: class name to the pixels of each instance
    made: Mapped[datetime] = mapped_column(default=now, index=True)


class LabelAmount(Base):
    """How much somebody labelled on a tile, counted from the mask file whose ``mark`` it bears."""

    __tablename__ = "label_amount"
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id", ondelete="CASCADE"), primary_key=True)
    mark: Mapped[str]  # the file's time of change and size
    instances: Mapped[list[Any]]  # six counts
    pixels: Mapped[list[Any]]  # six counts


class Stroke(Base):
    """One edit of a tile's class raster: the append-only journal, and the unit of undo.

    ``before`` and ``after`` are the zlib-compressed uint8 patches of the box
    (``top``, ``left``, ``height``, ``width``), so that undo and redo are exact. ``opinion`` is empty for the
    labels of the tile, or names the annotator whose second opinion this belongs to: each is a raster of its own.
    """

    __tablename__ = "stroke"
    # By state too: counting must not read past the patches of thousands of strokes.
    __table_args__ = (Index("stroke_by_sheet", "tile_id", "opinion", "state", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id", ondelete="CASCADE"))
    opinion: Mapped[str] = mapped_column(default="", server_default="")
    client_key: Mapped[str] = mapped_column(unique=True)  # made by the browser: a stroke sent twice counts once
    annotator: Mapped[str]
    tool: Mapped[str]
    class_index: Mapped[int]
    geometry: Mapped[dict[str, Any]]
    top: Mapped[int]
    left: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]
    before: Mapped[bytes] = mapped_column(LargeBinary)
    after: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(default="done")  # done, undone, dropped (undone, then overtaken)
    created: Mapped[datetime] = mapped_column(default=now)


class LabelOperation(Base):
    """One step along a tile's strokes: a stroke made, undone or redone.

    Its ``client_key`` is also written into the mask file, which ties the file to the journal: where the two
    differ, one of them missed a step (see ``core/labels/journal.py``).
    """

    __tablename__ = "label_operation"
    __table_args__ = (Index("label_operation_by_sheet", "tile_id", "opinion", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id", ondelete="CASCADE"))
    opinion: Mapped[str] = mapped_column(default="", server_default="")
    stroke_id: Mapped[int] = mapped_column(ForeignKey("stroke.id", ondelete="CASCADE"))
    client_key: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]  # stroke, undo, redo
    created: Mapped[datetime] = mapped_column(default=now)


class LabelVersion(Base):
    """A class raster as it was at one operation: named by a person, or made by the compaction of the journal."""

    __tablename__ = "label_version"
    __table_args__ = (Index("label_version_by_sheet", "tile_id", "opinion", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id", ondelete="CASCADE"))
    opinion: Mapped[str] = mapped_column(default="", server_default="")
    name: Mapped[str | None]  # None: a checkpoint of the compaction
    annotator: Mapped[str]
    sequence: Mapped[int]  # the LabelOperation that it follows
    stroke_id: Mapped[int]  # strokes up to this one are in it
    raster: Mapped[bytes] = mapped_column(LargeBinary)  # zlib, uint8
    origins: Mapped[bytes] = mapped_column(LargeBinary)  # zlib, int32: which stroke set each pixel, 0 none
    created: Mapped[datetime] = mapped_column(default=now)


class TileWork(Base):
    """How far the labelling of a tile is; a tile without a row is new."""

    __tablename__ = "tile_work"
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id", ondelete="CASCADE"), primary_key=True)
    status: Mapped[str]  # new, in work, done, approved, sent back
    comment: Mapped[str] = mapped_column(default="")
    annotator: Mapped[str]
    changed: Mapped[datetime] = mapped_column(default=now, index=True)


class TileLock(Base):
    """Who labels a tile just now: a soft lock that expires unless it is renewed."""

    __tablename__ = "tile_lock"
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id", ondelete="CASCADE"), primary_key=True)
    opinion: Mapped[str] = mapped_column(primary_key=True, default="")
    annotator: Mapped[str]
    tab: Mapped[str]  # made by the browser tab: one person may have two
    taken: Mapped[datetime] = mapped_column(default=now)
    expires: Mapped[datetime]


class TileFacts(Base):
    """What a run says of a tile, for choosing what to label next."""

    __tablename__ = "tile_facts"
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id", ondelete="CASCADE"), primary_key=True)
    run: Mapped[str]
    fingerprint: Mapped[str]  # of the image and the run's weights it was made from
    uncertainty: Mapped[float]  # mean entropy over the cells, as a share of the greatest possible, 0 to 1
    class_shares: Mapped[list[Any]]  # predicted: six floats
    embedding: Mapped[bytes] = mapped_column(LargeBinary)  # float32: mean of the tile's features, unit length
    made: Mapped[datetime] = mapped_column(default=now, index=True)


class LiveScore(Base):
    """One point of the curve 'mIoU per labelled minute': a head that was refitted while somebody painted."""

    __tablename__ = "live_score"
    __table_args__ = (Index("live_score_by_collection", "collection_id", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"))
    labelled_seconds: Mapped[float]
    strokes: Mapped[int]
    miou: Mapped[float]
    low: Mapped[float]
    high: Mapped[float]
    tiles: Mapped[int]  # held out, and scored whole
    made: Mapped[datetime] = mapped_column(default=now)


class PlaceToMend(Base):
    """A region where a run took one class for another, sent to the labelling queue by somebody."""

    __tablename__ = "place_to_mend"
    __table_args__ = (Index("place_to_mend_by_tile", "tile_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id", ondelete="CASCADE"))
    run: Mapped[str]
    true_class: Mapped[int]
    predicted: Mapped[int]  # 255: unlabelled
    top: Mapped[int]
    left: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]
    pixels: Mapped[int]
    annotator: Mapped[str]
    created: Mapped[datetime] = mapped_column(default=now)


class TruthJudgement(Base):
    """What a person says of a region where a run confidently contradicts the given mask.

    ``mask`` is the region's pixels in its box, packed to bits by ``numpy.packbits`` and compressed by zlib: it outlives
    the run.
    """

    __tablename__ = "truth_judgement"
    __table_args__ = (UniqueConstraint("tile_id", "mask_fingerprint", "region"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id", ondelete="CASCADE"))
    mask_fingerprint: Mapped[str]  # of the given mask that was judged: another one is another matter
    region: Mapped[str]  # tells it from others: its classes, box and pixels
    run: Mapped[str]
    true_class: Mapped[int]
    predicted: Mapped[int]
    top: Mapped[int]
    left: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]
    pixels: Mapped[int]
    confidence: Mapped[float]
    mask: Mapped[bytes] = mapped_column(LargeBinary)
    verdict: Mapped[str]  # model wrong, label wrong, ambiguous
    annotator: Mapped[str]
    created: Mapped[datetime] = mapped_column(default=now)


class Job(Base):
    """One command line, waiting, running, paused or ended."""

    __tablename__ = "job"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]  # index, fit, predict, evaluate, ...
    title: Mapped[str]
    arguments: Mapped[list[Any]]  # after ``python -m core``
    device: Mapped[str]  # cpu, cuda, cluster: as many jobs run on each at a time as it has slots
    state: Mapped[str] = mapped_column(default="queued", index=True)
    priority: Mapped[int] = mapped_column(default=0, server_default="0")  # the greater the sooner
    place: Mapped[int] = mapped_column(default=0, server_default="0")  # within a priority, the smaller the sooner
    cancel_requested: Mapped[datetime | None]  # when; a while later it is ended by force
    pause_requested: Mapped[datetime | None]  # likewise
    pid: Mapped[int | None]
    pid_started: Mapped[float | None]  # the process's start time: a pid alone may be reused
    exit_status: Mapped[int | None]
    message: Mapped[str | None]  # one sentence for a person, when it did not end well
    created: Mapped[datetime] = mapped_column(default=now)
    started: Mapped[datetime | None]  # the last time
    ended: Mapped[datetime | None]
    worked_seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")  # in earlier attempts


class Setting(Base):
    """Small facts about the workspace, by key."""

    __tablename__ = "setting"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]]
