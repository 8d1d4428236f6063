"""Rasters of any size: the same as a tile at once, bounded memory, what is bad about them, and nothing half-written."""

import resource
import shutil
import tracemalloc
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import torch
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin
from torch import nn

from core.classes import PALETTE
from core.errors import CancelledError, InputError, NotSavedError
from core.inference import network as network_module
from core.inference import raster as module
from core.inference import raster_cells, raster_target
from core.inference.network import NetworkSegmenter
from core.inference.predict import head_logits, upsampled_probabilities
from core.inference.raster import predict_raster
from core.inference.raster_cells import head_reach, predict_cells
from core.inference.raster_source import RasterSource
from core.inference.switches import Switches
from core.inference.tta import views
from core.inference.windows import TooLargeError
from core.progress import SilentProgress
from core.training.cell_grid import cell_grid
from core.training.recipe import Recipe
from models.heads import ContextLinearHead, ConvolutionalHead, EnsembleHead
from models.networks import NetworkOutput

PLACE = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_000, 0.5, 0.5)}


class Colours(nn.Module):
    """Logits that are the pixel's colours, and which way they fall off: nothing but the pixel itself."""

    kind = "network"
    alignment, smallest = 32, 32
    whole_tile = at_training_size = needs_place = False
    needs_context = "none"

    def forward(self, images, context):
        colours = images.float() / 64
        return NetworkOutput(torch.cat([colours, 3 - colours.flip(1)], dim=1), [], None)


def segmenter(network=None, resolution_m=0.5):
    recipe = Recipe(train="whole", encoder="efficientnet-lite0", resolution_m=resolution_m, patch=64)
    return NetworkSegmenter(None, recipe, network or Colours(), torch.device("cpu"))


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    monkeypatch.setattr(network_module, "WHOLE_UP_TO", 64)
    monkeypatch.setattr(network_module, "WINDOW", 64)
    monkeypatch.setattr(module, "WINDOW", 64)


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def write(path, image, **options):
    bands = image if image.ndim == 2 else np.moveaxis(image, -1, 0)
    bands = bands[None] if bands.ndim == 2 else bands
    colours = options.pop("colorinterp", None)
    profile = {"driver": "GTiff", "count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
    with rasterio.open(path, "w", dtype=bands.dtype, **(profile | options)) as target:
        target.write(bands)
        if colours:
            target.colorinterp = colours
    return path


def predicted(path, tmp_path, **options):
    result = predict_raster(
        options.pop("segmenter", segmenter()), path, tmp_path / "out.tif", progress=SilentProgress(), **options
    )
    with rasterio.open(tmp_path / "out.tif") as made:
        return made.read(1), result


@pytest.mark.parametrize("size", [(1, 1), (31, 400), (245, 247), (300, 40)])
def test_a_raster_is_predicted_as_a_tile_is(size, tmp_path):
    image = picture(*size)
    found, result = predicted(write(tmp_path / "in.tif", image, **PLACE), tmp_path)
    assert (found == segmenter().predict(image)).mean() >= 0.999
    assert (result["height"], result["width"]) == size
    assert result["notes"] == []


@pytest.mark.parametrize("resolution", [0.7, 1.0, 3.0])
def test_a_finer_raster_is_predicted_at_the_runs_resolution_as_a_tile_is(resolution, tmp_path):
    image = np.kron(picture(14, 11), np.ones((24, 24, 1), np.uint8))[:-3, :-5]
    made = segmenter(resolution_m=resolution)
    found, _ = predicted(write(tmp_path / "in.tif", image, **PLACE), tmp_path, segmenter=made)
    assert (found == made.predict(image)).mean() > 0.95  # by less than half a working pixel they lie elsewhere


def test_it_lies_in_the_same_place_in_the_palette_and_in_blocks_with_overviews(tmp_path):
    predicted(write(tmp_path / "in.tif", picture(600, 700), **PLACE), tmp_path, probabilities=True)
    with rasterio.open(tmp_path / "out.tif") as made:
        assert (made.crs.to_epsg(), made.transform, made.nodata) == (32633, PLACE["transform"], 255)
        assert made.colormap(1)[3][:3] == tuple(PALETTE[3])
        assert made.block_shapes == [(512, 512)]
        assert made.overviews(1) == [2]
        assert made.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        classes = made.read(1)
    with rasterio.open(tmp_path / "out_probabilities.tif") as made:
        scaled = made.read()
        assert made.descriptions[0] == "urban"
    assert scaled.shape == (6, 600, 700)
    assert np.abs(scaled.sum(axis=0).astype(int) - 255).max() <= 3
    assert (scaled.max(axis=0) == np.take_along_axis(scaled, classes[None], axis=0)[0]).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tif", "out.tif", "out_probabilities.tif"]


def test_strips_without_data_and_transparent_pixels_become_unlabelled(tmp_path):
    image = np.maximum(picture(300, 200), 1)
    image[100:180] = 0
    found, _ = predicted(write(tmp_path / "in.tif", image, nodata=0, **PLACE), tmp_path)
    assert (found[100:180] == 255).all()
    assert (found[:100] != 255).all()
    alpha = np.full((300, 200, 1), 255, np.uint8)
    alpha[:, 30:90] = 0
    kinds = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    path = write(tmp_path / "alpha.tif", np.concatenate([picture(300, 200), alpha], axis=2), colorinterp=kinds)
    found, _ = predicted(path, tmp_path, probabilities=True)
    assert (found[:, 30:90] == 255).all()
    assert (found[:, 90:] != 255).all()
    with rasterio.open(tmp_path / "out_probabilities.tif") as made:
        assert not made.read()[:, :, 30:90].any()


def test_windows_without_a_picture_never_reach_the_network(tmp_path):
    class Counting(Colours):
        seen = 0

        def forward(self, images, context):
            self.seen += len(images)
            return super().forward(images, context)

    full, empty = Counting(), Counting()
    image = np.maximum(picture(1500, 100), 1)
    predicted(write(tmp_path / "in.tif", image, nodata=0), tmp_path, segmenter=segmenter(full))
    image[100:] = 0
    found, _ = predicted(write(tmp_path / "in.tif", image, nodata=0), tmp_path, segmenter=segmenter(empty))
    assert empty.seen < full.seen / 2
    assert (found[100:] == 255).all()


def test_sixteen_bits_are_stretched_and_it_is_said(tmp_path):
    image = picture(200, 150)
    wide = image.astype(np.uint16) * 40 + 1000
    found, result = predicted(write(tmp_path / "in.tif", wide, **PLACE), tmp_path)
    assert "uint16" in result["notes"][0]
    assert "percentiles" in result["notes"][0]
    assert (found == segmenter().predict(image)).mean() > 0.9  # 2 % at each end are cut


def test_numbers_that_are_none_are_no_data_problem(tmp_path):
    image = picture(80, 80).astype(np.float32)
    image[10:20] = np.nan
    found, _ = predicted(write(tmp_path / "in.tif", image, nodata=np.nan, **PLACE), tmp_path)
    assert (found[10:20] == 255).all()
    assert (found[20:] != 255).all()


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_pictures_are_rasters_too_and_their_resolution_is_assumed_aloud(suffix, tmp_path):
    driver = {"png": "PNG", "jpg": "JPEG"}[suffix]
    path = write(tmp_path / f"in.{suffix}", picture(70, 90), driver=driver)
    found, result = predicted(path, tmp_path)
    assert found.shape == (70, 90)
    assert "0.5 m a pixel is assumed" in result["notes"][0]
    with rasterio.open(tmp_path / "out.tif") as made:
        assert made.crs is None


def test_grey_and_palette_rasters_are_read_as_colours(tmp_path):
    grey = picture(80, 70)[..., 0]
    found, _ = predicted(write(tmp_path / "in.tif", grey), tmp_path)
    assert (found == segmenter().predict(np.repeat(grey[..., None], 3, axis=2))).all()
    table = picture(1, 256)[0]
    with rasterio.open(
        tmp_path / "in.tif", "w", driver="GTiff", dtype="uint8", count=1, height=80, width=70, photometric="palette"
    ) as target:
        target.write_colormap(1, {index: (*map(int, colour), 255) for index, colour in enumerate(table)})
        target.write(grey, 1)
    found, _ = predicted(tmp_path / "in.tif", tmp_path)
    assert (found == segmenter().predict(table[grey])).all()


@pytest.mark.parametrize("tta", ["flips", "scales"])
def test_views_are_averaged(tta, tmp_path):
    image = np.kron(picture(10, 8), np.ones((20, 20, 1), np.uint8))
    found, _ = predicted(write(tmp_path / "in.tif", image, **PLACE), tmp_path, switches=Switches(tta))
    assert (found == segmenter().predict(image, tta=tta)).mean() > 0.99


def files(folder):
    return sorted(path.name for path in folder.rglob("*"))


class _Stop(SilentProgress):
    def __init__(self, moment):
        super().__init__()
        self.left = moment

    def update(self, done, total, message):
        self.left -= 1
        if self.left < 0:
            raise CancelledError


@pytest.mark.parametrize("moment", [0, 1, 7])
def test_a_cancel_keeps_the_file_that_was_there_and_leaves_no_other(moment, tmp_path):
    path = write(tmp_path / "in.tif", picture(300, 200))
    (tmp_path / "out.tif").write_bytes(b"what was there")
    with pytest.raises(CancelledError):
        predict_raster(segmenter(), path, tmp_path / "out.tif", progress=_Stop(moment))
    assert files(tmp_path) == ["in.tif", "out.tif"]
    assert (tmp_path / "out.tif").read_bytes() == b"what was there"


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    path = write(tmp_path / "in.tif", picture(1200, 100))
    usage = namedtuple("usage", "total used free")
    found = iter([10**12, 0])
    monkeypatch.setattr(raster_target.shutil, "disk_usage", lambda _: usage(0, 0, next(found)))
    with pytest.raises(NotSavedError, match="no space is left on the disk; nothing was changed there"):
        predict_raster(segmenter(), path, tmp_path / "out.tif", progress=SilentProgress())
    assert files(tmp_path) == ["in.tif"]


@pytest.mark.parametrize("share", [0.01, 0.4, 0.99])
def test_a_disk_that_takes_no_more_bytes_is_told_of_at_every_stage(share, tmp_path):
    """A limit on the size of files stands in for the disk: the operating system refuses the write itself."""
    path = write(tmp_path / "in.tif", picture(600, 600), **PLACE)
    predicted(path, tmp_path)
    size = (tmp_path / "out.tif").stat().st_size
    (tmp_path / "out.tif").unlink()
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * share), usual[1]))
    try:
        with pytest.raises(NotSavedError, match="nothing was changed there") as refused:
            predict_raster(segmenter(), path, tmp_path / "out.tif", progress=SilentProgress())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert "previous exception" not in str(refused.value)
    assert files(tmp_path) == ["in.tif"]


def test_a_disk_that_fills_up_while_a_file_is_closed_is_found_out(tmp_path, monkeypatch):
    path = write(tmp_path / "in.tif", picture(600, 600))

    def cut_short(_source, ready, **_options):
        shutil.copy(tmp_path / "in.tif", ready)
        with ready.open("r+b") as stream:
            stream.truncate(600)

    monkeypatch.setattr(raster_target.rasterio.shutil, "copy", cut_short)
    with pytest.raises(NotSavedError):
        predict_raster(segmenter(), path, tmp_path / "out.tif", progress=SilentProgress())
    assert files(tmp_path) == ["in.tif"]


def test_an_output_that_cannot_be_made_is_refused(tmp_path):
    path = write(tmp_path / "in.tif", picture(40, 40))
    with pytest.raises(InputError, match=r"does not end in \.tif"):
        predict_raster(segmenter(), path, tmp_path / "out.png", progress=SilentProgress())
    with pytest.raises(NotSavedError):
        predict_raster(segmenter(), path, path / "out.tif", progress=SilentProgress())


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "no GeoTIFF"), (b"II*\x00nonsense", "damaged"), (None, "There is no file")]
)
def test_what_is_no_raster_is_refused_in_a_sentence(content, told, tmp_path):
    if content is not None:
        (tmp_path / "in.tif").write_bytes(content)
    with pytest.raises(InputError, match=told):
        predict_raster(segmenter(), tmp_path / "in.tif", tmp_path / "out.tif", progress=SilentProgress())


def test_a_raster_that_is_cut_short_is_refused_and_leaves_nothing(tmp_path):
    path = write(tmp_path / "in.tif", picture(900, 300))
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)
    with pytest.raises(InputError, match="cut short or damaged"):
        predict_raster(segmenter(), path, tmp_path / "out.tif", progress=SilentProgress())
    assert files(tmp_path) == ["in.tif"]


def test_where_memory_runs_out_it_starts_anew_with_smaller_windows(tmp_path):
    class Large(Colours):
        def forward(self, images, context):
            if images.shape[-1] > 32:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(images, context)

    image = picture(130, 100)
    found, _ = predicted(write(tmp_path / "in.tif", image), tmp_path, segmenter=segmenter(Large()))
    assert (found == segmenter().predict(image)).mean() > 0.999


def test_progress_tells_the_time_that_is_left(tmp_path):
    told = []

    class Listening(SilentProgress):
        def update(self, done, total, message):
            told.append(message)

    path = write(tmp_path / "in.tif", picture(300, 200), **PLACE)
    predict_raster(segmenter(), path, tmp_path / "out.tif", progress=Listening())
    assert any(message.endswith(" left") for message in told)
    assert told[-1] == "Writing the prediction"


def test_memory_does_not_grow_with_the_height(tmp_path):
    """Less than a byte for each further pixel: the whole picture, classes or scores would take 24, 8 or 190 MB.

    How far the reader is ahead at the worst moment is luck, and some megabytes.
    """
    peaks = []
    for height in (1000, 64_000):
        path = write(tmp_path / "in.tif", np.zeros((height, 128, 3), np.uint8))
        tracemalloc.start()
        predict_raster(segmenter(), path, tmp_path / "out.tif", progress=SilentProgress())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 63_000 * 128


class _MeanColours:
    """An extractor whose features are the mean colours of cells: nothing beyond a block's border counts."""

    channels = 3
    device = torch.device("cpu")

    def __init__(self, resolution_m):
        self.resolution_m = resolution_m

    def grid(self, size, metres_per_pixel):
        return cell_grid(size, metres_per_pixel=metres_per_pixel, resolution_m=self.resolution_m)

    def extract(self, image, grid, *, transform=None, progress=None):
        rows, columns = grid.cells
        assert image.shape[:2] == grid.working
        padded = np.pad(image, ((0, rows * 8 - image.shape[0]), (0, columns * 8 - image.shape[1]), (0, 0)), mode="edge")
        return padded.reshape(rows, 8, columns, 8, 3).mean(axis=(1, 3)).transpose(2, 0, 1).astype(np.float16) / 64


@pytest.mark.parametrize("size", [(1, 1), (31, 400), (245, 247), (500, 40), (333, 130)])
@pytest.mark.parametrize("resolution", [0.5, 1.0])
def test_a_head_sees_across_the_borders_of_blocks_as_within_a_tile(size, resolution, tmp_path, monkeypatch):
    monkeypatch.setattr(raster_cells, "HALO", 32)
    monkeypatch.setattr(raster_cells, "_CELLS_AT_ONCE", 10)
    head = ContextLinearHead(channels=3, classes=6, windows=(1, 5, 15))
    nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(0))
    extractor = _MeanColours(resolution)
    image = picture(*size)
    found = np.full((6, *size), np.nan, np.float32)

    def emit(top, scores):
        found[:, top : top + scores.shape[1]] = scores

    with RasterSource(write(tmp_path / "in.tif", image, **PLACE), resolution_m=resolution) as source:
        stand_in = SimpleNamespace(extractor=extractor, head=head)
        predict_cells(stand_in, source, views("none"), emit, block=64, progress=SilentProgress())
        working = np.concatenate([rows.pixels for rows in source.working_rows()])
        grid = extractor.grid(size, source.metres_per_pixel)
        assert source.working == grid.working
    logits = head_logits(head, extractor.extract(working, grid), extractor.device)
    expected = upsampled_probabilities(logits, grid)
    assert np.allclose(torch.from_numpy(found).softmax(dim=0).numpy(), expected, atol=2e-3)


def test_a_head_that_runs_out_of_memory_says_so_that_smaller_blocks_can_be_tried(tmp_path):
    class Greedy(_MeanColours):
        def extract(self, *_arguments, **_options):
            raise RuntimeError("[ONNXRuntimeError] : 6 : bad allocation")

    stand_in = SimpleNamespace(extractor=Greedy(0.5), head=ContextLinearHead(channels=3, classes=6, windows=(1, 5)))
    path = write(tmp_path / "in.tif", picture(40, 40), **PLACE)
    with RasterSource(path, resolution_m=0.5) as source, pytest.raises(TooLargeError):
        predict_cells(stand_in, source, views("none"), lambda *_: None, progress=SilentProgress())


def test_how_far_a_head_looks():
    linear = ContextLinearHead(channels=3, classes=6, windows=(1, 15))
    assert head_reach(linear) == 7
    convolutional = ConvolutionalHead(channels=3, classes=6, width=8)
    assert head_reach(convolutional) == 20
    assert head_reach(EnsembleHead(members=[linear, convolutional])) == 20
