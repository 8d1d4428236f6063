"""The settings of a recipe, each with what it means, what it may be and what makes use of it."""

from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, Field, field_validator

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
    "glnet",
]
BOTH_BRANCHES = "glnet"
"""The decoder's name for all of GLNet, which is more than a decoder."""
STAGE_EPOCHS = (120, 50, 120)
"""The epochs of GLNet's three stages in its released code's instructions; here the parts of a recipe's epochs."""

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

    Lengths on the ground are in metres, ``windows`` in cells of ``cell_m``, ``patch`` in pixels at
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
    texture_stages: tuple[Annotated[int, Ge(1), Le(8)], ...] = _setting(
        (),
        "Encoder",
        "linear convolutional prototype neighbours",
        "stages of the encoder whose spread within a cell the head sees too, 1 the finest",
        max_length=8,
    )
    cell_m: float = _setting(
        8.0,
        "Encoder",
        "linear convolutional prototype neighbours",
        "metres on the ground that a cell measures, as nearly as 8, 16 or 32 pixels at resolution_m come to it",
        ge=0.1,
        le=1000,
    )
    grey: bool = _setting(False, "Encoder", "all", "take the colour away before the encoder sees a tile")
    standardise: Literal["encoder", "tile", "training", "none"] = _setting(
        "encoder",
        "Encoder",
        "all",
        "how colours are scaled: as the encoder was trained, by each tile's own mean and deviation, by those of the "
        "training tiles, or only to 0..1",
    )
    tile_metadata: bool = _setting(
        False,
        "Encoder",
        "all",
        "let the head see metadata of the whole tile beside each cell: the mean and spread of its colours, and its "
        "ground sampling distance; with few tiles a head may learn them by heart, and a network cannot have them",
    )
    extra_channels: tuple[Literal["excess-green", "local-variance", "position"], ...] = _setting(
        (), "Encoder", "network", "channels that the network sees beside red, green and blue", max_length=3
    )

    head: Literal["context-linear", "convolutional", "prototype", "neighbours"] = _setting(
        "context-linear", "Head", "linear convolutional prototype neighbours", "kind of head on cached features"
    )
    windows: tuple[Cells, ...] = _setting(
        (1, 5, 15),
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
        1,
        "Head",
        "linear network",
        "heads, each on its own draw of the labelled instances, or networks of different seeds, that are averaged",
        ge=1,
        le=50,
    )
    propagate: bool = _setting(
        False, "Head", "linear convolutional prototype neighbours", "labels spread to the rest of their superpixels"
    )
    start: str = _setting(
        "", "Head", "linear", "a run whose head the fit begins at and stays near; empty begins at nought"
    )

    decoder: Decoder = _setting(
        "unet",
        "Network",
        "network",
        "decoder on the encoder; glnet-fpn is GLNet's whole-tile branch with its loss at a quarter of the size; glnet "
        "is all of GLNet, trained on whole tiles in three stages. It differs from the released code in that the "
        "unlabelled take no part there, and that overlapping patches are averaged, not summed",
    )
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
    sight: Literal["auto", "whole", "patches", "resized"] = _setting(
        "auto",
        "Network",
        "network",
        "how a tile is predicted: in one pass as long as it is small, always in one pass, in overlapping patches of "
        "512, or resized to 1024 at most",
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
        256, "Patches", "network", "side of a training patch in pixels", ge=64, le=2048, multiple_of=4
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
    augment_on: Literal["cpu", "device"] = _setting(
        "cpu",
        "Augmentation",
        "network",
        "where flips and changes of colour are made: by the processor, or by the device that trains, a batch at once; "
        "there 'heavy' has no bending, CLAHE and FancyPCA",
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
    compile: bool = _setting(
        False,
        "Schedule",
        "network",
        "let torch compile the network: the first step takes a minute or more, later ones may be faster",
    )

    folds: int = _setting(
        1,
        "Data",
        "all",
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

    @field_validator("stages", "texture_stages")
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
