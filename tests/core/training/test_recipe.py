import pytest

from core.errors import InputError
from core.training.recipe import PRESETS, dump_recipe, load_recipe


def test_the_presets_are_valid_and_named_after_themselves():
    assert {name: recipe.name for name, recipe in PRESETS.items()} == {name: name for name in PRESETS}
    assert load_recipe() == PRESETS["head"]


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_recipe_survives_its_toml_file(tmp_path, name):
    path = tmp_path / "recipe.toml"
    recipe = load_recipe(name, ["validation_tiles=7,8", "l2=0.25"])
    path.write_text(dump_recipe(recipe))
    assert load_recipe(path) == recipe


def test_overrides_take_numbers_words_and_lists():
    recipe = load_recipe("head", ["l2=0.5", "windows=[1, 9]", "encoder=efficientnet-lite0", "train_tiles=119, 266"])
    assert (recipe.l2, recipe.windows, recipe.encoder) == (0.5, (1, 9), "efficientnet-lite0")
    assert recipe.train_tiles == ("119", "266")


def test_an_unknown_key_is_answered_with_the_nearest_one():
    with pytest.raises(InputError, match=r"no key 'resolution'; did you mean resolution_m"):
        load_recipe("head", ["resolution=2"])


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("l2=-1", r"l2 cannot be '-1'.*greater than or equal to 0"),
        ("l2=strong", r"l2 cannot be 'strong'.*number"),
        ("head=forest", r"head cannot be 'forest'.*'context-linear', 'convolutional', 'prototype' or 'neighbours'"),
        ("windows=1,4", r"windows cannot be.*odd"),
        ("stages=3,2", r"stages cannot be.*finest first"),
        ("resolution_m=0", r"resolution_m cannot be '0'.*metres per pixel"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_what_is(override, told):
    with pytest.raises(InputError, match=told):
        load_recipe("head", [override])


@pytest.mark.parametrize("override", ["l2", "=3", ""])
def test_an_override_without_key_or_value_is_refused(override):
    with pytest.raises(InputError, match="key=value"):
        load_recipe("head", [override])


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(InputError, match="head-convolutional"):
        load_recipe("headd")


def test_a_recipe_file_that_is_no_toml_or_has_a_strange_key_is_refused(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("l2 = = 3")
    with pytest.raises(InputError, match="TOML"):
        load_recipe(path)
    path.write_text("learning = 3")
    with pytest.raises(InputError, match="no key 'learning'; did you mean learning_rate"):
        load_recipe(path)
