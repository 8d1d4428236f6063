"""The techniques that a recipe's settings reach, one variation each: what ``ablate`` runs when nothing else is asked.

``techniques`` names the rows of the project's list of techniques (A and D as in the DeepGlobe and segmentation reading,
B a competition's course, C advice on few labels); 'few labels' is what the fifty-instance budget added.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import InputError
from core.training.recipe import Recipe

BASE = "base"


@dataclass(frozen=True, slots=True)
class Variation:
    """A row: its settings over the base recipe, as ``key=value``, and the row that it is compared with."""

    name: str
    settings: tuple[str, ...] = ()
    techniques: str = ""
    against: str = BASE


NETWORK = "network"
_NETWORK = ("train=decoder", "resolution_m=1.0", "decoder=fpn", "decoder_norm=groupnorm", "epochs=20")
_UNET = "unet"


def _heads(techniques: str, *settings: str) -> Variation:
    return Variation(",".join(settings), settings, techniques)


def _network(techniques: str, *settings: str, against: str = NETWORK) -> Variation:
    before = (*_NETWORK, "decoder=unet") if against == _UNET else _NETWORK
    return Variation(f"{against}: {','.join(settings)}", (*before, *settings), techniques, against)


CACHED: tuple[Variation, ...] = (
    _heads("A5 A13 (without surroundings)", "windows=1"),
    _heads("A5 A13 (fewer surroundings)", "windows=1,5"),
    _heads("A5 A13 (more surroundings)", "windows=1,5,15,41"),
    _heads("B2 (all stages)", "stages="),
    _heads("B2 (without the finest)", "stages=2,3,4"),
    _heads("D23 (without texture)", "texture_stages="),
    _heads("D23 (more texture)", "texture_stages=1,2,3"),
    _heads("B2", "head=convolutional"),
    _heads("B5 B12", "folds=3"),
    _heads("B6 D3", "views=flips"),
    _heads("B6 D3", "views=d4"),
    _heads("B11 C1", "encoder=efficientnet-lite0"),
    _heads("B11 C1", "encoder=efficientnet-lite2"),
    _heads("B12", "more_encoders=efficientnet-lite0"),
    _heads("B8", "tile_metadata=true"),
    _heads("B13", "more_resolutions_m=2.0"),
    _heads("C7", "resolution_m=1.0"),
    _heads("C7", "resolution_m=2.0"),
    _heads("C7", "grey=true"),
    _heads("B17 C9 (without)", "balance=0"),
    _heads("B20", "pseudo_rounds=2"),
    _heads("D10", "standardise=tile"),
    _heads("few labels", "members=10"),
    _heads("few labels", "propagate=true"),
    _heads("few labels", "head=prototype"),
    _heads("few labels", "head=neighbours"),
    _heads("few labels", "l2=0.1"),
    _heads("few labels", "l2=10"),
    _heads("few labels", "tile_variation=1"),
    _heads("few labels", "tile_balance=1"),
)
"""Heads on cached features: seconds a fit once the features are there."""

NETWORKS: tuple[Variation, ...] = (
    Variation(NETWORK, _NETWORK, "B2 C2", BASE),
    Variation(_UNET, (*_NETWORK, "decoder=unet"), "D22", NETWORK),
    _network("A9", "train=whole"),
    _network("B19", "train=finetune"),
    _network("D26", "decoder=manet"),
    _network("D26", "decoder=segformer"),
    _network("D22", "decoder=deeplabv3plus"),
    _network("A4", "patch=512"),
    _network("A5 A14", "surroundings=global"),
    _network("A13", "surroundings=two-scales"),
    _network("A7 C9 D9", "loss=focal"),
    _network("D21", "loss=dice"),
    _network("D21", "loss=cross-entropy+dice"),
    _network("D21", "lovasz_after=0.7"),
    _network("D27", "hard_pixels=0.3"),
    _network("D27", "hard_patches=0.3"),
    _network("D17", "label_smoothing=0.1"),
    _network("B17 (without)", "sampler=area"),
    _network("C9 (without)", "balance=0"),
    _network("D16", "one_class_patches=false"),
    _network("B6 D3 (without)", "dihedral=false"),
    _network("B15 (without)", "augmentation=none"),
    _network("B15 C12", "augmentation=medium"),
    _network("B15 D4 to D8", "augmentation=heavy"),
    _network("A8", "optimiser=adam"),
    _network("A8", "optimiser=sgd"),
    _network("B18", "schedule=cosine"),
    _network("B18", "schedule=poly"),
    _network("B18 (without)", "schedule=constant"),
    _network("B21 (without)", "averaging=0"),
    _network("B21", "swa_after=0.7"),
    _network("B5 B12", "folds=3"),
    _network("B12 B14", "members=3"),
    _network("B10", "precision=bfloat16"),
    _network("C7", "grey=true"),
    _network("D10", "standardise=training"),
    _network("D11", "presence=0.2"),
    _network("D12", "extra_channels=excess-green"),
    _network("D20", "extra_channels=local-variance"),
    _network("D12", "extra_channels=position"),
    _network("D14", "deep_supervision=0.4"),
    _network("D19", "decoder_norm=none"),
    _network("D19", "decoder_norm=batchnorm"),
    _network("D19", "decoder_norm=instancenorm"),
    _network("D23", "hypercolumn=true"),
    _network("D24", "decoder_attention=scse", against=_UNET),
)
"""Networks on patches: minutes to hours a fit. They are compared with a plain network, not with a head."""


def built_in(base: Recipe, *, networks: bool) -> tuple[Variation, ...]:
    """The base and one variation for every technique; those of networks only where they are asked for.

    Raises ``InputError`` for a base that is a network itself: the rows change a head, or a network of their own.
    """
    if base.kind == "network":
        raise InputError(
            f"The built-in variations start from a head on cached features and the recipe {base.name} trains a "
            "network; say what to vary with --vary."
        )
    return (Variation(BASE), *CACHED, *(NETWORKS if networks else ()))


def parse_variations(texts: Sequence[str]) -> tuple[Variation, ...]:
    """The base and the rows of ``key=value[,key=value...]`` texts, each compared with the base.

    A comma that no 'key=' follows belongs to the value, as in ``windows=1,5,15``. Raises ``InputError`` for a text
    without a setting.
    """
    return (Variation(BASE), *(_parsed(text) for text in texts))


def _parsed(text: str) -> Variation:
    settings: list[str] = []
    for piece in text.split(","):
        if "=" in piece:
            settings.append(piece.strip())
        elif settings:
            settings[-1] += f",{piece.strip()}"
        else:
            raise InputError(f"'{text}' is no variation; write it as key=value[,key=value...], for example l2=0.5.")
    return Variation(",".join(settings), tuple(settings))
