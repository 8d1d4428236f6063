"""Networks that are trained as a whole, or from the decoder on: image in, class logits out at the image's size.

A ``SegmentationNetwork`` is an encoder of segmentation_models_pytorch, one of ``models.decoders`` on it and a
classifier of its own. The library's encoders are used, not the frozen ones of ``models.encoders``, because its decoders
ask them for what those do not give: the image itself as the first map, an empty map where a stage is missing, and a
coarser stage dilated (DeepLabV3+, PAN). Their weights come from ``create_encoder`` all the same, whatever the source.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from models.context_fusion import GlobalBranch, ScaleFusion
from models.decoders import (
    GLNET,
    SMALLEST_SIDE,
    WITH_HYPERCOLUMN,
    WITH_LEVELS,
    cannot_stand,
    make_classifier,
    make_norm,
    make_pair,
)
from models.encoders import EncoderCard, encoder_card, is_timm, library_name
from models.errors import ModelError
from models.glnet_fpn import draw_as_glnet
from models.network_context import SCALES, Context
from models.network_input import NetworkInput, widen

__all__ = ["Context", "Encoded", "NetworkOutput", "SegmentationNetwork", "Surroundings", "load_encoder"]

CLASSES = 6
ALIGNMENT = 32
"""Sides of images are multiples of it: the coarsest stride of any encoder."""

Surroundings = Literal["none", "global", "two-scales"]
_SURROUNDINGS = ("none", "global", "two-scales")
QUARTER = 4
"""GLNet's classes are told at a quarter of the image's size, and its sides need only be multiples of that."""
_PROBE = 128  # side of the image by which a new network is tried


class NetworkOutput(NamedTuple):
    """What a network says of N images.

    ``logits`` is ``(N, 6, H, W)`` float32, in training at the size at which the loss is taken: that of the images, or
    of GLNet's a quarter. ``deep`` holds float32 logits ``(N, 6, h, w)`` of the decoder's inner
    levels, coarse first and at their own size (interpolate them to the target's); empty without deep supervision.
    ``presence`` is ``(N, 6)`` float32 logits of "this class occurs in the image", None without that head.
    """

    logits: Tensor
    deep: list[Tensor]
    presence: Tensor | None


class Encoded(NamedTuple):
    """An encoder's maps, fine to coarse: of the images, and of the whole tiles made small (None without them)."""

    features: list[Tensor]
    whole: list[Tensor] | None


class SegmentationNetwork(nn.Module):
    """Encoder, decoder and classifier, with all that a recipe can add to them; made by ``models.build``.

    ``alignment``: sides of images must be multiples of it, and at least ``smallest``. ``needs_context``: what the
    surroundings in a ``Context`` must show. ``needs_place``: a ``Context`` must be given, be it without images.
    ``at_training_size``: decides by all of an image at once, so that predictions want windows of the training
    patches' size. ``encoder_card`` and ``encoder_identity`` (a digest of name and pretrained weights, empty in a
    network that was read from a file) tell where the encoder came from.

    Without the inner levels' and the presence head's weights the logits are the same: both only help training.
    """

    kind = "network"
    whole_tile = False

    def __init__(
        self,
        *,
        encoder: str,
        decoder: str,
        decoder_norm: str = "batchnorm",
        decoder_attention: str = "none",
        hypercolumn: bool = False,
        deep_supervision: bool = False,
        presence: bool = False,
        surroundings: str = "none",
        extra_channels: Sequence[str] = (),
        grey: bool = False,
        standardise: str = "encoder",
        encoder_state: Mapping[str, Tensor] | None = None,
        card: EncoderCard | None = None,
    ) -> None:
        super().__init__()
        _check(decoder, hypercolumn=hypercolumn, deep_supervision=deep_supervision, surroundings=surroundings)
        self._settings: dict[str, object] = {
            "encoder": encoder,
            "decoder": decoder,
            "decoder_norm": decoder_norm,
            "decoder_attention": decoder_attention,
            "hypercolumn": hypercolumn,
            "deep_supervision": deep_supervision,
            "presence": presence,
            "surroundings": surroundings,
            "extra_channels": list(extra_channels),
            "grey": grey,
            "standardise": standardise,
        }
        self.encoder_card = card or encoder_card(encoder)
        self.encoder_identity = ""
        self.needs_context = cast(Surroundings, surroundings)
        self.alignment = ALIGNMENT
        self.smallest = SMALLEST_SIDE.get(decoder, ALIGNMENT)
        self.at_training_size = surroundings == "two-scales" or decoder == "manet"
        self._frozen = False
        self.input = NetworkInput(
            mean=self.encoder_card.mean,
            std=self.encoder_card.std,
            standardise=standardise,
            grey=grey,
            extra_channels=extra_channels,
        )
        self.needs_place = standardise == "tile" or "position" in extra_channels or surroundings != "none"
        self.encoder, self.decoder = make_pair(
            library_name(encoder), decoder, norm=decoder_norm, attention=decoder_attention
        )
        if encoder_state is not None:
            load_encoder(self.encoder, encoder_state, name=encoder)
        self._added = widen(self.encoder, self.input.added) if self.input.added else []
        self._make_heads(decoder, decoder_norm)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _make_heads(self, decoder: str, norm: str) -> None:
        """What reads the decoder's levels; their channels are learned from a trial image."""
        settings = self._settings
        stages, levels = self._tried(decoder)
        channels = levels[-1]
        self.classifier = make_classifier(decoder, channels, CLASSES)
        self.level_classifiers = _one_for_each(levels[:-1], wanted=bool(settings["hypercolumn"]))
        self.deep_classifiers = _one_for_each(levels[:-1], wanted=bool(settings["deep_supervision"]))
        self.presence = (
            nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(stages[-1], CLASSES))
            if settings["presence"]
            else None
        )
        self.fusion: GlobalBranch | ScaleFusion | None = None
        if self.needs_context == "global":
            self.fusion = GlobalBranch(stages=stages, channels=channels, norm=lambda width: make_norm(norm, width))
        elif self.needs_context == "two-scales":
            self.fusion = ScaleFusion(channels=channels, norm=lambda width: make_norm(norm, width))
        if decoder == GLNET:
            draw_as_glnet(self.classifier)
            self.alignment = QUARTER if self._takes(_PROBE + QUARTER) else ALIGNMENT  # GLNet's 508 is no multiple of 32

    @torch.no_grad()
    def _tried(self, decoder: str) -> tuple[list[int], list[int]]:
        """Channels of the encoder's maps and of the decoder's levels, from one small image; refuses a misfit."""
        self.eval()
        try:
            features = self.encoder(torch.zeros(1, 3 + self.input.added, _PROBE, _PROBE))
            levels = self.decoder(features)
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
            raise cannot_stand(str(self._settings["encoder"]), decoder, error) from error
        finally:
            self.train()
        return [maps.shape[1] for maps in features], [maps.shape[1] for maps in levels]

    @torch.no_grad()
    def _takes(self, side: int) -> bool:
        """Whether the encoder can be given images of this side."""
        self.eval()
        try:
            self.decoder(self.encoder(torch.zeros(1, 3 + self.input.added, side, side)))
        except (RuntimeError, ValueError, AssertionError):
            return False
        finally:
            self.train()
        return True

    def forward(self, images: Tensor, context: Context | None = None) -> NetworkOutput:
        """Logits of ``(N, 3, H, W)`` RGB in 0..255, uint8 or float; sides multiples of ``alignment``.

        ``context`` as ``core.training.context_crops`` makes it; only a network with neither ``needs_place`` nor
        surroundings does without. Raises ``ValueError`` for sides that do not fit or a context that is missing.
        """
        return self.decode(self.encode(images, context), images, context)

    def encode(self, images: Tensor, context: Context | None = None) -> Encoded:
        """The first half of ``forward``, which networks with one frozen encoder have in common."""
        self._check_input(images, context)
        seen = self.input(images, context)
        if context is not None and self.needs_context == "two-scales":
            seen = torch.cat([seen, self._around(context)])
        features = self._encode(seen)
        whole = self._whole(context) if context is not None and self.needs_context == "global" else None
        return Encoded(features, None if whole is None else self._encode(whole))

    def decode(self, encoded: Encoded, images: Tensor, context: Context | None = None) -> NetworkOutput:
        """The second half: what ``forward`` gives for the images that were encoded."""
        count, size = len(images), (images.shape[-2], images.shape[-1])
        features = encoded.features
        levels = self.decoder(features)
        last = levels[-1]
        if isinstance(self.fusion, ScaleFusion):
            last = self.fusion(last.split(count))
        elif isinstance(self.fusion, GlobalBranch) and context is not None:
            last = self.fusion(last, encoded.whole, context.boxes)
        inner = [maps[:count] for maps in levels[:-1]]
        if self.training and self.decoder.name == GLNET:
            size = (last.shape[-2], last.shape[-1])
        logits = _at_size(self.classifier(last), size)
        for classifier, maps in zip(self.level_classifiers, inner, strict=False):
            logits = logits + _at_size(classifier(maps), size)
        deep = [c(maps).float() for c, maps in zip(self.deep_classifiers, inner, strict=False)] if self.training else []
        presence = None if self.presence is None else self.presence(features[-1][:count]).float()
        return NetworkOutput(logits, deep, presence)

    def _encode(self, seen: Tensor) -> list[Tensor]:
        # Nothing of a frozen encoder is kept for a way back, unless new weights lie at its beginning.
        with torch.set_grad_enabled(torch.is_grad_enabled() and (not self._frozen or bool(self._added))):
            maps: list[Tensor] = self.encoder(seen.contiguous(memory_format=torch.channels_last))
        return maps

    def _whole(self, context: Context) -> Tensor:
        """The whole tiles, made small, as the encoder reads them."""
        boxes = torch.zeros_like(context.boxes)
        boxes[:, 2:] = 1
        whole: Tensor = self.input(_images_of(context), context._replace(boxes=boxes))
        return whole

    def _around(self, context: Context) -> Tensor:
        """The surroundings as the encoder reads them, ``(2 N, ...)``: all of one scale, then of the other."""
        top_left, bottom_right = context.boxes[:, :2], context.boxes[:, 2:]
        seen = []
        for index, scale in enumerate(SCALES):
            more = (bottom_right - top_left) * (scale - 1) / 2
            boxes = torch.cat([top_left - more, bottom_right + more], dim=1)
            seen.append(self.input(_images_of(context)[:, index], context._replace(boxes=boxes)))
        return torch.cat(seen)

    def _check_input(self, images: Tensor, context: Context | None) -> None:
        sides = images.shape[-2:]
        if any(side % self.alignment or side < self.smallest for side in sides):
            raise ValueError(
                f"sides must be multiples of {self.alignment} and at least {self.smallest}, not {tuple(sides)}"
            )
        if context is None and self.needs_place:
            raise ValueError("this network must be told where its images lie in their tiles: give a context")

    def train(self, mode: bool = True) -> "SegmentationNetwork":
        """Training or evaluation mode; a frozen encoder stays in the latter."""
        super().train(mode)
        if self._frozen:
            self.encoder.eval()
        return self

    def freeze_encoder(self) -> None:
        """Train all but the encoder; its normalisation keeps its figures."""
        self._set_frozen(True)

    def unfreeze_encoder(self) -> None:
        """Train everything."""
        self._set_frozen(False)

    def _set_frozen(self, frozen: bool) -> None:
        self._frozen = frozen
        for parameter in self.encoder_parameters():
            parameter.requires_grad_(not frozen)
        self.train(self.training)

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """The encoder's own weights: what is frozen, and what has a lower learning rate."""
        for name, parameter in self.encoder.named_parameters():
            if name not in self._added:
                yield parameter

    def other_parameters(self) -> Iterator[nn.Parameter]:
        """All other weights, those on further channels among them."""
        of_encoder = {id(parameter) for parameter in self.encoder_parameters()}
        for parameter in self.parameters():
            if id(parameter) not in of_encoder:
                yield parameter

    def set_statistics(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        """For ``standardise`` 'training': mean and deviation of RGB in 0..255 over the training tiles; once."""
        self.input.set_statistics(mean, deviation)

    def settings(self) -> dict[str, object]:
        """What it takes to build this network again, besides its tensors."""
        return dict(self._settings)


def _check(decoder: str, *, hypercolumn: bool, deep_supervision: bool, surroundings: str) -> None:
    if hypercolumn and decoder not in WITH_HYPERCOLUMN:
        raise ModelError(
            f"The decoder {decoder} has no levels to join (or joins them already); "
            f"choose one of {', '.join(WITH_HYPERCOLUMN)}, or set hypercolumn to false."
        )
    if deep_supervision and decoder not in WITH_LEVELS:
        raise ModelError(
            f"The decoder {decoder} has no inner levels to supervise; "
            f"choose one of {', '.join(WITH_LEVELS)}, or set deep_supervision to 0."
        )
    if surroundings not in _SURROUNDINGS:
        raise ModelError(f"There are no surroundings called {surroundings!r}; choose {' or '.join(_SURROUNDINGS)}.")


def load_encoder(encoder: Any, state: Mapping[str, Tensor], *, name: str) -> None:
    """Put a frozen encoder's weights into the library's; a shallower one (PSPNet's) takes the stages that it has."""
    target = encoder.model if is_timm(name) else encoder  # the library wraps timm's networks
    wanted = target.state_dict()
    missing = [key for key in wanted if key not in state]
    if missing:
        raise ModelError(
            f"The weights of {name} do not fit the network that decoders need of it (no {missing[0]}); "
            "choose another encoder."
        )
    target.load_state_dict({key: state[key] for key in wanted})


def _one_for_each(channels: Sequence[int], *, wanted: bool) -> nn.ModuleList:
    """1 x 1 classifiers. A sum of them over enlarged levels is one classifier on the joined, enlarged levels (the
    hypercolumn of Hariharan et al. 2015), since enlarging and a linear map commute; it costs far less memory.
    """
    return nn.ModuleList(nn.Conv2d(width, CLASSES, 1) for width in channels if wanted)


def _at_size(logits: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)


def _images_of(context: Context) -> Tensor:
    if context.images is None:
        raise ValueError("this network reads a patch with its surroundings: the context must hold images")
    return context.images
