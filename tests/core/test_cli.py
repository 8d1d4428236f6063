"""The command line as a script sees it: the last line of stdout, one line on stderr, the exit status."""

import json
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.classes import CLASS_NAMES, encode_colours
from tests.scenes import write_pairs

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: object, timeout: float = 300, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "core", *map(str, arguments)]
    environment = None
    if cache is not None:
        import os

        environment = {**os.environ, "TILEWRIGHT_CACHE": str(cache)}
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False, env=environment
    )


def last_object(done: subprocess.CompletedProcess[str]) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def assert_one_plain_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    for word in words:
        assert word in line, line


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder, count=4, size=512)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def trained(pairs: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("runs") / "first"
    return out, last_object(run("fit", "--data", pairs, "--out", out, cache=cache))


def test_fit_writes_a_run_folder_and_counts_what_it_trained_on(trained: tuple[Path, dict]) -> None:
    out, result = trained
    assert {p.name for p in out.iterdir()} >= {"recipe.toml", "weights.safetensors", "metrics.jsonl", "card.json"}
    assert result["tiles"] == 4
    assert set(result["classes"]) == set(CLASS_NAMES)
    assert all({"instances", "pixels", "cells"} <= set(amount) for amount in result["classes"].values())


def test_predict_then_evaluate_then_compare_make_the_loop(trained, pairs: Path, cache: Path, tmp_path: Path) -> None:
    run_folder, _ = trained
    plain, augmented = tmp_path / "plain", tmp_path / "d4"
    predicted = last_object(run("predict", "--run", run_folder, "--data", pairs, "--out", plain, cache=cache))
    assert predicted["tiles"] == 4
    name = sorted(p.name for p in pairs.glob("*_mask.png"))[0]
    with Image.open(plain / name) as mask:
        assert mask.size == (512, 512)
        colours = set(map(tuple, np.asarray(mask.convert("RGB")).reshape(-1, 3)))
    assert colours <= set(map(tuple, encode_colours(np.arange(6, dtype=np.uint8)[None])[0]))
    last_object(
        run(
            *("predict", "--run", run_folder, "--run", run_folder, "--data", pairs, "--out", augmented),
            *("--tta", "d4", "--refine", "guided", "--min-region", 64, "--probabilities"),
            cache=cache,
        )
    )
    assert len(list(augmented.glob("*_probabilities.tif"))) == 4
    report = tmp_path / "report.html"
    scores = last_object(run("evaluate", "--truth", pairs, "--predictions", plain, "--report", report))
    assert {"tiles", "accuracy", "miou", "mf1", "iou", "f1", "precision", "recall", "confusion", "interval"} <= set(
        scores
    )
    assert scores["tiles"] == 4
    low, high = scores["interval"]["miou"]
    assert low <= scores["miou"] <= high
    assert scores["miou"] > 0.5  # scored on its own training tiles: it must at least have learnt those
    assert report.read_text().lower().startswith("<!doctype html>")
    difference = last_object(run("compare", "--truth", pairs, "--a", plain, "--b", augmented))["difference"]
    assert {"value", "interval", "verdict"} <= set(difference["miou"])


def test_sample_and_index_say_how_many_tiles_there_are(tmp_path: Path) -> None:
    drawn = last_object(run("sample", "--out", tmp_path / "data", "--tiles", 3, "--size", 256, "--seed", 5))
    assert drawn["tiles"] == 3
    indexed = last_object(run("index", "--data", tmp_path / "data", "--workspace", tmp_path / "workspace"))
    assert indexed["tiles"] == 3


def test_progress_as_json_lines_is_json_on_every_line(tmp_path: Path) -> None:
    done = run("sample", "--out", tmp_path, "--tiles", 2, "--size", 256, "--progress", "json")
    events = [json.loads(line) for line in done.stderr.strip().splitlines()]
    assert events
    assert all(event["event"] == "progress" for event in events)


def test_a_word_that_the_command_line_does_not_know_is_one_plain_line(tmp_path: Path) -> None:
    assert_one_plain_line(run("predict", "--tta", "most", "--run", "r", "--data", ".", "--out", tmp_path), "most", "d4")
    assert_one_plain_line(run("sample", "--out", tmp_path, "--tiles", "-3"), "-3")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    for command in (["fit", "--out", tmp_path / "run"], ["index", "--workspace", tmp_path / "w"]):
        done = run(command[0], "--data", tmp_path / "missing", *command[1:])
        assert_one_plain_line(done, str(tmp_path / "missing"))
    (tmp_path / "empty").mkdir()
    done = run("fit", "--data", tmp_path / "empty", "--out", tmp_path / "run")
    assert_one_plain_line(done, str(tmp_path / "empty"))
    assert not (tmp_path / "run").exists()


def test_fit_without_any_label_says_so_and_leaves_no_run(tmp_path: Path, cache: Path) -> None:
    write_pairs(tmp_path / "data", count=2, size=256)
    for mask in (tmp_path / "data").glob("*_mask.png"):
        mask.unlink()
    done = run("fit", "--data", tmp_path / "data", "--out", tmp_path / "run", cache=cache)
    assert_one_plain_line(done, "label")
    assert not (tmp_path / "run").exists()


def test_a_class_without_labels_is_named_and_never_predicted(tmp_path: Path, pairs: Path, cache: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    for path in pairs.glob("*_mask.png"):
        with Image.open(path) as picture:
            mask = np.array(picture.convert("RGB"))
        mask[(mask == (0, 0, 255)).all(axis=-1)] = 0  # no water
        Image.fromarray(mask).save(labels / path.name)
    fitted = last_object(run("fit", "--data", pairs, "--labels", labels, "--out", tmp_path / "run", cache=cache))
    assert fitted["missing_classes"] == ["water"]
    last_object(run("predict", "--run", tmp_path / "run", "--data", pairs, "--out", tmp_path / "p", cache=cache))
    scores = last_object(run("evaluate", "--truth", pairs, "--predictions", tmp_path / "p"))
    water = CLASS_NAMES.index("water")
    assert all(row[water] == 0 for row in scores["confusion"])


def test_a_mask_of_another_size_than_its_image_is_named(tmp_path: Path, cache: Path) -> None:
    write_pairs(tmp_path / "data", count=2, size=256)
    path = sorted((tmp_path / "data").glob("*_mask.png"))[0]
    Image.new("RGB", (100, 90), (0, 255, 255)).save(path)
    done = run("fit", "--data", tmp_path / "data", "--out", tmp_path / "run", cache=cache)
    said = done.stdout + done.stderr
    assert done.returncode in (0, 2)
    assert "Traceback" not in said
    assert path.name in said or path.name.removesuffix("_mask.png") in said


def test_a_checkpoint_that_is_not_ours_is_refused(tmp_path: Path, pairs: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "weights.safetensors").write_bytes(b"not a checkpoint")
    assert_one_plain_line(run("predict", "--run", foreign, "--data", pairs, "--out", tmp_path / "p"), str(foreign))
    assert not (tmp_path / "p").exists()


def test_a_header_of_40000_by_40000_pixels_is_never_decoded(tmp_path: Path) -> None:
    write_pairs(tmp_path, count=2, size=256)
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "huge.png").write_bytes(png + b"\0" * 64)
    done = run("index", "--data", tmp_path, "--workspace", tmp_path / "w")
    assert last_object(done)["tiles"] == 2
    assert "40000" in done.stdout.replace(" ", "").replace(",", "")


def test_a_cancelled_sample_keeps_finished_tiles_and_exits_with_130(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "core", "sample", "--out", str(tmp_path), "--tiles", "60", "--progress", "json"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if json.loads(line).get("done", 0) >= 1:
            break
    process.send_signal(signal.SIGINT)
    _, remaining = process.communicate(timeout=120)
    assert process.returncode == 130, remaining
    kept = list(tmp_path.glob("*_sat.jpg"))
    assert 1 <= len(kept) < 60
    assert not list(tmp_path.glob(".*.part"))
    for path in kept:
        with Image.open(path) as picture:
            picture.load()
