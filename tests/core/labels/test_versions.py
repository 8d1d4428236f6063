import io

import numpy as np
import pytest
from PIL import Image

from core.classes import UNLABELLED
from core.errors import InputError
from core.labels import importing, journal, provenance, versions
from core.labels.strokes import VersionStroke
from tests.core.labels.painting import brush, is_on_disk, new_workspace


@pytest.fixture
def kept(tmp_path):
    """A tile with water on the left in version 'first', and forest on the right now."""
    workspace, [tile] = new_workspace(tmp_path)
    journal.apply(workspace, tile.id, brush([(10, 20)], class_index=4))
    first = versions.save(workspace, tile.id, "first", annotator="Ada")
    journal.apply(workspace, tile.id, brush([(10, 20)], class_index=UNLABELLED, radius=2))
    journal.apply(workspace, tile.id, brush([(40, 20)], class_index=3))
    return workspace, tile, first


def copy_of(version, **more):
    fields = {"mode": "all", "class_index": UNLABELLED} | more
    return VersionStroke(client_key="copy-0001", tool="version", version=version.id, **fields)


def test_a_version_keeps_the_labels_and_their_origins_as_they_were(kept):
    workspace, tile, first = kept
    then = versions.load(workspace, tile, first.id)
    assert (then == 4).sum() == (then != UNLABELLED).sum() > 0
    assert (first.name, first.annotator) == ("first", "Ada")
    assert [version.name for version in versions.listed(workspace, tile.id)] == ["first"]


def test_restoring_is_one_stroke_that_can_be_undone(kept):
    workspace, tile, first = kept
    now = journal.load(workspace, tile.id)
    change = importing.restore(workspace, tile, first.id)
    assert change.state.undo == 4
    assert is_on_disk(workspace, tile, versions.load(workspace, tile, first.id))
    journal.undo(workspace, tile.id)
    assert is_on_disk(workspace, tile, now)


def test_a_class_a_lasso_or_all_of_a_version_is_copied(kept):
    workspace, tile, first = kept
    then, now = versions.load(workspace, tile, first.id), journal.load(workspace, tile.id)
    journal.apply(workspace, tile.id, copy_of(first, mode="class", class_index=4))
    assert is_on_disk(workspace, tile, np.where(then == 4, then, now))
    assert provenance.at(workspace, tile.id, 10, 20).detail == "first"
    journal.undo(workspace, tile.id)
    left = copy_of(first, mode="lasso", points=[(0, 0), (10, 0), (10, 40), (0, 40)])
    journal.apply(workspace, tile.id, left.model_copy(update={"client_key": "copy-0002"}))
    columns = np.arange(60)[None, :] < 10
    assert is_on_disk(workspace, tile, np.where(columns, then, now))
    journal.apply(workspace, tile.id, copy_of(first).model_copy(update={"client_key": "copy-0003"}))
    assert is_on_disk(workspace, tile, then)


def test_a_name_is_used_once_and_a_request_sent_twice_counts_once(kept):
    workspace, tile, _ = kept
    with pytest.raises(InputError, match="There is a version 'first' of this tile already"):
        versions.save(workspace, tile.id, " first ", annotator="Ada")
    second = versions.save(workspace, tile.id, "second", annotator="Ada")
    assert versions.save(workspace, tile.id, "second", annotator="Ada") == second
    with pytest.raises(InputError, match="choose another name"):
        versions.save(workspace, tile.id, "second", annotator="Ben")
    assert versions.save(workspace, tile.id, "first", opinion="Ada").name == "first"


@pytest.mark.parametrize(("name", "words"), [("", "needs a name"), (" \n\t", "needs a name"), ("n" * 61, "at most 60")])
def test_a_name_that_cannot_be_kept_is_one_sentence(kept, name, words):
    workspace, tile, _ = kept
    with pytest.raises(InputError, match=words):
        versions.save(workspace, tile.id, name)


def test_versions_of_other_tiles_checkpoints_and_numbers_out_of_the_air_are_not_found(tmp_path):
    workspace, [tile, other] = new_workspace(tmp_path, tiles=2)
    of_other = versions.save(workspace, other.id, "other's")
    for act in (versions.load, versions.find, importing.restore):
        for number in (of_other.id, 99):
            with pytest.raises(InputError, match="There is no version"):
                act(workspace, tile, number)


def test_a_class_that_the_version_does_not_have_is_one_sentence(kept):
    workspace, tile, first = kept
    with pytest.raises(InputError, match="That version has no urban"):
        journal.apply(workspace, tile.id, copy_of(first, mode="class", class_index=0))


def test_no_more_versions_than_are_kept(kept, monkeypatch):
    workspace, tile, _ = kept
    monkeypatch.setattr(versions, "MAX_VERSIONS", 1)
    with pytest.raises(InputError, match="no more are kept"):
        versions.save(workspace, tile.id, "one too many")


def test_a_diff_tells_labelled_from_removed_from_changed():
    then = np.array([[255, 255, 1, 1, 2]], np.uint8)
    now = np.array([[255, 3, 255, 1, 3]], np.uint8)
    names = [versions.CHANGES[index].name for index in versions.diff_map(then, now)[0]]
    assert names == ["same", "labelled since", "removed since", "same", "class changed"]
    found = versions.diff(then, now)
    assert found.pixels == {"same": 2, "labelled since": 1, "removed since": 1, "class changed": 1}
    assert (found.gained["forest"], found.lost["rangeland"], found.lost["agriculture"]) == (2, 1, 1)
    with Image.open(io.BytesIO(versions.encode_diff(versions.diff_map(then, now)))) as image:
        pixels = np.asarray(image.convert("RGBA"))[0]
    assert [tuple(map(int, pixel)) for pixel in pixels] == [
        change.colour for change in (versions.CHANGES[i] for i in (0, 1, 2, 0, 3))
    ]
