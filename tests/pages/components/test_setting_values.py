from core.training.recipe import PRESETS, Recipe
from pages.components.setting_values import limits, number_step, shown, value_held, words

FIELDS = Recipe.model_fields


def test_lists_that_people_type_are_read():
    windows, encoders = FIELDS["windows"], FIELDS["more_encoders"]
    assert value_held(windows, "1, 5,15") == (1, 5, 15)
    assert value_held(FIELDS["more_resolutions_m"], "0.5, 2") == (0.5, 2)
    assert value_held(windows, "1, x") == (1, "x")
    assert value_held(encoders, "") == ()


def test_a_widget_gives_back_the_value_of_every_setting_of_every_preset():
    for recipe in PRESETS.values():
        for key, field in FIELDS.items():
            assert value_held(field, shown(field, getattr(recipe, key))) == getattr(recipe, key), key


def test_limits_are_those_of_the_recipe():
    assert limits(FIELDS["patch"]) == (64, 2048, 4)
    assert limits(FIELDS["label_smoothing"]) == (0, 0.5, None)


def test_a_button_moves_a_share_by_a_twentieth_and_a_small_rate_by_half_its_first_digit():
    assert number_step(FIELDS["balance"]) == 0.05
    assert number_step(FIELDS["learning_rate"]) == 0.0005


def test_values_are_read_as_people_say_them():
    assert [words(value) for value in ((1, 5), (), True, 0.5, "")] == ["1, 5", "none", "on", "0.5", "none"]
