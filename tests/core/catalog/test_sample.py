"""The embedded sample: deterministic, of all six classes, and not to be solved by the colour of a pixel."""

import json
from pathlib import Path

import cv2
import lightgbm
import numpy as np
import pytest

from core.catalog.sample import MARKER, draw_scene, tile_name, write_sample
from core.classes import CLASS_COUNT, decode_colours
from core.errors import CancelledError, InputError
from core.progress import SilentProgress
from tests.scenes import small_pair, write_pairs

SPLITS = Path(__file__).parents[3] / "assets/splits"


class CancelAfter(SilentProgress):
    """Raises ``CancelledError`` at the update after ``steps`` finished ones."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps

    def update(self, done: float, total: float, message: str) -> None:
        super().update(done, total, message)
        if done >= self._steps:
            raise CancelledError("cancelled")


def shares(raster: np.ndarray) -> np.ndarray:
    return np.bincount(raster.ravel(), minlength=CLASS_COUNT) / raster.size


def test_the_same_seed_and_size_draw_the_same_pixels() -> None:
    first, second = draw_scene(3, 200), draw_scene(3, 200)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.raster, second.raster)


def test_another_seed_draws_another_scene() -> None:
    assert (draw_scene(3, 200).image != draw_scene(9, 200).image).mean() > 0.9


@pytest.mark.parametrize("size", [64, 255, 513])
def test_a_scene_has_the_asked_size_and_only_classes(size: int) -> None:
    scene = draw_scene(1, size)
    assert scene.image.shape == (size, size, 3)
    assert scene.raster.shape == (size, size)
    assert scene.image.dtype == scene.raster.dtype == np.uint8
    assert scene.raster.max() < CLASS_COUNT


def test_a_scene_of_a_size_or_seed_that_cannot_be_drawn_is_refused() -> None:
    for seed, size in ((0, 63), (0, 100_000), (-1, 256)):
        with pytest.raises(ValueError, match="64 to 4096"):
            draw_scene(seed, size)


def test_a_scene_that_two_samples_share_has_one_name() -> None:
    assert tile_name(0, 1) == tile_name(1, 0) != tile_name(1, 1)


@pytest.mark.parametrize("first", [0, 4, 1000])
def test_any_six_scenes_in_a_row_hold_every_class_in_useful_amounts(first: int) -> None:
    each = np.stack([shares(draw_scene(seed, 1024).raster) for seed in range(first, first + 6)])
    assert each.mean(axis=0).min() >= 0.02
    assert (each > 0.005).sum(axis=0).min() >= 3
    assert each.mean(axis=0).argmax() == 1, "agriculture is the commonest, as in DeepGlobe"


@pytest.mark.parametrize("seed", range(6))
def test_a_small_scene_shows_at_least_three_classes(seed: int) -> None:
    assert (shares(small_pair(seed).raster) > 0.02).sum() >= 3


def test_masks_have_no_single_pixel_detail() -> None:
    raster = small_pair(0, 512).raster
    apart = (raster[1:-1, 1:-1] != raster[:-2, 1:-1]) & (raster[1:-1, 1:-1] != raster[2:, 1:-1])
    apart &= (raster[1:-1, 1:-1] != raster[1:-1, :-2]) & (raster[1:-1, 1:-1] != raster[1:-1, 2:])
    assert apart.mean() < 1e-4


def test_the_colour_of_a_pixel_does_not_tell_its_class_in_an_unseen_scene() -> None:
    rng = np.random.default_rng(0)

    def pixels(seeds: range) -> tuple[np.ndarray, np.ndarray]:
        scenes = [small_pair(seed, 512) for seed in seeds]
        colours = np.concatenate([scene.image.reshape(-1, 3) for scene in scenes])
        classes = np.concatenate([scene.raster.ravel() for scene in scenes])
        chosen = rng.choice(len(classes), 30_000, replace=False)
        return colours[chosen], classes[chosen]

    forest = lightgbm.LGBMClassifier(n_estimators=60, num_leaves=31, n_jobs=1, verbose=-1)
    forest.fit(*pixels(range(6)))
    colours, classes = pixels(range(1000, 1006))
    accuracy = (forest.predict(colours) == classes).mean()
    assert accuracy < 0.65


def test_written_masks_read_back_as_the_rasters_of_the_scenes(tmp_path: Path) -> None:
    images = write_sample(tmp_path, tiles=2, size=128, seed=5, progress=SilentProgress())
    for index, image in enumerate(images):
        scene = draw_scene(5 + index, 128)
        mask = cv2.imread(str(image).replace("_sat.jpg", "_mask.png"))
        decoded = decode_colours(cv2.cvtColor(mask, cv2.COLOR_BGR2RGB))
        np.testing.assert_array_equal(decoded.raster, scene.raster)
        assert decoded.off_palette == 0
        stored = cv2.cvtColor(cv2.imread(str(image)), cv2.COLOR_BGR2RGB)
        assert np.abs(stored.astype(int) - scene.image).mean() < 6


def test_the_folder_says_that_it_is_synthetic(tmp_path: Path) -> None:
    images = write_sample(tmp_path, tiles=2, size=64, seed=7, progress=SilentProgress())
    names = [image.name.removesuffix("_sat.jpg") for image in images]
    expected = {"synthetic": True, "seed": 7, "size": 64, "tiles": names}
    assert json.loads((tmp_path / MARKER).read_text()) == expected


def test_sample_names_are_no_names_of_real_tiles_and_differ_between_seeds(tmp_path: Path) -> None:
    real = {name for split in SPLITS.glob("*.txt") for name in split.read_text().split()}
    assert real
    names = set()
    for seed in (0, 1000):
        images = write_sample(tmp_path / str(seed), tiles=2, size=64, seed=seed, progress=SilentProgress())
        names |= {image.name.removesuffix("_sat.jpg") for image in images}
    assert len(names) == 4
    assert all(name.isdecimal() for name in names)
    assert not names & real


def test_a_cancel_keeps_the_finished_scenes_and_nothing_half_written(tmp_path: Path) -> None:
    with pytest.raises(CancelledError):
        write_sample(tmp_path, tiles=3, size=64, seed=0, progress=CancelAfter(2))
    marker = json.loads((tmp_path / MARKER).read_text())
    files = {path.name for path in tmp_path.iterdir()}
    assert len(marker["tiles"]) == 2
    pairs = {f"{name}{end}" for name in marker["tiles"] for end in ("_sat.jpg", "_mask.png")}
    assert files == pairs | {MARKER}


@pytest.mark.parametrize(("tiles", "size", "seed"), [(0, 64, 0), (1001, 64, 0), (1, 63, 0), (1, 5_000, 0), (1, 64, -1)])
def test_a_sample_that_cannot_be_drawn_is_refused_in_one_sentence(
    tmp_path: Path, tiles: int, size: int, seed: int
) -> None:
    with pytest.raises(InputError, match="choose another"):
        write_sample(tmp_path, tiles=tiles, size=size, seed=seed, progress=SilentProgress())
    assert not list(tmp_path.iterdir())


def test_four_small_pairs_hold_every_class(tmp_path: Path) -> None:
    paths = write_pairs(tmp_path, count=4, size=512)
    assert [path.name for path in paths] == ["1_sat.jpg", "2_sat.jpg", "3_sat.jpg", "4_sat.jpg"]
    together = np.concatenate([small_pair(seed, 512).raster for seed in range(4)])
    assert shares(together).min() > 0.01
