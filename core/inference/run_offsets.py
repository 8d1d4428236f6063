"""The offsets of a run: fitted on its validation tiles, kept in its folder, and read again."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.atomic import write_json
from core.catalog.images import fingerprint
from core.classes import CLASS_NAMES
from core.errors import InputError
from core.inference.predict import load_segmenter
from core.inference.refine import refine
from core.inference.switches import Switches
from core.inference.thresholds import FittedOffsets, Sample, fit_offsets
from core.inference.tile_prediction import look, mean_look, open_tile, voices
from core.inference.validation_tiles import find_validation_tiles
from core.progress import Progress
from core.training.feature_cache import FeatureCache
from core.training.runs import read_run, weights_file

OFFSETS = "offsets.json"
"""In the run's folder, beside its card."""


def fit_run_offsets(
    run: Path,
    data: Path,
    labels: Path | None,
    *,
    switches: Switches,
    progress: Progress,
    device: str = "auto",
    cache: FeatureCache | None = None,
) -> dict[str, Any]:
    """Fit the offsets of a run on its validation tiles, keep them in its folder, and tell of them.

    ``data`` (and ``labels``, as for a fit) is where the tiles lie. Of the ``switches`` the TTA and the refinement are
    done first, as they will be when the offsets are used. Raises ``InputError`` where the run has no validation tiles,
    they are not there any more, fewer than two are labelled, or the folder cannot be written; ``CancelledError`` with
    nothing written.
    """
    known = read_run(run).card.validation_tiles
    if not known:
        raise InputError(
            f"The run {run} was trained without validation tiles and offsets must not be fitted on training tiles; "
            "train it anew with validation tiles."
        )
    tiles = find_validation_tiles(known, data, labels)
    speaking = voices([load_segmenter(run, device, cache)])
    before = switches.before_offsets
    samples = []
    for number, tile in enumerate(tiles):
        progress.update(number, len(tiles), f"Looking at validation tile {tile.name}")
        image = open_tile(tile.image_path)
        looks = [look(one, image, tta=before.tta, progress=progress) for one, _ in speaking]
        said = mean_look(looks, [share for _, share in speaking], before)
        probabilities = refine(
            before.refinement,
            said.probabilities,
            image.pixels,
            metres_per_pixel=image.metres_per_pixel,
            crf=before.crf,
            guided=before.guided,
        )
        samples.append(Sample.of_tile(probabilities, tile.truth))
    progress.update(len(tiles), len(tiles), "Fitting the offsets")
    told = {"tiles": dict(known), "switches": before.key, "weights": fingerprint(weights_file(run))}
    fitted = fit_offsets(samples).model_copy(update=told)
    write_json(run / OFFSETS, fitted.model_dump(mode="json"))
    return describe_offsets(fitted)


def read_offsets(run: Path) -> FittedOffsets | None:
    """The offsets that were fitted for a run as it is now; None where none were, or it was trained anew since.

    Raises ``InputError`` where they cannot be read.
    """
    try:
        fitted = FittedOffsets.model_validate_json((run / OFFSETS).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise InputError(f"{run / OFFSETS} cannot be read; fit the offsets anew.") from error
    return fitted if fitted.weights == fingerprint(weights_file(run)) else None


def describe_offsets(fitted: FittedOffsets) -> dict[str, Any]:
    """By class name, with what they were fitted on and how ``predict`` is told of them."""
    by_class = dict(zip(CLASS_NAMES, fitted.offsets, strict=True))
    return {
        **fitted.model_dump(mode="json"),
        "offsets": by_class,
        "options": " ".join(f"--offset {name}={value:g}" for name, value in by_class.items() if value),
    }
