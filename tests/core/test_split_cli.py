import json

import pytest

from core.catalog.alike.related import RelatedPair, keep_pairs
from core.catalog.catalogue import tiles
from core.cli import main
from tests.core.catalog.splitting.split_tables import workspace_of


@pytest.fixture
def workspace(tmp_path):
    workspace = workspace_of(tmp_path / "ws", 20)
    images = {row.id: row.fingerprint for row in tiles(workspace, 1)}
    pairs = [RelatedPair(1, 2, "neighbours", 0.9, "right"), RelatedPair(5, 6, "near duplicate", 0.99)]
    keep_pairs(workspace, 1, images=images, pairs=pairs)
    return workspace


@pytest.fixture
def run(workspace, capsys):
    def call(command, *arguments):
        status = main([command, "--workspace", str(workspace.root), "--collection", "1", *map(str, arguments)])
        out, err = capsys.readouterr()
        return json.loads(out.splitlines()[-1]) if status == 0 else (status, err.strip())

    return call


def test_a_split_is_made_followed_exported_and_read_back(workspace, run, tmp_path):
    made = run(
        "split", "--method", "stratified", "--name", "s", "--shares", "60,20,20", "--use", "--export", tmp_path / "out"
    )
    assert {name: side["tiles"] for name, side in made["sides"].items()} == {"train": 12, "val": 4, "test": 4}
    assert made["followed"]
    assert made["deviation"] < made["random_deviation"]["median"]
    assert len((tmp_path / "out" / "train.txt").read_text().split()) == 12
    lists = [tmp_path / "out" / f"{side}.txt" for side in ("train", "val", "test")]
    back = run("split", "--method", "lists", "--name", "back", "--lists", *lists)
    assert back["sides"] == made["sides"]
    assert not back["followed"]
    assert {row.split for row in tiles(workspace, 1)} == {"train", "val", "test"}


def test_leaks_are_told_and_related_tiles_brought_together(run):
    came = run("splits")["splits"][0]
    assert [(leak["kind"], leak["sides"]) for leak in came["leaks"]] == [
        ("near duplicate", ["train", "val"]),
        ("neighbours", ["train", "val"]),
    ]
    mended = run("split-move", "--related")
    assert (mended["name"], mended["leaks"], mended["followed"]) == ("by hand", [], True)
    assert run("split-move", "--related")["name"] == "by hand", "there is nothing left to do"


def test_a_new_split_keeps_related_tiles_together(run):
    for seed in range(4):
        assert run("split", "--method", "random", "--name", f"r{seed}", "--seed", seed, "--keep-related")["leaks"] == []


def test_folds_are_judged_one_after_another(workspace, run):
    run("split", "--method", "random", "--name", "f", "--folds", "4", "--shares", "100,0,0")
    used = run("split-use", "--name", "f", "--fold", "3")
    assert (used["judge"], used["followed"]) == (3, True)
    assert sum(row.split == "val" for row in tiles(workspace, 1)) == 5
    assert run("split-use")["name"] == "as it came"


def test_tiles_are_moved_by_name_and_splits_copied_and_deleted(run):
    run("split", "--method", "by-hand", "--name", "h")
    moved = run("split-move", "--name", "h", "--to", "test", "--tile", "3", "--tile", "4")
    assert moved["sides"]["test"]["tiles"] == 2
    assert run("split-copy", "--name", "h", "--as", "h2")["sides"] == moved["sides"]
    assert run("split-delete", "--name", "h") == {"deleted": "h"}
    assert [one["name"] for one in run("splits")["splits"]] == ["as it came", "h2"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("split", "--method", "random", "--name", "x", "--shares", "50,50"), "three percentages"),
        (("split", "--method", "lists", "--name", "x"), "Name the lists with --lists"),
        (("split", "--method", "lists", "--name", "x", "--lists", "none/train.txt"), "none/train.txt cannot be read"),
        (("split", "--method", "grouped", "--name", "x"), "looked at, which is too few for 8 clusters"),
        (("split-use", "--name", "x"), "no split 'x'"),
        (("split-use", "--fold", "1"), "name one with --name"),
        (("split-move",), "Say what to move"),
        (("split-move", "--tile", "nobody"), "no tile nobody"),
    ],
)
def test_bad_input_is_one_plain_line(run, arguments, said):
    status, sentence = run(*arguments)
    assert status == 2
    assert said in sentence
    assert "\n" not in sentence
