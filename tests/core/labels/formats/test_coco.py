import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools import mask as reference
from pycocotools.coco import COCO

from core.classes import CLASS_NAMES, UNLABELLED
from core.errors import InputError
from core.labels.formats import coco
from core.labels.formats.grid import Grid
from tests.core.labels.formats.rasters import PLAIN, annotations, blocks_and_specks, read

SMALL = Grid("t0", "t0_sat.jpg", 10, 8)
TRIANGLE = [1, 1, 8, 1, 1, 7]


def place(tmp_path, content, grid=SMALL):
    reading = read(tmp_path, "a.json", content)
    return reading.content.place(grid, reading.meanings, (0, 0))


def as_pycocotools_reads(path, image_id, shape):
    with contextlib.redirect_stdout(io.StringIO()):
        opened = COCO(str(path))
    raster = np.full(shape, UNLABELLED, np.uint8)
    for row in opened.loadAnns(opened.getAnnIds(imgIds=[image_id])):
        mask = opened.annToMask(row).astype(np.bool_)
        assert row["area"] == mask.sum()
        raster[mask] = CLASS_NAMES.index(opened.loadCats([row["category_id"]])[0]["name"])
    return raster


def test_pycocotools_sees_the_same_masks_of_each_image(tmp_path):
    first, second = blocks_and_specks(0, (120, 90), block=13), blocks_and_specks(1, (61, 77), block=9)
    grids = [Grid("a", "a_sat.jpg", 90, 120), Grid("b", "b_sat.jpg", 77, 61)]
    path = tmp_path / "annotations.json"
    path.write_bytes(coco.encode(zip([first, second], grids, strict=True), info={}))
    np.testing.assert_array_equal(as_pycocotools_reads(path, 1, first.shape), first)
    np.testing.assert_array_equal(as_pycocotools_reads(path, 2, second.shape), second)


def test_regions_with_holes_are_run_lengths_and_the_others_polygons():
    raster = np.full((20, 20), UNLABELLED, np.uint8)
    raster[2:8, 2:8] = 1
    raster[10:18, 10:18] = 2
    raster[12:14, 12:14] = UNLABELLED
    plain, with_hole = coco.regions(raster)
    assert plain["segmentation"] == [[2, 2, 2, 8, 8, 8, 8, 2]]
    assert (plain["bbox"], plain["area"], plain["category_id"]) == ([2, 2, 6, 6], 36, 2)
    assert with_hole["segmentation"]["size"] == [20, 20]
    assert (with_hole["bbox"], with_hole["area"], with_hole["category_id"]) == ([10, 10, 8, 8], 60, 3)


@pytest.mark.parametrize("compressed", [True, False])
def test_it_reads_the_run_lengths_of_pycocotools(tmp_path, compressed):
    mask = np.random.default_rng(2).random((8, 10)) < 0.4
    rle = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = rle["counts"].decode()
    if not compressed:
        edges = np.flatnonzero(np.diff(mask.T.reshape(-1), prepend=False)).tolist()
        counts = np.diff([0, *edges, mask.size]).tolist()
    laid = place(tmp_path, annotations({"size": [8, 10], "counts": counts}))
    np.testing.assert_array_equal(laid.raster == 0, mask)


def test_polygons_and_masks_mixed_lie_over_each_other_in_their_order(tmp_path):
    content = annotations(TRIANGLE, [[0, 0, 10, 0, 10, 8, 0, 8]])
    content["annotations"][0]["segmentation"] = {"size": [8, 10], "counts": [0, 80]}
    content["categories"].append({"id": 1, "name": "water"})
    content["annotations"][1]["category_id"] = 1
    assert (place(tmp_path, content).raster == 4).all()


def test_foreign_category_names_are_taken_by_their_meaning(tmp_path):
    content = annotations([TRIANGLE])
    content["categories"][0]["name"] = "building"
    reading = read(tmp_path, "a.json", content)
    with pytest.raises(InputError, match=r"'building'; say which of urban, agriculture.*unlabelled"):
        reading.content.place(SMALL, reading.meanings, (0, 0))
    assert (reading.content.place(SMALL, {"building": 3}, (0, 0)).raster == 3).any()


def test_an_image_of_another_size_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a.json has t0_sat.jpg with 10 x 8 pixels and tile t0 is 544 x 509"):
        place(tmp_path, annotations([TRIANGLE]), PLAIN)


def test_a_file_without_the_tiles_image_is_refused_and_says_what_it_has(tmp_path):
    content = annotations([TRIANGLE], name="other.jpg")
    content["images"].append({"id": 4, "file_name": "more.jpg", "width": 10, "height": 8})
    with pytest.raises(InputError, match=r"no image of tile t0 \(t0_sat.jpg\); it has 2, such as other.jpg, more.jpg"):
        place(tmp_path, content)


def test_the_only_image_is_taken_for_the_tile_when_its_size_is_right(tmp_path):
    assert "other.jpg, was taken for the tile" in place(tmp_path, annotations([TRIANGLE], name="other.jpg")).notes[0]


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        ([[1, 1, 5, 5]], "Annotation 1 of a.json is a polygon of 2 corners"),
        ([[1, 1, 5]], "no flat list of x, y"),
        ([["a", 1, 2, 3, 4, 5]], "corners that are no pairs of numbers"),
        (None, "has no segmentation, only a box perhaps"),
        ({"size": [4, 4], "counts": [16]}, r"mask of size \[4, 4\] in an image of height and width \[8, 10\]"),
        ({"size": [8, 10], "counts": [5, 5]}, "does not fill its image of 10 x 8 pixels"),
        ({"size": [8, 10], "counts": "o"}, "run-length mask that is damaged"),
        ({"size": [8, 10], "counts": [1.5]}, "run-length mask that is damaged"),
    ],
)
def test_a_bad_segmentation_is_refused_and_named(tmp_path, segmentation, said):
    with pytest.raises(InputError, match=said):
        place(tmp_path, annotations(segmentation))


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("images", [], "lists no image"),
        ("images", [{"id": 3, "file_name": "t0.jpg"}], "without a file_name, id, width or height"),
        ("categories", [], "no list of categories"),
        ("categories", [{"id": 9}], "a category without an id or a name"),
        ("annotations", [7], "is no object with an image and a category"),
        ("annotations", [{"id": 1, "image_id": 8, "category_id": 9}], "names an image or a category that the file"),
    ],
)
def test_a_file_with_something_missing_is_refused(tmp_path, member, value, said):
    with pytest.raises(InputError, match=said):
        read(tmp_path, "a.json", annotations([TRIANGLE]) | {member: value})


def test_the_file_has_what_coco_asks_for():
    written = json.loads(coco.encode([(blocks_and_specks(0, (30, 30), block=7), SMALL)], info={"tool": "x"}))
    assert set(written) == {"info", "images", "annotations", "categories"}
    assert [category["name"] for category in written["categories"]] == list(CLASS_NAMES)
    ids = [annotation["id"] for annotation in written["annotations"]]
    assert ids == list(range(1, len(ids) + 1))
