"""Switches on a raster in blocks: the same as on the whole at once, what is bounded, and what a cancel leaves."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from core.errors import CancelledError, InputError
from core.inference import raster_reach
from core.inference.crf import CrfParameters
from core.inference.guided_filter import GuidedParameters
from core.inference.raster import predict_raster
from core.inference.raster_finish import BlockFinisher
from core.inference.raster_progress import TogetherProgress
from core.inference.raster_reach import find_reach
from core.inference.raster_source import RasterSource
from core.inference.switches import Switches
from core.inference.tile_prediction import decided, refined
from core.progress import SilentProgress
from tests.core.inference.test_raster import PLACE, files, segmenter, small_windows, write

HALF_A_METRE = (0.5, 0.5)
SIZE = (420, 350)

__all__ = ["small_windows"]  # a fixture


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(raster_reach, "CORE", 96)


def patches(size=SIZE, seed=0):
    """A picture of patches of plain colours with noise."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(40, 216, (-(-size[0] // 35), -(-size[1] // 35), 3), np.uint8)
    plain = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_NEAREST).astype(int)
    return np.clip(plain + generator.integers(-12, 13, plain.shape), 0, 255).astype(np.uint8)


def scores_of(image, seed=1):
    """Logits (6, h, w) that follow the colours, with noise."""
    generator = np.random.default_rng(seed)
    colours = np.moveaxis(image, -1, 0).astype(np.float32) / 64
    both = np.concatenate([colours, 3 - colours])
    return np.ascontiguousarray(both + generator.normal(0, 0.8, both.shape), np.float32)


def in_blocks(path, scores, switches, *, valid=None, progress=None):
    """Classes and probabilities times 255, from rows that come seven at a time."""
    kept = []
    valid = np.ones(scores.shape[1:], bool) if valid is None else valid
    with RasterSource(path, resolution_m=None) as picture:
        reach = find_reach(switches, picture.metres_per_pixel)
        finisher = BlockFinisher(
            picture,
            switches,
            reach,
            lambda classes, scaled: kept.append((classes.copy(), scaled.copy())),
            probabilities=True,
            progress=progress or SilentProgress(),
        )
        for top in range(0, scores.shape[1], 7):
            finisher.add(scores[:, top : top + 7], valid[top : top + 7])
    return np.concatenate([classes for classes, _ in kept]), np.concatenate([scaled for _, scaled in kept], axis=1)


def at_once(image, scores, switches):
    exponents = np.exp(scores)
    shares = refined(exponents / exponents.sum(axis=0), image, switches, metres_per_pixel=HALF_A_METRE)
    return decided(shares, switches, metres_per_pixel=HALF_A_METRE), shares


@pytest.mark.parametrize(
    "switches",
    [
        Switches(refinement="guided", guided=GuidedParameters(radius_metres=4)),
        Switches(refinement="crf", crf=CrfParameters(bilateral_metres=10)),
        Switches(min_region=30),
        Switches(class_regions=(0, 5, 10, 0, 20, 5)),
        Switches(refinement="guided", min_region=25, offsets=(0.5, 0, 0, -0.5, 0, 0), abstain=0.3),
    ],
)
def test_a_raster_in_blocks_comes_out_as_the_whole_at_once(switches, tmp_path):
    image = patches()
    scores = scores_of(image)
    found, scaled = in_blocks(write(tmp_path / "in.tif", image, **PLACE), scores, switches)
    expected, shares = at_once(image, scores, switches)
    assert (expected != scores.argmax(axis=0)).mean() > 0.05  # the switches do something
    assert (found == expected).mean() > 0.99  # of noise, where classes are often all but equal
    borders = [piece.first for piece in find_reach(switches, HALF_A_METRE).pieces(SIZE[0], 0)][1:]
    near = np.min([np.abs(np.arange(SIZE[0]) - border) for border in borders], axis=0) < 8
    assert (found == expected)[near].mean() > 0.985
    assert np.median(np.abs(scaled / 255 - shares)) < 0.01


def test_a_region_across_the_border_of_blocks_is_judged_by_all_its_pixels(tmp_path):
    image = patches()
    scores = np.zeros((6, *SIZE), np.float32)
    scores[1] = 3
    first = find_reach(Switches(min_region=50), HALF_A_METRE).pieces(SIZE[0], 0)[1].first
    scores[3, first - 6 : first + 6, 20:25] = 5  # 60 pixels, 30 in either block
    scores[4, first - 4 : first + 4, 60:65] = 5  # 40 pixels
    found, _ = in_blocks(write(tmp_path / "in.tif", image, **PLACE), scores, Switches(min_region=50))
    assert (found == 3).sum() == 60
    assert not (found == 4).any()


def test_a_region_that_reaches_beyond_what_is_looked_at_is_kept_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(raster_reach, "MOST_OF_REGIONS", 32)
    switches = Switches(min_region=5000)
    scores = np.zeros((6, *SIZE), np.float32)
    scores[1] = 3
    scores[3, 10:410, 20] = 5
    found, _ = in_blocks(write(tmp_path / "in.tif", patches(), **PLACE), scores, switches)
    assert (found == 3).sum() == 400
    (note,) = find_reach(switches, HALF_A_METRE).notes
    assert "32 pixels beyond its border are kept" in note


def test_pixels_without_a_picture_are_unlabelled_and_tell_their_neighbours_nothing(tmp_path):
    image = patches()
    scores, valid = scores_of(image), np.ones(SIZE, bool)
    valid[:, 100:200] = False
    image[:, 100:200] = 0
    path = write(tmp_path / "in.tif", image, **PLACE)
    switches = Switches(refinement="guided", min_region=20)
    found, scaled = in_blocks(path, scores, switches, valid=valid)
    assert (found[:, 100:200] == 255).all()
    assert not scaled[:, :, 100:200].any()
    scores[0, :, 100:200] += 50
    again, _ = in_blocks(path, scores, switches, valid=valid)
    np.testing.assert_array_equal(again, found)


def test_blocks_cover_a_side_once_and_see_no_farther_than_the_bound():
    switches = Switches(refinement="crf", crf=CrfParameters(bilateral_metres=400), min_region=9000)
    reach = find_reach(switches, HALF_A_METRE)
    assert len(reach.notes) == 2
    pieces = reach.pieces(5000, 0)
    assert [piece.last for piece in pieces[:-1]] == [piece.first for piece in pieces[1:]]
    assert (pieces[0].seen_first, pieces[-1].seen_last) == (0, 5000)
    most = raster_reach.MOST_REFINED + raster_reach.MOST_OF_REGIONS + 2
    assert max(piece.first - piece.seen_first for piece in pieces) <= most
    assert all(later.seen_first >= earlier.seen_first for earlier, later in pairwise(pieces))


def test_a_gate_is_refused_with_its_reason():
    with pytest.raises(InputError, match="leave out --gate, or cut the raster into tiles"):
        find_reach(Switches(gate=0.05), HALF_A_METRE)


class _StopWhileRefining(SilentProgress):
    def update(self, done, total, message):
        if "Refining the raster, block 5" in message:
            raise CancelledError


def test_a_cancel_while_refining_leaves_nothing(tmp_path):
    path = write(tmp_path / "in.tif", patches(), **PLACE)
    with pytest.raises(CancelledError):
        predict_raster(
            segmenter(), path, tmp_path / "out.tif", progress=_StopWhileRefining(), switches=Switches(min_region=10)
        )
    assert files(tmp_path) == ["in.tif"]


def test_memory_that_runs_out_while_refining_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    def greedy(*_arguments, **_options):
        raise MemoryError

    monkeypatch.setattr("core.inference.raster_finish.refined", greedy)
    path = write(tmp_path / "in.tif", patches(), **PLACE)
    with pytest.raises(InputError, match="not enough memory to refine"):
        predict_raster(
            segmenter(), path, tmp_path / "out.tif", progress=SilentProgress(), switches=Switches(refinement="guided")
        )
    assert files(tmp_path) == ["in.tif"]


def test_a_raster_is_predicted_from_end_to_end_with_switches_as_a_tile_is(tmp_path):
    image = patches()
    switches = Switches(refinement="guided", min_region=25)
    path = write(tmp_path / "in.tif", image, crs="EPSG:32633", transform=from_origin(0, 0, 0.5, 0.5))
    told = []

    class Listening(SilentProgress):
        def update(self, done, total, message):
            told.append((done / total, message))

    predict_raster(segmenter(), path, tmp_path / "out.tif", progress=Listening(), switches=switches)
    with rasterio.open(tmp_path / "out.tif") as made:
        found = made.read(1)
    shares = segmenter().probabilities(image, metres_per_pixel=HALF_A_METRE)
    shares = refined(shares, image, switches, metres_per_pixel=HALF_A_METRE)
    assert (found == decided(shares, switches, metres_per_pixel=HALF_A_METRE)).mean() > 0.99
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert any("Refining the raster" in message and message.endswith(" left") for _, message in told)


def test_steps_that_overlap_are_told_as_one():
    told = []

    class Listening(SilentProgress):
        def update(self, done, total, message):
            told.append((done, total, message.partition(",")[0]))

    together = TogetherProgress(Listening(), 2)
    together.step(0).update(1, 2, "Reading")
    together.step(1).update(1, 4, "Writing")
    assert told == [(0.25, 1, "Reading"), (0.375, 1, "Writing")]
