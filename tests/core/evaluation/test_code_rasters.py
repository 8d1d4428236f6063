"""Class rasters as the browser gets them."""

import zlib

import numpy as np

from core.evaluation import code_rasters
from core.evaluation.code_rasters import CodeRaster, CodeRasters, pack_codes
from core.inference.extent import Extent
from tests.core.evaluation.masks import blobs


def unpacked(found):
    return np.frombuffer(zlib.decompress(found.packed), np.uint8).reshape(found.height, found.width)


def test_unlabelled_is_told_from_what_was_never_meant_to_be_said():
    raster = blobs(0, (48, 40))
    codes = unpacked(pack_codes(raster, Extent(6, 5, 30, 20)))
    inside = np.zeros(raster.shape, bool)
    inside[6:36, 5:25] = True
    assert np.array_equal(codes[inside], np.where(raster == 255, 6, raster)[inside])
    assert (codes[~inside] == 7).all()


def test_a_raster_that_is_too_large_for_a_browser_is_sent_reduced(monkeypatch):
    monkeypatch.setattr(code_rasters, "MAX_MASK_SIDE", 24)
    raster = blobs(0, (48, 40))
    found = pack_codes(raster, Extent(0, 0, 48, 40))
    assert (found.height, found.width) == (24, 20)
    assert np.array_equal(unpacked(found), np.minimum(raster[::2, ::2], 6))


def test_what_was_asked_for_last_stays_at_hand_within_its_room(monkeypatch):
    monkeypatch.setattr(code_rasters, "_KEPT_BYTES", 250)
    kept, made = CodeRasters(), []

    def ask(name):
        def make():
            made.append(name)
            return CodeRaster(bytes(100), 1, 1)

        kept.get(name, make)

    for name in "abacb":
        ask(name)
    assert made == ["a", "b", "c", "b"]
