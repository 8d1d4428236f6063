"""Pretrained encoders: one registry of cards, one factory.

Three families by name: ``efficientnet-lite0/1/2`` with ImageNet weights that the installed packages carry (no
network), any encoder of segmentation_models_pytorch (``resnet34``), and any of timm's (``tu-convnext_tiny``).
An encoder here is frozen: evaluation mode, no gradients, so that a tile's features are computed once and kept.
"""

import difflib
import hashlib
import json
import statistics
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models import hub_weights, lite_weights
from models.encoder_files import load_hub_file, load_state, load_weights_file
from models.errors import ModelError
from models.hub_weights import HubFiles
from models.torchvision_import import ensure_torchvision

PACKAGED = "packaged"
HUB = "hub"
NO_WEIGHTS = "none"
DEFAULT_ENCODER = "efficientnet-lite1"

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
    ``weights_origin`` says in words where they come from and what they were trained on. ``weights_bytes`` is about how
    large they are: of float32, without a classifier that may lie in the same file.
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

    @property
    def weights_bytes(self) -> int:
        """The size of the weights, as far as it can be told without asking for them."""
        return self.parameters * 4


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
    return _card(name, _backbone(name))


def create_encoder(name: str = DEFAULT_ENCODER, weights: str | Path = PACKAGED) -> Encoder:
    """Make a frozen encoder.

    ``weights`` is 'packaged' (EfficientNet-Lite only), 'hub' (asks the network for what was not fetched before), 'none'
    (random, seeded 0, for tests) or the path of a ``.safetensors`` file: the backbone's state, or the file that the hub
    has for this encoder. Raises ``ModelError`` when the name is unknown, or the weights cannot be had or do not fit.
    """
    if weights == HUB:
        return _from_hub(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = _backbone(name)
    card = _card(name, backbone)
    if weights == PACKAGED:
        if name not in _LITE_VARIANTS:
            raise ModelError(
                f"No installed package carries weights for the encoder {name}; choose one of "
                f"{', '.join(_LITE_VARIANTS)}, or set weights to 'hub' (needs the network) or to a .safetensors file."
            )
        load_state(
            backbone, lite_weights.encoder_state(_LITE_VARIANTS[name]), name=name, source="the installed package"
        )
    elif weights != NO_WEIGHTS:
        load_weights_file(backbone, Path(weights), name=name, timm_name=_timm_name(name))
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


def hub_files(name: str) -> HubFiles | None:
    """What an encoder needs of the hub, None where the hub has nothing for it. Asks no network."""
    _check_name(name)
    smp_encoders, timm = _libraries()
    timm_name = _timm_name(name)
    if name in _LITE_VARIANTS:
        return None
    if timm_name is None:
        settings = smp_encoders.encoders[name]["pretrained_settings"][_smp_weights(name)]
        return HubFiles(settings["repo_id"], settings["revision"], (hub_weights.CONFIG, hub_weights.WEIGHTS))
    configuration = timm.models.get_pretrained_cfg(timm_name)
    if configuration is None or not configuration.hf_hub_id:
        return None
    repository, _, revision = configuration.hf_hub_id.partition("@")
    return HubFiles(repository, revision or "main", (hub_weights.WEIGHTS,))


def fetch_weights(name: str, tell: hub_weights.Tell | None = None) -> None:
    """Fetch an encoder's weights from the hub, unless they are here; ``tell`` hears of the bytes and may end it.

    Raises ``ModelError`` in a sentence that says why they cannot be had and what to do, within seconds where the hub is
    out of reach; and what ``tell`` raises.
    """
    files = hub_files(name)
    if files is None:
        offered = "come with an installed package" if name in _LITE_VARIANTS else "are not on the hub as safetensors"
        instead = "'packaged'" if name in _LITE_VARIANTS else "a .safetensors file"
        raise ModelError(f"The weights of {name} {offered}; set weights to {instead}.")
    try:
        hub_weights.fetch(files, tell)
    except ModelError as error:
        raise ModelError(
            f"The weights of {name} could not be fetched from the hub: {error}; check the network, set weights to a "
            f".safetensors file of your own, or choose an encoder that needs neither ({', '.join(_LITE_VARIANTS)})."
        ) from error


def check_weights_file(name: str, path: Path) -> None:
    """Raise ``ModelError`` where a file of weights is not there, is no safetensors file or is of another encoder."""
    load_weights_file(_backbone(name), path, name=name, timm_name=_timm_name(name))


def _from_hub(name: str) -> Encoder:
    fetch_weights(name)
    files = hub_files(name)
    weights = files.path(hub_weights.WEIGHTS) if files else None
    if files is None or weights is None:
        raise ModelError(f"The weights of {name} are gone from the hub's cache again; start anew.")
    backbone = _backbone(name)
    load_hub_file(backbone, weights, name=name, timm_name=_timm_name(name))
    described = files.path(hub_weights.CONFIG) if hub_weights.CONFIG in files.names else None
    card = _card(name, backbone)
    return Encoder(card=card if described is None else _as_described(card, described), backbone=backbone)


def _as_described(card: EncoderCard, configuration: Path) -> EncoderCard:
    """The card with the scaling of colours that stands beside the weights."""
    try:
        told = json.loads(configuration.read_text())
        return replace(card, mean=tuple(told["mean"]), std=tuple(told["std"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{configuration}, which was fetched with the weights of {card.name}, cannot be read; remove it, and it "
            "will be fetched anew."
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


def _backbone(name: str) -> nn.Module:
    _check_name(name)
    smp_encoders, timm = _libraries()
    timm_name = _timm_name(name)
    try:
        if timm_name is not None:
            backbone: nn.Module = timm.create_model(timm_name, pretrained=False, features_only=True)
        else:
            backbone = smp_encoders.get_encoder(name, weights=None)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ModelError(f"The encoder {name} cannot give feature maps by stage ({error}); choose another.") from error
    return backbone


def _card(name: str, backbone: nn.Module) -> EncoderCard:
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
    if name in _LITE_VARIANTS:
        return PACKAGED, f"the installed package {lite_weights.package(_LITE_VARIANTS[name])}, trained on ImageNet"
    files = hub_files(name)
    if files is None:
        return None, "nobody offers its weights as safetensors; give a file of your own, or train it from nothing"
    return HUB, files.page


def _smp_weights(name: str) -> str:
    """Which of the weights that segmentation_models_pytorch offers: ImageNet's, or the first where there are none."""
    offered: list[str] = list(_libraries()[0].encoders[name]["pretrained_settings"])
    return "imagenet" if "imagenet" in offered else offered[0]


def _identity(name: str, backbone: nn.Module) -> str:
    digest = hashlib.sha256(name.encode())
    for key, tensor in sorted(backbone.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
