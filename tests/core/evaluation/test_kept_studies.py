"""Where studies are kept, and the commands that make them."""

import json
import shlex

import pytest

from core.catalog.catalogue import collections
from core.cli import build_parser
from core.errors import InputError
from core.evaluation import hold_out, kept_studies
from core.training import ablation
from core.training.recipe import dump_recipe, load_recipe
from core.training.techniques import parse_variations
from tests.pages.runs_on_disk import add_run, make_workspace


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    add_run(made, "first")
    (made.runs / "first" / "recipe.toml").write_text(dump_recipe(load_recipe("head", ["train_tiles=0,1"])))
    return made


def test_the_commands_are_understood_and_take_all_tiles(workspace):
    [collection] = collections(workspace)
    for arguments in (
        kept_studies.learning_curve_arguments(workspace, "first", collection),
        kept_studies.hold_out_arguments(workspace, "first", collection, clusters=2),
    ):
        options = build_parser().parse_args(arguments)
        assert load_recipe(options.recipe, options.set).train_tiles == ()


def test_a_run_without_a_recipe_cannot_be_studied(workspace):
    add_run(workspace, "bare")
    with pytest.raises(InputError, match="has no recipe"):
        kept_studies.learning_curve_arguments(workspace, "bare", collections(workspace)[0])


def test_the_command_for_resizing_against_patches_names_eight_recipes_that_there_are(workspace):
    command = kept_studies.a10_command(workspace, collections(workspace)[0]).replace("\\\n", " ")
    options = build_parser().parse_args(shlex.split(command)[3:])
    rows = parse_variations(options.vary)
    recipes = [load_recipe(options.recipe, [*options.set, *row.settings]) for row in rows]
    assert len({(recipe.sight, recipe.decoder) for recipe in recipes}) == 8


def test_only_files_that_are_studies_are_shown(workspace):
    folder = kept_studies.studies_folder(workspace)
    folder.mkdir(parents=True)
    (folder / "good.json").write_text(json.dumps({"format": ablation.FORMAT, "table": [{"name": "base"}]}))
    (folder / "unfinished.json").write_text(json.dumps({"format": ablation.FORMAT, "table": []}))
    (folder / "other.json").write_text(json.dumps({"format": "something"}))
    (folder / "damaged.json").write_text("{")
    assert list(kept_studies.kept_ablations(workspace)) == ["good"]


def test_regions_left_out_are_found_again_by_run_and_collection(workspace):
    path = kept_studies.hold_out_file(workspace, "first", 1)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"format": hold_out.FORMAT}))
    assert kept_studies.kept_hold_out(workspace, "first", 1) is not None
    assert kept_studies.kept_hold_out(workspace, "first", 2) is None
