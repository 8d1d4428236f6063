"""The learning curve: the score by the number of labelled instances, and how many more would reach a target.

Shares of the labelled instances are drawn class by class and nested within a seed: what 10 % holds, 25 % holds too. The
score is a cross-validation by whole tile on the masks beside the images. The curve is a power law that flattens,
``miou(n) = a - b n^-c`` (Figueroa et al. 2012, "Predicting sample size required for classification performance";
Viering and Loog 2023, "The shape of learning curves: a review"), with n the instances a class that a fit learns from.
"""

import json
import math
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import OptimizeWarning, curve_fit

from core.atomic import write_json
from core.catalog.discover import TileFile, find_mask
from core.catalog.images import fingerprint, read_info, read_mask, write_mask
from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster
from core.cluster.connection import ClusterUse
from core.cluster.fan_out import Asked, Outcome
from core.errors import InputError
from core.labels.instances import MIN_PIXELS
from core.progress import Progress
from core.training.cross_validation import LEAVE_ONE_OUT, cross_validate, judged_tiles
from core.training.distributed_calls import call_each
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest
from core.training.parcels import pack_request, unpack_request
from core.training.provenance import digest, recipe_hash
from core.training.recipe import Recipe

FORMAT = "tilewright-learning-curve-1"
SHARES = (5, 10, 25, 50, 100)
DEFAULT_FOLDS = 5
FARTHEST = 10
"""How many times what is labelled a power law may be followed; beyond, it says nothing one could plan by."""
LEVEL = 0.95
_DRAWS = 400
_FEW_REPEATS = 5
_STEEPEST, _FLATTEST = 3.0, 0.05


@dataclass(frozen=True, slots=True)
class CurveRequest:
    """What to measure: shares in percent, a repeat for each seed. ``folds`` None takes five, or one a tile."""

    data: Path
    out: Path
    recipe: Recipe
    labels: Path | None = None
    shares: tuple[int, ...] = SHARES
    seeds: tuple[int, ...] = (0, 1, 2)
    target: float | None = None
    folds: int | None = None
    device: str = "auto"
    cache: FeatureCache | None = None


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """``miou(n) = a - b n^-c``: ``a`` is where it flattens."""

    a: float
    b: float
    c: float

    @property
    def flattens(self) -> bool:
        """Whether it was seen to: the fit did not push ``a`` to the 1 that no score exceeds."""
        return self.a < 0.999

    def at(self, instances: float) -> float:
        """The score with so many instances a class."""
        return float(self.a - self.b * instances**-self.c)

    def needed(self, miou: float) -> float:
        """The instances a class that reach a score; infinite where the curve never does."""
        return float((self.b / (self.a - miou)) ** (1 / self.c)) if miou < self.a else math.inf


Points = Sequence[tuple[float, float]]
"""Instances a class and mean IoU of each measured point."""


def learning_curve(request: CurveRequest, progress: Progress, *, cluster: ClusterUse | None = None) -> dict[str, Any]:
    """Measure the curve, fit it, and say what reaches the target; writes ``request.out`` after every point.

    With a ``cluster`` as many points are measured at once as it has room for; they are the same.
    Points that the file has from an earlier call with the same tiles, labels, recipe and folds are not measured again.
    A share that leaves too little to fit has its sentence in ``skipped``. Raises ``InputError`` where nothing is
    labelled, for fewer than two tiles with masks, and where the file holds something else; ``CancelledError``.
    """
    tiles = judged_tiles(request.data, request.recipe)
    rasters = _labels(tiles, request.labels)
    folds = min(DEFAULT_FOLDS, len(tiles)) if request.folds is None else request.folds
    header = _header(request, tiles, folds)
    points: list[dict[str, Any]] = _old_points(request.out, header)
    wanted = [(seed, share) for seed in request.seeds for share in sorted(set(request.shares))]
    old = {(point["seed"], point["share"]): point for point in points}
    missing = [pair for pair in wanted if pair not in old]
    asked = [
        Asked({**_packed(request, folds), "seed": seed, "share": share}, f"{share} % of the labels, seed {seed}")
        for seed, share in missing
    ]
    new: dict[tuple[int, int], dict[str, Any]] = {}
    skipped: list[str] = []

    def keep(number: int, outcome: Outcome) -> None:
        if outcome.result is None:
            skipped.append(f"{asked[number].name}: {outcome.failure}")
            return
        new[missing[number]] = outcome.result
        write_json(request.out, {**header, "points": [*points, *(new[pair] for pair in missing if pair in new)]})

    call_each(
        measure_point,
        asked,
        cluster=cluster,
        device=request.device,
        progress=progress,
        on_outcome=keep,
        needless=lambda _: False,
    )
    points += [new[pair] for pair in missing if pair in new]
    found = [point for pair in wanted if (point := {**old, **new}.get(pair)) is not None]
    if not found:
        raise InputError(f"Not one share of the labels could be fitted. {skipped[0]}")
    progress.update(len(wanted), len(wanted), "Fitting the curve")
    labelled = float(np.mean([count for count in _instances(rasters) if count]))
    result = {
        **header,
        "instances_per_class": round(labelled, 2),
        **conclude(found, labelled=labelled, target=request.target),
        "skipped": skipped,
    }
    write_json(request.out, {**result, "points": points})
    return {**result, "points": found}


def conclude(points: Sequence[dict[str, Any]], *, labelled: float, target: float | None) -> dict[str, Any]:
    """What the points (``seed``, ``instances`` a class, ``miou``) tell: the curve, and the way to the target.

    ``more`` is how many labelled instances a class are missing to the target beyond the ``labelled`` ones, rounded up;
    None where the curve cannot tell, and then ``sentence`` says why. Its ``interval`` (95 %) is a bootstrap over the
    seeds, None with a single one; a high end of None means that there is none.
    """
    curve, why = fit_power_law([(point["instances"], point["miou"]) for point in points])
    told: dict[str, Any] = {"curve": None, "target": target, "more": None, "interval": None, "sentence": why or ""}
    if curve is None:
        return told
    told["curve"] = {"a": curve.a, "b": curve.b, "c": curve.c}
    if target is None:
        flattens = f"it flattens at {curve.a:.3f}" if curve.flattens else "the points do not show where it flattens"
        told["sentence"] = (
            f"With {labelled:.0f} instances a class the curve stands at {curve.at(labelled):.3f}, and {flattens}."
        )
        return told
    needed = curve.needed(target)
    told["interval"] = interval = _interval(points, labelled=labelled, target=target)
    if math.isinf(needed):
        told["sentence"] = (
            f"Cannot tell: the curve flattens at {curve.a:.3f}, below the target of {target:.3f}; more labels "
            f"alone, of this kind and with this recipe, would not reach it.{_doubt(interval)}"
        )
    elif needed > FARTHEST * labelled:
        told["sentence"] = (
            f"Cannot tell: the target of {target:.3f} lies more than {FARTHEST} times what is labelled away "
            f"({labelled:.0f} instances a class), farther than these points let the curve be followed."
            f"{_doubt(interval)}"
        )
    else:
        told["more"] = _more(needed, labelled)
        told["sentence"] = _sentence(told["more"], interval, target, repeats=len({point["seed"] for point in points}))
    return told


def fit_power_law(points: Points) -> tuple[PowerLaw | None, str | None]:
    """The curve by least squares with 0 <= a <= 1, b >= 0 and 0.05 <= c <= 3; or None, and a sentence that says why."""
    instances, mious = (np.asarray(column, np.float64) for column in zip(*points, strict=True))
    if len(np.unique(instances.round(6))) < 3:
        return None, "Cannot tell: a curve needs at least three different amounts of labels; give more shares."
    most = float(instances.max())
    least = mious[instances == instances.min()].mean()
    if mious[instances == most].mean() <= least:
        return None, "Cannot tell: the score does not rise with the labels, so there is no curve to follow."

    def shape(n: NDArray[np.float64], a: float, lack: float, c: float) -> NDArray[np.float64]:
        return a - lack * (n / most) ** -c  # b as what is lacking at the most labels: of the size of a, unlike b

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)  # of the covariance, which three points cannot give
            (a, lack, c), _ = curve_fit(
                shape,
                instances,
                mious,
                p0=(min(1.0, float(mious.max()) + 0.05), 0.05, 0.5),
                bounds=([0.0, 0.0, _FLATTEST], [1.0, 1.0, _STEEPEST]),
                max_nfev=5000,
            )
    except RuntimeError:
        return (
            None,
            "Cannot tell: no curve could be fitted to these points (no convergence); give more seeds or shares.",
        )
    return PowerLaw(float(a), float(lack * most**c), float(c)), None


def draw_share(rasters: dict[str, ClassRaster], *, share: int, seed: int) -> dict[str, ClassRaster]:
    """``share`` percent of the labelled instances of each class over all tiles, at least one; the rest unlabelled.

    The draws of one seed are nested. Crumbs (smaller than an instance) are there at 100 % only, which is everything.
    """
    if share >= 100:
        return {name: raster.copy() for name, raster in rasters.items()}
    generator = np.random.default_rng(seed)
    drawn = {name: np.full_like(raster, UNLABELLED) for name, raster in rasters.items()}
    for index in range(CLASS_COUNT):
        numbered = {name: _numbered(raster, index) for name, raster in rasters.items()}
        instances = [(name, number) for name, (_, numbers) in numbered.items() for number in numbers]
        kept = {name: np.zeros(regions.max() + 1, bool) for name, (regions, _) in numbered.items()}
        for place in generator.permutation(len(instances))[: math.ceil(len(instances) * share / 100)]:
            name, number = instances[place]
            kept[name][number] = True
        for name, (regions, _) in numbered.items():
            drawn[name][kept[name][regions]] = index
    return drawn


def _numbered(raster: ClassRaster, index: int) -> tuple[NDArray[np.int32], list[int]]:
    """The connected regions of a class (8-connected), and the numbers of those that are instances."""
    regions, _ = ndimage.label(raster == index, structure=np.ones((3, 3)))
    pixels = np.bincount(regions.ravel())
    return regions, [number for number in range(1, len(pixels)) if pixels[number] >= MIN_PIXELS]


def _instances(rasters: dict[str, ClassRaster]) -> list[int]:
    return [sum(len(_numbered(raster, index)[1]) for raster in rasters.values()) for index in range(CLASS_COUNT)]


def measure_point(request: dict[str, Any], device: str, progress: Progress) -> dict[str, Any]:
    """A point of the curve; a ``fan_out.Call``."""
    fit = unpack_request(request["fit"])
    rasters = _labels(judged_tiles(fit.data, fit.recipe), fit.labels)
    seed, share = request["seed"], request["share"]
    with tempfile.TemporaryDirectory() as scratch:
        for name, raster in draw_share(rasters, share=share, seed=seed).items():
            write_mask(Path(scratch) / f"{name}_mask.png", raster)
        try:
            found = cross_validate(
                fit.data,
                Path(scratch),
                recipe=fit.recipe,
                progress=progress,
                folds=request["folds"],
                seed=seed,
                device=device,
                cache=fit.cache,
            )
        except InputError as error:  # tells of the folder that held the draw, which is gone by then
            raise InputError(str(error).replace(scratch, "this draw of the labels")) from error
    return {
        "seed": seed,
        "share": share,
        "instances": round(found.instances, 3),
        "miou": found.scores.miou or 0.0,
        "iou": found.scores.iou,
        "seconds": round(found.seconds, 2),
        "tiles": {name: matrix.tolist() for name, matrix in found.matrices.items()},
    }


def _packed(request: CurveRequest, folds: int) -> dict[str, Any]:
    fit = FitRequest(
        data=request.data, out=request.out, recipe=request.recipe, labels=request.labels, cache=request.cache
    )
    return {"fit": pack_request(fit), "folds": folds}


def _interval(points: Sequence[dict[str, Any]], *, labelled: float, target: float) -> list[int | None] | None:
    """The 95 % percentile interval of ``more``: seeds are drawn, with all their points. None with a single seed."""
    by_seed: dict[int, list[tuple[float, float]]] = {}
    for point in points:
        by_seed.setdefault(point["seed"], []).append((point["instances"], point["miou"]))
    repeats = list(by_seed.values())
    if len(repeats) < 2:
        return None
    generator = np.random.default_rng(0)
    known: dict[tuple[int, ...], float] = {}  # few seeds make few different draws
    drawn = []
    for _ in range(_DRAWS):
        chosen = tuple(sorted(generator.integers(len(repeats), size=len(repeats)).tolist()))
        if chosen not in known:
            curve, _why = fit_power_law([point for place in chosen for point in repeats[place]])
            known[chosen] = math.inf if curve is None else curve.needed(target)
        drawn.append(known[chosen])
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], method="nearest")
    return [None if needed > FARTHEST * labelled else _more(float(needed), labelled) for needed in (low, high)]


def _more(needed: float, labelled: float) -> int:
    return max(0, math.ceil(needed - labelled))


def _sentence(more: int, interval: list[int | None] | None, target: float, *, repeats: int) -> str:
    if more:
        said = f"About {more} more labelled instances a class reach {target:.3f}"
    else:
        said = f"What is labelled reaches {target:.3f} already"
    if interval is None:
        return f"{said}; with one seed there is no interval, so give several."
    low, high = ("more than the curve can be followed" if end is None else str(end) for end in interval)
    rough = "" if repeats >= _FEW_REPEATS else f"; {repeats} seeds make it rough"
    return f"{said} (95 % interval over the draws of labels: {low} to {high}{rough}). Other tiles may need more."


def _doubt(interval: list[int | None] | None) -> str:
    """How sure it is that a target is out of reach."""
    if interval is None:
        return " One seed is little to say so; give several."
    low = interval[0]
    return "" if low is None else f" Some draws of the labels reach it, with {low} more a class."


def _labels(tiles: Sequence[TileFile], labels: Path | None) -> dict[str, ClassRaster]:
    """The labelled rasters by tile. Raises ``InputError`` where there is none."""
    rasters = {}
    for tile in tiles:
        mask = tile.mask_path if labels is None else find_mask(labels, tile.name)
        if mask is not None:
            info = read_info(tile.image_path)
            rasters[tile.name] = read_mask(mask, shape=(info.height, info.width)).raster
    if not any((raster != UNLABELLED).any() for raster in rasters.values()):
        raise InputError(
            f"Nothing is labelled in {labels or 'the masks beside the images'}; label some instances first."
        )
    return rasters


def _header(request: CurveRequest, tiles: Sequence[TileFile], folds: int) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for tile in tiles:
        masks = [tile.mask_path, find_mask(request.labels, tile.name) if request.labels else None]
        inputs[tile.name] = [fingerprint(tile.image_path), *(mask and fingerprint(mask) for mask in masks)]
    return {
        "format": FORMAT,
        "data": str(request.data),
        "labels": "full masks" if request.labels is None else str(request.labels),
        "inputs": digest(inputs),
        "recipe": request.recipe.name,
        "recipe_hash": recipe_hash(request.recipe),
        "folds": "Leave one tile out" if folds == LEAVE_ONE_OUT else f"{folds} folds by whole tile",
    }


def _old_points(path: Path, header: dict[str, Any]) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        old = json.loads(path.read_text())
        points: list[dict[str, Any]] = old["points"]
        if old["format"] != FORMAT:
            raise ValueError(old["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no learning curve that can be gone on with; give --out another file.") from error
    for key, what in (("inputs", "tiles or labels"), ("recipe_hash", "recipe"), ("folds", "folds")):
        if old[key] != header[key]:
            raise InputError(f"{path} holds a learning curve with another {what}; give --out another file.")
    return points
