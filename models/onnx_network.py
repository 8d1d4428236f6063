"""A trained network as an ONNX graph, run by onnxruntime: the same logits on a CPU, in about half of the time.

The whole network is one graph, from the bytes of an image to its logits: normalisations are folded into convolutions
and activations fused, which torch's eager mode does not do. A network that reads its surroundings (an image besides
the image) is left to torch, as is one that ONNX has no names for.
"""

import io
import warnings

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.checkpoint import TrainedNetwork
from models.errors import ModelError
from models.network_context import Context
from models.same_padding import with_settled_padding

OPSET = 17
GRAPH = "2"
"""Part of every kept model's name; a change in how graphs are written changes it."""
AGREEMENT = 1e-3
"""How far the graph's logits may lie from torch's on the trial image, as a share of the greatest."""
_TRIAL_SIDE = 128
_QUIET = 3  # onnxruntime's level 'error'
_PLACE = ("boxes", "mean", "deviation")


class _Graph(nn.Module):
    """What the graph computes: RGB images ``(N, H, W, 3)`` uint8 to logits ``(N, 6, H, W)`` float32."""

    def __init__(self, network: TrainedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, *place: Tensor) -> Tensor:
        context = Context(*place) if place else None
        logits: Tensor = self.network(images.permute(0, 3, 1, 2).float(), context).logits
        return logits


def export_network(network: TrainedNetwork) -> bytes:
    """A network on the CPU, in evaluation mode, as an ONNX model of any number, height and width of images.

    Raises ``ModelError`` where it reads surroundings, or has something that ONNX has no name for.
    """
    if network.needs_context != "none":
        raise ModelError("A network that reads the surroundings of a patch is not written as ONNX.")
    if any(
        isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size not in {1, (1, 1)} for layer in network.modules()
    ):
        raise ModelError("A network that pools an image to a few places is not written as ONNX.")
    side = max(_TRIAL_SIDE, network.smallest)
    inputs = _trial(network, (side, side))
    names = ["images", *_PLACE][: len(inputs)]
    axes = {"images": {0: "count", 1: "height", 2: "width"}, **{name: {0: "count"} for name in names[1:]}}
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # of tracing: the trial of OnnxNetwork checks what it warns of
            torch.onnx.export(
                _Graph(with_settled_padding(network)).eval(),
                inputs,
                stream,  # type: ignore[arg-type]  # it takes a stream as well as a path
                input_names=names,
                output_names=["logits"],
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,  # the newer exporter asks for a fixed size with several of timm's encoders
            )
    except Exception as error:  # the exporter's types of error differ from release to release
        first_line = str(error).partition("\n")[0]
        raise ModelError(f"This network cannot be written as ONNX: {first_line}") from error
    return stream.getvalue()


class OnnxNetwork:
    """A network by onnxruntime on the CPU."""

    def __init__(self, model: bytes, network: TrainedNetwork) -> None:
        """Load a model that ``export_network`` made and try it against the network itself on images of another shape.

        Raises ``ModelError`` where it cannot be loaded or gives other logits.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = _QUIET
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            self._inputs = {entry.name for entry in self._session.get_inputs()}  # what is not read was left out
            self._check(network)
        except ModelError:
            raise
        except Exception as error:  # so do those of onnxruntime
            raise ModelError(f"The ONNX model of this network cannot be run: {error}") from error

    def __call__(self, images: NDArray[np.uint8], context: Context | None = None) -> NDArray[np.float32]:
        """Logits ``(N, 6, H, W)`` of images ``(N, H, W, 3)`` uint8 RGB; ``context`` as the network wants it."""
        given = {"images": images}
        if context is not None:
            place = {name: part.numpy() for name, part in zip(_PLACE, context[:3], strict=True)}
            given |= {name: part for name, part in place.items() if name in self._inputs}
        logits: NDArray[np.float32] = self._session.run(None, given)[0]
        return logits

    @torch.inference_mode()
    def _check(self, network: TrainedNetwork) -> None:
        side = max(_TRIAL_SIDE, network.smallest)
        images, *place = _trial(network, (side + 2 * network.alignment, side + network.alignment), count=2)
        context = Context(*place) if place else None
        wanted = _Graph(network)(images, *place).numpy()
        found = self(images.numpy(), context)
        if found.shape != wanted.shape or np.abs(found - wanted).max() > AGREEMENT * np.abs(wanted).max():
            raise ModelError("The ONNX model of this network gives other logits than the network.")


def _trial(network: TrainedNetwork, size: tuple[int, int], count: int = 1) -> tuple[Tensor, ...]:
    """Images of noise, and where they lie if the network wants to know."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, *size, 3), generator=generator).to(torch.uint8)
    if not network.needs_place:
        return (images,)
    box = torch.tensor([[0.1, 0.2, 0.5, 0.7]]).repeat(count, 1)
    figures = torch.tensor([[100.0, 110.0, 90.0]]).repeat(count, 1)
    return images, box, figures, figures / 2
