"""The form over a recipe, as the Train page shows it."""

import pytest
from streamlit.testing.v1 import AppTest

from core.training.recipe import PRESETS, Recipe, load_recipe
from pages.components.recipe_form import EVERYDAY, GROUP_ICONS, PRESET_WORDS


def script():
    from functools import partial

    import streamlit as st

    from core.training.recipe_hints import recipe_hints
    from pages.components.recipe_form import recipe_form

    st.session_state["chosen"] = recipe_form(
        starting_heads=["/runs/earlier"], look_over=partial(recipe_hints, training_tiles=4, gpu=False)
    )


def open_script(preset, settings):
    import streamlit as st

    from core.training.recipe import load_recipe
    from pages.components import recipe_form

    if "opened" not in st.session_state:
        st.session_state["opened"] = True
        recipe_form._start_from(load_recipe(preset, settings))
    st.session_state["chosen"] = recipe_form.recipe_form(starting_heads=[], look_over=lambda recipe: [])


@pytest.fixture
def app():
    """The form with every group open."""
    return run_open(AppTest.from_function(script, default_timeout=60))


def opened(preset, settings):
    """The form after a recipe with these settings was opened."""
    return run_open(AppTest.from_function(open_script, default_timeout=60, args=(preset, settings)))


def run_open(app):
    for group in GROUP_ICONS:
        app.session_state[f"recipe_group_{group}"] = True
    app.run()
    assert not app.exception
    return app


def widget(app, name):
    """The widget of a setting; None where it is not shown."""
    kinds = (app.selectbox, app.number_input, app.toggle, app.text_input, app.multiselect)
    taken = app.session_state["recipe_round"] if "recipe_round" in app.session_state else 0  # noqa: SIM401
    key = f"recipe_{taken}_{name}"
    return next((one for kind in kinds for one in kind if one.key == key), None)


def choose(app, name, value):
    widget(app, name).set_value(value).run()
    assert not app.exception


def preset(app, name):
    next(one for one in app.selectbox if one.key == "recipe_preset").set_value(name).run()
    assert not app.exception


def show_all(app):
    next(one for one in app.toggle if one.key == "recipe_more").set_value(True).run()
    assert not app.exception


def chosen(app):
    return app.session_state["chosen"]


def test_it_begins_with_a_preset_as_it_is(app):
    assert chosen(app).recipe == PRESETS["head"]


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_has_a_plain_line_and_comes_through_the_form_unchanged(app, name):
    assert name in PRESET_WORDS
    preset(app, name)
    assert chosen(app).preset == name
    assert chosen(app).recipe == PRESETS[name]
    show_all(app)
    assert chosen(app).recipe == PRESETS[name]


def test_only_settings_that_count_for_the_kind_are_shown(app):
    show_all(app)
    assert widget(app, "l2") is not None
    assert widget(app, "epochs") is None
    choose(app, "head", "convolutional")
    assert widget(app, "l2") is None
    assert widget(app, "epochs") is not None
    choose(app, "train", "decoder")
    assert widget(app, "head") is None
    assert widget(app, "loss") is not None
    assert chosen(app).recipe.kind == "network"


@pytest.mark.parametrize("name", ["head", "head-convolutional", "decoder"])
def test_all_settings_of_a_kind_can_be_reached(app, name):
    preset(app, name)
    show_all(app)
    kind = PRESETS[name].kind
    for key, field in Recipe.model_fields.items():
        uses = field.json_schema_extra["uses"]
        counts = ("all" in uses or kind in uses) and key not in ("name", "train_tiles", "validation_tiles")
        assert (widget(app, key) is not None) == counts, key


def test_the_everyday_settings_are_settings():
    assert set(Recipe.model_fields) >= EVERYDAY


def test_a_changed_setting_is_marked_and_counted_and_reset(app):
    choose(app, "l2", 0.5)
    assert chosen(app).recipe == load_recipe("head", ["l2=0.5", "name=head-changed"])
    assert "was 1" in widget(app, "l2").label
    assert any("1 setting changed" in text.value for text in app.markdown)
    next(button for button in app.button if button.label == "Reset").click().run()
    assert chosen(app).recipe == PRESETS["head"]


def test_a_changed_setting_stays_while_it_does_not_count(app):
    choose(app, "l2", 0.5)
    choose(app, "train", "decoder")
    assert widget(app, "l2") is None
    choose(app, "train", "head")
    assert widget(app, "l2").value == 0.5
    assert chosen(app).recipe.l2 == 0.5


def test_a_value_that_is_not_allowed_is_refused_with_what_is(app):
    choose(app, "windows", "1, 4")
    assert chosen(app).recipe is None
    assert "must be odd" in app.error[0].value
    choose(app, "windows", "1, wide")
    assert "windows cannot be" in app.error[0].value
    choose(app, "windows", "1, 9")
    assert chosen(app).recipe.windows == (1, 9)
    assert not app.error


def test_another_encoder_brings_its_own_source_of_weights_and_its_card(app):
    choose(app, "encoder", "resnet18")
    assert chosen(app).recipe.weights == "hub"
    assert any("11.2 million" in text.value for text in app.markdown)
    choose(app, "encoder", "efficientnet-lite0")
    assert chosen(app).recipe.weights == "packaged"


def test_an_unknown_encoder_brings_the_nearest_names():
    app = opened("head", ["encoder=resnet35", "weights=none"])
    assert any("resnet34" in error.value for error in app.error)
    assert widget(app, "encoder").value == "resnet35"


def test_an_opened_recipe_fills_the_form():
    settings = ["epochs=3", "name=mine", "extra_channels=position"]
    assert chosen(opened("decoder", settings)).recipe == load_recipe("decoder", settings)


def notes(app):
    return [text.value for text in app.markdown if "lightbulb" in text.value or "material/block" in text.value]


def test_what_cannot_work_is_told_beside_its_setting_and_on_its_group(app):
    choose(app, "folds", 9)
    assert any("9 folds need as many labelled training tiles" in note for note in notes(app))
    assert "cannot work" in next(box.label for box in app.expander if box.label.startswith("Folds"))
    assert app.session_state["chosen"].obstacle.startswith("Folds: Each fold leaves out whole tiles")
    choose(app, "folds", 4)
    assert app.session_state["chosen"].obstacle is None
    assert notes(app) == []


def test_what_is_wasteful_is_told_and_is_no_obstacle(app):
    choose(app, "train", "decoder")
    assert any("On a processor a network takes" in note for note in notes(app))
    assert app.session_state["chosen"].obstacle is None


def test_a_seldom_used_setting_is_shown_once_there_is_something_to_say_of_it(app):
    assert widget(app, "more_resolutions_m") is None
    choose(app, "train", "decoder")
    assert widget(app, "decoder_attention") is None
    app.session_state["recipe_values"]["decoder_attention"] = "scse"
    app.run()
    choose(app, "decoder", "pan")
    assert widget(app, "decoder_attention") is not None
    assert any("has none; unet and unetplusplus have" in note for note in notes(app))
