"""Predictions that are kept in the workspace: computed once, shown by every page.

``predictions/<run>/<switches>/<collection id>/<tile>_mask.png`` with a ``<tile>.json`` beside it that says from which
image, which weights and by which version of the switches it was made; where one of them is another now, the prediction
is stale and says so. ``predictions/<run>/looks/<views>/<image>.look`` has what the run's networks said of an image: a
refinement that is tried later does not ask them again. Of
an ensemble each member's word is kept as its own.
"""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.atomic import write_json
from core.catalog.catalogue import tiles
from core.catalog.images import read_mask, write_mask
from core.classes import ClassRaster
from core.errors import InputError
from core.inference import imported
from core.inference.compact import CompactProbabilities, read_compact, write_compact
from core.inference.ensembles import EnsembleSegmenter, member_runs, read_ensemble
from core.inference.extent import Extent
from core.inference.measured_costs import NETWORKS, READING, REMEMBERING, Stopwatch
from core.inference.network import NetworkSegmenter
from core.inference.predict import AnySegmenter, Probabilities, Segmenter, load_segmenter
from core.inference.store_space import LOOKS, KeptGroup, make_room
from core.inference.switches import Switches
from core.inference.tile_prediction import Look, MeanLook, TileImage, finish, look, mean_look, open_tile
from core.progress import Progress
from core.tables import Tile, now
from core.training.feature_cache import FeatureCache
from core.training.runs import is_ensemble, list_runs, read_run, weights_file
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class KeptPrediction:
    """A kept prediction: where its mask lies, and how long it took to make (seconds, from the file to the raster).

    ``stale`` is why it is no longer what its run would give, in words, or None.
    """

    path: Path
    seconds: float
    stale: str | None = None


def run_folder(workspace: Workspace, run: str) -> Path:
    """The folder of a run of this workspace. Raises ``InputError`` for a name that no run has."""
    if run not in {entry.name for entry in list_runs(workspace.runs)}:
        raise InputError(f"This workspace has no run '{run}'; train one, or choose another.")
    return workspace.runs / run


def open_segmenter(workspace: Workspace, run: str) -> AnySegmenter:
    """Load a run of this workspace for prediction, on the workspace's cached features.

    Raises ``InputError`` as ``run_folder`` and ``load_segmenter`` do.
    """
    return load_segmenter(run_folder(workspace, run), cache=FeatureCache(workspace.features))


def folder(workspace: Workspace, run: str, switches: Switches, collection_id: int) -> Path:
    """Where the predictions of one run, with one setting of the switches, of one collection lie."""
    return workspace.predictions / run / switches.key / str(collection_id)


def find(workspace: Workspace, run: str, tile: Tile, switches: Switches) -> KeptPrediction | None:
    """The kept prediction of a tile, stale or not; None where there is none."""
    place = folder(workspace, run, switches, tile.collection_id)
    note, mask = place / f"{tile.name}.json", place / f"{tile.name}_mask.png"
    try:
        facts = json.loads(note.read_text())
    except (OSError, ValueError):
        return None
    if not mask.exists():
        return None
    return KeptPrediction(mask, float(facts["seconds"]), _why_stale(workspace, run, tile, switches, facts))


def kept(workspace: Workspace, run: str, tile: Tile, switches: Switches) -> KeptPrediction | None:
    """The kept prediction of a tile, or None where there is none or it is stale."""
    found = find(workspace, run, tile, switches)
    return found if found and found.stale is None else None


def load(prediction: KeptPrediction, tile: Tile) -> ClassRaster:
    """The class raster of a kept prediction, (height, width) uint8."""
    touch(prediction)
    return read_mask(prediction.path, shape=(tile.height, tile.width)).raster


def touch(prediction: KeptPrediction) -> None:
    """Somebody looked at it: it is the last in line to be removed for want of space."""
    for path in (prediction.path, note_path(prediction)):
        if path.exists():
            os.utime(path)


def note_path(prediction: KeptPrediction) -> Path:
    """The file that says from what it was made."""
    return prediction.path.with_name(prediction.path.name.replace("_mask.png", ".json"))


def put(workspace: Workspace, run: str, tile: Tile, switches: Switches, made: "Made") -> KeptPrediction:
    """Keep a prediction and what the runs said; the note comes last, since its presence says that all is there.

    What was used least recently goes where the room is up. Raises ``InputError`` when it cannot be written.
    """
    for (voice, _), compact in zip(voices(run_folder(workspace, run)), made.looks, strict=True):
        path = _look_path(workspace, voice, switches, tile.fingerprint)
        if not imported.is_imported(voice) and not path.is_file():
            write_compact(path, compact)
    place = folder(workspace, run, switches, tile.collection_id)
    mask = place / f"{tile.name}_mask.png"
    write_mask(mask, made.raster)
    note = {
        "fingerprint": tile.fingerprint,
        "weights": weights_stamp(workspace, run),
        "switches": switches.facts,
        "versions": switches.versions,
        "seconds": round(made.seconds, 4),
        "stages": {name: round(seconds, 4) for name, seconds in made.stages.items()},
        "machine": platform.node(),
        "made": now().isoformat(timespec="seconds"),
    }
    write_json(place / f"{tile.name}.json", note)
    make_room(workspace)
    return KeptPrediction(mask, made.seconds)


@dataclass(frozen=True, slots=True)
class Made:
    """What there is to keep of a predicted tile: its raster, what each run said, and the seconds it took.

    ``stages`` are those seconds by stage (``measured_costs``), where it was made on this machine.
    """

    raster: ClassRaster
    looks: Sequence[CompactProbabilities]
    seconds: float
    stages: Mapping[str, float] = field(default_factory=dict)


class Predictor:
    """Predicts tiles of a workspace with one run, and keeps what it makes.

    A network is loaded when it is asked something that is not kept, and then once. Raises ``InputError`` for a name
    that no run has, and an ensemble that lacks a member.
    """

    def __init__(self, workspace: Workspace, run: str) -> None:
        self._workspace, self._run = workspace, run
        self._voices = voices(run_folder(workspace, run))
        self._segmenters: dict[Path, Segmenter | NetworkSegmenter] = {}

    def compute(self, tile: Tile, switches: Switches, progress: Progress) -> KeptPrediction:
        """The kept prediction of a tile, made first if need be.

        Raises ``InputError`` when the image or a run cannot be read, or nothing can be written.
        """
        found = kept(self._workspace, self._run, tile, switches)
        if found is not None:
            touch(found)
            return found
        asked = [voice for voice, _ in self._voices if not self._remembers(voice, tile, switches)]
        for voice in asked:  # now: loading a network is no cost of a tile
            self._segmenter(voice)
        watch = Stopwatch()
        image = open_tile(Path(tile.image_path))
        watch.lap(READING)
        looks = self._looks(image, switches, progress)
        said = self._mean(looks, switches)
        watch.lap(NETWORKS if asked else REMEMBERING)
        raster, _ = finish(said, image, switches, watch)
        raster = imported.within_extent(raster, [voice for voice, _ in self._voices], tile)
        made = Made(raster, [one.compact for one in looks], sum(watch.stages.values()), watch.stages)
        return put(self._workspace, self._run, tile, switches, made)

    def probabilities(self, tile: Tile, switches: Switches, progress: Progress) -> Probabilities:
        """(6, height, width) float32 from which the prediction of ``compute`` is taken."""
        image = open_tile(Path(tile.image_path))
        return finish(self._mean(self._looks(image, switches, progress), switches), image, switches)[1]

    def said(self, tile: Tile, switches: Switches, progress: Progress) -> MeanLook:
        """What the networks say of a tile together, before any refinement; what is new of it is not kept."""
        looks = self._looks(open_tile(Path(tile.image_path)), switches, progress)
        return self._mean(looks, switches)

    def knows(self, tile: Tile, switches: Switches) -> bool:
        """Whether no network has to be asked for this prediction."""
        return kept(self._workspace, self._run, tile, switches) is not None or all(
            self._remembers(voice, tile, switches) for voice, _ in self._voices
        )

    def _remembers(self, voice: Path, tile: Tile, switches: Switches) -> bool:
        """Whether what a run says of a tile is at hand without its network."""
        path = _look_path(self._workspace, voice, switches, tile.fingerprint)
        return imported.is_imported(voice) or path.is_file()

    def _segmenter(self, voice: Path) -> Segmenter | NetworkSegmenter:
        """The network of a run, loaded when it is first asked for."""
        if voice not in self._segmenters:
            loaded = load_segmenter(voice, cache=FeatureCache(self._workspace.features))
            if isinstance(loaded, EnsembleSegmenter):
                raise TypeError("the members of an ensemble speak one by one")
            self._segmenters[voice] = loaded
        return self._segmenters[voice]

    def _looks(self, image: TileImage, switches: Switches, progress: Progress) -> list[Look]:
        return [self._look(voice, image, switches, progress) for voice, _ in self._voices]

    def _mean(self, looks: Sequence[Look], switches: Switches) -> MeanLook:
        return mean_look(looks, [share for _, share in self._voices], switches)

    def _look(self, voice: Path, image: TileImage, switches: Switches, progress: Progress) -> Look:
        if imported.is_imported(voice):
            return imported.look(voice, image)
        path = _look_path(self._workspace, voice, switches, image.fingerprint)
        compact = read_compact(path)
        if compact is not None:
            os.utime(path)
            return Look(compact.expand(), compact)
        return look(self._segmenter(voice), image, tta=switches.tta, progress=progress)


def voices(run: Path) -> list[tuple[Path, float]]:
    """The folders of the runs that speak for a run, with their shares: itself, or the members of an ensemble.

    Raises ``InputError`` for an ensemble that lacks a member.
    """
    if not is_ensemble(run):
        return [(run, 1.0)]
    shares = read_ensemble(run).shares
    parts = zip(member_runs(run), shares, strict=True)
    return [(one, part * share / sum(shares)) for member, share in parts for one, part in voices(member)]


def stale_tiles(workspace: Workspace, group: KeptGroup) -> int:
    """How many predictions of a group are no longer what the run would give; all where its run is gone."""
    try:
        switches = Switches.from_facts(group.switches)
    except (InputError, TypeError):
        return len(group.tiles)
    known = {tile.name: tile for tile in tiles(workspace, group.collection_id)}
    found = [find(workspace, group.run, known[name], switches) for name in group.tiles if name in known]
    return sum(one is None or one.stale is not None for one in found) + len(group.tiles) - len(found)


def training_images(run: Path) -> frozenset[str]:
    """The fingerprints of the images that a run, or a member of it, was trained on."""
    cards = [read_run(voice).card for voice, _ in voices(run)]
    return frozenset(image for card in cards for image in card.training_tiles.values())


def extent(run: Path, tile: Tile) -> Extent | None:
    """The part of a tile that a run says something of: all of it, but for imported runs; None for nothing at all."""
    if imported.is_imported(run):
        return imported.extent(run, tile.fingerprint)
    return Extent(0, 0, tile.height, tile.width)


def _why_stale(workspace: Workspace, run: str, tile: Tile, switches: Switches, facts: dict[str, Any]) -> str | None:
    if facts["fingerprint"] != tile.fingerprint:
        return "the tile's image has changed since"
    if facts["weights"] != weights_stamp(workspace, run):
        return "the run was trained anew since"
    if facts.get("versions", {}) != switches.versions:
        return "this Tilewright does one of its switches in another way than the one that made it"
    return None


def _look_path(workspace: Workspace, voice: Path, switches: Switches, fingerprint: str) -> Path:
    """Named by all that it depends on, so that a stale one is never found; it goes when the room is up."""
    views = switches.of_network
    version = "".join(f"-{number}" for number in views.versions.values())
    name = f"{fingerprint}-{_stamp(voice)}.look"
    return workspace.predictions / voice.name / LOOKS / f"{views.tta}{version}" / name


def weights_stamp(workspace: Workspace, run: str) -> str:
    """Tells one version of a run, or of an ensemble and its members, from another."""
    folder = workspace.runs / run
    if not is_ensemble(folder):
        return _stamp(folder)
    members = [(folder / member.run).resolve() for member in read_ensemble(folder).members]
    return "+".join(map(_stamp, (folder, *members)))


def _stamp(run: Path) -> str:
    """Runs are written once, so the time and size of their weights tell."""
    file = run / imported.NOTE if imported.is_imported(run) else weights_file(run)
    try:
        status = file.stat()
    except FileNotFoundError:
        return "gone"
    return f"{status.st_mtime_ns}-{status.st_size}"
