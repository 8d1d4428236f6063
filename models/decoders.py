"""Decoders: from an encoder's maps to one map that a classifier reads, with the levels on the way where they are told.

All but GLNet's are those of segmentation_models_pytorch 0.6.0. Three things are done to them. They run level by level
from here, so that hypercolumns and deep supervision can see every level. Their normalisation is replaced by the chosen
one, since the library offers the choice in six decoders of ten, its 'layernorm' normalises along the width of the map
and its 'instancenorm' fails when weights are drawn. And it is left out after pooling to a single place, where batch
normalisation has nothing to normalise by and refuses a batch of one (in DeepLabV3+, PAN and UPerNet; the library's own
PSPNet leaves it out too).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import ModelError
from models.glnet_fpn import STAGES, GlnetFpn
from models.torchvision_import import ensure_torchvision

GLNET = "glnet-fpn"
_CLASSES = {
    "unet": "Unet",
    "unetplusplus": "UnetPlusPlus",
    "fpn": "FPN",
    "pspnet": "PSPNet",
    "deeplabv3plus": "DeepLabV3Plus",
    "linknet": "Linknet",
    "manet": "MAnet",
    "pan": "PAN",
    "upernet": "UPerNet",
    "segformer": "Segformer",
}
DECODERS = (*_CLASSES, GLNET)
WITH_SCSE = ("unet", "unetplusplus")
WITH_LEVELS = ("unet", "unetplusplus", "linknet", "manet", "fpn", GLNET)
"""Decoders whose inner levels can be supervised."""
WITH_HYPERCOLUMN = WITH_LEVELS[:-1]
"""GLNet's joins its levels already, as UPerNet and SegFormer do."""
SMALLEST_SIDE = {"pan": 256}
"""Pixels below which a decoder's own pooling leaves nothing; the rest take the encoder's coarsest stride."""

_WIDE_CLASSIFIERS = ("unet", "unetplusplus", "manet", "pan", "pspnet", GLNET)
NORMS = ("batchnorm", "none", "instancenorm", "layernorm", "groupnorm")
_MOST_GROUPS = 32
# What the library and timm raise where an encoder has other stages, or cannot be dilated.
_REFUSALS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError)


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of each place of ``(N, C, h, w)``: what is far away changes nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Same shape."""
        moved: Tensor = self.norm(maps.permute(0, 2, 3, 1))
        return moved.permute(0, 3, 1, 2)


def make_norm(kind: str, channels: int) -> nn.Module:
    """A layer of one of ``NORMS`` for ``(N, channels, h, w)``."""
    if kind == "batchnorm":
        return nn.BatchNorm2d(channels)
    if kind == "instancenorm":
        return nn.InstanceNorm2d(channels, affine=True)
    if kind == "groupnorm":
        groups = next(g for g in range(min(_MOST_GROUPS, channels), 0, -1) if channels % g == 0)
        return nn.GroupNorm(groups, channels)
    if kind == "layernorm" and channels > 1:  # over one channel it would leave nothing
        return LayerNorm2d(channels)
    return nn.Identity()


class LevelDecoder(nn.Module):
    """A decoder that hands back its levels: coarse first, the last one is what the classifier reads."""

    def __init__(self, name: str, inner: nn.Module) -> None:
        super().__init__()
        self.name, self.inner = name, inner

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The encoder's maps, fine to coarse (the image itself first), to one map or more."""
        level_by_level = _LEVELS.get(self.name)
        if level_by_level is None:
            return [self.inner(list(features))]
        return level_by_level(self.inner, list(features))


def make_pair(encoder: str, decoder: str, *, norm: str, attention: str) -> tuple[nn.Module, LevelDecoder]:
    """An encoder of segmentation_models_pytorch by its name there, without weights, and a decoder that stands on it.

    Raises ``ModelError`` for a decoder that is not known, has no such attention, or cannot stand on this encoder.
    """
    if decoder not in DECODERS:
        raise ModelError(f"There is no decoder called {decoder!r}; choose one of {', '.join(DECODERS)}.")
    if norm not in NORMS:
        raise ModelError(f"There is no normalisation called {norm!r}; choose one of {', '.join(NORMS)}.")
    if attention not in {"none", "scse"}:
        raise ModelError(f"There is no attention called {attention!r}; choose none or scse.")
    if attention == "scse" and decoder not in WITH_SCSE:
        raise ModelError(
            f"The decoder {decoder} has no scSE attention; choose {' or '.join(WITH_SCSE)}, or set attention to none."
        )
    ensure_torchvision()
    import segmentation_models_pytorch as smp  # noqa: PLC0415

    try:
        if decoder == GLNET:
            body = smp.encoders.get_encoder(encoder, weights=None)
            return body, LevelDecoder(decoder, _glnet(body.out_channels, norm))
        options: dict[str, Any] = {"decoder_attention_type": attention} if attention != "none" else {}
        model = getattr(smp, _CLASSES[decoder])(encoder_name=encoder, encoder_weights=None, **options)
    except _REFUSALS as error:
        raise cannot_stand(encoder, decoder, error) from error
    _normalise(model.decoder, norm)
    return model.encoder, LevelDecoder(decoder, model.decoder)


def make_classifier(decoder: str, channels: int, classes: int) -> nn.Conv2d:
    """The last convolution, 3 x 3 or 1 x 1 as the decoder's authors have it."""
    side = 3 if decoder in _WIDE_CLASSIFIERS else 1
    classifier = nn.Conv2d(channels, classes, side, padding=side // 2)
    nn.init.xavier_uniform_(classifier.weight)
    nn.init.zeros_(classifier.bias)  # type: ignore[arg-type]
    return classifier


def cannot_stand(encoder: str, decoder: str, error: Exception) -> ModelError:
    """The one sentence for a pair that does not fit."""
    reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
    return ModelError(
        f"The decoder {decoder} cannot stand on the encoder {encoder} ({reason[0].rstrip('.')}); "
        "choose another of the two, unet and fpn fit most encoders."
    )


def _glnet(channels: Sequence[int], norm: str) -> GlnetFpn:
    stages = list(channels[-STAGES:])
    if len(stages) < STAGES or not all(stages):
        raise ValueError("it needs four stages")
    return GlnetFpn(stages, lambda width: make_norm(norm, width))


def _normalise(decoder: nn.Module, kind: str) -> None:
    """Put normalisation of ``kind`` in the place of what is there, none after pooling to a single place."""
    pooled = [branch for branch in decoder.modules() if _pools_to_one_place(branch)]
    beyond = {id(module) for branch in pooled for module in branch.modules()}
    for parent in list(decoder.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                channels = child.num_features
            elif isinstance(child, nn.GroupNorm):
                channels = child.num_channels
            else:
                continue
            setattr(parent, name, make_norm("none" if id(child) in beyond else kind, channels))
    for convolution in decoder.modules():  # a bias was left to the normalisation that may be gone
        if isinstance(convolution, nn.Conv2d) and convolution.bias is None:
            convolution.bias = nn.Parameter(torch.zeros(convolution.out_channels))


def _pools_to_one_place(branch: nn.Module) -> bool:
    first = next(branch.children(), None)
    return (
        isinstance(branch, nn.Sequential)
        and isinstance(first, nn.AdaptiveAvgPool2d)
        and first.output_size in {1, (1, 1)}
    )


def _unet_levels(decoder: Any, features: list[Tensor]) -> list[Tensor]:
    sizes = [tuple(maps.shape[-2:]) for maps in features]
    maps, levels = decoder.center(features[-1]), []
    for index, block in enumerate(decoder.blocks):
        finer = len(features) - 2 - index  # the image itself, at 0, is no skip
        maps = block(maps, *sizes[finer], skip_connection=features[finer] if finer else None)
        levels.append(maps)
    return levels


def _unetplusplus_levels(decoder: Any, features: list[Tensor]) -> list[Tensor]:
    """The nodes x(row, column) of the nested U; a row starts at a stage of the encoder, a column is a resolution."""
    stages = features[:0:-1]
    nodes: dict[tuple[int, int], Tensor] = {}
    for column in range(decoder.depth):
        for row in range(column, -1, -1):
            denser = [nodes[below, column] for below in range(row + 1, column + 1)]
            source = stages[row] if row == column else nodes[row, column - 1]
            skip = torch.cat([*denser, stages[column + 1]], dim=1)
            nodes[row, column] = decoder.blocks[f"x_{row}_{column}"](source, skip)
    top = [nodes[0, column] for column in range(decoder.depth)]
    return [*top, decoder.blocks[f"x_0_{decoder.depth}"](top[-1])]


def _block_levels(decoder: Any, features: list[Tensor]) -> list[Tensor]:
    """Linknet and MAnet: one block for each halving."""
    stages = features[:0:-1]
    maps = decoder.center(stages[0]) if hasattr(decoder, "center") else stages[0]
    levels = []
    for index, block in enumerate(decoder.blocks):
        maps = block(maps, stages[index + 1] if index + 1 < len(stages) else None)
        levels.append(maps)
    return levels


def _fpn_levels(decoder: Any, features: list[Tensor]) -> list[Tensor]:
    """The four levels, all enlarged to 1/4 of the image, and their sum."""
    finer = {3: decoder.p4, 2: decoder.p3, 1: decoder.p2}
    stages = features[-len(finer) - 1 :]
    pyramid = decoder.p5(stages[-1])
    levels = [decoder.seg_blocks[0](pyramid)]
    for place, stage, block in zip((3, 2, 1), stages[-2::-1], decoder.seg_blocks[1:], strict=True):
        pyramid = finer[place](pyramid, stage)
        levels.append(block(pyramid))
    return [*levels, decoder.dropout(decoder.merge(levels))]


def _glnet_levels(decoder: Any, features: list[Tensor]) -> list[Tensor]:
    levels: list[Tensor] = decoder(features)
    return levels


_LEVELS: dict[str, Callable[[Any, list[Tensor]], list[Tensor]]] = {
    "unet": _unet_levels,
    "unetplusplus": _unetplusplus_levels,
    "linknet": _block_levels,
    "manet": _block_levels,
    "fpn": _fpn_levels,
    GLNET: _glnet_levels,
}
