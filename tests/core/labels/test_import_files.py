import numpy as np
import pytest
from PIL import Image

from core.classes import UNLABELLED
from core.errors import InputError
from core.labels import changes, import_files, journal, provenance, suggestions
from core.labels.formats import deepglobe
from core.labels.formats.placed import Placed
from core.labels.formats.recognise import read_file
from core.labels.import_files import Choice
from tests.core.labels.painting import brush, is_on_disk, new_workspace

OURS = np.full((40, 60), UNLABELLED, np.uint8)
OURS[:20] = 3


@pytest.fixture
def opened(tmp_path):
    workspace, [tile] = new_workspace(tmp_path / "workspace")
    return workspace, tile


def file_of(folder, raster, name="t0_mask.png"):
    path = folder / name
    path.write_bytes(deepglobe.encode(raster))
    return read_file(path)


def test_an_import_is_one_stroke_that_one_undo_takes_back(opened, tmp_path):
    workspace, tile = opened
    journal.apply(workspace, tile.id, brush([(30, 20)]))
    before = journal.load(workspace, tile.id)
    laid = import_files.placed(file_of(tmp_path, OURS), tile, Choice())
    change = import_files.apply(workspace, tile, laid, source="t0_mask.png", annotator="Bea")
    assert is_on_disk(workspace, tile, OURS)
    assert change.state.undo == 2
    origin = provenance.at(workspace, tile.id, 1, 1)
    assert (origin.kind.name, origin.annotator, origin.detail) == ("import", "Bea", "t0_mask.png")
    journal.undo(workspace, tile.id)
    assert is_on_disk(workspace, tile, before)


def test_only_unlabelled_pixels_are_changed_when_asked(opened, tmp_path):
    workspace, tile = opened
    journal.apply(workspace, tile.id, brush([(30, 20)], class_index=1))
    before = journal.load(workspace, tile.id)
    laid = import_files.placed(file_of(tmp_path, OURS), tile, Choice())
    import_files.apply(workspace, tile, laid, source="x", only_unlabelled=True)
    assert is_on_disk(workspace, tile, np.where(before == UNLABELLED, OURS, before))


def test_a_stroke_that_falls_between_reading_and_importing_is_kept(opened, tmp_path):
    workspace, tile = opened
    laid = import_files.placed(file_of(tmp_path, OURS), tile, Choice())
    journal.apply(workspace, tile.id, brush([(30, 10)], class_index=5))
    import_files.apply(workspace, tile, laid, source="x", only_unlabelled=True)
    assert journal.load(workspace, tile.id)[10, 30] == 5


def test_a_smaller_picture_leaves_the_rest_as_it_is(opened, tmp_path):
    workspace, tile = opened
    journal.apply(workspace, tile.id, brush([(50, 35)], class_index=1))
    before = journal.load(workspace, tile.id)
    reading = file_of(tmp_path, np.full((20, 20), 2, np.uint8))
    import_files.apply(workspace, tile, import_files.placed(reading, tile, Choice(offset=(5, 8))), source="x")
    expected = before.copy()
    expected[8:28, 5:25] = 2
    assert is_on_disk(workspace, tile, expected)


def test_the_preview_says_what_the_import_then_does(opened, tmp_path):
    before = np.full((40, 60), UNLABELLED, np.uint8)
    before[:10] = 3
    before[10:15] = 0
    before[30:] = 4
    laid = Placed(OURS, ("a note",))
    found = import_files.preview(before, laid, only_unlabelled=False)
    assert (found.labelled, found.changed, found.removed) == ({"forest": 300}, {"forest": 300}, 600)
    assert found.notes == ("a note",)
    kept = import_files.preview(before, laid, only_unlabelled=True)
    assert (kept.labelled, kept.changed, kept.removed) == ({"forest": 300}, {}, 0)
    assert import_files.preview(OURS, laid, only_unlabelled=False).nothing


def test_listeners_hear_of_an_import(opened, tmp_path):
    workspace, tile = opened
    heard = []
    end = changes.listen(lambda _workspace, tile_id, opinion: heard.append((tile_id, opinion)))
    try:
        laid = import_files.placed(file_of(tmp_path, OURS), tile, Choice())
        import_files.apply(workspace, tile, laid, source="x", opinion="Bea")
    finally:
        end()
    assert heard == [(tile.id, "Bea")]
    assert (journal.load(workspace, tile.id) == UNLABELLED).all()


def test_a_suggestion_changes_no_label(opened, tmp_path):
    workspace, tile = opened
    laid = import_files.placed(file_of(tmp_path, OURS), tile, Choice())
    made = import_files.suggest(workspace, tile, laid, source="foreign.png")
    assert suggestions.current(workspace, tile).source == "import: foreign.png"
    np.testing.assert_array_equal(suggestions.load(workspace, tile, made).raster, OURS)
    assert journal.state(workspace, tile.id).sequence == 0


def test_values_of_unsettled_meaning_are_not_imported(opened, tmp_path):
    _, tile = opened
    path = tmp_path / "t0.png"
    Image.fromarray(np.repeat(np.arange(1, 7, dtype=np.uint8), 400).reshape(40, 60)).save(path)
    reading = read_file(path)
    with pytest.raises(InputError, match="say what each one means"):
        import_files.placed(reading, tile, Choice(meanings={"1": 0}))
    laid = import_files.placed(reading, tile, Choice(meanings=reading.meanings))
    assert laid.raster[0, 0] == 0
    assert laid.raster[-1, -1] == 5


def test_a_file_that_labels_nothing_is_refused(opened, tmp_path):
    _, tile = opened
    with pytest.raises(InputError, match="labels no pixel of tile t0"):
        import_files.placed(file_of(tmp_path, np.full((40, 60), UNLABELLED, np.uint8)), tile, Choice())
