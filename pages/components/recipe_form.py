"""A form over a recipe: what there is to set, made from the recipe's own schema.

Only settings that count for the chosen kind of training are shown, and those that one seldom touches only on request.
What differs from the preset is marked, and what cannot work or works for nothing is told beside its setting. The values
are kept beside the widgets, since Streamlit forgets a widget's value when it is not shown.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo
from streamlit.elements.lib.mutable_expander_container import ExpanderContainer

from core.errors import InputError
from core.training.recipe import DEFAULT_PRESET, PRESETS, Recipe, dump_recipe
from core.training.recipe_files import MAX_BYTES, differences, read_recipe_file, with_settings
from core.training.recipe_hints import Hint
from pages.components.encoder_card import choose_encoder, choose_weights, show_encoder_card
from pages.components.problems import plain
from pages.components.setting_values import limits, number_step, shown, value_held, words

PRESET_WORDS = {
    "head": "linear, in seconds, from few labels",
    "head-fewshot": "steadier, for very few labels",
    "head-convolutional": "for whole masks",
    "decoder": "frozen encoder, finer borders",
    "finetune": "then the encoder too; many labels",
    "fast": "smallest encoder, for a first look",
    "glnet-fpn": "GLNet's global branch, as published",
    "glnet": "all of GLNet, as published: for a GPU, and hours",
    "unet": "U-Net on ResNet-34, to compare with",
}
GROUP_TITLES = {"Run": "What is trained", "Data": "Folds and pseudo-labels"}
GROUP_ICONS = {
    "Run": "tune",
    "Encoder": "memory",
    "Head": "linear_scale",
    "Network": "account_tree",
    "Loss": "trending_down",
    "Patches": "grid_view",
    "Augmentation": "flip",
    "Schedule": "schedule",
    "Data": "folder",
}
TITLES = {
    "train": "What is trained",
    "resolution_m": "Resolution, metres per pixel",
    "more_resolutions_m": "Further resolutions, metres per pixel",
    "tile_metadata": "Metadata of the tile",
    "l2": "L2 penalty",
    "optimiser": "Optimiser",
    "swa_after": "Even averaging after",
    "one_class_patches": "Patches of one class",
    "dihedral": "Flips and rotations",
}
EVERYDAY = frozenset(
    [
        *("train", "head", "encoder", "weights", "resolution_m", "l2", "windows", "views", "neighbours", "width"),
        *("decoder", "surroundings", "loss", "patch", "batch_size", "augmentation", "dihedral", "epochs"),
        *("learning_rate", "folds"),
    ]
)
"""What is shown without asking for more; a setting that is new is not."""
_NOT_HERE = ("name", "train_tiles", "validation_tiles")  # the page asks for these elsewhere

_PRESET, _VALUES, _ROUND, _MORE = "recipe_preset", "recipe_values", "recipe_round", "recipe_more"


@dataclass(frozen=True, slots=True)
class ChosenRecipe:
    """The recipe of the form and the preset that it began with.

    ``recipe`` is None while a value is not allowed; ``obstacle`` says why a fit would refuse the recipe, None where it
    would not.
    """

    preset: str
    recipe: Recipe | None
    obstacle: str | None


@dataclass(frozen=True, slots=True)
class _Form:
    """What every setting's widget is drawn by."""

    preset: str
    values: dict[str, Any]
    starting_heads: list[str]
    hints: Mapping[str, list[Hint]]

    def changed(self, key: str) -> bool:
        """Whether a setting is another than the preset's."""
        return bool(self.values[key] != getattr(PRESETS[self.preset], key))


def recipe_form(*, starting_heads: list[str], look_over: Callable[[Recipe], list[Hint]]) -> ChosenRecipe:
    """Show the form.

    ``starting_heads`` are the folders of runs whose head a fit may begin at; ``look_over`` finds the hints of a recipe.
    """
    preset = _choose_preset()
    values: dict[str, Any] = st.session_state.setdefault(_VALUES, _values_of(PRESETS[preset]))
    _take_in(values)
    _bar(preset, values)
    recipe = _checked(preset, values, quiet=True)
    hints = look_over(recipe) if recipe else []
    by_key: dict[str, list[Hint]] = {}
    for hint in hints:
        by_key.setdefault(hint.key, []).append(hint)
    form = _Form(preset, values, starting_heads, by_key)
    kind = _kind(values)
    more = bool(st.session_state.get(_MORE, False))
    groups: dict[str, list[str]] = {}
    hidden = 0
    for key, field in Recipe.model_fields.items():
        if key in _NOT_HERE or not _counts(field, kind):
            continue
        if more or key in EVERYDAY or form.changed(key) or key in by_key:
            groups.setdefault(_extra(field)["group"], []).append(key)
        else:
            hidden += 1
    for group, keys in groups.items():
        _group(group, keys, form)
    label = "Show all settings" if more or not hidden else f"Show all settings ({hidden} more)"
    st.toggle(label, key=_MORE)
    return ChosenRecipe(preset, _checked(preset, values), _obstacle(hints))


def _obstacle(hints: list[Hint]) -> str | None:
    """The first thing that stops the recipe, with the name that its setting has here."""
    first = next((hint for hint in hints if hint.stops), None)
    return f"{_title(first.key)}: {first.sentence}" if first else None


def _choose_preset() -> str:
    names = list(PRESETS)
    return st.selectbox(
        "Recipe",
        names,
        index=names.index(DEFAULT_PRESET),
        format_func=lambda name: f"{name}: {PRESET_WORDS[name]}" if name in PRESET_WORDS else name,
        key=_PRESET,
        on_change=_start_from_preset,
        help="What to begin with. Everything in it can be changed below.",
    )


def _start_from_preset() -> None:
    _start_from(PRESETS[st.session_state[_PRESET]])


def _start_from(recipe: Recipe) -> None:
    """Fill the form anew: the widgets of the last round are forgotten."""
    st.session_state[_VALUES] = _values_of(recipe)
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1


def _take_in(values: dict[str, Any]) -> None:
    """What the widgets hold since the last run of the page; an emptied one changes nothing."""
    for key in Recipe.model_fields:
        held = st.session_state.get(widget_key(key))
        if held is not None:
            values[key] = value_held(Recipe.model_fields[key], held)


def _values_of(recipe: Recipe) -> dict[str, Any]:
    return {key: getattr(recipe, key) for key in Recipe.model_fields}


def _bar(preset: str, values: dict[str, Any]) -> None:
    """How many settings were changed, and the buttons: reset, open, save."""
    changed = [key for key, value in _values_of(PRESETS[preset]).items() if key != "name" and values[key] != value]
    changed = [key for key in changed if key not in _NOT_HERE]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if changed:
            st.markdown(
                f":orange[:material/edit: {len(changed)} setting{'s' if changed[1:] else ''} changed]", width="stretch"
            )
            st.button("Reset", icon=":material/undo:", on_click=_start_from_preset, help=f"Back to {preset} as it is")
        else:
            st.markdown(":small[:gray[As the preset is]]", width="stretch")
        with st.popover("Open", icon=":material/file_open:", help="Take the settings from a recipe that was saved"):
            _open_recipe()
        recipe = _checked(preset, values, quiet=True)
        st.download_button(
            "Save",
            dump_recipe(recipe) if recipe else "",
            file_name=f"{recipe.name if recipe else preset}.toml",
            mime="application/toml",
            icon=":material/save:",
            disabled=recipe is None,
            on_click="ignore",
            help="Keep these settings as a TOML file, which fit --recipe takes too",
        )


def _open_recipe() -> None:
    taken = st.session_state.get(_ROUND, 0)
    file = st.file_uploader(
        "A recipe, or the recipe.toml of a run", type=["toml"], key=f"recipe_file_{taken}", max_upload_size=1
    )
    if file is None:
        return
    try:
        if file.size > MAX_BYTES:
            raise InputError(f"{file.name} is too large for a recipe; choose one that was saved here.")
        recipe = read_recipe_file(file.name, file.getvalue())
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    _start_from(recipe)
    st.rerun()


def _kind(values: dict[str, Any]) -> str:
    """The recipe's kind, which only these two settings decide."""
    return Recipe.model_validate({"train": values["train"], "head": values["head"]}).kind


def _extra(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {"group": "More", "uses": ["all"]}


def _counts(field: FieldInfo, kind: str) -> bool:
    uses = _extra(field)["uses"]
    return "all" in uses or kind in uses


def _group(group: str, keys: list[str], form: _Form) -> None:
    changed = sum(map(form.changed, keys))
    label = f"{GROUP_TITLES.get(group, group)}{_summary(group, form.values)}"
    label += f" :orange[● {changed} changed]" if changed else ""
    label += _hint_mark([hint for key in keys for hint in form.hints.get(key, [])])
    icon = GROUP_ICONS.get(group, "tune")
    box = _expander(label, icon=f":material/{icon}:", key=f"recipe_group_{group}")
    if not box.open:  # the names of all encoders alone take seconds to read
        return
    with box:
        for first in range(0, len(keys), 2):
            for key, place in zip(keys[first : first + 2], st.columns(2, gap="medium"), strict=False):
                with place:
                    _setting(key, form)
                    for hint in form.hints.get(key, []):
                        colour, icon = ("red", "block") if hint.stops else ("orange", "lightbulb")
                        st.markdown(f":small[:{colour}[:material/{icon}: {plain(hint.sentence)}]]")
        if group == "Encoder":
            show_encoder_card(form.values["encoder"], form.values["weights"])


def _expander(label: str, *, icon: str, key: str) -> ExpanderContainer:
    """An expander that stays open when its label changes, which makes another widget of it."""
    last, was_open = st.session_state.get(f"{key}_was", (label, False))
    if last != label:
        st.session_state[key] = was_open
    box = st.expander(label, icon=icon, key=key, on_change="rerun")
    st.session_state[f"{key}_was"] = (label, bool(box.open))
    return box


def _hint_mark(hints: list[Hint]) -> str:
    """What a folded group says of the hints in it."""
    if any(hint.stops for hint in hints):
        return " :red[:material/block: cannot work]"
    return " :orange[:material/lightbulb:]" if hints else ""


def _summary(group: str, values: dict[str, Any]) -> str:
    """What a folded group is set to, for the groups that are chosen by one word."""
    told = {
        "Run": values["train"],
        "Encoder": values["encoder"],
        "Head": values["head"],
        "Network": values["decoder"],
        "Loss": values["loss"] if values["train"] != "head" else None,
        "Augmentation": values["augmentation"] if values["train"] != "head" else None,
    }.get(group)
    return f" :gray[· {plain(str(told))}]" if told else ""


def _setting(key: str, form: _Form) -> None:
    """One setting's widget."""
    field = Recipe.model_fields[key]
    widget = widget_key(key)
    usual = getattr(PRESETS[form.preset], key)
    if st.session_state.get(widget) is None:
        st.session_state[widget] = shown(field, form.values[key])
    mark = f" :orange[● was {words(usual)}]" if form.changed(key) else ""
    label = _title(key) + mark
    told = f"{(field.description or '')[:1].upper()}{(field.description or '')[1:]}. On the command line: `{key}`."
    if key == "encoder":
        choose_encoder(label, key=widget, help_text=told, weights_key=widget_key("weights"))
    elif key == "weights":
        choose_weights(label, form.values["encoder"], key=widget, help_text=told)
    elif key == "start":
        options = list(dict.fromkeys(["", *form.starting_heads, st.session_state[widget]]))
        st.selectbox(label, options, format_func=_run_name, key=widget, help=told)
    else:
        _by_type(field, label, widget, told)


def _title(key: str) -> str:
    """What a setting is called here."""
    return TITLES.get(key, key.replace("_", " ").capitalize())


def widget_key(key: str) -> str:
    """The widget of a setting in this round of the form."""
    return f"recipe_{st.session_state.get(_ROUND, 0)}_{key}"


def _by_type(field: FieldInfo, label: str, widget: str, told: str) -> None:
    kind = field.annotation
    inner = get_args(kind)[0] if get_origin(kind) is tuple else None
    if kind is bool:
        st.toggle(label, key=widget, help=told)
    elif get_origin(kind) is Literal:
        st.selectbox(label, get_args(kind), key=widget, help=told)
    elif kind is int or kind is float:
        _number(field, label, widget, told)
    elif get_origin(inner) is Literal:
        st.multiselect(label, get_args(inner), key=widget, help=told)
    else:
        st.text_input(label, key=widget, help=told if inner is None else f"{told} Parted by commas.")


def _number(field: FieldInfo, label: str, widget: str, told: str) -> None:
    low, high, step = limits(field)
    if field.annotation is int:
        bounds = (None if bound is None else int(bound) for bound in (low, high))
        st.number_input(label, *bounds, step=int(step or 1), key=widget, help=told)
        return
    st.number_input(label, low, high, step=number_step(field), format="%g", key=widget, help=told)


def _run_name(folder: str) -> str:
    return folder.rpartition("/")[2] or "nought"


def _checked(preset: str, values: dict[str, Any], *, quiet: bool = False) -> Recipe | None:
    """The recipe of these values, or None with the sentence that says why not."""
    settings = {key: value for key, value in values.items() if key not in ("train_tiles", "validation_tiles")}
    if settings["name"] in PRESETS:
        settings["name"] = preset
    try:
        recipe = with_settings(preset, settings)
    except InputError as error:
        if not quiet:
            st.error(plain(str(error)), icon=":material/error:")
        return None
    changed = set(differences(recipe, PRESETS[preset])) - {"name"}
    return recipe.model_copy(update={"name": f"{preset}-changed"}) if changed and recipe.name == preset else recipe
