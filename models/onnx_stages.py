"""A frozen encoder's stages as an ONNX graph, run by onnxruntime: the same maps on a CPU, in a third of the time.

The graph ends at the deepest stage that is asked for, so what lies beyond is never computed. onnxruntime folds the
normalisations into the convolutions and fuses the activations, which torch's eager mode does not.
"""

import io
import warnings

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from models.encoders import Encoder
from models.errors import ModelError
from models.same_padding import with_settled_padding

OPSET = 17
GRAPH = "2"
"""Part of every kept model's name; a change in how graphs are written changes it."""
AGREEMENT = 1e-3
"""How far the graph's maps may lie from torch's on the trial image, as a share of the maps' largest value."""
_TRIAL_SIDE = 128
_QUIET = 3  # onnxruntime's level 'error'


class _Stages(nn.Module):
    """What the graph computes: the first ``count`` stages of RGB images, ``(N, 3, H, W)`` float32 in 0..255."""

    def __init__(self, encoder: Encoder, count: int) -> None:
        super().__init__()
        self.encoder, self.count = with_settled_padding(encoder), count

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        scaled = (images - self.encoder.mean) / self.encoder.std
        stages = self.encoder.backbone(scaled)[-len(self.encoder.card.channels) :]
        return tuple(stages[: self.count])


def export_stages(encoder: Encoder, count: int) -> bytes:
    """The first ``count`` stages of an encoder on the CPU as an ONNX model of any height and width it takes.

    Raises ``ModelError`` where the encoder has something that ONNX has no name for.
    """
    height_and_width = {2: "height", 3: "width"}
    names = [f"stage{number}" for number in range(1, count + 1)]
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # of tracing: the trial of OnnxStages checks what it warns of
            torch.onnx.export(
                _Stages(encoder, count).eval(),
                (torch.zeros(1, 3, _TRIAL_SIDE, _TRIAL_SIDE),),
                stream,  # type: ignore[arg-type]  # it takes a stream as well as a path
                input_names=["images"],
                output_names=names,
                dynamic_axes={"images": {0: "count", **height_and_width}},
                opset_version=OPSET,
                dynamo=False,  # the newer exporter asks for a fixed size with several of timm's encoders
            )
    except Exception as error:  # the exporter's types of error differ from release to release
        raise ModelError(f"The encoder {encoder.card.name} cannot be written as ONNX: {error}") from error
    return stream.getvalue()


class OnnxStages:
    """The first ``count`` stages of an encoder, by onnxruntime on the CPU."""

    def __init__(self, model: bytes, encoder: Encoder, count: int) -> None:
        """Load a model that ``export_stages`` made and try it against the encoder itself on an image of another shape.

        Raises ``ModelError`` where it cannot be loaded or gives other maps.
        """
        self._smallest = encoder.card.strides[-1]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = _QUIET
        # Fresh memory for every map costs as much as the arithmetic, so it is held from run to run. Images come in
        # several shapes: single maps are what can be taken again, not the plan of a whole run.
        options.enable_mem_pattern = False
        provider = ("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=[provider])
            self._check(encoder, count)
        except ModelError:
            raise
        except Exception as error:  # so do those of onnxruntime
            raise ModelError(f"The ONNX model of the encoder {encoder.card.name} cannot be run: {error}") from error

    def __call__(self, images: Tensor) -> list[Tensor]:
        """As ``Encoder.forward``, for images on the CPU: uint8 or float32 in 0..255, ``(N, 3, H, W)``."""
        given = np.ascontiguousarray(images.float().numpy())
        return [torch.from_numpy(stage) for stage in self._session.run(None, {"images": given})]

    def give_back_memory(self) -> None:
        """Free what is held for the next images: some 0.5 GB after one of a megapixel."""
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        smallest = np.zeros((1, 3, self._smallest, self._smallest), np.float32)
        self._session.run(None, {"images": smallest}, options)

    def _check(self, encoder: Encoder, count: int) -> None:
        shape = (1, 3, _TRIAL_SIDE, _TRIAL_SIDE + encoder.card.strides[-1])
        image = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).float()
        for found, wanted in zip(self(image), encoder(image)[:count], strict=True):
            if found.shape != wanted.shape or (found - wanted).abs().max() > AGREEMENT * wanted.abs().max():
                raise ModelError(
                    f"The ONNX model of the encoder {encoder.card.name} gives other maps than the encoder."
                )
