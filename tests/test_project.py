"""Promises that the project makes about itself."""

import re
import tomllib
from pathlib import Path

from core.cli import build_parser

ROOT = Path(__file__).resolve().parents[1]


def requirements(name: str) -> list[str]:
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


def test_every_requirement_is_pinned_to_one_version() -> None:
    for name in ("requirements.txt", "requirements-ray.txt", "requirements-dev.txt", "requirements-bench.txt"):
        for line in requirements(name):
            assert re.fullmatch(r"[\w.-]+(\[[\w,]+\])?==[\w.]+", line), f"{name}: {line}"


def test_torch_and_torchvision_are_pinned_together() -> None:
    pins = dict(line.split("==") for line in requirements("requirements.txt"))
    assert {"torch", "torchvision"} <= set(pins)


def test_the_server_listens_on_this_machine_alone_and_sends_no_statistics() -> None:
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["server"]["allowedHosts"] == ["localhost", "127.0.0.1"]
    assert settings["browser"]["gatherUsageStats"] is False


def test_the_readme_names_every_command_of_the_stable_interface() -> None:
    readme = (ROOT / "README.md").read_text()
    help_text = build_parser().format_help()
    for command in ("sample", "index", "fit", "predict", "evaluate", "compare", "demo"):
        assert f"python -m core {command}" in readme
        assert command in help_text


def test_the_split_lists_hold_the_published_numbers_of_tiles_and_share_none() -> None:
    lists = {
        split: (ROOT / "assets" / "splits" / f"glnet-{split}.txt").read_text().split()
        for split in ("train", "val", "test")
    }
    assert {split: len(ids) for split, ids in lists.items()} == {"train": 454, "val": 207, "test": 142}
    assert len({name for ids in lists.values() for name in ids}) == 803
