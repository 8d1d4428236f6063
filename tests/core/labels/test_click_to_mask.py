import numpy as np
import pytest

from core.errors import InputError
from core.labels import click_to_mask
from tests.core.labels.pictured import four_fields, workspace_of

needs_model = pytest.mark.skipif(click_to_mask.available() is not None, reason=click_to_mask.available() or "")


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    return workspace_of(tmp_path_factory.mktemp("click"), four_fields(509, 544))


def painted(tile, box, mask):
    raster = np.zeros((tile.height, tile.width), bool)
    raster[box.slices] = mask
    return raster


@needs_model
def test_a_click_in_a_field_finds_that_field(fields):
    workspace, [tile] = fields
    answer = click_to_mask.click(workspace, tile, points=[(400, 380)], signs=[1])
    found = painted(tile, answer.box, answer.mask)
    truth = np.zeros_like(found)
    truth[254:, 272:] = True
    assert (found & truth).sum() / (found | truth).sum() > 0.8


@needs_model
def test_what_was_shown_is_what_is_painted_even_after_a_restart(fields, monkeypatch):
    workspace, [tile] = fields
    clicks = {"points": [(400.25, 380.5), (120, 90), (380, 400)], "signs": [1, 0, 1]}
    for count in (1, 2, 3):
        shown = click_to_mask.click(workspace, tile, points=clicks["points"][:count], signs=clicks["signs"][:count])
    monkeypatch.setattr(click_to_mask, "_masks", click_to_mask._Recent(8))
    monkeypatch.setattr(click_to_mask, "_embeddings", click_to_mask._Recent(8))
    box, mask = click_to_mask.region(workspace, tile, **clicks)
    assert box == shown.box
    assert np.array_equal(mask, shown.mask)


@needs_model
def test_an_embedding_is_kept_and_a_damaged_one_made_anew(tmp_path, monkeypatch):
    workspace, [tile] = workspace_of(tmp_path, four_fields(120, 90))
    assert not click_to_mask.is_ready(workspace, tile)
    before = click_to_mask.embed(workspace, tile)
    [path] = workspace.embeddings.iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    monkeypatch.setattr(click_to_mask, "_embeddings", click_to_mask._Recent(8))
    assert np.array_equal(click_to_mask.embed(workspace, tile), before)
    assert path.stat().st_size > before.nbytes


@needs_model
@pytest.mark.parametrize(
    ("points", "signs", "sentence"),
    [
        ([(600, 10)], [1], "outside tile"),
        ([(10, -1)], [1], "outside tile"),
        ([(10, 10)], [0], "first click"),
        ([(10, 10), (20, 20)], [1], "needs a point and a sign"),
        ([], [], "needs a point and a sign"),
    ],
)
def test_clicks_that_make_no_sense_are_refused_in_one_sentence(fields, points, signs, sentence):
    workspace, [tile] = fields
    with pytest.raises(InputError, match=sentence):
        click_to_mask.click(workspace, tile, points=points, signs=signs)


def test_without_the_model_the_sentence_says_how_to_get_it(fields, tmp_path, monkeypatch):
    workspace, [tile] = fields
    monkeypatch.setattr(click_to_mask, "WEIGHTS", tmp_path)
    assert "make app" in click_to_mask.available()
    with pytest.raises(InputError, match="npm"):
        click_to_mask.click(workspace, tile, points=[(10, 10)], signs=[1])


def test_only_the_parts_that_were_clicked_stay():
    mask = np.zeros((20, 30), bool)
    mask[2:6, 2:6] = mask[10:18, 10:25] = mask[0, 29] = True
    kept = click_to_mask.clean(mask, [(3.5, 3.5)])
    assert kept[2:6, 2:6].all()
    assert kept.sum() == 16
    assert click_to_mask.clean(mask, [(3.5, 3.5), (12, 12)]).sum() == 16 + 120


def test_where_no_click_lies_in_the_mask_its_largest_part_stays():
    mask = np.zeros((20, 30), bool)
    mask[2:6, 2:6] = mask[10:18, 10:25] = True
    assert click_to_mask.clean(mask, [(28, 1)]).sum() == 120
    assert not click_to_mask.clean(np.zeros((5, 5), bool), [(1, 1)]).any()
