"""From a recipe's settings to a network that can be trained."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from models.encoders import NO_WEIGHTS, create_encoder
from models.glnet import SIDE, GlnetNetwork, build_glnet
from models.networks import SegmentationNetwork

GLNET = "glnet"

TrainableNetwork = SegmentationNetwork | GlnetNetwork
"""What a fit on patches, or on whole tiles, trains."""

NETWORKS: dict[str, Callable[..., TrainableNetwork]] = {
    SegmentationNetwork.kind: SegmentationNetwork,
    GlnetNetwork.kind: GlnetNetwork,
}
"""How to build a network again from its ``settings()``, by its kind."""


def build_network(
    *,
    encoder: str,
    weights: str | Path = "packaged",
    decoder: str = "unet",
    decoder_norm: str = "batchnorm",
    decoder_attention: str = "none",
    hypercolumn: bool = False,
    deep_supervision: float = False,
    presence: float = False,
    surroundings: str = "none",
    extra_channels: Sequence[str] = (),
    grey: bool = False,
    standardise: str = "encoder",
    patch: int = SIDE,
    seed: int = 0,
) -> TrainableNetwork:
    """Make a network whose encoder has its pretrained weights and whose other weights are drawn by ``seed``.

    The names and their values are a recipe's (``deep_supervision`` and ``presence`` count as asked for when they are
    not 0, ``patch`` matters to GLNet alone), ``weights`` as for ``create_encoder``. In training mode, nothing frozen;
    the process's own random numbers are left alone. Raises ``ModelError`` for what does not go together, and as
    ``create_encoder`` does.
    """
    source = create_encoder(encoder, weights)
    settings: dict[str, Any] = {
        "decoder_norm": decoder_norm,
        "decoder_attention": decoder_attention,
        "hypercolumn": hypercolumn,
        "deep_supervision": bool(deep_supervision),
        "presence": bool(presence),
        "surroundings": surroundings,
        "extra_channels": extra_channels,
    }
    common: dict[str, Any] = {
        "encoder": encoder,
        "grey": grey,
        "standardise": standardise,
        "encoder_state": source.backbone.state_dict() if weights != NO_WEIGHTS else None,
        "card": source.card,
    }
    network: TrainableNetwork
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if decoder == GLNET:
            network = build_glnet({"side": patch, **common}, refused=settings)
        else:
            network = SegmentationNetwork(decoder=decoder, **common, **settings)
    network.encoder_identity = source.identity
    return network


def settings_of(recipe: object) -> dict[str, Any]:
    """The keyword settings of ``build_network`` that stand in a recipe: ``build_network(**settings_of(r), seed=s)``."""
    names = (
        "encoder weights decoder decoder_norm decoder_attention hypercolumn deep_supervision presence surroundings "
        "extra_channels grey standardise patch"
    )
    return {name: getattr(recipe, name) for name in names.split()}
