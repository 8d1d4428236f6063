"""A recipe: everything that makes a run repeatable, in one validated model and one TOML file.

Presets are recipes by name; ``key=value`` overrides come from the command line and from the Train page.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from core.errors import InputError
from models.encoders import DEFAULT_ENCODER

Cells = Annotated[int, Ge(1), Le(401)]
Metres = Annotated[float, Ge(0.1), Le(100)]

Decoder = Literal[
    "unet",
    "unetplusplus",
    "fpn",
    "pspnet",
    "deeplabv3plus",
    "linknet",
    "manet",
    "pan",
    "upernet",
    "segformer",
    "glnet-fpn",
]
Loss = Literal["cross-entropy", "focal", "dice", "tversky", "lovasz", "cross-entropy+dice"]


def _setting(default: Any, group: str, uses: str, description: str, **limits: Any) -> Any:
    """A field of the recipe, with the group it stands in on the Train page and what makes use of it.

    ``uses`` is 'all', or some of 'linear', 'convolutional', 'prototype', 'neighbours' (heads on cached features) and
    'network' (a decoder or a whole network, trained on patches), joined by spaces.
    """
    extra: dict[str, Any] = {"group": group, "uses": uses.split()}
    return Field(default=default, description=description, json_schema_extra=extra, **limits)


class Recipe(BaseModel):
    """What a run depends on besides its tiles' pixels and labels, its seed and its device.

    Lengths on the ground are in metres, ``windows`` in cells of 8 pixels at ``resolution_m``, ``patch`` in pixels at
    ``resolution_m``. A setting that the chosen kind of training has no use for is kept and ignored (``uses`` in the
    schema says for which it counts).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = _setting("head", "Run", "all", "what a person calls this recipe")
    train: Literal["head", "decoder", "finetune", "whole"] = _setting(
        "head",
        "Run",
        "all",
        "what is trained: a head on cached features, a decoder on the frozen encoder, decoder first and encoder later, "
        "or everything from the first step",
    )

    encoder: str = _setting(DEFAULT_ENCODER, "Encoder", "all", "name of a pretrained encoder")
    weights: str = _setting("packaged", "Encoder", "all", "'packaged', 'hub', 'none' or a .safetensors file")
    more_encoders: tuple[str, ...] = _setting(
        (),
        "Encoder",
        "linear convolutional prototype neighbours",
        "further encoders whose features are joined",
        max_length=3,
    )
    resolution_m: float = _setting(1.0, "Encoder", "all", "metres per pixel that the encoder sees", ge=0.1, le=100)
    more_resolutions_m: tuple[Metres, ...] = _setting(
        (),
        "Encoder",
        "linear convolutional prototype neighbours",
        "further resolutions whose features are joined, in metres per pixel",
        max_length=3,
    )
    stages: tuple[Annotated[int, Ge(1), Le(8)], ...] = _setting(
        (),
        "Encoder",
        "linear convolutional prototype neighbours",
        "stages of the encoder whose features the head sees, 1 the finest; empty takes all",
        max_length=8,
    )
    grey: bool = _setting(False, "Encoder", "all", "take the colour away before the encoder sees a tile")
    standardise: Literal["encoder", "tile", "training", "none"] = _setting(
        "encoder",
        "Encoder",
        "all",
        "how colours are scaled: as the encoder was trained, by each tile's own mean and deviation, by those of the "
        "training tiles, or only to 0..1",
    )
    extra_channels: tuple[Literal["excess-green", "local-variance", "position"], ...] = _setting(
        (), "Encoder", "network", "channels that the network sees beside red, green and blue", max_length=3
    )

    head: Literal["context-linear", "convolutional", "prototype", "neighbours"] = _setting(
        "context-linear", "Head", "linear convolutional prototype neighbours", "kind of head on cached features"
    )
    windows: tuple[Cells, ...] = _setting(
        (1, 5, 15, 41),
        "Head",
        "linear prototype neighbours",
        "odd sides of the windows around a cell, in cells",
        min_length=1,
        max_length=8,
    )
    l2: float = _setting(1.0, "Head", "linear", "strength of the L2 penalty", ge=0, le=1000)
    tile_variation: float = _setting(
        0.0,
        "Head",
        "linear prototype neighbours",
        "how much directions count less in which one class differs from tile to tile",
        ge=0,
        le=1000,
    )
    tile_balance: float = _setting(
        0.0,
        "Head",
        "linear",
        "0 weighs tiles by their labelled area, 1 weighs a class alike in all its tiles",
        ge=0,
        le=1,
    )
    iterations: int = _setting(100, "Head", "linear", "most L-BFGS iterations", ge=1, le=2000)
    max_cells: int = _setting(20_000, "Head", "linear prototype neighbours", "most training cells", ge=100, le=200_000)
    neighbours: int = _setting(25, "Head", "neighbours", "labelled cells that vote on a cell", ge=1, le=500)
    width: int = _setting(64, "Head", "convolutional", "channels inside the head", ge=8, le=512, multiple_of=8)
    views: Literal["none", "flips", "d4"] = _setting(
        "none",
        "Head",
        "linear prototype neighbours",
        "flips and rotations of the tiles whose features join the training",
    )
    members: int = _setting(
        1, "Head", "linear", "heads, each on its own draw of the labelled instances, that are averaged", ge=1, le=50
    )
    propagate: bool = _setting(
        False, "Head", "linear convolutional prototype neighbours", "labels spread to the rest of their superpixels"
    )
    start: str = _setting(
        "", "Head", "linear", "a run whose head the fit begins at and stays near; empty begins at nought"
    )

    decoder: Decoder = _setting("unet", "Network", "network", "decoder on the encoder")
    decoder_norm: Literal["batchnorm", "none", "instancenorm", "layernorm", "groupnorm"] = _setting(
        "batchnorm", "Network", "network", "normalisation inside the decoder"
    )
    decoder_attention: Literal["none", "scse"] = _setting(
        "none", "Network", "network", "attention inside a U-Net's decoder"
    )
    hypercolumn: bool = _setting(False, "Network", "network", "join all levels of the decoder before its classifier")
    deep_supervision: float = _setting(
        0.0, "Network", "network", "weight of losses at the decoder's inner levels", ge=0, le=1
    )
    presence: float = _setting(
        0.0, "Network", "network", "weight of a second head that tells which classes occur in a patch", ge=0, le=1
    )
    surroundings: Literal["none", "global", "two-scales"] = _setting(
        "none",
        "Network",
        "network",
        "what a patch is read with: itself alone, the whole tile made small, or its surroundings at two larger scales",
    )
    unfreeze_after: float = _setting(
        0.3, "Network", "network", "share of the epochs after which 'finetune' trains the encoder too", ge=0, le=1
    )
    encoder_rate: float = _setting(
        0.1, "Network", "network", "the encoder's learning rate as a share of the decoder's", gt=0, le=1
    )

    loss: Loss = _setting("cross-entropy", "Loss", "network", "what is minimised")
    label_smoothing: float = _setting(
        0.0, "Loss", "network", "share of a label that is spread over all classes", ge=0, le=0.5
    )
    focal_gamma: float = _setting(2.0, "Loss", "network", "how much focal loss leaves sure pixels aside", ge=0, le=10)
    tversky_alpha: float = _setting(
        0.5, "Loss", "network", "how much Tversky loss minds false positives; the rest minds misses", ge=0, le=1
    )
    lovasz_after: float = _setting(
        1.0, "Loss", "network", "share of the epochs after which the loss becomes Lovasz; 1 never", ge=0, le=1
    )
    hard_pixels: float = _setting(
        1.0, "Loss", "network", "share of a batch's labelled pixels, the worst ones, that count", gt=0, le=1
    )
    balance: float = _setting(
        1.0, "Loss", "all", "0 weighs classes by their labelled area, 1 weighs all alike", ge=0, le=1
    )

    patch: int = _setting(
        256, "Patches", "network", "side of a training patch in pixels", ge=64, le=2048, multiple_of=32
    )
    batch_size: int = _setting(8, "Patches", "network", "patches in a step", ge=1, le=256)
    steps: int = _setting(
        0, "Patches", "network", "steps in an epoch; 0 covers the labelled area about once", ge=0, le=10_000
    )
    sampler: Literal["area", "presence"] = _setting(
        "presence", "Patches", "network", "where patches are drawn: by labelled area, or each class as often"
    )
    hard_patches: float = _setting(
        0.0, "Patches", "network", "share of the patches drawn again from where the loss was highest", ge=0, le=0.9
    )
    one_class_patches: bool = _setting(True, "Patches", "network", "keep patches that show a single class")

    augmentation: Literal["none", "light", "medium", "heavy"] = _setting(
        "light", "Augmentation", "network", "how much patches are changed in colour, scale and shape"
    )
    dihedral: bool = _setting(True, "Augmentation", "convolutional network", "the eight flips and rotations")

    epochs: int = _setting(40, "Schedule", "convolutional network", "passes over the training tiles", ge=1, le=1000)
    learning_rate: float = _setting(
        2e-3, "Schedule", "convolutional network", "the optimiser's highest rate", gt=0, le=1
    )
    weight_decay: float = _setting(
        0.05, "Schedule", "convolutional network", "the optimiser's weight decay", ge=0, le=10
    )
    optimiser: Literal["adamw", "adam", "sgd"] = _setting("adamw", "Schedule", "network", "the optimiser")
    schedule: Literal["one-cycle", "cosine", "poly", "constant"] = _setting(
        "one-cycle", "Schedule", "convolutional network", "how the rate goes over the epochs"
    )
    averaging: float = _setting(
        0.98, "Schedule", "convolutional network", "decay of the averaged weights; 0 takes the last", ge=0, lt=1
    )
    swa_after: float = _setting(
        1.0, "Schedule", "network", "share of the epochs after which weights are averaged evenly; 1 never", ge=0, le=1
    )
    precision: Literal["auto", "float32", "bfloat16"] = _setting(
        "auto", "Schedule", "network", "arithmetic; auto takes bfloat16 on a GPU"
    )

    folds: int = _setting(
        1,
        "Data",
        "linear convolutional prototype neighbours",
        "parts of the training tiles; each is left out once, and the members are averaged",
        ge=1,
        le=20,
    )
    pseudo_rounds: int = _setting(
        0, "Data", "linear", "rounds of learning from the model's own sure labels on what is unlabelled", ge=0, le=10
    )
    pseudo_confidence: float = _setting(
        0.9, "Data", "linear", "calibrated confidence from which such a label counts", ge=0.5, lt=1
    )
    train_tiles: tuple[str, ...] = _setting((), "Data", "all", "names; empty takes every labelled tile")
    validation_tiles: tuple[str, ...] = _setting((), "Data", "all", "names; judged, never trained on")

    @field_validator("stages")
    @classmethod
    def _ascending(cls, stages: tuple[int, ...]) -> tuple[int, ...]:
        if list(stages) != sorted(set(stages)):
            raise ValueError("stages must be named once each, the finest first")
        return stages

    @field_validator("windows")
    @classmethod
    def _odd(cls, windows: tuple[int, ...]) -> tuple[int, ...]:
        if any(window % 2 == 0 for window in windows):
            raise ValueError("each window must be odd, so that it has a middle cell")
        return windows

    @property
    def kind(self) -> str:
        """What is trained, in the words of ``uses``: 'network', or which head on cached features."""
        if self.train != "head":
            return "network"
        return "linear" if self.head == "context-linear" else self.head


# Measured by leaving out one of eleven tiles at a time (tests/benchmarks/RESULTS.md): with few labels the deepest
# stage, made to tell a thousand kinds of object apart, misleads a head; the finest and a window of 41 bring nothing.
_MIDDLE_STAGES: dict[str, Any] = {"stages": (2, 3, 4), "windows": (1, 5, 15)}

PRESETS: dict[str, Recipe] = {
    "head": Recipe(**_MIDDLE_STAGES),
    "head-fewshot": Recipe(name="head-fewshot", l2=3.0, **_MIDDLE_STAGES),
    "head-convolutional": Recipe(name="head-convolutional", head="convolutional"),
    "fast": Recipe(name="fast", encoder="efficientnet-lite0", iterations=60, max_cells=8_000, **_MIDDLE_STAGES),
    "decoder": Recipe(name="decoder", train="decoder", decoder="fpn", decoder_norm="groupnorm", epochs=20),
    "finetune": Recipe(
        name="finetune", train="finetune", decoder="fpn", decoder_norm="groupnorm", epochs=30, augmentation="medium"
    ),
    # GLNet's global branch (Chen et al. 2019) as its released code has it: whole tile made small, no standardisation,
    # focal loss with gamma 3, Adam at 5e-5 with weight decay 5e-4, poly 0.9 by iteration, flips and rotations only.
    "glnet-fpn": Recipe(
        name="glnet-fpn",
        train="whole",
        encoder="resnet50",
        weights="hub",
        standardise="none",
        decoder="glnet-fpn",
        decoder_norm="none",
        loss="focal",
        focal_gamma=3.0,
        balance=0.0,
        resolution_m=2448 * 0.5 / 512,
        patch=512,
        batch_size=6,
        sampler="area",
        augmentation="none",
        epochs=120,
        learning_rate=5e-5,
        weight_decay=5e-4,
        optimiser="adam",
        encoder_rate=1.0,
        schedule="poly",
        averaging=0.0,
    ),
    # A U-Net on ResNet-34 (the reading list's "U-Net first", D22), ImageNet weights, patches of 512 at 0.5 m.
    "unet": Recipe(
        name="unet",
        train="whole",
        encoder="resnet34",
        weights="hub",
        decoder="unet",
        resolution_m=0.5,
        patch=512,
        batch_size=8,
        loss="cross-entropy+dice",
        epochs=60,
        learning_rate=3e-4,
        encoder_rate=1.0,
        weight_decay=1e-4,
        augmentation="medium",
    ),
}
DEFAULT_PRESET = "head"

_LISTS = frozenset(key for key, field in Recipe.model_fields.items() if isinstance(field.default, tuple))


def load_recipe(source: str | Path = DEFAULT_PRESET, overrides: list[str] | None = None) -> Recipe:
    """A preset by name or a TOML file by path, with ``key=value`` overrides laid over it.

    Raises ``InputError`` for an unknown preset, an unreadable file, an unknown key (with the nearest ones) or a
    value that is not allowed (with what is).
    """
    values = _preset_or_file(source)
    for override in overrides or []:
        key, value = _parse_override(override)
        values[key] = value
    return _validated(values, where=f"the recipe {source}")


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as TOML; ``load_recipe`` reads it back to an equal recipe."""
    return tomli_w.dumps(recipe.model_dump(mode="json"))


def _preset_or_file(source: str | Path) -> dict[str, Any]:
    if str(source) in PRESETS:
        return PRESETS[str(source)].model_dump(mode="json")
    path = Path(source)
    if path.suffix != ".toml":
        raise InputError(f"There is no recipe {source}; give one of {', '.join(PRESETS)}, or the path of a .toml file.")
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"The recipe {path} cannot be read as TOML ({error}); mend it or choose a preset.") from error


def _parse_override(override: str) -> tuple[str, Any]:
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not key:
        raise InputError(f"'{override}' is no setting; write it as key=value, for example l2=0.5.")
    _check_key(key)
    if key in _LISTS:
        return key, [item.strip(" \"'") for item in text.strip(" []").split(",") if item.strip(" \"'")]
    return key, text.strip()


def _check_key(key: str) -> None:
    known = list(Recipe.model_fields)
    if key not in known:
        near = difflib.get_close_matches(key, known, n=3, cutoff=0.4) or known
        raise InputError(f"A recipe has no key '{key}'; did you mean {' or '.join(near)}?")


def _validated(values: dict[str, Any], *, where: str) -> Recipe:
    for key in values:
        _check_key(key)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise InputError(
            f"In {where}, {key} cannot be {values.get(key)!r}: {_allowed(first['msg'])}; "
            f"it is {Recipe.model_fields[key].description}."
        ) from error


def _allowed(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should", "it should")
