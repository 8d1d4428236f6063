"""Making an ensemble: which tiles may fit its shares, the shares, and what it is worth.

The shares are those of a mixture: they minimise the log loss of the averaged probabilities on labelled pixels, with all
classes weighed alike. That is convex on the simplex, and expectation maximisation (Dempster et al. 1977, the mixing
proportions of known densities) walks down it without a step size, never leaving the simplex: the same pixels always
give the same shares.
"""

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.atomic import write_json
from core.classes import CLASS_COUNT, UNLABELLED
from core.code_version import code_version
from core.errors import InputError
from core.evaluation import confusion, scores
from core.inference.ensembles import KIND, EnsembleSegmenter, Weighting, write_ensemble
from core.inference.predict import AnySegmenter, load_segmenter
from core.inference.validation_tiles import ValidationTile, find_validation_tiles, judge_tiles
from core.progress import Progress
from core.training.feature_cache import FeatureCache
from core.training.provenance import digest, environment, peak_device_memory_bytes, peak_memory_bytes
from core.training.runs import CARD, RunCard, is_ensemble, read_run, weights_file
from core.training.validation import validation_scores

PIXELS = 300_000
"""Labelled pixels that fit the shares, over all tiles; neighbours say the same, so more would only take longer."""
_ROUNDS = 2000
_SETTLED = 1e-7  # greatest change of a share in a round


@dataclass(frozen=True, slots=True)
class EnsembleRequest:
    """Which runs become one, and where.

    ``data`` (and ``labels``, as for a fit) is where the validation tiles lie: needed for fitted shares, and for the
    ensemble's own scores.
    """

    runs: tuple[Path, ...]
    out: Path
    weighting: Weighting = "fitted"
    data: Path | None = None
    labels: Path | None = None
    device: str = "auto"
    cache: FeatureCache | None = None


@dataclass(frozen=True, slots=True)
class SampledTile:
    """Labelled pixels of a tile: ``probabilities`` (members, 6, n) float32 and ``classes`` (n,) uint8."""

    probabilities: NDArray[np.float32]
    classes: NDArray[np.uint8]


def make_ensemble(request: EnsembleRequest, progress: Progress) -> dict[str, Any]:
    """Make an ensemble and write its folder; returns the result that the command line prints.

    With ``data`` the card has the ensemble's scores on the members' common validation tiles, and ``measured`` those of
    the members, of equal and of fitted shares, and of shares fitted without the tile that they are judged on.

    Raises ``InputError`` for fewer than two runs, a run that is an ensemble or not whole, a folder that holds something
    else, fitted shares without tiles to fit them on; ``CancelledError``, with nothing written.
    """
    cards = _cards(request)
    tiles = _common_tiles(request, cards)
    shares = np.full(len(request.runs), 1 / len(request.runs))
    measured: dict[str, Any] = {}
    validation = None
    start = time.perf_counter()
    if tiles:
        segmenters = [load_segmenter(run, request.device, request.cache) for run in request.runs]
        sampled = _sample(segmenters, tiles, progress)
        fitted = fit_shares(sampled)
        measured = _told(request, sampled, fitted)
        shares = fitted if request.weighting == "fitted" else shares
        together = EnsembleSegmenter(cards[0], tuple(segmenters), tuple(shares.tolist()))
        validation = validation_scores(judge_tiles(together, tiles, progress))
    ensemble = write_ensemble(request.out, runs=request.runs, shares=shares.tolist(), weighting=request.weighting)
    measured["shares"] = dict(zip(_names(request.runs), ensemble.shares, strict=True))
    card = _card(request, cards, measured, validation, seconds=time.perf_counter() - start)
    write_json(request.out / CARD, card.model_dump(mode="json"))
    return {
        "run": str(request.out),
        "members": [member.model_dump() for member in ensemble.members],
        "weights": request.weighting,
        "validation": validation,
        "measured": measured,
    }


def fit_shares(tiles: Sequence[SampledTile]) -> NDArray[np.float64]:
    """The shares ``(members,)`` float64, which sum to 1, that minimise the class-balanced log loss of the mean."""
    classes = np.concatenate([tile.classes for tile in tiles])
    own = [tile.probabilities[:, tile.classes, np.arange(tile.classes.size)] for tile in tiles]
    likelihoods = np.concatenate(own, axis=1).astype(np.float64)
    likelihoods = np.maximum(likelihoods, 1e-7)
    counts = np.bincount(classes, minlength=CLASS_COUNT)
    weights = 1 / (counts[classes] * np.count_nonzero(counts))
    shares = np.full(len(likelihoods), 1 / len(likelihoods))
    for _ in range(_ROUNDS):
        better = shares * (likelihoods @ (weights / (shares @ likelihoods)))
        moved = np.abs(better - shares).max()
        shares = better
        if moved < _SETTLED:
            break
    shares[shares < 1e-4] = 0  # a member that is not wanted fades without end, and would still cost its time
    return np.asarray(shares / shares.sum(), np.float64)


def _cards(request: EnsembleRequest) -> list[RunCard]:
    runs, out = request.runs, request.out
    if len({run.resolve() for run in runs}) < max(2, len(runs)):
        raise InputError("An ensemble needs two or more different runs; name each once with --run.")
    cards = []
    for run in runs:
        if is_ensemble(run):
            raise InputError(f"The run {run} is an ensemble itself; name its members instead.")
        cards.append(read_run(run).card)
        if not weights_file(run).is_file():
            raise InputError(f"The run {run} has no weights, so it can predict no other tile; leave it out.")
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not is_ensemble(out)):
        raise InputError(f"{out} holds something that is no ensemble; give --out a folder of its own.")
    return cards


def _common_tiles(request: EnsembleRequest, cards: Sequence[RunCard]) -> list[ValidationTile]:
    """The validation tiles that all members have and none trained on, with their labels."""
    trained = {print_ for card in cards for print_ in card.training_tiles.values()}
    everywhere = set.intersection(*(set(card.validation_tiles.values()) for card in cards)) - trained
    common = {name: print_ for name, print_ in cards[0].validation_tiles.items() if print_ in everywhere}
    if request.weighting == "fitted" and not common:
        raise InputError(
            "These runs have no validation tile in common that none of them trained on, so there is nothing to fit "
            "their weights on; train them with the same validation_tiles, or choose --weights equal."
        )
    if request.data is None:
        if request.weighting == "fitted":
            raise InputError(
                "Weights are fitted on the runs' validation tiles; name their folder with --data, or choose "
                "--weights equal."
            )
        return []
    return find_validation_tiles(common, request.data, request.labels)


def _sample(
    segmenters: Sequence[AnySegmenter], tiles: Sequence[ValidationTile], progress: Progress
) -> list[SampledTile]:
    """Every so manieth labelled pixel of each tile, with what each member says of it."""
    at_most = max(1, PIXELS // len(tiles))
    sampled = []
    for number, tile in enumerate(tiles):
        labelled = np.flatnonzero(tile.truth != UNLABELLED)
        chosen = labelled[:: -(-labelled.size // at_most)]
        probabilities = np.empty((len(segmenters), CLASS_COUNT, chosen.size), np.float32)
        for member, segmenter in enumerate(segmenters):
            progress.update(number * len(segmenters) + member, len(tiles) * len(segmenters), f"Predicting {tile.name}")
            found = tile.predicted(segmenter)
            probabilities[member] = found.reshape(CLASS_COUNT, -1)[:, chosen]
        sampled.append(SampledTile(probabilities, tile.truth.ravel()[chosen]))
    return sampled


def _told(request: EnsembleRequest, tiles: Sequence[SampledTile], fitted: NDArray[np.float64]) -> dict[str, Any]:
    """The mIoU of every way to weigh the members, on the sampled pixels."""
    count = len(request.runs)
    alone = np.eye(count)
    told: dict[str, Any] = {
        "pixels": sum(tile.classes.size for tile in tiles),
        "miou_alone": {name: miou_of(tiles, own) for name, own in zip(_names(request.runs), alone, strict=True)},
        "miou_equal": miou_of(tiles, np.full(count, 1 / count)),
        "miou_fitted": miou_of(tiles, fitted),
        "miou_fitted_left_out": None,
    }
    if len(tiles) > 1:
        others = [[*tiles[:index], *tiles[index + 1 :]] for index in range(len(tiles))]
        told["miou_fitted_left_out"] = miou_of(tiles, *(fit_shares(rest) for rest in others))
    return told


def _names(runs: Sequence[Path]) -> list[str]:
    """The runs' names, or their folders where two are called the same."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run) for run in runs]


def miou_of(tiles: Sequence[SampledTile], *shares: NDArray[np.float64]) -> float | None:
    """The mIoU of the weighted mean on sampled pixels; ``shares`` are one for all tiles, or one for each."""
    total = np.zeros((CLASS_COUNT, CLASS_COUNT + 1), np.int64)
    for tile, own in zip(tiles, shares if len(shares) > 1 else shares * len(tiles), strict=True):
        mean = np.tensordot(own.astype(np.float32), tile.probabilities, axes=1)
        total += confusion.count(tile.classes[None], mean.argmax(axis=0).astype(np.uint8)[None])
    return scores.from_confusion(total).miou


def _card(
    request: EnsembleRequest,
    cards: Sequence[RunCard],
    measured: Mapping[str, Any],
    validation: Mapping[str, Any] | None,
    *,
    seconds: float,
) -> RunCard:
    """Of all members together: no tile that one of them trained on may ever judge them."""
    training = _together([card.training_tiles for card in cards])
    labels = _together([card.label_fingerprints for card in cards])
    sources = {card.label_source for card in cards}
    return RunCard(
        state="finished",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe_name=f"{request.weighting} weights",
        encoder="+".join(dict.fromkeys(card.encoder for card in cards)),
        encoder_identity="+".join(dict.fromkeys(card.encoder_identity for card in cards)),
        encoder_parameters=sum({card.encoder_identity: card.encoder_parameters for card in cards}.values()),
        encoder_licence=", ".join(dict.fromkeys(card.encoder_licence for card in cards)),
        head=KIND,
        head_parameters=sum(card.head_parameters for card in cards),
        seed=0,
        device=request.device,
        training_tiles=training,
        validation_tiles={
            name: print_
            for name, print_ in cards[0].validation_tiles.items()
            if name in (validation or {}).get("tiles", ())
        },
        label_fingerprints=labels,
        label_source=sources.pop() if len(sources) == 1 else "several",
        classes={},
        missing_classes=sorted(set.intersection(*(set(card.missing_classes) for card in cards))),
        warnings=_warnings(request, measured),
        validation=dict(validation) if validation else None,
        features_seconds=0,
        head_seconds=round(seconds, 2),
        versions={"python": platform.python_version()},
        measured=dict(measured),
        data_fingerprint=digest(training),
        label_fingerprint=digest(labels),
        code_version=code_version(),
        environment=environment(),
        peak_memory_bytes=peak_memory_bytes(),
        peak_device_memory_bytes=peak_device_memory_bytes(),
    )


def _together(parts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Fingerprints by tile name; where members know different files by one name, all are kept."""
    found: dict[str, str] = {}
    for part in parts:
        for name, print_ in part.items():
            if found.get(name, print_) != print_:
                found[f"{name} ({print_})"] = print_
            else:
                found[name] = print_
    return found


def _warnings(request: EnsembleRequest, measured: Mapping[str, Any]) -> list[str]:
    left_out, equal = measured.get("miou_fitted_left_out"), measured.get("miou_equal")
    if request.weighting == "fitted" and measured and left_out is None:
        return ["Its weights were fitted and judged on one and the same tile, which flatters them."]
    if request.weighting == "fitted" and left_out is not None and equal is not None and left_out <= equal:
        return [
            "On tiles that took no part in fitting them its weights are no better than equal ones (--weights equal)."
        ]
    return []
