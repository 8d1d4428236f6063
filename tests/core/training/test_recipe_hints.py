import re

import pytest

from core.training.recipe import PRESETS, Recipe, load_recipe
from core.training.recipe_hints import recipe_hints
from models.build import build_network, settings_of
from models.decoders import DECODERS, SMALLEST_SIDE
from models.errors import ModelError

SMALL = ["encoder=resnet18", "weights=none", "train=decoder"]


def hints_of(*settings, preset="head", tiles=10, gpu=False, tile_metres=None):
    recipe = load_recipe(preset, list(settings))
    return recipe_hints(recipe, training_tiles=tiles, gpu=gpu, tile_metres=tile_metres)


def told(*settings, **options):
    return {hint.key: hint for hint in hints_of(*settings, **options)}


def test_a_preset_can_be_started_as_it_is():
    for preset in PRESETS:
        assert not [hint for hint in hints_of(preset=preset, gpu=True) if hint.stops], preset


def test_the_usual_head_has_nothing_to_be_said_of():
    assert hints_of() == []


@pytest.mark.parametrize("setting", ["hypercolumn=true", "deep_supervision=0.4", "decoder_attention=scse"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_what_a_decoder_lacks_is_told_exactly_where_building_the_network_refuses_it(decoder, setting):
    recipe = load_recipe("head", [*SMALL, f"decoder={decoder}", "patch=256", setting])
    hint = {hint.key: hint for hint in recipe_hints(recipe, training_tiles=10, gpu=True)}.get(setting.partition("=")[0])
    try:
        build_network(**settings_of(recipe))
        refused = False
    except ModelError:
        refused = True
    assert (hint is not None and hint.stops) == refused


@pytest.mark.parametrize("decoder", DECODERS)
def test_patches_too_small_for_a_decoder_are_told_with_the_least(decoder):
    for patch in (64, 224, 256):
        hint = told(*SMALL, f"decoder={decoder}", f"patch={patch}").get("patch")
        least = SMALLEST_SIDE.get(decoder, 0)
        assert (hint is not None and hint.stops) == (patch < least)
        assert hint is None or str(least) in hint.sentence


@pytest.mark.parametrize(
    ("settings", "tiles", "key", "words"),
    [
        (["folds=5"], 4, "folds", "5 folds need as many labelled training tiles, and 4 are chosen"),
        (["weights=hub"], 9, "weights", "efficientnet-lite1 has no hub weights; choose 'packaged'"),
        (["encoder=resnet18"], 9, "weights", "resnet18 has no packaged weights; choose 'hub'"),
        (["weights=/nowhere/mine.safetensors"], 9, "weights", "no file /nowhere/mine.safetensors"),
        (["encoder=resnt18"], 9, "encoder", "nearest names are .*resnet18"),
        (["standardise=training"], 9, "standardise", "cannot be scaled by one run's tiles"),
        (["more_resolutions_m=2,0.5"], 9, "more_resolutions_m", "named twice"),
        ([*SMALL, "folds=2", "members=2"], 9, "members", "folds or members, not both"),
        ([*SMALL, "tile_metadata=true"], 9, "tile_metadata", "takes no metadata of the tile"),
    ],
)
def test_what_cannot_work_is_told_beside_its_setting_and_stops_the_start(settings, tiles, key, words):
    hints = hints_of(*settings, tiles=tiles, gpu=True)
    assert hints[0].key == key
    assert hints[0].stops
    assert re.search(words, hints[0].sentence)


@pytest.mark.parametrize(
    ("settings", "options", "key", "words"),
    [
        (["train=decoder"], {}, "train", "Measure the forecast before you start"),
        (["train=decoder", "precision=bfloat16"], {}, "precision", "slower in bfloat16"),
        (["train=decoder", "batch_size=2"], {"gpu": True}, "batch_size", "unsteady"),
        (
            ["train=decoder", "patch=1536", "resolution_m=1"],
            {"gpu": True, "tile_metres": 1224.0},
            "patch",
            "1224 pixels wide at 1 m",
        ),
        (["train=decoder", "focal_gamma=3"], {"gpu": True}, "focal_gamma", "only with focal"),
        (["train=decoder", "loss=dice", "label_smoothing=0.1"], {"gpu": True}, "label_smoothing", "no effect"),
        (["train=decoder", "loss=lovasz", "lovasz_after=0.5"], {"gpu": True}, "lovasz_after", "from the beginning"),
        (["train=decoder", "swa_after=0.5"], {"gpu": True}, "swa_after", "takes the place"),
        (["train=finetune", "unfreeze_after=1"], {"gpu": True}, "unfreeze_after", "never trained"),
        (["folds=5", "members=5"], {}, "folds", "25 trainings"),
        (["pseudo_confidence=0.8"], {}, "pseudo_confidence", "without rounds"),
        (["views=d4"], {}, "views", "eight times"),
        (["tile_metadata=true"], {}, "tile_metadata", "learn by heart"),
        (["weights=none"], {}, "weights", "learnt nothing yet"),
    ],
)
def test_what_is_wasteful_is_told_and_stops_nothing(settings, options, key, words):
    hint = told(*settings, **options)[key]
    assert words in hint.sentence
    assert not hint.stops


def test_what_counts_for_another_kind_of_training_is_not_mentioned():
    assert hints_of("hypercolumn=true", "decoder=pan", "patch=64", "batch_size=1") == []
    assert "standardise" not in told("train=decoder", "standardise=training", gpu=True)


def test_every_hint_stands_beside_a_setting_that_there_is():
    for settings in (
        ["train=decoder", "decoder=pan", "patch=64", "hypercolumn=true"],
        ["folds=20", "standardise=training"],
    ):
        assert {hint.key for hint in hints_of(*settings, tiles=1)} <= set(Recipe.model_fields)
