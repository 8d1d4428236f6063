import json
import zipfile

import numpy as np
import pytest

from core.classes import UNLABELLED
from core.errors import InputError
from core.labels import journal, tile_locks
from core.labels.formats import coco, deepglobe
from core.labels.formats.grid import grid_of
from core.labels.import_files import Choice
from core.labels.import_many import import_labels
from core.progress import SilentProgress
from tests.core.labels.painting import is_on_disk, new_workspace


def raster_of(class_index):
    raster = np.full((40, 60), UNLABELLED, np.uint8)
    raster[5:30, 5:50] = class_index
    return raster


@pytest.fixture
def opened(tmp_path):
    return new_workspace(tmp_path / "workspace", tiles=3)


def take(opened, source, *names, **more):
    workspace, tiles = opened
    return import_labels(
        workspace,
        source=source,
        collection_id=tiles[0].collection_id,
        tile_names=names,
        choice=more.pop("choice", Choice()),
        progress=SilentProgress(),
        **more,
    )


def folder_of_masks(folder):
    folder.mkdir()
    for number in range(2):
        (folder / f"t{number}_mask.png").write_bytes(deepglobe.encode(raster_of(number)))
    (folder / "stranger_mask.png").write_bytes(deepglobe.encode(raster_of(0)))
    (folder / "t2_mask.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    (folder / "t0_sat.jpg").write_bytes(b"an image, no labels")
    (folder / "manifest.json").write_text("{}")
    return folder


def check(opened, report):
    workspace, tiles = opened
    assert report.tiles["t0"] == {"labelled": 1125, "changed": 0, "removed": 0}
    assert set(report.tiles) == {"t0", "t1"}
    assert any("stranger_mask.png matches no tile" in sentence for sentence in report.left_out)
    assert any("t2_mask.png" in sentence for sentence in report.left_out)
    assert len(report.left_out) == 2
    assert all(is_on_disk(workspace, tile, raster_of(number)) for number, tile in enumerate(tiles[:2]))


def test_each_file_of_a_folder_goes_into_the_tile_that_is_named_like_it(opened, tmp_path):
    check(opened, take(opened, folder_of_masks(tmp_path / "masks")))


def test_a_zip_is_as_good_as_a_folder(opened, tmp_path):
    folder = folder_of_masks(tmp_path / "masks")
    with zipfile.ZipFile(tmp_path / "masks.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"some/where/{path.name}")
    check(opened, take(opened, tmp_path / "masks.zip"))


def test_a_zip_that_points_outside_is_refused(opened, tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("../t0_mask.png", deepglobe.encode(raster_of(0)))
    with pytest.raises(InputError, match="would be written outside its folder"):
        take(opened, tmp_path / "bad.zip")


def test_a_zip_of_something_else_is_refused(opened, tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("letter.txt", "hello")
    with pytest.raises(InputError, match="holds no label file"):
        take(opened, tmp_path / "bad.zip")


def test_one_coco_file_labels_every_tile_that_it_names(opened, tmp_path):
    workspace, tiles = opened
    path = tmp_path / "annotations.json"
    path.write_bytes(coco.encode([(raster_of(n), grid_of(tile)) for n, tile in enumerate(tiles)], info={}))
    assert set(take(opened, path).tiles) == {"t0", "t1", "t2"}
    assert all(is_on_disk(workspace, tile, raster_of(number)) for number, tile in enumerate(tiles))


def test_a_single_file_need_not_be_named_like_the_tile_that_is_asked_for(opened, tmp_path):
    path = tmp_path / "drawn by somebody.png"
    path.write_bytes(deepglobe.encode(raster_of(2)))
    with pytest.raises(InputError, match="matches no tile by its name"):
        take(opened, path)
    assert set(take(opened, path, "t1").tiles) == {"t1"}


def test_an_unknown_tile_is_named(opened, tmp_path):
    with pytest.raises(InputError, match="has no tile t9; name tiles"):
        take(opened, folder_of_masks(tmp_path / "masks"), "t9")


@pytest.mark.parametrize("name", ["none", "none.zip"])
def test_a_source_that_is_not_there_is_refused(opened, tmp_path, name):
    with pytest.raises(InputError, match="There is no file or folder"):
        take(opened, tmp_path / name)


def test_a_folder_without_label_files_is_refused(opened, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no label files; they end in \.png"):
        take(opened, tmp_path / "empty")


def test_a_tile_that_somebody_labels_is_left_out_and_said(opened, tmp_path):
    workspace, tiles = opened
    tile_locks.take(workspace, tiles[0].id, "", annotator="Bea", tab="tab-of-bea")
    report = take(opened, folder_of_masks(tmp_path / "masks"))
    assert set(report.tiles) == {"t1"}
    assert any(sentence.startswith("Tile t0: Bea is labelling this tile") for sentence in report.left_out)
    assert (journal.load(workspace, tiles[0].id) == UNLABELLED).all()
    by_bea = take(opened, tmp_path / "masks", annotator="Bea", check_lock=tile_locks.check_person)
    assert by_bea.tiles["t0"]["labelled"] == 1125


def test_names_that_need_a_meaning_are_given_one(opened, tmp_path):
    path = tmp_path / "t0.geojson"
    ring = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
    feature = {
        "type": "Feature",
        "properties": {"label": "house"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    path.write_text(json.dumps(feature))
    with pytest.raises(InputError, match="'house'"):
        take(opened, path)
    assert take(opened, path, choice=Choice(meanings={"house": 0})).tiles["t0"]["labelled"] == 100
