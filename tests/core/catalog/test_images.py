from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from core.catalog.images import fingerprint, read_image, read_info, read_mask, read_valid, write_mask
from core.classes import PALETTE, IndexOrder, encode_colours, encode_indices
from core.errors import InputError
from tests.core.catalog.pictures import blocks, noise, write_picture, write_png_header

SHAPE = (48, 64)


def test_a_png_is_read_byte_for_byte_and_a_jpeg_nearly(tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(noise(), (0, 0), 5)
    assert (read_image(write_picture(tmp_path / "a.png", smooth)) == smooth).all()
    assert np.abs(read_image(write_picture(tmp_path / "a.jpg", smooth)).astype(int) - smooth).mean() < 4


def test_a_picture_without_georeference_has_half_a_metre_a_pixel(tmp_path: Path) -> None:
    info = read_info(write_picture(tmp_path / "a.jpg"))
    assert (info.width, info.height, info.metres_per_pixel_x, info.metres_per_pixel_y, info.crs) == (
        64,
        48,
        0.5,
        0.5,
        None,
    )


def test_a_file_is_known_by_its_bytes_not_by_its_name(tmp_path: Path) -> None:
    png = write_picture(tmp_path / "a.png")
    renamed = png.rename(tmp_path / "a.JPG")
    assert (read_image(renamed) == noise()).all()


def test_opencv_alone_would_take_a_truncated_jpeg_for_whole(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.jpg", noise(400, 400))
    path.write_bytes(path.read_bytes()[:-1000])
    assert cv2.imread(str(path)).shape == (400, 400, 3)
    with pytest.raises(InputError, match="cut short"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("kept", [0.5, 0.98])
def test_a_truncated_picture_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    path = write_picture(tmp_path / f"a{suffix}")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InputError, match=r"cut short|damaged"):
        read_image(path)


def test_a_jpeg_padded_behind_its_end_is_whole(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    assert read_image(path).shape == (48, 64, 3)


def test_an_exif_note_does_not_turn_the_picture_away_from_its_mask(tmp_path: Path) -> None:
    note = Image.Exif()
    note[0x0112] = 6  # "rotate by 90 degrees to show"
    Image.fromarray(noise()).save(tmp_path / "a.jpg", exif=note)
    assert read_image(tmp_path / "a.jpg").shape == (48, 64, 3)


def test_an_empty_file_and_a_text_named_jpg_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(InputError, match="0 bytes"):
        read_info(tmp_path / "empty.jpg")
    with pytest.raises(InputError, match="no JPEG, PNG or TIFF"):
        read_info(tmp_path / "text.jpg")


def test_a_file_that_may_not_be_read_or_is_gone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_picture(tmp_path / "a.jpg")

    def forbidden(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", forbidden)
        with pytest.raises(InputError, match="Permission denied"):
            read_info(path)
    with pytest.raises(InputError, match="cannot be read"):
        fingerprint(tmp_path / "gone.jpg")


def test_a_header_of_40000_by_40000_is_refused_and_never_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    path = write_png_header(tmp_path / "huge.png", 40_000, 40_000)
    for read in (read_info, read_image):
        with pytest.raises(InputError, match="40,000 x 40,000"):
            read(path)
    with pytest.raises(InputError, match="40,000 x 40,000"):
        read_mask(path, SHAPE)


def test_a_jpeg_that_claims_65000_by_65000_is_refused(tmp_path: Path) -> None:
    content = bytearray(write_picture(tmp_path / "a.jpg").read_bytes())
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = (65_000).to_bytes(2, "big") * 2
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(InputError, match="million"):
        read_info(tmp_path / "a.jpg")


def test_grey_is_repeated_and_of_four_bands_three_are_taken(tmp_path: Path) -> None:
    grey, four = noise()[..., 0], np.dstack([noise(), noise(seed=1)[..., :1]])
    Image.fromarray(grey).save(tmp_path / "grey.png")
    _write_tiff(tmp_path / "four.tif", np.moveaxis(four, -1, 0))
    assert (read_image(tmp_path / "grey.png") == grey[..., None]).all()
    assert (read_image(tmp_path / "four.tif") == noise()).all()


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_16_bits_are_stretched_between_the_2nd_and_98th_percentile(tmp_path: Path, suffix: str) -> None:
    ramp = np.tile(np.linspace(300, 3300, 1000), (10, 1)).astype(np.uint16)
    bands = np.stack([ramp] * 3)
    if suffix == ".tif":
        _write_tiff(tmp_path / "a.tif", bands)
    else:
        cv2.imwrite(str(tmp_path / "a.png"), np.moveaxis(bands, 0, -1))
    red = read_image(tmp_path / f"a{suffix}")[0, :, 0].astype(int)
    assert (red[:20] == 0).all()
    assert (red[-19:] == 255).all()
    assert abs(red[500] - 127) <= 1


def test_nodata_and_not_a_number_do_not_disturb_the_stretch(tmp_path: Path) -> None:
    band = np.tile(np.linspace(0, 1, 1000, dtype=np.float32), (10, 1))
    band[:5] = -9999
    band[5, :100] = np.nan
    _write_tiff(tmp_path / "a.tif", np.stack([band] * 3), nodata=-9999)
    assert abs(int(read_image(tmp_path / "a.tif")[9, 500, 0]) - 127) <= 2


def test_pixels_without_data_or_with_an_alpha_of_0_are_told_apart(tmp_path: Path) -> None:
    seen = np.ones(SHAPE, np.bool_)
    seen[3:7] = False
    bands = np.moveaxis(np.where(seen[..., None], np.maximum(noise(), 1), 0).astype(np.uint8), -1, 0)
    _write_tiff(tmp_path / "nodata.tif", bands, nodata=0)
    cv2.imwrite(str(tmp_path / "alpha.png"), np.dstack([noise(), np.where(seen, 255, 0).astype(np.uint8)]))
    for name in ("nodata.tif", "alpha.png"):
        valid = read_valid(tmp_path / name)
        assert valid is not None
        assert (valid == seen).all()


def test_an_image_that_shows_something_everywhere_has_no_such_mask(tmp_path: Path) -> None:
    _write_tiff(tmp_path / "plain.tif", np.moveaxis(noise(), -1, 0))
    _write_tiff(tmp_path / "full.tif", np.full((3, *SHAPE), 7, np.uint8), nodata=0)
    cv2.imwrite(str(tmp_path / "opaque.png"), np.dstack([noise(), np.full(SHAPE, 255, np.uint8)]))
    cv2.imwrite(str(tmp_path / "a.jpg"), noise())
    assert [read_valid(tmp_path / name) for name in ("plain.tif", "full.tif", "opaque.png", "a.jpg")] == [None] * 4


def test_a_mask_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_mask(tmp_path / "a_mask.png", blocks())
    mask = read_mask(tmp_path / "a_mask.png", SHAPE)
    assert (mask.raster == blocks()).all()
    assert (mask.off_palette, mask.undecidable) == (0, 0)


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    write_mask(tmp_path / "a_mask.png", blocks(32, 32))
    with pytest.raises(InputError, match="32 x 32 pixels but its image is 64 x 48"):
        read_mask(tmp_path / "a_mask.png", SHAPE)


def test_a_palette_png_in_deepglobes_colours_is_read_through_its_palette(tmp_path: Path) -> None:
    shuffled = np.array([6, 5, 4, 3, 2, 1, 0], np.uint8)  # palette entry of each class, unlabelled last
    indices = shuffled[np.where(blocks() == 255, 6, blocks())]
    image = Image.fromarray(indices)
    palette = np.zeros((7, 3), np.uint8)
    palette[shuffled] = PALETTE[:7]
    image.putpalette(palette.tobytes())
    image.save(tmp_path / "a_mask.png")
    assert (read_mask(tmp_path / "a_mask.png", SHAPE).raster == blocks()).all()


@pytest.mark.parametrize("ramp", [True, False])
def test_a_palette_png_in_other_colours_is_read_as_class_indices(tmp_path: Path, ramp: bool) -> None:
    image = Image.fromarray(blocks())
    colours = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1) if ramp else noise(256, 1)[0] | 3
    image.putpalette(colours.astype(np.uint8).tobytes())
    image.save(tmp_path / "a_mask.png")
    assert (read_mask(tmp_path / "a_mask.png", SHAPE).raster == blocks()).all()


def test_a_grey_ramp_is_no_palette_even_where_only_its_black_and_white_are_used(tmp_path: Path) -> None:
    raster = np.where(blocks() == 0, 0, 255).astype(np.uint8)
    image = Image.fromarray(raster)
    image.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    image.save(tmp_path / "a_mask.png")
    assert (read_mask(tmp_path / "a_mask.png", SHAPE).raster == raster).all()


@pytest.mark.parametrize("order", [IndexOrder.RASTER, IndexOrder.UNKNOWN_FIRST])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_class_indices_are_read_in_the_order_their_values_suggest(
    tmp_path: Path, order: IndexOrder, suffix: str
) -> None:
    Image.fromarray(encode_indices(blocks(), order)).save(tmp_path / f"a_mask{suffix}")
    assert (read_mask(tmp_path / f"a_mask{suffix}", SHAPE).raster == blocks()).all()


def test_a_png_of_four_bits_a_pixel_holds_indices_too(tmp_path: Path) -> None:
    raster = np.minimum(blocks(), 5)
    cv2_free = Image.fromarray(raster)
    cv2_free.putpalette(bytes(v for i in range(16) for v in (i * 17,) * 3))
    cv2_free.save(tmp_path / "a_mask.png", bits=4)
    assert (read_mask(tmp_path / "a_mask.png", SHAPE).raster == raster).all()


def test_a_few_indices_out_of_range_are_left_unlabelled_and_counted(tmp_path: Path) -> None:
    raster = blocks()
    raster[0, :5] = 77
    Image.fromarray(raster).save(tmp_path / "a_mask.png")
    mask = read_mask(tmp_path / "a_mask.png", SHAPE)
    assert (mask.off_palette, mask.undecidable) == (5, 5)
    assert (mask.raster[0, :5] == 255).all()
    assert (mask.raster[1:] == blocks()[1:]).all()


def test_a_mask_mostly_of_other_values_is_refused_with_the_values(tmp_path: Path) -> None:
    Image.fromarray(np.where(blocks() < 3, 41, 82).astype(np.uint8)).save(tmp_path / "a_mask.png")
    with pytest.raises(InputError, match="41, 82"):
        read_mask(tmp_path / "a_mask.png", SHAPE)


def test_colours_off_the_palette_are_snapped_and_counted_and_red_stays_unlabelled(tmp_path: Path) -> None:
    rgb = encode_colours(blocks())
    rgb[0, :3], rgb[0, 3:5] = (10, 240, 250), (255, 0, 0)
    write_picture(tmp_path / "a_mask.png", rgb)
    mask = read_mask(tmp_path / "a_mask.png", SHAPE)
    assert (mask.off_palette, mask.undecidable) == (5, 2)
    assert mask.raster[0, :5].tolist() == [0, 0, 0, 255, 255]


def _write_tiff(path: Path, bands: np.ndarray, nodata: float | None = None) -> None:
    count, height, width = bands.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=count,
        dtype=bands.dtype,
        nodata=nodata,
        crs="EPSG:32633",
        transform=from_origin(500_000, 5_000_000, 2, 3),
    ) as target:
        target.write(bands)
