import numpy as np
import pytest

from core.classes import UNLABELLED
from core.errors import InputError
from core.labels import edits, journal, provenance, suggestions, versions
from core.labels.strokes import FillStroke, PolygonStroke, SuggestionStroke, VersionStroke
from tests.core.labels.painting import brush, is_on_disk


def test_a_region_of_one_class_paints_its_mask_and_leaves_the_rest(one):
    workspace, tile = one
    before = np.full((40, 60), 2, np.uint8)
    stroke = PolygonStroke(client_key="poly-0001", tool="polygon", class_index=4, points=[(0, 0), (20, 0), (0, 20)])
    region = edits.prepare(workspace, tile, stroke)(before)
    patch = region.paint(before)
    assert (patch[region.mask] == 4).all()
    assert (patch[~region.mask] == 2).all()
    assert (before == 2).all()


def test_a_suggestion_is_painted_in_its_own_classes_and_remembered_as_its_origin(one):
    workspace, tile = one
    suggested = np.full((40, 60), UNLABELLED, np.uint8)
    suggested[5:20, 5:30], suggested[20:35, 5:30] = 3, 4
    made = suggestions.put(workspace, tile, suggested, None, source="run: oak")
    stroke = SuggestionStroke(
        client_key="take-0001", tool="suggestion", class_index=UNLABELLED, suggestion=made, mode="all"
    )
    journal.apply(workspace, tile.id, stroke, annotator="Ada")
    assert is_on_disk(workspace, tile, suggested)
    origin = provenance.at(workspace, tile.id, 10, 10)
    assert (origin.kind.name, origin.detail, origin.annotator) == ("suggestion", "run: oak", "Ada")


def test_a_suggestion_obeys_the_guard_pixel_by_pixel(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)], class_index=1))
    before = journal.load(workspace, tile.id)
    made = suggestions.put(workspace, tile, np.full((40, 60), 3, np.uint8), None, source="live")
    stroke = SuggestionStroke(
        client_key="take-0001", tool="suggestion", class_index=UNLABELLED, suggestion=made, mode="all",
        guard={"over": "unlabelled"},
    )  # fmt: skip
    journal.apply(workspace, tile.id, stroke)
    assert is_on_disk(workspace, tile, np.where(before == 1, 1, 3).astype(np.uint8))


def test_a_suggestion_that_is_gone_is_one_sentence_and_changes_nothing(one):
    workspace, tile = one
    stroke = SuggestionStroke(
        client_key="take-0001", tool="suggestion", class_index=UNLABELLED, suggestion="0" * 16, mode="all"
    )
    with pytest.raises(InputError, match="renewed meanwhile"):
        journal.apply(workspace, tile.id, stroke)
    assert journal.state(workspace, tile.id).sequence == 0


def test_only_what_is_copied_has_a_source(one):
    workspace, tile = one
    version = versions.save(workspace, tile.id, "empty")
    copy = VersionStroke(client_key="copy-0001", tool="version", class_index=UNLABELLED, version=version.id, mode="all")
    fill = FillStroke(client_key="fill-0001", tool="fill", class_index=1, points=[(1, 1)])
    assert edits.source(workspace, tile, copy) == "empty"
    assert edits.source(workspace, tile, fill) is None
    assert edits.source(workspace, tile, brush([(1, 1)])) is None
