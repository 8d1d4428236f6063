"""A run as one ONNX file that needs nothing of ours: image in, probabilities out, tried against the run itself."""

import contextlib
import io
import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from core.atomic import write_bytes
from core.catalog.images import fingerprint
from core.catalog.sample import draw_scene
from core.classes import CLASS_NAMES, UNLABELLED
from core.errors import InputError
from core.inference.export_pipelines import HeadPipeline, NetworkPipeline
from core.inference.network import NetworkSegmenter
from core.inference.predict import AnySegmenter, Segmenter, load_segmenter
from core.progress import Progress
from core.training.recipe import Recipe
from core.training.runs import is_ensemble, read_recipe, weights_file
from models.glnet import GlnetNetwork
from models.heads import EnsembleHead, NeighboursHead

OPSET = 17
FORMAT = "tilewright-onnx-1"
INPUT, OUTPUT = "image", "probabilities"
LEAST_AGREEMENT = 0.995
"""Share of a trial image's pixels that must have the class that the run itself gives them."""
_TRIALS = ((0, (256, 256)), (1, (331, 250)))  # seeds and sizes of the images; the second tells whether sizes are free
_QUIET = 3  # onnxruntime's level 'error'


@dataclass(frozen=True, slots=True)
class Agreement:
    """How near the file's answers are to the run's on generated images: shares of pixels, and of probabilities."""

    equal_labels: float
    greatest_difference: float
    mean_difference: float


def export_onnx(run: Path, out: Path, *, metres_per_pixel: float, progress: Progress) -> dict[str, Any]:
    """Write a run as ONNX; returns the result that the command line prints.

    The graph takes ``image`` ``(height, width, 3)`` uint8 RGB of any size, each pixel ``metres_per_pixel`` wide, and
    gives ``probabilities`` ``(6, height, width)`` float32. Its metadata tell the classes, the resolution, the
    normalisation and the run.

    Raises ``InputError`` for a run that ONNX cannot hold or whose file answers otherwise than the run (nothing is
    written then), and when ``out`` cannot be written.
    """
    if not 0.01 <= metres_per_pixel <= 100:
        raise InputError(f"Pixels are 0.01 to 100 metres wide; --metres-per-pixel is {metres_per_pixel:g}.")
    if is_ensemble(run):
        raise InputError(f"The run {run} is an ensemble; export its members, and average what they say.")
    segmenter = load_segmenter(run, "cpu")
    recipe = read_recipe(run)
    progress.update(0, 3, "Writing the graph")
    model = onnx.load_model_from_string(_graph(_pipeline(segmenter, recipe, metres_per_pixel), run))
    for key, value in _metadata(run, segmenter, recipe, metres_per_pixel).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    content = model.SerializeToString()
    progress.update(1, 3, "Trying the graph against the run")
    agreement = _tried(content, segmenter, metres_per_pixel, run)
    write_bytes(out, content)
    progress.update(3, 3, "Written and tried")
    return {
        "out": str(out),
        "bytes": len(content),
        "opset": OPSET,
        "metres_per_pixel": metres_per_pixel,
        "agreement": asdict(agreement),
    }


def _pipeline(segmenter: AnySegmenter, recipe: Recipe, metres_per_pixel: float) -> nn.Module:
    if isinstance(segmenter, Segmenter):
        heads = segmenter.head.modules() if isinstance(segmenter.head, EnsembleHead) else [segmenter.head]
        if any(isinstance(head, NeighboursHead) for head in heads):
            raise InputError(
                "A head of nearest neighbours is not written as ONNX, since it carries all its labelled cells; "
                "train a context-linear one for that."
            )
        return HeadPipeline(segmenter.extractor.parts, segmenter.head, metres_per_pixel)
    if not isinstance(segmenter, NetworkSegmenter):
        raise InputError("Only a head or a network can be written as ONNX; export the members of an ensemble.")
    network = segmenter.network
    if network.needs_context != "none" or network.at_training_size or isinstance(network, GlnetNetwork):
        raise InputError(
            "This network looks at more than its window or must have windows of one size (surroundings, manet, glnet), "
            "which one graph of any size cannot do; export a run without."
        )
    return NetworkPipeline(network, recipe.resolution_m, metres_per_pixel)


def _graph(pipeline: nn.Module, run: Path) -> bytes:
    stream = io.BytesIO()
    trial = torch.from_numpy(_trial_image(*_TRIALS[0]))
    try:
        # The exporter prints a graph that it gives up on, and warns of tracing, which the trials check.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.inference_mode():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                pipeline.eval(),
                (trial,),
                stream,  # type: ignore[arg-type]  # it takes a stream as well as a path
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={INPUT: {0: "height", 1: "width"}, OUTPUT: {1: "height", 2: "width"}},
                opset_version=OPSET,
                dynamo=False,  # the newer exporter asks for a fixed size with several encoders
            )
    except Exception as error:  # the exporter's types of error differ from release to release
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"The run {run} cannot be written as ONNX ({reason[0][:200]}); a context-linear head, or a network with "
            "the decoder fpn or unet, can."
        ) from error
    return stream.getvalue()


def _metadata(run: Path, segmenter: AnySegmenter, recipe: Recipe, metres_per_pixel: float) -> dict[str, str]:
    encoders = (
        [
            {"name": part.encoder.card.name, "mean": part.encoder.card.mean, "std": part.encoder.card.std}
            for part in segmenter.extractor.parts
        ]
        if isinstance(segmenter, Segmenter)
        else [{"name": recipe.encoder}]
    )
    told = {
        "format": FORMAT,
        "run": run.resolve().name,
        "weights": fingerprint(weights_file(run)),
        "classes": list(CLASS_NAMES),
        "unlabelled": UNLABELLED,
        "metres_per_pixel": metres_per_pixel,
        "resolution_m": [recipe.resolution_m, *recipe.more_resolutions_m],
        "normalisation": {"standardise": recipe.standardise, "grey": recipe.grey, "encoders": encoders},
        "encoder_licence": segmenter.card.encoder_licence,
    }
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()}


def _trial_image(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(draw_scene(seed, max(*size, 256)).image[: size[0], : size[1]])


def _tried(content: bytes, segmenter: AnySegmenter, metres_per_pixel: float, run: Path) -> Agreement:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = _QUIET
    equal, greatest, mean = [], [], []
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        for seed, size in _TRIALS:
            image = _trial_image(seed, size)
            (found,) = session.run([OUTPUT], {INPUT: image})
            wanted = segmenter.probabilities(image, metres_per_pixel=(metres_per_pixel, metres_per_pixel))
            equal.append(float((found.argmax(axis=0) == wanted.argmax(axis=0)).mean()))
            difference = np.abs(found - wanted)
            greatest.append(float(difference.max()))
            mean.append(float(difference.mean()))
    except Exception as error:  # so do those of onnxruntime
        raise InputError(f"The run {run} was written as ONNX but cannot be run ({str(error)[:200]}).") from error
    if min(equal) < LEAST_AGREEMENT:
        raise InputError(
            f"The ONNX graph of {run} gives another class than the run for {1 - min(equal):.1%} of a generated image, "
            "so it was not kept; report it with the run's recipe."
        )
    return Agreement(min(equal), max(greatest), max(mean))
