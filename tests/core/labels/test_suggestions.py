import time

import numpy as np
import pytest
from PIL import Image

from core.classes import UNLABELLED
from core.errors import InputError
from core.labels import suggestions
from tests.core.labels.painting import new_workspace

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def tile_at(tmp_path):
    workspace, [tile] = new_workspace(tmp_path, width=WIDTH, height=HEIGHT)
    return workspace, tile


def two_halves():
    """Forest on the left, water on the right, a strip without a suggestion at the top."""
    raster = np.full((HEIGHT, WIDTH), 3, np.uint8)
    raster[:, WIDTH // 2 :] = 4
    raster[:2] = UNLABELLED
    return raster


def accept(place, suggestion, mode, points=(), *, threshold=0.0, class_index=255):
    """The tile's raster with only what is accepted on it; ``place`` is the workspace and the tile."""
    workspace, tile = place
    box, mask, values = suggestions.region(
        workspace,
        tile,
        suggestion=suggestion,
        mode=mode,
        points=list(points),
        threshold=threshold,
        class_index=class_index,
    )
    assert mask.shape == values.shape == (box.height, box.width)
    accepted = np.full((HEIGHT, WIDTH), UNLABELLED, np.uint8)
    accepted[box.slices][mask] = values[mask]
    return accepted


def test_what_was_put_comes_back_from_disk(tile_at):
    workspace, tile = tile_at
    sure = np.arange(150, dtype=np.uint8).reshape(10, 15)
    made = suggestions.put(workspace, tile, two_halves(), sure, source="live", sequence=7)
    kept = suggestions.load(workspace, tile, made)
    assert np.array_equal(kept.raster, two_halves())
    assert np.array_equal(kept.confidence, sure)
    note = suggestions.current(workspace, tile)
    assert (note.id, note.source, note.sequence) == (made, "live", 7)
    with Image.open(suggestions.raster_file(workspace, tile, made)) as image:
        assert image.convert("RGBA").getpixel((0, 0))[3] == 0  # nothing suggested is seen through
    with Image.open(suggestions.confidence_file(workspace, tile, made)) as image:
        assert (image.mode, image.size) == ("L", (15, 10))


def test_each_mode_accepts_its_part(tile_at):
    workspace, tile = tile_at
    raster = two_halves()
    made = suggestions.put(workspace, tile, raster, None, source="live")
    assert np.array_equal(accept((workspace, tile), made, "all"), raster)
    only_water = np.where(raster == 4, raster, UNLABELLED)
    assert np.array_equal(accept((workspace, tile), made, "class", class_index=4), only_water)
    assert np.array_equal(accept((workspace, tile), made, "region", [(45.5, 20.5)]), only_water)
    ring = [(10, 0), (50, 0), (50, 20), (10, 20)]
    inside = np.full_like(raster, UNLABELLED)
    inside[:20, 10:50] = raster[:20, 10:50]
    assert np.array_equal(accept((workspace, tile), made, "lasso", ring), inside)


def test_a_region_is_connected_by_sides_not_by_corners(tile_at):
    workspace, tile = tile_at
    raster = np.zeros((HEIGHT, WIDTH), np.uint8)
    raster[:10, :10] = raster[10:20, 10:20] = 5
    made = suggestions.put(workspace, tile, raster, None, source="live")
    accepted = accept((workspace, tile), made, "region", [(3, 3)])
    assert np.argwhere(accepted == 5).max() == 9
    assert (accepted == 5).sum() == 100


def test_confidence_is_stretched_by_the_rule_that_the_browser_follows(tile_at):
    """Row r of the tile has the confidence's row floor(r rows / height), and a byte counts from ceil(255 p) on."""
    workspace, tile = tile_at
    sure = np.random.default_rng(0).integers(0, 256, (7, 11)).astype(np.uint8)
    made = suggestions.put(workspace, tile, two_halves(), sure, source="live")
    accepted = accept((workspace, tile), made, "all", threshold=0.5)
    for row in range(2, HEIGHT):
        for column in range(WIDTH):
            byte = sure[int(row * 7 / HEIGHT), int(column * 11 / WIDTH)]
            assert (accepted[row, column] != UNLABELLED) == (byte >= 128)


def test_a_threshold_cuts_a_region_where_the_model_is_unsure(tile_at):
    workspace, tile = tile_at
    sure = np.full((1, WIDTH), 255, np.uint8)
    sure[:, 15] = 100
    made = suggestions.put(workspace, tile, two_halves(), sure, source="live")
    assert (
        np.flatnonzero((accept((workspace, tile), made, "region", [(3, 5)], threshold=0.9) == 3).any(axis=0)).max()
        == 14
    )
    with pytest.raises(InputError, match="Nothing is suggested there with at least 90% confidence"):
        accept((workspace, tile), made, "region", [(15.5, 5)], threshold=0.9)


@pytest.mark.parametrize("point", [(-1, 5), (5, HEIGHT), (WIDTH + 0.1, 1)])
def test_a_click_outside_the_tile_is_refused(tile_at, point):
    workspace, tile = tile_at
    made = suggestions.put(workspace, tile, two_halves(), None, source="live")
    with pytest.raises(InputError, match="outside the tile"):
        accept((workspace, tile), made, "region", [point])


@pytest.mark.parametrize("unknown", ["0" * 16, "../../etc", "nonsense", ""])
def test_an_unknown_suggestion_asks_for_another_click(tile_at, unknown):
    workspace, tile = tile_at
    for question in (
        lambda: accept((workspace, tile), unknown, "all"),
        lambda: suggestions.source(workspace, tile, unknown),
        lambda: suggestions.raster_file(workspace, tile, unknown),
    ):
        with pytest.raises(InputError, match="The suggestion has been renewed meanwhile; click again"):
            question()


def test_a_suggestion_belongs_to_its_tile(tmp_path):
    workspace, [first, second] = new_workspace(tmp_path, tiles=2, width=WIDTH, height=HEIGHT)
    made = suggestions.put(workspace, first, two_halves(), None, source="live")
    with pytest.raises(InputError, match="renewed"):
        suggestions.load(workspace, second, made)


def test_a_raster_of_another_size_is_refused(tile_at):
    workspace, tile = tile_at
    with pytest.raises(InputError, match="5 x 4 pixels and the tile is 60 x 40"):
        suggestions.put(workspace, tile, np.zeros((4, 5), np.uint8), None, source="import: a.png")


def test_the_newest_live_suggestion_is_shown_until_a_person_chooses_another(tile_at):
    workspace, tile = tile_at
    assert suggestions.current(workspace, tile) is None
    suggestions.put(workspace, tile, two_halves(), None, source="live")
    foreign = suggestions.put(workspace, tile, two_halves(), None, source="import: fcn.png")
    newer = suggestions.put(workspace, tile, two_halves(), None, source="live")
    assert suggestions.current(workspace, tile).id == foreign
    assert suggestions.source(workspace, tile, foreign) == "import: fcn.png"
    suggestions.choose(workspace, tile, None)
    assert suggestions.current(workspace, tile).id == newer


def test_old_suggestions_go_and_those_that_may_be_in_use_stay(tile_at, monkeypatch):
    workspace, tile = tile_at
    moment = time.time()
    monkeypatch.setattr(suggestions.time, "time", lambda: moment)
    foreign = suggestions.put(workspace, tile, two_halves(), None, source="import: fcn.png")
    made = []
    for _ in range(12):
        made.append(suggestions.put(workspace, tile, two_halves(), None, source="live"))
        moment += suggestions.KEPT_SECONDS / 4
    left = [name for name in made if (suggestions._folder(workspace, tile) / f"{name}.json").exists()]
    assert left == made[-4:]  # younger than the time that they are kept
    moment += 10 * suggestions.KEPT_SECONDS
    made.append(suggestions.put(workspace, tile, two_halves(), None, source="live"))
    left = [name for name in made if (suggestions._folder(workspace, tile) / f"{name}.json").exists()]
    assert left == made[-suggestions.KEPT :]
    assert len(list(suggestions._folder(workspace, tile).iterdir())) == 3 * (suggestions.KEPT + 1) + 1
    assert suggestions.current(workspace, tile).id == foreign
