"""Regions left out beside random groups of the same sizes."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from core.cli import main
from core.errors import InputError
from core.evaluation import hold_out as module
from core.evaluation.hold_out import HoldOutRequest, hold_out, random_groups, read_regions
from core.progress import SilentProgress
from core.training import cross_validation
from core.training.recipe import load_recipe
from tests.scenes import write_pairs

REGIONS = "tile,region\n1,north\n2,north\n3,south\n4,south\n5,south\n6,west\n"


@pytest.fixture
def data(tmp_path):
    write_pairs(tmp_path / "data", 6, 64)
    (tmp_path / "regions.csv").write_text(REGIONS)
    return tmp_path / "data"


@pytest.fixture
def without_fits(monkeypatch):
    """A stand-in that scores a tile well where a tile of its region is among those that are trained on."""
    region_of = dict(line.split(",") for line in REGIONS.split()[1:])
    asked = []

    def judged(data, labels, *, groups, **_):
        asked.append(groups)
        matrices = {}
        for group in groups:
            left_out = set(group)
            seen = {region_of[name] for name in region_of if name not in left_out}
            for name in group:
                right = 90 if region_of[name] in seen else 40
                matrices[name] = np.eye(6, 7, dtype=np.int64) * right
                matrices[name][:, 5] += 100 - right
        return SimpleNamespace(matrices=matrices)

    monkeypatch.setattr(module, "cross_validate", judged)
    return asked


def request(data, **settings):
    return HoldOutRequest(data=data, out=data.parent / "out.json", recipe=load_recipe("head"), **settings)


def test_regions_that_were_never_seen_score_lower_with_an_interval(data, without_fits):
    result = hold_out(request(data, regions=data.parent / "regions.csv"), SilentProgress())
    assert result["regional"]["miou"] < result["random"]["miou"]
    assert result["difference"]["value"] < 0
    low, high = result["difference"]["interval"]
    assert low <= result["difference"]["value"] <= high
    assert [(group["name"], group["tiles"]) for group in result["groups"]] == [
        ("north", ["1", "2"]),
        ("south", ["3", "4", "5"]),
        ("west", ["6"]),
    ]
    assert json.loads((data.parent / "out.json").read_text())["regions"] == "regions of regions.csv"


def test_random_groups_have_the_sizes_of_the_regions_and_every_tile_once():
    groups = {"a": ["1", "2", "3"], "b": ["4"], "c": ["5", "6"]}
    dealt = random_groups(groups, seed=1)
    assert [len(group) for group in dealt] == [3, 1, 2]
    assert sorted(name for group in dealt for name in group) == list("123456")
    assert dealt != random_groups(groups, seed=2)


def test_one_draw_is_made_for_every_seed(data, without_fits):
    hold_out(request(data, regions=data.parent / "regions.csv", seeds=(0, 1)), SilentProgress())
    assert len(without_fits) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [("tile,region\n1,north\n", "no region for tile 2"), ("name,place\n1,x\n", "columns tile and region")],
)
def test_a_file_of_regions_that_does_not_do_is_refused_in_one_sentence(tmp_path, content, said):
    (tmp_path / "regions.csv").write_text(content)
    with pytest.raises(InputError, match=said):
        read_regions(tmp_path / "regions.csv", [SimpleNamespace(name="1"), SimpleNamespace(name="2")])


def test_a_single_region_cannot_be_left_out(data, without_fits):
    names = "\n".join(f"{number},all" for number in range(1, 7))
    (data.parent / "one.csv").write_text(f"tile,region\n{names}\n")
    with pytest.raises(InputError, match="at least two"):
        hold_out(request(data, regions=data.parent / "one.csv"), SilentProgress())


def test_more_clusters_than_tiles_are_refused(data, without_fits):
    with pytest.raises(InputError, match="2 to 5 clusters"):
        hold_out(request(data, clusters=6), SilentProgress())


def test_groups_take_the_place_of_folds(data, monkeypatch):
    trained_on = []

    def fit(request, progress):
        trained_on.append(request.recipe.train_tiles)
        return {"head_seconds": 0.0, "classes": {"urban": {"instances": 1, "pixels": 1}}}

    monkeypatch.setattr(cross_validation, "fit", fit)
    monkeypatch.setattr(cross_validation, "_judged", lambda run, left_out, *_: {tile.name: None for tile in left_out})
    groups = [["1", "2", "3"], ["4"], ["5", "6"]]
    found = cross_validation.cross_validate(
        data, None, recipe=load_recipe("head"), progress=SilentProgress(), groups=groups
    )
    assert list(found.matrices) == list("123456")
    assert trained_on == [("4", "5", "6"), ("1", "2", "3", "5", "6"), ("1", "2", "3", "4")]


def test_the_command_refuses_no_draw_in_one_line(data, capsys):
    arguments = ["hold-out", "--data", str(data), "--out", str(data.parent / "out.json"), "--draws", "0"]
    assert main(arguments) == 2
    assert "drawn once at least" in capsys.readouterr().err
