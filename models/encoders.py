"""Pretrained encoders: one registry of cards, one factory.

Three families by name: ``efficientnet-lite0/1/2`` with ImageNet weights that the installed packages carry (no
network), any encoder of segmentation_models_pytorch (``resnet34``), and any of timm's (``tu-convnext_tiny``).
An encoder here is frozen: evaluation mode, no gradients, so that a tile's features are computed once and kept.
"""

import difflib
import hashlib
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from models import lite_weights
from models.errors import ModelError
from models.torchvision_import import ensure_torchvision

PACKAGED = "packaged"
HUB = "hub"
NO_WEIGHTS = "none"
DEFAULT_ENCODER = "efficientnet-lite2"

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_LITE_VARIANTS = {f"efficientnet-lite{variant}": variant for variant in lite_weights.VARIANTS}
_TIMM_PREFIX = "tu-"
_PASSES = 3


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """What there is to know of an encoder before using it.

    ``channels`` and ``strides`` go by stage, finest first. ``mean`` and ``std`` are of RGB scaled to 0..1.
    ``weights_sources`` are what ``create_encoder`` can take besides a file, empty where nobody offers any;
    ``weights_origin`` says in words where they come from and what they were trained on.
    """

    name: str
    parameters: int
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    weights_sources: tuple[str, ...]
    weights_origin: str
    licence: str


class Encoder(nn.Module):
    """A frozen backbone that turns RGB images into one feature map per stage.

    ``identity`` is a digest of name and weights: two encoders with the same identity give the same features.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, card: EncoderCard, backbone: nn.Module) -> None:
        super().__init__()
        self.card = card
        self.backbone = backbone
        self.register_buffer("mean", torch.tensor(card.mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(card.std).view(1, 3, 1, 1) * 255, persistent=False)
        self.requires_grad_(False)
        self.eval()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.identity = _identity(card.name, backbone)

    def train(self, mode: bool = True) -> "Encoder":  # noqa: ARG002
        """Stay in evaluation mode: a frozen encoder has no other."""
        return super().train(False)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> list[Tensor]:
        """Encode ``(N, 3, H, W)`` uint8 RGB, H and W multiples of the largest stride.

        Returns one ``(N, channels, H / stride, W / stride)`` float32 map per stage, finest first. On CUDA the
        passes run in bfloat16.
        """
        scaled = ((images.float() - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=images.is_cuda):
            stages = self.backbone(scaled)
        return [stage.float() for stage in stages[-len(self.card.channels) :]]


@cache
def encoder_names() -> tuple[str, ...]:
    """Every name that ``create_encoder`` takes, the packaged ones first."""
    smp_encoders, timm = _libraries()
    native = sorted(n for n in smp_encoders.encoders if not n.startswith("tu-"))
    return (*_LITE_VARIANTS, *native, *(_TIMM_PREFIX + n for n in timm.list_models()))


@cache
def encoder_card(name: str) -> EncoderCard:
    """The card of an encoder by name. Builds the network without weights, so it asks no network.

    Raises ``ModelError`` for an unknown name, with the nearest ones.
    """
    return _card(name, _backbone(name, from_hub=False))


def create_encoder(name: str = DEFAULT_ENCODER, weights: str | Path = PACKAGED) -> Encoder:
    """Make a frozen encoder.

    ``weights`` is 'packaged' (EfficientNet-Lite only), 'hub' (asks the network), 'none' (random, seeded 0, for
    tests) or the path of a ``.safetensors`` file with the backbone's state. Raises ``ModelError`` when the name is
    unknown, or the weights cannot be had or do not fit.
    """
    if weights == HUB:
        return _from_hub(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = _backbone(name, from_hub=False)
    card = _card(name, backbone)
    if weights == PACKAGED:
        if name not in _LITE_VARIANTS:
            raise ModelError(
                f"No installed package carries weights for the encoder {name}; choose one of "
                f"{', '.join(_LITE_VARIANTS)}, or set weights to 'hub' (needs the network) or to a .safetensors file."
            )
        _load(backbone, lite_weights.encoder_state(_LITE_VARIANTS[name]), name=name, source="the installed package")
    elif weights != NO_WEIGHTS:
        _load(backbone, _read_weights(Path(weights)), name=name, source=str(weights))
    return Encoder(card=card, backbone=backbone)


def measure_encoder(name: str, side: int = 512) -> float:
    """Milliseconds that one image of ``side`` x ``side`` takes through an encoder here on the CPU: median of three.

    With random weights, which take as long as any. Raises ``ModelError`` for an unknown name, or an encoder that
    cannot take such an image.
    """
    encoder = create_encoder(name, NO_WEIGHTS)
    image = torch.zeros(1, 3, side, side, dtype=torch.uint8)
    seconds = []
    try:
        for _ in range(1 + _PASSES):  # the first one sets up
            start = time.perf_counter()
            encoder(image)
            seconds.append(time.perf_counter() - start)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ModelError(
            f"The encoder {name} cannot take an image of {side} x {side} ({error}); choose another."
        ) from error
    return statistics.median(seconds[1:]) * 1000


def _from_hub(name: str) -> Encoder:
    if name in _LITE_VARIANTS:
        raise ModelError(f"The weights of {name} come with an installed package; set weights to 'packaged'.")
    _check_name(name)
    try:
        backbone = _backbone(name, from_hub=True)
        return Encoder(card=_card(name, backbone, from_hub=True), backbone=backbone)
    except Exception as error:  # the hubs' clients raise dozens of kinds, most of them meaning "no network"
        raise ModelError(
            f"The weights of {name} could not be fetched from the hub ({type(error).__name__}); "
            f"check the network, give a local .safetensors file, or choose {DEFAULT_ENCODER}, which needs neither."
        ) from error


def _libraries() -> tuple[Any, Any]:
    """segmentation_models_pytorch's encoders and timm, imported late: together they take over a second."""
    ensure_torchvision()
    import timm  # noqa: PLC0415
    from segmentation_models_pytorch import encoders as smp_encoders  # noqa: PLC0415

    return smp_encoders, timm


def _check_name(name: str) -> None:
    if name in encoder_names():
        return
    raise ModelError(f"There is no encoder called {name!r}; the nearest names are {', '.join(_nearest(name))}.")


def _nearest(name: str) -> list[str]:
    """Up to three names of encoders: those spelt alike, and the shortest of those that hold what was written."""
    wanted = name.lower()
    alike = difflib.get_close_matches(wanted, encoder_names(), n=3, cutoff=0.5)
    holding = sorted((known for known in encoder_names() if len(wanted) > 2 and wanted in known), key=len)
    return list(dict.fromkeys([*alike[:1], *holding[:1], *alike, *holding]))[:3] or list(_LITE_VARIANTS)


def library_name(name: str) -> str:
    """An encoder's name in segmentation_models_pytorch. Raises ``ModelError`` as ``encoder_card`` does."""
    _check_name(name)
    timm_name = _timm_name(name)
    return name if timm_name is None else _TIMM_PREFIX + timm_name


def is_timm(name: str) -> bool:
    """Whether an encoder is one of timm's, EfficientNet-Lite among them."""
    return _timm_name(name) is not None


def _timm_name(name: str) -> str | None:
    if name in _LITE_VARIANTS:
        return f"tf_efficientnet_lite{_LITE_VARIANTS[name]}"
    return name.removeprefix(_TIMM_PREFIX) if name.startswith(_TIMM_PREFIX) else None


def _backbone(name: str, *, from_hub: bool) -> nn.Module:
    _check_name(name)
    smp_encoders, timm = _libraries()
    timm_name = _timm_name(name)
    try:
        if timm_name is not None:
            backbone: nn.Module = timm.create_model(timm_name, pretrained=from_hub, features_only=True)
        else:
            backbone = smp_encoders.get_encoder(name, weights=_smp_weights(name) if from_hub else None)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ModelError(f"The encoder {name} cannot give feature maps by stage ({error}); choose another.") from error
    return backbone


def _card(name: str, backbone: nn.Module, *, from_hub: bool = False) -> EncoderCard:
    smp_encoders, _ = _libraries()
    mean, std, licence = _IMAGENET_MEAN, _IMAGENET_STD, "see the weights' own page"
    described: Any = backbone
    if _timm_name(name) is not None:
        configuration = described.default_cfg
        channels, strides = described.feature_info.channels(), described.feature_info.reduction()
        mean, std = configuration["mean"], configuration["std"]
        licence = configuration.get("license") or licence
    else:
        # The first map is the image itself; not every smp encoder has one map for every halving.
        channels = [c for c in described.out_channels[1:] if c]
        strides = [2**level for level, c in enumerate(described.out_channels) if level and c]
        if from_hub:
            fetched = smp_encoders.get_preprocessing_params(name, _smp_weights(name))
            mean, std = tuple(fetched["mean"]), tuple(fetched["std"])
    source, origin = _weights_origin(name)
    return EncoderCard(
        name=name,
        parameters=sum(p.numel() for p in backbone.parameters()),
        channels=tuple(channels),
        strides=tuple(strides),
        mean=mean,
        std=std,
        weights_sources=() if source is None else (source,),
        weights_origin=origin,
        licence=licence,
    )


def _weights_origin(name: str) -> tuple[str | None, str]:
    """Where an encoder's weights can be had, None for nowhere, and the same in words. Asks no network."""
    smp_encoders, timm = _libraries()
    if name in _LITE_VARIANTS:
        return PACKAGED, f"the installed package {lite_weights.package(_LITE_VARIANTS[name])}, trained on ImageNet"
    timm_name = _timm_name(name)
    if timm_name is None:
        repository = smp_encoders.encoders[name]["pretrained_settings"][_smp_weights(name)]["repo_id"]
        return HUB, f"huggingface.co/{repository}, fetched by segmentation_models_pytorch"
    configuration = timm.models.get_pretrained_cfg(timm_name)
    if configuration is None or not configuration.has_weights:
        return None, "nobody offers weights for it; give a .safetensors file, or train it from nothing"
    return HUB, f"huggingface.co/{configuration.hf_hub_id or timm_name}, fetched by timm"


def _smp_weights(name: str) -> str:
    """Which of the weights that segmentation_models_pytorch offers: ImageNet's, or the first where there are none."""
    offered: list[str] = list(_libraries()[0].encoders[name]["pretrained_settings"])
    return "imagenet" if "imagenet" in offered else offered[0]


def _read_weights(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        raise ModelError(
            f"{path} is no source of weights; give 'packaged', 'hub', 'none' or the path of a .safetensors file."
        )
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The weights {path} cannot be read as safetensors ({error}); give another file.") from error


def _load(backbone: nn.Module, state: Mapping[str, Tensor], *, name: str, source: str) -> None:
    try:
        backbone.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ModelError(
            f"The weights in {source} do not fit the encoder {name} ({str(error).splitlines()[-1].strip()}); "
            "choose the encoder that they were made for."
        ) from error


def _identity(name: str, backbone: nn.Module) -> str:
    digest = hashlib.sha256(name.encode())
    for key, tensor in sorted(backbone.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
