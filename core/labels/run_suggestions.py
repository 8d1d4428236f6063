"""What a trained run predicts for a tile, as a suggestion."""

from functools import lru_cache

import numpy as np

from core.inference import store
from core.inference.switches import Switches
from core.labels import suggestions
from core.progress import SilentProgress
from core.tables import Tile
from core.training.runs import weights_file
from core.workspace import Workspace

_PLAIN = Switches()


def suggest(workspace: Workspace, tile: Tile, run: str) -> str:
    """Make a run's prediction the suggestion that is shown, and give back its id.

    Predicted once for each version of the run's weights; from cached features it takes about a second. Raises
    ``InputError`` for a run that is not there, one whose encoder cannot be had, and an image that cannot be read.
    """
    source = f"run: {run}"
    version = weights_file(store.run_folder(workspace, run)).stat().st_mtime_ns
    key = f"{tile.fingerprint} {version}"
    known = suggestions.find(workspace, tile, source=source, key=key)
    if known is not None:
        suggestions.choose(workspace, tile, known.id)
        return known.id
    predictor = _predictor(workspace, run, version)
    made = predictor.compute(tile, _PLAIN, SilentProgress())
    probabilities = predictor.probabilities(tile, _PLAIN, SilentProgress())
    step = suggestions.CONFIDENCE_STEP
    confidence = np.round(probabilities.max(axis=0)[::step, ::step] * 255).astype(np.uint8)
    raster = store.load(made, tile)
    return suggestions.put(
        workspace, tile, raster, confidence, source=source, seconds={"predict": made.seconds}, key=key
    )


@lru_cache(maxsize=1)
def _predictor(workspace: Workspace, run: str, _weights: str) -> store.Predictor:
    """The run that was used last stays in memory: one goes from tile to tile with it."""
    return store.Predictor(workspace, run)
