"""What cannot work in a recipe, or works for nothing, told beside the setting before anything is started.

What a fit would refuse is taken from the same tables by which it refuses.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.training.recipe import Recipe
from models.decoders import SMALLEST_SIDE, WITH_HYPERCOLUMN, WITH_LEVELS, WITH_SCSE
from models.encoders import DEFAULT_ENCODER, HUB, NO_WEIGHTS, PACKAGED, encoder_card
from models.errors import ModelError

NO_METADATA_IN_NETWORKS = (
    "A network takes no metadata of the tile, only a head on cached features does; set tile_metadata to false."
)
"""The sentence by which a fit refuses them."""
_MOST_TRAININGS = 20
_TILES_FOR_METADATA = 30


@dataclass(frozen=True, slots=True)
class Hint:
    """A sentence to stand beside the setting ``key``; ``stops`` where a fit would refuse the recipe."""

    key: str
    sentence: str
    stops: bool = False


def recipe_hints(recipe: Recipe, *, training_tiles: int, gpu: bool, tile_metres: float | None = None) -> list[Hint]:
    """What there is to say of a recipe, what stops it first.

    ``training_tiles`` is how many labelled tiles it would learn from, ``gpu`` whether it would run on one, and
    ``tile_metres`` the shortest side of these tiles on the ground. Asks no network.
    """
    found = [*_of_encoder(recipe), *_of_members(recipe, training_tiles)]
    if recipe.kind == "network":
        found += [
            *_of_network(recipe),
            *_of_patches(recipe, tile_metres),
            *_of_loss(recipe),
            *_of_pace(recipe, gpu=gpu),
            *_of_metadata(recipe),
        ]
    else:
        found += _of_features(recipe, training_tiles)
    return sorted(found, key=lambda hint: not hint.stops)


def _of_encoder(recipe: Recipe) -> Iterator[Hint]:
    name, weights = recipe.encoder, recipe.weights
    if weights == NO_WEIGHTS:
        yield Hint("weights", "The encoder has learnt nothing yet: this is for tests, or to train everything anew.")
    elif weights in (PACKAGED, HUB):
        if (name, weights) != (DEFAULT_ENCODER, PACKAGED):  # the usual one needs no library of encoders to be loaded
            yield from _of_source(name, weights)
    elif not Path(weights).is_file():
        yield Hint("weights", f"There is no file {weights} on this machine.", stops=True)


def _of_source(name: str, weights: str) -> Iterator[Hint]:
    try:
        sources = encoder_card(name).weights_sources
    except ModelError as error:
        yield Hint("encoder", str(error), stops=True)
        return
    if weights not in sources:
        instead = " or ".join(f"'{source}'" for source in sources)
        instead = f"{instead}, or a .safetensors file" if instead else "a .safetensors file, or 'none'"
        yield Hint("weights", f"{name} has no {weights} weights; choose {instead}.", stops=True)


def _of_members(recipe: Recipe, training_tiles: int) -> Iterator[Hint]:
    if recipe.folds > max(training_tiles, 1):
        yield Hint(
            "folds",
            f"Each fold leaves out whole tiles, so {recipe.folds} folds need as many labelled training tiles, and "
            f"{training_tiles} {'is' if training_tiles == 1 else 'are'} chosen.",
            stops=True,
        )
    if recipe.kind == "network" and recipe.folds > 1 and recipe.members > 1:
        yield Hint("members", "A network has folds or members, not both; set one of the two to 1.", stops=True)
    if recipe.kind not in ("network", "linear"):
        return
    rounds = 1 + (recipe.pseudo_rounds if recipe.kind == "linear" else 0)
    trainings = recipe.folds * recipe.members * rounds
    if trainings > _MOST_TRAININGS:
        yield Hint(
            "folds" if recipe.folds >= recipe.members else "members",
            f"Folds, members and rounds multiply: {trainings} trainings one after the other.",
        )


def _of_network(recipe: Recipe) -> Iterator[Hint]:
    decoder = recipe.decoder
    smallest = SMALLEST_SIDE.get(decoder, 0)
    if recipe.patch < smallest:
        yield Hint("patch", f"The decoder {decoder} needs patches of at least {smallest} pixels.", stops=True)
    if recipe.hypercolumn and decoder not in WITH_HYPERCOLUMN:
        yield Hint("hypercolumn", f"The decoder {decoder} cannot; {_and(WITH_HYPERCOLUMN)} can.", stops=True)
    if recipe.deep_supervision and decoder not in WITH_LEVELS:
        yield Hint("deep_supervision", f"The decoder {decoder} cannot; {_and(WITH_LEVELS)} can.", stops=True)
    if recipe.decoder_attention == "scse" and decoder not in WITH_SCSE:
        yield Hint("decoder_attention", f"The decoder {decoder} has none; {_and(WITH_SCSE)} have.", stops=True)
    if recipe.decoder_norm == "batchnorm" and recipe.batch_size < 4:
        yield Hint(
            "batch_size",
            f"Batch normalisation over so few patches ({recipe.batch_size}) is unsteady; take 4 or more, or groupnorm.",
        )
    if recipe.train == "finetune" and recipe.unfreeze_after == 1:
        yield Hint("unfreeze_after", "At 1 the encoder is never trained, as with 'decoder'.")


def _of_patches(recipe: Recipe, tile_metres: float | None) -> Iterator[Hint]:
    if tile_metres is not None and recipe.patch * recipe.resolution_m > tile_metres:
        side = int(tile_metres / recipe.resolution_m)
        yield Hint(
            "patch",
            f"The tiles are {side} pixels wide at {recipe.resolution_m:g} m, so a patch of {recipe.patch} is partly "
            "empty.",
        )


def _of_loss(recipe: Recipe) -> Iterator[Hint]:
    usual = Recipe()
    of_loss = {
        "label_smoothing": ("cross-entropy", "cross-entropy+dice", "focal"),
        "focal_gamma": ("focal",),
        "tversky_alpha": ("tversky",),
    }
    for key, losses in of_loss.items():
        if getattr(recipe, key) != getattr(usual, key) and recipe.loss not in losses:
            yield Hint(key, f"Has no effect with the loss {recipe.loss}, only with {_and(losses)}.")
    if recipe.loss == "lovasz" and recipe.lovasz_after < 1:
        yield Hint("lovasz_after", "Has no effect: the loss is Lovasz from the beginning.")
    if recipe.swa_after < 1 and recipe.averaging > 0:
        yield Hint("swa_after", "From then on the even average takes the place of the decaying one ('averaging').")


def _of_pace(recipe: Recipe, *, gpu: bool) -> Iterator[Hint]:
    if not gpu:
        yield Hint(
            "train",
            "On a processor a network takes from many minutes to days, where a head takes seconds. Measure the "
            "forecast before you start.",
        )
        if recipe.precision == "bfloat16":
            yield Hint("precision", "Many processors are slower in bfloat16 than in float32.")


def _of_metadata(recipe: Recipe) -> Iterator[Hint]:
    if recipe.tile_metadata:
        yield Hint("tile_metadata", NO_METADATA_IN_NETWORKS, stops=True)


def _of_features(recipe: Recipe, training_tiles: int) -> Iterator[Hint]:
    if recipe.standardise == "training":
        yield Hint(
            "standardise",
            "Features are kept and shared between runs, so a head cannot be scaled by one run's tiles; a network can.",
            stops=True,
        )
    resolutions = (recipe.resolution_m, *recipe.more_resolutions_m)
    if len(set(resolutions)) < len(resolutions):
        yield Hint("more_resolutions_m", "A resolution is named twice; name each once.", stops=True)
    if recipe.tile_metadata and training_tiles < _TILES_FOR_METADATA:
        yield Hint(
            "tile_metadata",
            f"With {training_tiles} training tile{'' if training_tiles == 1 else 's'} a head may learn by heart what "
            "class a tile of such colours has.",
        )
    if recipe.kind == "linear" and recipe.pseudo_confidence != Recipe().pseudo_confidence and not recipe.pseudo_rounds:
        yield Hint("pseudo_confidence", "Has no effect without rounds of pseudo-labels.")
    if recipe.kind != "convolutional" and recipe.views == "d4":
        yield Hint("views", "The encoder runs eight times for every tile, once for each view.")


def _and(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
