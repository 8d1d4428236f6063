import pytest

from core.errors import InputError
from core.training.recipe import PRESETS, dump_recipe, load_recipe
from core.training.recipe_files import differences, read_recipe_file, recipe_arguments, with_settings


def given_by(arguments):
    """The recipe that ``fit`` makes of these arguments."""
    assert arguments[0] == "--recipe"
    assert set(arguments[2::2]) <= {"--set"}
    return load_recipe(arguments[1], list(arguments[3::2]))


@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_saved_recipe_opens_as_it_was(preset):
    assert read_recipe_file("mine.toml", dump_recipe(PRESETS[preset]).encode()) == PRESETS[preset]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"speed = 3", "no key 'speed'"),
        (b"l2 = -1", "mine.toml, l2 cannot be -1"),
        (b"loss = 'hinge'", "loss cannot be 'hinge'"),
        (b"windows = [2]", "must be odd"),
        (b"\xff\xfe", "mine.toml cannot be read as TOML"),
        (b"l2 = ", "mine.toml cannot be read as TOML"),
        (b"x" * (1 << 21), "which no recipe has"),
    ],
)
def test_a_recipe_that_is_not_allowed_is_refused_by_its_own_name(content, words):
    with pytest.raises(InputError, match=words) as refusal:
        read_recipe_file("mine.toml", content)
    assert "recipe.toml" not in str(refusal.value), "the file's own name, not ours"


def test_settings_are_laid_over_a_preset_and_checked():
    recipe = with_settings("head", {"l2": 0.5, "windows": (1, 9), "grey": True, "epochs": 40})
    assert (recipe.l2, recipe.windows, recipe.grey) == (0.5, (1, 9), True)
    with pytest.raises(InputError, match="l2 cannot be"):
        with_settings("head", {"l2": 5000.0})


def test_only_what_differs_is_told():
    assert differences(load_recipe("head", ["l2=0.5"]), load_recipe("head")) == {"l2": (0.5, 1.0)}
    assert differences(PRESETS["decoder"], PRESETS["decoder"]) == {}


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["l2=0.5", "grey=true", "windows=1,9", "train_tiles=119,266"],
        ["more_encoders=efficientnet-lite0", "more_resolutions_m=2.0,4.0"],
        ["name=my own recipe, the second"],
    ],
)
def test_the_command_line_gives_the_same_recipe(tmp_path, settings):
    recipe = load_recipe("head", settings)
    arguments = recipe_arguments(recipe, preset="head", folder=tmp_path, name="run")
    assert given_by(arguments) == recipe
    assert len(arguments) == 2 + 2 * len(settings)
    assert not list(tmp_path.iterdir())


def test_a_list_that_the_command_line_would_take_apart_goes_into_a_file(tmp_path):
    recipe = PRESETS["head"].model_copy(update={"train_tiles": ("a,b", "c")})
    arguments = recipe_arguments(recipe, preset="head", folder=tmp_path, name="run")
    assert arguments == ["--recipe", str(tmp_path / "run.toml")]
    assert given_by(arguments) == recipe
