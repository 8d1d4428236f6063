import os
from pathlib import Path

import pytest

from core.catalog.discover import Discovery, discover, find_mask, natural_key
from core.catalog.images import write_mask
from core.classes import encode_colours
from core.errors import InputError
from tests.core.catalog.pictures import SHARED, blocks, noise, write_pair, write_picture, write_png_header


def _names(found: Discovery) -> list[str]:
    return [tile.name for tile in found.tiles]


def _sentences(found: Discovery) -> str:
    return "\n".join(finding.sentence for finding in found.findings)


def test_a_flat_deepglobe_folder_is_found_with_its_masks(tmp_path: Path) -> None:
    for name in ("119", "20", "3"):
        write_pair(tmp_path, name)
    (tmp_path / "class_dict.csv").write_text("name,r,g,b")
    found = discover(tmp_path)
    assert _names(found) == ["3", "20", "119"]
    assert found.layout == "DeepGlobe folder"
    assert all(tile.mask_path == tmp_path / f"{tile.name}_mask.png" for tile in found.tiles)
    assert found.findings == ()


def test_glnets_lists_come_first_then_a_rule(tmp_path: Path) -> None:
    for name in ("119", "2774", "639004", "7", "8"):
        write_pair(tmp_path, name)
    by_name = {tile.name: (tile.split, tile.split_source) for tile in discover(tmp_path).tiles}
    assert by_name["119"] == ("train", "glnet")
    assert by_name["2774"] == ("val", "glnet")
    assert by_name["639004"] == ("test", "glnet")
    assert sorted([by_name["7"], by_name["8"]]) == [("train", "rule"), ("val", "rule")]


def test_kaggles_folders_are_the_split_where_no_list_knows_the_tile(tmp_path: Path) -> None:
    write_pair(tmp_path / "train", "1")
    write_picture(tmp_path / "valid" / "2_sat.jpg")
    write_picture(tmp_path / "test" / "3_sat.jpg")
    found = discover(tmp_path)
    assert found.layout == "split folders"
    assert [(t.name, t.split, t.split_source, t.mask_path is not None) for t in found.tiles] == [
        ("1", "train", "folder", True),
        ("2", "val", "folder", False),
        ("3", "test", "folder", False),
    ]


def test_a_lone_train_folder_still_leaves_tiles_to_validate_on(tmp_path: Path) -> None:
    for name in "abcd":
        write_pair(tmp_path / "land-train", name)
    assert {tile.split for tile in discover(tmp_path).tiles} == {"train", "val"}


def test_pairs_and_images_without_mask_are_dealt_separately(tmp_path: Path) -> None:
    for number in range(4):
        write_pair(tmp_path, f"pair{number}")
        write_picture(tmp_path / f"bare{number}_sat.jpg")
    validating = [tile for tile in discover(tmp_path).tiles if tile.split == "val"]
    assert sorted(tile.mask_path is not None for tile in validating) == [False, True]


@pytest.mark.parametrize("mask", ["field_mask.png", "field_mask.TIF", "masks/field.png", "labels/field_mask.png"])
def test_any_image_is_named_by_its_stem_and_finds_its_mask(tmp_path: Path, mask: str) -> None:
    write_picture(tmp_path / "field.PNG")
    (tmp_path / mask).parent.mkdir(exist_ok=True)
    write_mask(tmp_path / "mask.out", blocks())
    (tmp_path / "mask.out").rename(tmp_path / mask)
    found = discover(tmp_path)
    assert [(tile.name, tile.mask_path) for tile in found.tiles] == [("field", tmp_path / mask)]
    assert found.findings == ()
    assert find_mask(tmp_path, "field") == tmp_path / mask


def test_masks_beside_an_images_folder_are_found(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.tif")
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / "a.png", blocks())
    assert discover(tmp_path).tiles[0].mask_path == tmp_path / "masks" / "a.png"


def test_spaces_unicode_and_upper_case_in_names_are_fine(tmp_path: Path) -> None:
    write_picture(tmp_path / "Größe 1 – ostrów_SAT.JPG")
    assert _names(discover(tmp_path)) == ["Größe 1 – ostrów"]


def test_capitals_in_names_endings_and_folders_still_pair(tmp_path: Path) -> None:
    for image, mask in (("1_SAT.JPG", "1_MASK.PNG"), ("Images/2.TIF", "Masks/2.png"), ("3_Sat.jpeg", "LABELS/3.PNG")):
        write_picture(tmp_path / image)
        write_picture(tmp_path / mask, encode_colours(blocks()))
    found = discover(tmp_path)
    assert {tile.name: tile.mask_path and tile.mask_path.name for tile in found.tiles} == {
        "1": "1_MASK.PNG",
        "2": "2.png",
        "3": "3.PNG",
    }
    assert found.findings == ()


def test_a_folder_of_masks_alone_and_a_pipe_are_refused_at_once(tmp_path: Path) -> None:
    write_picture(tmp_path / "masks" / "1.png", encode_colours(blocks()))
    with pytest.raises(InputError, match=r"only masks \(1\) and no image"):
        discover(tmp_path)
    os.mkfifo(tmp_path / "2_sat.jpg")
    with pytest.raises(InputError, match=r"2_sat\.jpg is no plain file"):
        discover(tmp_path)


def test_an_empty_folder_a_missing_one_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(InputError, match="holds no image"):
        discover(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        discover(tmp_path / "gone")
    with pytest.raises(InputError, match="is a file"):
        discover(tmp_path / "readme.txt")


def test_bad_files_among_good_ones_are_reported_and_left_out(tmp_path: Path) -> None:
    write_pair(tmp_path, "1")
    cut = write_picture(tmp_path / "2_sat.jpg")
    cut.write_bytes(cut.read_bytes()[:700])
    (tmp_path / "3_sat.jpg").touch()
    (tmp_path / "4_sat.jpg").write_text("no picture")
    write_png_header(tmp_path / "5_sat.png", 40_000, 40_000)
    found = discover(tmp_path)
    assert _names(found) == ["1"]
    assert {finding.tile_name: finding.severity for finding in found.findings} == dict.fromkeys("2345", "error")
    for part in ("cut short", "0 bytes", "no JPEG, PNG or TIFF", "40,000 x 40,000"):
        assert part in _sentences(found)


def test_when_every_image_is_bad_the_first_reason_is_given(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError, match=r"No image in .*0 bytes"):
        discover(tmp_path)


def test_a_file_without_permission_is_reported_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pair(tmp_path, "1")
    locked = write_picture(tmp_path / "2_sat.jpg")
    really_open = Path.open

    def guarded(self: Path, *args: object, **kwargs: object) -> object:
        if self == locked:
            raise PermissionError(13, "Permission denied", str(self))
        return really_open(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", guarded)
    found = discover(tmp_path)
    assert _names(found) == ["1"]
    assert "2_sat.jpg cannot be read (Permission denied)" in _sentences(found)


def test_a_mask_of_another_size_is_left_out_and_its_image_kept(tmp_path: Path) -> None:
    write_pair(tmp_path, "1")
    write_mask(tmp_path / "1_mask.png", blocks(20, 20))
    found = discover(tmp_path)
    assert found.tiles[0].mask_path is None
    assert [finding.path.name for finding in found.findings] == ["1_mask.png"]
    assert "20 x 20 pixels but its image is 64 x 48" in _sentences(found)


def test_a_damaged_mask_is_left_out_and_its_image_kept(tmp_path: Path) -> None:
    write_pair(tmp_path, "1")
    (tmp_path / "1_mask.png").write_bytes((tmp_path / "1_mask.png").read_bytes()[:60])
    found = discover(tmp_path)
    assert found.tiles[0].mask_path is None
    assert "cut short" in _sentences(found)


def test_a_mask_without_an_image_is_reported(tmp_path: Path) -> None:
    write_pair(tmp_path, "1")
    write_mask(tmp_path / "9_mask.png", blocks())
    found = discover(tmp_path)
    assert [(finding.path.name, finding.severity) for finding in found.findings] == [("9_mask.png", "warning")]


def test_the_second_image_of_one_id_is_reported_and_left_out(tmp_path: Path) -> None:
    write_pair(tmp_path / "a", "1")
    write_pair(tmp_path / "b", "1")
    found = discover(tmp_path)
    assert [tile.image_path for tile in found.tiles] == [tmp_path / "a" / "1_sat.jpg"]
    assert [finding.path for finding in found.findings] == [tmp_path / "b" / "1_sat.jpg"]
    assert "second image named 1" in _sentences(found)


def test_a_name_that_is_not_utf8_is_reported_and_left_out(tmp_path: Path) -> None:
    write_pair(tmp_path, "1")
    strange = os.fsdecode(b"caf\xe9_sat.jpg")
    write_picture(tmp_path / "x.jpg").rename(tmp_path / strange)
    found = discover(tmp_path)
    assert _names(found) == ["1"]
    assert "not UTF-8" in _sentences(found)
    _sentences(found).encode()


def test_hidden_files_and_macos_leftovers_are_ignored(tmp_path: Path) -> None:
    write_pair(tmp_path, "1")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "1_sat.jpg").write_bytes(b"fork")
    (tmp_path / "._1_sat.jpg").write_bytes(b"fork")
    found = discover(tmp_path)
    assert _names(found) == ["1"]
    assert found.findings == ()


def test_numbers_are_sorted_by_value_before_words() -> None:
    assert sorted(["b", "10", "A", "9", "²"], key=natural_key) == ["9", "10", "A", "b", "²"]


def test_a_folder_is_read_by_names_and_headers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_picture(tmp_path / "a.png", noise(2000, 2000))
    monkeypatch.setattr("core.catalog.images.cv2.imdecode", lambda *_: pytest.fail("decoded a picture"))
    assert _names(discover(tmp_path)) == ["a"]


@pytest.mark.real
def test_the_real_tiles_have_glnets_splits() -> None:
    folder = SHARED / "deepglobe/land-train"
    if not folder.is_dir():
        pytest.skip("the real tiles are not beside this checkout")
    found = discover(folder)
    assert found.findings == ()
    assert {tile.split_source for tile in found.tiles} == {"glnet"}
    assert [tile.name for tile in found.tiles if tile.split == "val"] == ["2774", "180902"]
