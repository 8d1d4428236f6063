import json
from pathlib import Path

import numpy as np
import pytest

from core.cli import main
from core.errors import CancelledError, InputError
from core.progress import SilentProgress
from core.training import ablation
from core.training.ablation import Study, ablate, markdown
from core.training.cross_validation import cross_validate
from core.training.feature_cache import FeatureCache
from core.training.techniques import parse_variations
from tests.core.training.cancelling import CancelAt
from tests.core.training.scenes import write_scenes

QUICK = ("encoder=efficientnet-lite0", "iterations=10")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data"), size=128, classes=(0, 4))


@pytest.fixture
def fits(monkeypatch):
    """How often a row was scored."""
    counted = []

    def counting(*arguments, **options):
        counted.append(options["recipe"])
        return cross_validate(*arguments, **options)

    monkeypatch.setattr(ablation, "cross_validate", counting)
    return counted


def study(data, cache, tmp_path, *vary, **options):
    return Study(
        data=data,
        out=tmp_path / "table.json",
        variations=parse_variations(vary),
        overrides=QUICK,
        device="cpu",
        cache=cache,
        **options,
    )


def test_every_row_has_its_score_and_its_difference_to_the_base(tmp_path, data, cache):
    asked = study(data, cache, tmp_path, "windows=1,5,l2=10", "iterations=10", seeds=(0, 1))
    table = ablate(asked, SilentProgress())
    base, varied, same = table["table"]
    assert base["name"] == "base"
    assert base["difference"] is None
    assert varied["settings"] == ["windows=1,5", "l2=10"]
    assert varied["tries"] == 2
    assert varied["worst"] <= varied["miou"]
    low, high = varied["difference"]["interval"]
    assert low <= varied["difference"]["value"] <= high
    assert varied["difference"]["value"] == pytest.approx(varied["miou"] - base["miou"])
    assert same["difference"]["value"] == 0
    assert same["difference"]["verdict"] == "cannot tell"
    json.dumps(table)


def test_the_markdown_says_what_the_table_says(tmp_path, data, cache):
    table = ablate(study(data, cache, tmp_path, "l2=10"), SilentProgress())
    text = (tmp_path / "table.md").read_text()
    assert text == markdown(table)
    assert f"| {table['table'][1]['miou']:.4f} |" in text
    assert "Leave one tile out" in text
    assert "Measured on 3 tiles only" in text


def test_what_is_finished_is_not_done_again(tmp_path, data, cache, fits):
    first = ablate(study(data, cache, tmp_path, "l2=10"), SilentProgress())
    assert len(fits) == 2
    again = ablate(study(data, cache, tmp_path, "l2=10"), SilentProgress())
    assert len(fits) == 2
    assert again["table"] == first["table"]
    ablate(study(data, cache, tmp_path, "l2=10", "balance=0", seeds=(0, 1)), SilentProgress())
    assert len(fits) == 2 + 3 + 1  # another seed for all three, and the new row's first
    assert len(json.loads((tmp_path / "table.json").read_text())["rows"]["l2=10"]["tries"]) == 2


def test_a_cancelled_study_goes_on_where_it_stopped(tmp_path, data, cache, fits):
    with pytest.raises(CancelledError):
        ablate(study(data, cache, tmp_path, "l2=10"), CancelAt("l2=10"))
    ablate(study(data, cache, tmp_path, "l2=10"), SilentProgress())
    assert [recipe.l2 for recipe in fits] == [1, 10, 10]


def test_the_file_of_another_study_is_left_alone(tmp_path, data, cache):
    ablate(study(data, cache, tmp_path), SilentProgress())
    before = (tmp_path / "table.json").read_text()
    with pytest.raises(InputError, match="other folds"):
        ablate(study(data, cache, tmp_path, folds=2), SilentProgress())
    (tmp_path / "table.json").write_text("{}")
    with pytest.raises(InputError, match="no ablation"):
        ablate(study(data, cache, tmp_path), SilentProgress())
    (tmp_path / "table.json").write_text(before)
    other = write_scenes(tmp_path / "other", names=("1", "2"), size=128)
    with pytest.raises(InputError, match="other tiles or labels"):
        ablate(study(other, cache, tmp_path), SilentProgress())


def test_a_row_that_cannot_be_fitted_has_its_sentence_and_the_others_go_on(tmp_path, data, cache):
    table = ablate(study(data, cache, tmp_path, "folds=9", "l2=10"), SilentProgress())
    _, failed, good = table["table"]
    assert failed["failed"].startswith("9 folds need as many labelled tiles")
    assert good["miou"] > 0
    assert "9 folds need" in (tmp_path / "table.md").read_text()


def test_settings_that_cannot_be_are_refused_before_anything_runs(tmp_path, data, cache, fits):
    with pytest.raises(InputError, match="no key 'l3'"):
        ablate(study(data, cache, tmp_path, "l3=1"), SilentProgress())
    with pytest.raises(InputError, match="is there twice"):
        ablate(study(data, cache, tmp_path, "l2=2", "l2=2"), SilentProgress())
    assert not fits
    assert not (tmp_path / "table.json").exists()


def test_several_sets_of_labels_are_tries_of_one_row(tmp_path, data, cache):
    sets = (write_scenes(tmp_path / "a", size=128, classes=(0, 4)), Path(data))
    table = ablate(study(data, cache, tmp_path, labels=sets), SilentProgress())
    assert table["table"][0]["tries"] == 2
    assert table["labels"] == [str(folder) for folder in sets]
    kept = json.loads((tmp_path / "table.json").read_text())["rows"]["base"]["tries"]
    assert [one["labels"] for one in kept] == table["labels"]
    assert np.sum(kept[0]["tiles"]["1"]) == 128 * 128


def test_the_command_prints_the_table_and_ends_with_one_object(tmp_path, data, cache, capsys, monkeypatch):
    monkeypatch.setenv("TILEWRIGHT_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "t.json"
    arguments = ["ablate", "--data", str(data), "--vary", "windows=1,5", "--out", str(out), "--folds", "2"]
    assert main([*arguments, *(part for one in QUICK for part in ("--set", one))]) == 0
    printed = capsys.readouterr().out
    result = json.loads(printed.splitlines()[-1])
    assert result["markdown"] == str(tmp_path / "t.md")
    assert [row["name"] for row in result["table"]] == ["base", "windows=1,5"]
    assert printed.startswith("# Ablation")
    assert main([*arguments[:-1], "1"]) == 2
    assert main(["ablate", "--data", str(data), "--out", str(tmp_path / "t.txt")]) == 2
