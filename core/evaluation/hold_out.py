"""Does a recipe hold in regions that it never saw? Regions left out whole, beside random groups of the same sizes.

A random split flatters where tiles of one region are alike: the model is then judged where it was, as good as, trained
(Roberts et al. 2017, "Cross-validation strategies for data with temporal, spatial, hierarchical, or phylogenetic
structure"). So every region is left out once and judged by a fit on the others; then the same is done with random
groups as large as the regions, several times. Every tile is judged once each time, so that the two are compared tile
for tile.

Regions are named in a file; without one, tiles that look alike make a region: Ward's clusters (Ward 1963) of the tiles'
mean features, which stand for places where none are known. DeepGlobe does not say where its tiles lie.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from core.atomic import write_json
from core.catalog.discover import TileFile
from core.catalog.images import fingerprint, read_image, read_info
from core.catalog.splitting.regions import parse_regions
from core.errors import InputError
from core.evaluation.confusion import Confusion
from core.evaluation.intervals import few_tiles_note, repeated_difference
from core.evaluation.scores import AVERAGING_RULE, from_confusion
from core.labels.queue_facts import embedding
from core.progress import PartProgress, Progress
from core.tables import now
from core.training.cross_validation import cross_validate, judged_tiles
from core.training.feature_cache import FeatureCache, default_cache, tile_features
from core.training.joined_features import make_recipe_extractor
from core.training.provenance import recipe_hash
from core.training.recipe import Recipe, load_recipe

FORMAT = "tilewright-hold-out-1"
DEFAULT_CLUSTERS = 3
KIND = "hold-out"

Groups = dict[str, list[str]]
"""The names of the tiles of each region, by its name."""


@dataclass(frozen=True, slots=True)
class HoldOutRequest:
    """What to measure: ``regions`` a CSV file of tiles and regions, or None for ``clusters`` of tiles that look alike.

    ``seeds``: random groups are drawn once for each. ``labels`` None learns from the masks beside the images.
    """

    data: Path
    out: Path
    recipe: Recipe
    labels: Path | None = None
    regions: Path | None = None
    clusters: int = DEFAULT_CLUSTERS
    seeds: tuple[int, ...] = (0, 1, 2)
    device: str = "auto"
    cache: FeatureCache | None = None


def hold_out(request: HoldOutRequest, progress: Progress) -> dict[str, Any]:
    """Leave out regions, then random groups of their sizes, and compare; writes ``request.out``.

    Returns ``regional`` and ``random`` (their mean IoU and IoU by class, random over all its draws), ``difference``
    (regional minus random, paired over tiles and draws, with a 95 % interval), ``groups`` with the mean IoU of each
    region, ``note`` (a warning of few tiles, or None) and what it was measured on. Raises ``InputError`` for fewer than
    two regions, tiles that the file of regions lacks, and where a fit refuses its labels; ``CancelledError``.
    """
    tiles = judged_tiles(request.data, request.recipe)
    cache = request.cache or default_cache()
    ways = 1 + len(request.seeds)
    groups = read_regions(request.regions, tiles) if request.regions else _alike(request, tiles, cache, progress)
    if len(groups) < 2:
        raise InputError("Leaving regions out needs at least two of them; name more regions, or ask for more clusters.")

    def judged(number: int, name: str, parts: Sequence[Sequence[str]], seed: int) -> dict[str, Confusion]:
        found = cross_validate(
            request.data,
            request.labels,
            recipe=request.recipe,
            progress=PartProgress(progress, number, ways, name),
            groups=parts,
            seed=seed,
            device=request.device,
            cache=cache,
        )
        return found.matrices

    regional = judged(0, "Regions left out", list(groups.values()), request.seeds[0])
    random = [
        judged(1 + i, f"Random groups, draw {i + 1}", random_groups(groups, seed), seed)
        for i, seed in enumerate(request.seeds)
    ]
    progress.update(ways, ways, "Comparing")
    result = {**_told(groups, regional, random), **_header(request)}
    write_json(request.out, result)
    return result


def random_groups(groups: Groups, seed: int) -> list[list[str]]:
    """The same tiles in groups of the same sizes, dealt at random."""
    names = [name for members in groups.values() for name in members]
    dealt = np.random.default_rng(seed).permutation(names).tolist()
    ends = np.cumsum([len(members) for members in groups.values()]).tolist()
    return [dealt[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def read_regions(path: Path, tiles: Sequence[TileFile]) -> Groups:
    """The tiles by region from a CSV file with the columns ``tile`` and ``region``; further rows and columns may be.

    Raises ``InputError`` for a file that cannot be read so, and for a tile that it lacks.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a CSV file of tiles and regions.") from error
    regions = parse_regions(content, str(path))
    groups: Groups = {}
    for tile in tiles:
        region = regions.get(tile.name)
        if not region:
            raise InputError(f"{path} names no region for tile {tile.name}; add a line for it.")
        groups.setdefault(region, []).append(tile.name)
    return groups


def _alike(request: HoldOutRequest, tiles: Sequence[TileFile], cache: FeatureCache, progress: Progress) -> Groups:
    """Clusters of tiles by their mean features: those of the recipe's encoder, of a network the usual encoder's."""
    if not 2 <= request.clusters < len(tiles):
        raise InputError(
            f"{len(tiles)} tiles with a mask make 2 to {len(tiles) - 1} clusters, not {request.clusters}; ask for "
            "another number."
        )
    recipe = load_recipe() if request.recipe.kind == "network" else request.recipe
    extractor = make_recipe_extractor(recipe, device=request.device)
    vectors = []
    for index, tile in enumerate(tiles):
        progress.update(index / len(tiles), 1 + len(request.seeds), f"Looking at tile {tile.name}")
        info = read_info(tile.image_path)
        features = tile_features(
            cache,
            extractor,
            fingerprint=fingerprint(tile.image_path),
            grid=extractor.grid((info.height, info.width), (info.metres_per_pixel_y, info.metres_per_pixel_x)),
            read=partial(read_image, tile.image_path),
            progress=progress,
        )
        vectors.append(embedding(features))
    numbers = fcluster(linkage(np.stack(vectors), method="ward"), request.clusters, criterion="maxclust")
    groups: Groups = {}
    for number, tile in sorted(zip(numbers.tolist(), tiles, strict=True), key=lambda pair: pair[0]):
        groups.setdefault(f"cluster {number}", []).append(tile.name)
    return groups


def _told(groups: Groups, regional: dict[str, Confusion], random: Sequence[dict[str, Confusion]]) -> dict[str, Any]:
    order = sorted(regional)
    ways = [[[one[name] for name in order] for one in way] for way in ([regional] * len(random), random)]
    difference = repeated_difference(ways[0], ways[1])
    return {
        "tiles": len(order),
        "regional": _scores([regional]),
        "random": _scores(random),
        "difference": None if difference is None else difference.as_dict(),
        "groups": [
            {
                "name": name,
                "tiles": members,
                "regional": _scores([{tile: regional[tile] for tile in members}])["miou"],
                "random": _scores([{tile: one[tile] for tile in members} for one in random])["miou"],
            }
            for name, members in groups.items()
        ],
        "note": few_tiles_note(len(order)),
        "averaging": AVERAGING_RULE,
    }


def _scores(draws: Sequence[dict[str, Confusion]]) -> dict[str, Any]:
    """Mean IoU and IoU by class, each the mean over the draws."""
    found = [from_confusion(np.sum(list(one.values()), axis=0)) for one in draws]
    known = [one.miou for one in found if one.miou is not None]
    return {
        "miou": float(np.mean(known)) if known else None,
        "iou": {name: float(np.mean([one.iou[name] for one in found])) for name in found[0].iou},
    }


def _header(request: HoldOutRequest) -> dict[str, Any]:
    named = f"regions of {request.regions.name}" if request.regions else f"{request.clusters} clusters of likeness"
    return {
        "format": FORMAT,
        "data": str(request.data),
        "labels": "full masks" if request.labels is None else str(request.labels),
        "recipe": request.recipe.name,
        "recipe_hash": recipe_hash(request.recipe),
        "regions": named,
        "draws": len(request.seeds),
        "day": now().isoformat(timespec="minutes"),
    }
