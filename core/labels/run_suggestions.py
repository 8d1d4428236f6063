"""What a trained run predicts for a tile, as a suggestion."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from core.inference import store
from core.inference.predict import AnySegmenter
from core.inference.switches import Switches
from core.inference.tile_prediction import predict_tile
from core.labels import suggestions
from core.progress import SilentProgress
from core.tables import Tile
from core.workspace import Workspace

_PLAIN = Switches()


def suggest(workspace: Workspace, tile: Tile, run: str) -> str:
    """Make a run's prediction the suggestion that is shown, and give back its id.

    Predicted once for each version of the run's weights; from cached features it takes about a second. Raises
    ``InputError`` for a run that is not there, one whose encoder cannot be had, and an image that cannot be read.
    """
    source = f"run: {run}"
    weights = store.run_folder(workspace, run) / "weights.safetensors"
    version = weights.stat().st_mtime_ns
    key = f"{tile.fingerprint} {version}"
    known = suggestions.find(workspace, tile, source=source, key=key)
    if known is not None:
        suggestions.choose(workspace, tile, known.id)
        return known.id
    segmenter = _segmenter(workspace, run, version)
    made = predict_tile([segmenter], Path(tile.image_path), switches=_PLAIN, progress=SilentProgress())
    step = suggestions.CONFIDENCE_STEP
    confidence = np.round(made.probabilities.max(axis=0)[::step, ::step] * 255).astype(np.uint8)
    return suggestions.put(
        workspace, tile, made.raster, confidence, source=source, seconds={"predict": made.seconds}, key=key
    )


@lru_cache(maxsize=1)
def _segmenter(workspace: Workspace, run: str, _weights: int) -> AnySegmenter:
    """The run that was used last stays in memory: one goes from tile to tile with it."""
    return store.open_segmenter(workspace, run)
