import hashlib
import json
import zipfile

import numpy as np
import pytest

from core.classes import UNLABELLED, encode_colours
from core.errors import CancelledError, InputError
from core.labels import exporting, journal, versions, work_status
from core.labels.exporting import ExportRequest
from core.labels.formats.placed import Format
from core.labels.formats.recognise import read_file
from core.labels.work_status import Status
from core.progress import CancelFlag, SilentProgress
from tests.core.labels.painting import brush, colours_on_disk, new_workspace


@pytest.fixture
def opened(tmp_path):
    """Three tiles, the first two of them labelled."""
    workspace, tiles = new_workspace(tmp_path / "workspace", tiles=3)
    for number, tile in enumerate(tiles[:2]):
        journal.apply(workspace, tile.id, brush([(10, 10), (50, 30)], class_index=number), annotator="Bea")
    return workspace, tiles


def export(opened, out, kind=Format.DEEPGLOBE, progress=None, **more):
    workspace, tiles = opened
    request = ExportRequest(tiles[0].collection_id, kind, out, **more)
    return exporting.export(workspace, request, progress or SilentProgress())


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


FILES = {
    Format.DEEPGLOBE: {"t0_mask.png", "t1_mask.png"},
    Format.INDEX: {"t0_classes.png", "t1_classes.png"},
    Format.GEOTIFF: {"t0_classes.tif", "t1_classes.tif"},
    Format.GEOJSON: {"t0.geojson", "t1.geojson"},
    Format.COCO: {"annotations.json"},
}


@pytest.mark.parametrize("kind", list(Format))
def test_every_labelled_tile_is_there_and_a_manifest(opened, tmp_path, kind):
    report = export(opened, tmp_path / "out", kind)
    assert report["tiles"] == 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES[kind] | {"manifest.json"}
    assert {entry["file"] for entry in manifest_of(tmp_path / "out")["tiles"]} == FILES[kind]


def test_a_deepglobe_export_is_what_the_labels_look_like_to_any_program(opened, tmp_path):
    workspace, tiles = opened
    export(opened, tmp_path / "out")
    laid = read_file(tmp_path / "out" / "t1_mask.png")
    raster = journal.load(workspace, tiles[1].id)
    np.testing.assert_array_equal(encode_colours(raster), colours_on_disk(workspace, tiles[1]))
    assert laid.keys["agriculture"] == (raster == 1).sum()


def test_the_manifest_says_which_labels_these_are(opened, tmp_path):
    workspace, tiles = opened
    versions.save(workspace, tiles[0].id, "first pass", annotator="Bea")
    journal.apply(workspace, tiles[0].id, brush([(30, 5)], class_index=4), annotator="Cem")
    export(opened, tmp_path / "out")
    manifest = manifest_of(tmp_path / "out")
    assert (manifest["tool"], manifest["format"], manifest["unlabelled"]) == ("Tilewright", "deepglobe", 255)
    first, second = manifest["tiles"]
    raster = journal.load(workspace, tiles[0].id)
    assert first["sequence"] == journal.state(workspace, tiles[0].id).sequence
    assert (first["version"]["name"], first["version"]["unchanged_since"]) == ("first pass", False)
    assert second["version"] is None
    assert set(first["annotators"]) == {"Bea", "Cem"}
    assert first["origins"] == {"brush": int((raster != UNLABELLED).sum())}
    assert first["pixels"]["water"] == (raster == 4).sum()
    assert sum(first["pixels"].values()) + first["unlabelled"] == raster.size
    assert first["labels_sha256"] == hashlib.sha256(raster.tobytes()).hexdigest()
    assert first["image_fingerprint"] == tiles[0].fingerprint


def test_a_zip_holds_the_same_as_a_folder(opened, tmp_path):
    export(opened, tmp_path / "out")
    export(opened, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.testzip() is None
        for path in (tmp_path / "out").iterdir():
            if path.name != "manifest.json":  # which has the date
                assert archive.read(path.name) == path.read_bytes()


def test_tiles_can_be_named_and_a_named_one_may_be_empty(opened, tmp_path):
    export(opened, tmp_path / "out", tile_names=("t2",))
    assert manifest_of(tmp_path / "out")["tiles"][0]["unlabelled"] == 2400


def test_only_tiles_of_a_status_when_asked(opened, tmp_path):
    workspace, tiles = opened
    with pytest.raises(InputError, match="no labelled tile of status done to export"):
        export(opened, tmp_path / "out", statuses=(Status.DONE,))
    work_status.set_status(workspace, tiles[1].id, Status.DONE, annotator="Bea")
    export(opened, tmp_path / "out", statuses=(Status.DONE, Status.APPROVED))
    [entry] = manifest_of(tmp_path / "out")["tiles"]
    assert (entry["tile"], entry["status"]) == ("t1", "done")


def test_images_are_copied_on_demand_only(opened, tmp_path):
    with pytest.raises(InputError, match="of tile t0 is gone; put it back"):
        export(opened, tmp_path / "out", with_images=True)
    assert not list(tmp_path.glob("out*"))
    for number in range(2):
        (tmp_path / "workspace" / f"t{number}_sat.jpg").write_bytes(b"picture %d" % number)
    export(opened, tmp_path / "out", with_images=True)
    assert (tmp_path / "out" / "t1_sat.jpg").read_bytes() == b"picture 1"


class CancelsAt(SilentProgress):
    def __init__(self, step):
        super().__init__(CancelFlag())
        self.step = step

    def update(self, done, total, message):
        self._cancel.raised = done >= self.step
        super().update(done, total, message)


@pytest.mark.parametrize("name", ["out", "out.zip"])
@pytest.mark.parametrize("kind", [Format.DEEPGLOBE, Format.COCO])
def test_a_cancel_leaves_nothing_behind(opened, tmp_path, name, kind):
    with pytest.raises(CancelledError):
        export(opened, tmp_path / name, kind, progress=CancelsAt(1))
    assert [path.name for path in tmp_path.iterdir()] == ["workspace"]


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_what_is_there_already_is_never_written_over(opened, tmp_path, name):
    export(opened, tmp_path / name)
    with pytest.raises(InputError, match="exists already; choose another name"):
        export(opened, tmp_path / name)


def test_an_empty_folder_may_be_the_target(opened, tmp_path):
    (tmp_path / "out").mkdir()
    export(opened, tmp_path / "out")
    assert (tmp_path / "out" / "t0_mask.png").exists()


def test_nothing_labelled_is_said(tmp_path):
    opened = new_workspace(tmp_path / "workspace")
    with pytest.raises(InputError, match="no labelled tile to export"):
        export(opened, tmp_path / "out")


def test_labels_that_were_all_erased_are_nothing_to_export(tmp_path):
    workspace, tiles = new_workspace(tmp_path / "workspace")
    journal.apply(workspace, tiles[0].id, brush([(10, 10)]))
    journal.replace(workspace, tiles[0].id, np.full((40, 60), UNLABELLED, np.uint8), tool="clear")
    with pytest.raises(InputError, match="None of these tiles has any labels"):
        export((workspace, tiles), tmp_path / "out")
    assert not (tmp_path / "out").exists()
