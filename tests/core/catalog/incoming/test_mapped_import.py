"""Foreign layouts: patterns, tables of classes, and what an import writes."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from core.catalog.catalogue import collections, tiles
from core.catalog.images import read_image, read_info, read_mask, read_valid
from core.catalog.incoming import mapped_import
from core.catalog.incoming.colour_tables import ColourTable, TableRow, colour_of, values_in
from core.catalog.incoming.layout_presets import LOVEDA, OPEN_EARTH_MAP, PRESETS
from core.catalog.incoming.mapped_import import LayoutMapping, import_mapped, mapping_from_json
from core.catalog.incoming.mapped_layout import match
from core.cli import main
from core.errors import CancelledError, InputError
from core.progress import SilentProgress
from core.workspace import open_workspace
from tests.core.catalog.pictures import noise, write_picture

HEIGHT, WIDTH = 48, 64


def _indices(last: int) -> np.ndarray:
    """A mask whose columns hold 0..last."""
    columns = np.arange(WIDTH) * (last + 1) // WIDTH
    return np.tile(columns.astype(np.uint8), (HEIGHT, 1))


def _write_index(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", values)[1].tobytes())
    return path


def _loveda(root: Path) -> Path:
    """Two training tiles, one validation tile without a mask, in LoveDA's folders."""
    for part, name in (("Train/Urban", "10"), ("Train/Rural", "2"), ("Val/Rural", "119")):
        write_picture(root / part / "images_png" / f"{name}.png", noise(seed=int(name)))
        if part != "Val/Rural":
            _write_index(root / part / "masks_png" / f"{name}.png", _indices(7))
    return root


def _mapping(**others: object) -> LayoutMapping:
    fields = {"image_pattern": LOVEDA.image_pattern, "mask_pattern": LOVEDA.mask_pattern, "table": LOVEDA.table}
    return LayoutMapping(**{**fields, **others})  # type: ignore[arg-type]


def _write_tiff(path: Path, bands: np.ndarray, **profile: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    options = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": bands.dtype, **profile}
    with rasterio.open(path, "w", **options) as target:
        target.write(bands)
    return path


def test_loveda_is_found_converted_and_split_by_its_folders(tmp_path: Path) -> None:
    root = _loveda(tmp_path / "LoveDA")
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps(_mapping(metres_per_pixel=0.3).to_json()))
    arguments = ("--data", str(root), "--mapping", str(mapping), "--to", "LoveDA", "--workspace", str(tmp_path / "ws"))
    assert main(["import-mapped", *arguments]) == 0
    workspace = open_workspace(tmp_path / "ws")
    (collection,) = collections(workspace)
    rows = {row.name: row for row in tiles(workspace, collection.id)}
    assert {name: row.split for name, row in rows.items()} == {"2": "train", "10": "train", "119": "val"}
    assert rows["119"].split_source == "folder", "119 is an id of DeepGlobe's too, and must not be taken for that tile"
    assert rows["2"].metres_per_pixel_x == pytest.approx(0.3)
    raster = read_mask(Path(rows["2"].mask_path or ""), (HEIGHT, WIDTH)).raster
    expected = np.array([255, 255, 0, 0, 4, 5, 3, 1], np.uint8)[_indices(7)]
    assert (raster == expected).all()
    assert main(["import-mapped", *arguments]) == 0, "a job that was paused while it indexed goes on"
    other = _mapping(metres_per_pixel=0.5)
    mapping.write_text(json.dumps(other.to_json()))
    assert main(["import-mapped", *arguments]) == 2, "another mapping is another import"
    image = Path(rows["2"].image_path)
    assert image.is_symlink()
    assert (read_image(image) == noise(seed=2)).all()


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_a_presets_indices_and_colours_become_the_same_classes(preset: object, tmp_path: Path) -> None:
    table = preset.table  # type: ignore[attr-defined]
    rows = [row for row in table.rows if row.index is not None]
    indices = np.array([[row.index for row in rows]], np.uint8)
    colours = np.array([[row.colour for row in rows]], np.uint8)
    by_index = table.decode(_write_index(tmp_path / "index.png", indices), indices.shape)
    by_colour = table.decode(write_picture(tmp_path / "colour.png", colours), indices.shape)
    assert (by_index.raster == by_colour.raster).all()
    assert by_index.off_palette == by_colour.off_palette == 0


def test_openearthmap_keeps_its_place_on_the_ground(tmp_path: Path) -> None:
    profile = {"crs": "EPSG:32631", "transform": from_origin(500_000, 5_000_000, 0.25, 0.25)}
    pixels = np.moveaxis(noise(), -1, 0)
    _write_tiff(tmp_path / "oem" / "aachen" / "images" / "aachen_1.TIF", pixels, **profile)
    _write_tiff(tmp_path / "oem" / "aachen" / "labels" / "aachen_1.tif", _indices(8)[None], **profile)
    preset = OPEN_EARTH_MAP
    mapping = LayoutMapping(preset.image_pattern, preset.mask_pattern, preset.table, metres_per_pixel=9.0)
    done = import_mapped(tmp_path / "oem", mapping, tmp_path / "in", SilentProgress())
    assert (done.linked, done.masks, done.findings) == (1, 1, ())
    info = read_info(tmp_path / "in" / "images" / "aachen_1.tif")
    assert (info.crs, info.metres_per_pixel_x) == ("EPSG:32631", 0.25), "what a file says itself counts"
    raster = read_mask(tmp_path / "in" / "masks" / "aachen_1.png", (HEIGHT, WIDTH)).raster
    assert (raster == np.array([255, 5, 2, 0, 0, 3, 4, 1, 0], np.uint8)[_indices(8)]).all()


def test_bands_are_chosen_stretched_and_keep_place_and_nodata(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(100, 4000, (4, HEIGHT, WIDTH), dtype=np.uint16)
    values[:, :, :8] = 0
    place = {"crs": "EPSG:32631", "transform": from_origin(500_000, 5_000_000, 2, 2), "nodata": 0}
    _write_tiff(tmp_path / "s" / "images" / "a b ä.tif", values, **place)
    mapping = _mapping(
        image_pattern="images/{id}.tif",
        mask_pattern="",
        bands=(4, 3, 2),
        percentiles=(0.0, 100.0),
        metres_per_pixel=1.0,
    )
    done = import_mapped(tmp_path / "s", mapping, tmp_path / "in", SilentProgress())
    assert (done.written, done.linked) == (1, 0)
    path = tmp_path / "in" / "images" / "a b ä.tif"
    assert (read_info(path).crs, read_info(path).metres_per_pixel_x) == ("EPSG:32631", 2)
    valid = read_valid(path)
    assert valid is not None
    assert not valid[:, :8].any()
    assert valid[:, 8:].all()
    picture = read_image(path)[:, 8:].astype(int)
    for channel, band in enumerate((3, 2, 1)):
        there = values[band][:, 8:].astype(float)
        expected = (there - there.min()) / (there.max() - there.min()) * 255
        assert np.abs(picture[..., channel] - expected).max() <= 2


def test_bad_files_are_listed_and_the_others_come_in(tmp_path: Path) -> None:
    root = _loveda(tmp_path / "LoveDA")
    (root / "Train/Urban/images_png/3.png").write_bytes(b"no picture")
    write_picture(root / "Train/Urban/images_png/4.png", noise())
    _write_index(root / "Train/Urban/masks_png/4.png", np.zeros((5, 5), np.uint8))
    strange = _indices(7)
    strange[0, :10] = 77
    _write_index(root / "Train/Rural/masks_png/2.png", strange)
    _write_index(root / "Train/Rural/masks_png/99.png", strange)
    write_picture(root / "Val/Urban/images_png/10.png", noise())
    done = import_mapped(root, _mapping(), tmp_path / "in", SilentProgress())
    said = " ".join(finding.sentence for finding in done.findings)
    for part in ("3.png is no JPEG", "4.png is 5 x 5", "10 pixels (0.33%)", "has no image", "second image named 10"):
        assert part in said
    assert (done.linked, done.masks) == (4, 2)


def test_a_cancel_or_a_bad_folder_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cancelling(SilentProgress):
        def update(self, done: float, total: float, message: str) -> None:
            if done:
                raise CancelledError

    root = _loveda(tmp_path / "LoveDA")
    (tmp_path / "imports").mkdir()
    with pytest.raises(CancelledError):
        import_mapped(root, _mapping(), tmp_path / "imports" / "in", Cancelling())
    with pytest.raises(InputError, match="matches no file"):
        import_mapped(root, _mapping(image_pattern="x/{id}.png"), tmp_path / "imports" / "in", SilentProgress())
    monkeypatch.setattr(mapped_import, "read_info", _refuse)
    with pytest.raises(InputError, match="No image in"):
        import_mapped(root, _mapping(), tmp_path / "imports" / "in", SilentProgress())
    assert not any((tmp_path / "imports").iterdir())


def _refuse(path: Path) -> None:
    raise InputError(f"{path} is bad")


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [("images/*.png", "exactly once"), ("/etc/{id}.png", "leaves the folder"), ("../{id}.png", "leaves the folder")],
)
def test_a_pattern_names_one_id_below_the_folder(pattern: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        match(tmp_path, pattern, "")


def test_patterns_are_literal_but_for_their_marks_and_ignore_case(tmp_path: Path) -> None:
    for name in ("IMG/a_[1].PNG", "img/deep/b.png", "other/c.png", "img/a_1.png"):
        write_picture(tmp_path / name)
    assert [name for name, _, _ in match(tmp_path, "img/{id}_[1].png", "").tiles] == ["a"]
    assert [name for name, _, _ in match(tmp_path, "**/deep/{id}.p?g", "").tiles] == ["b"]
    assert len(match(tmp_path, "**/{id}.png", "").tiles) == 4
    wide = match(tmp_path, "**/{id}.png", "other/{id}.png")
    assert [name for name, _, _ in wide.tiles] == ["a_1", "a_[1]", "b"], "what is a mask is no image"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ((), "has 0 rows"),
        ((TableRow("a", 1, None, "lawn"),), "to 'lawn'"),
        ((TableRow("a", None, None, "water"),), "neither an index nor a colour"),
        ((TableRow("a", 1, None, "water"), TableRow("b", 1, None, "urban")), "index 1 twice"),
        ((TableRow("a", None, (1, 2, 3), "water"), TableRow("b", None, (1, 2, 3), "urban")), "#010203 twice"),
        ((TableRow("a", 300, None, "water"),), "0 to 255"),
    ],
)
def test_a_bad_table_is_one_sentence(rows: tuple[TableRow, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        ColourTable(rows)


def test_a_mask_of_which_nothing_is_known_says_what_it_holds(tmp_path: Path) -> None:
    path = _write_index(tmp_path / "m.png", np.full((4, 4), 42, np.uint8))
    with pytest.raises(InputError, match="the indices 42"):
        LOVEDA.table.decode(path, (4, 4))
    assert values_in(path) == [(42, 1.0)]


def test_a_mapping_comes_back_from_its_file(tmp_path: Path) -> None:
    mapping = _mapping(bands=(4, 3, 2), percentiles=(1.0, 99.0), metres_per_pixel=0.3)
    assert mapping_from_json(json.loads(json.dumps(mapping.to_json()))) == mapping
    with pytest.raises(InputError, match="cannot be read"):
        mapping_from_json({"table": []})
    with pytest.raises(InputError, match="no colour"):
        colour_of("reddish")
    for bad in ({"bands": (0, 1, 2)}, {"percentiles": (9.0, 1.0)}, {"metres_per_pixel": 0.0}):
        with pytest.raises(InputError):
            _mapping(**bad)
