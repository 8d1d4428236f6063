import pytest

from core.errors import InputError
from core.training.recipe import load_recipe
from core.training.techniques import BASE, CACHED, NETWORKS, built_in, parse_variations
from models.decoders import WITH_HYPERCOLUMN, WITH_LEVELS, WITH_SCSE
from models.encoders import encoder_card


@pytest.mark.parametrize("variation", [*CACHED, *NETWORKS], ids=lambda variation: variation.name)
def test_each_built_in_variation_is_a_recipe_that_differs_from_what_it_is_compared_with(variation):
    by_name = {row.name: row for row in built_in(load_recipe("head"), networks=True)}
    recipe = load_recipe("head", list(variation.settings))
    other = load_recipe("head", list(by_name[variation.against].settings))
    assert recipe != other
    changed = {key for key, value in recipe.model_dump().items() if value != getattr(other, key)}
    if variation.against != BASE:
        assert len(changed) == 1  # one change at a time
    for key in changed - {"train"}:
        uses = type(recipe).model_fields[key].json_schema_extra["uses"]
        assert "all" in uses or recipe.kind in uses


def test_decoders_of_the_built_in_variations_can_do_what_is_asked_of_them():
    for variation in NETWORKS:
        recipe = load_recipe("head", list(variation.settings))
        assert not recipe.hypercolumn or recipe.decoder in WITH_HYPERCOLUMN
        assert not recipe.deep_supervision or recipe.decoder in WITH_LEVELS
        assert recipe.decoder_attention == "none" or recipe.decoder in WITH_SCSE


def test_slow_variations_join_only_when_asked_for():
    few, all_of_them = (built_in(load_recipe("head"), networks=asked) for asked in (False, True))
    assert few[0].name == BASE
    assert len(all_of_them) == 1 + len(CACHED) + len(NETWORKS)
    assert {load_recipe("head", list(row.settings)).kind for row in few} >= {"linear", "prototype", "convolutional"}
    assert "network" not in {load_recipe("head", list(row.settings)).kind for row in few}
    assert len({row.name for row in all_of_them}) == len(all_of_them)


def test_a_network_as_base_asks_for_variations_of_its_own():
    with pytest.raises(InputError, match="--vary"):
        built_in(load_recipe("decoder"), networks=True)


def test_a_comma_parts_settings_and_stays_within_a_list():
    _, row = parse_variations(["windows=1,5,15, l2=0.5"])
    assert row.settings == ("windows=1,5,15", "l2=0.5")
    with pytest.raises(InputError, match="is no variation"):
        parse_variations(["l2"])


def test_encoders_of_the_built_in_variations_come_with_a_package():
    for variation in (*CACHED, *NETWORKS):
        recipe = load_recipe("head", list(variation.settings))
        for name in (recipe.encoder, *recipe.more_encoders):
            assert "packaged" in encoder_card(name).weights_sources
