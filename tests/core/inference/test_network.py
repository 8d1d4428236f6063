"""Predicting with a trained network: windows, context, transforms, sizes; most of it with an exact stand-in."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from core.catalog.catalogue import collections, index_folder
from core.errors import CancelledError, InputError
from core.inference import network as module
from core.inference.network import NetworkSegmenter, by_cell, enlarged_probabilities
from core.inference.predict import load_segmenter
from core.inference.switches import Switches
from core.inference.tile_prediction import predict_tile
from core.labels.queue_facts import compute_facts, known_facts, mean_entropy
from core.progress import SilentProgress
from core.training.cell_grid import cell_grid
from core.training.recipe import Recipe
from core.training.runs import RunCard, finish_run, start_run
from core.workspace import open_workspace
from models.build import build_network
from models.network_input import positions
from models.networks import NetworkOutput
from tests.core.training.scenes import scene, write_pair, write_scenes

CARD = RunCard(
    state="finished",
    created="2026-11-21T12:00:00+00:00",
    recipe_name="test",
    encoder="efficientnet-lite0",
    encoder_identity="",
    encoder_parameters=0,
    encoder_licence="",
    head="network",
    head_parameters=0,
    seed=0,
    device="cpu",
    training_tiles={},
    validation_tiles={},
    label_fingerprints={},
    label_source="given",
    classes={},
    missing_classes=[],
    warnings=[],
    validation=None,
    features_seconds=0,
    head_seconds=0,
    versions={},
)


class StandIn(nn.Module):
    """Logits that say what was seen: the colours, and where in the tile each pixel lies."""

    kind = "network"
    alignment = 32
    whole_tile = False

    def __init__(self, *, smallest=32, surroundings="none", at_training_size=False):
        super().__init__()
        self.smallest, self.needs_context, self.at_training_size = smallest, surroundings, at_training_size
        self.needs_place = True
        self.seen = []

    def forward(self, images, context):
        assert all(side % 32 == 0 and side >= self.smallest for side in images.shape[-2:])
        shapes = None if context.images is None else tuple(context.images.shape[1:])
        self.seen += [(tuple(images.shape[1:]), shapes)] * len(images)
        place = torch.cat([positions(context.boxes, *images.shape[-2:]) / 2 + 0.5, torch.zeros_like(images[:, :1])], 1)
        return NetworkOutput(torch.cat([images.float() / 255, place], dim=1) * 3, [], None)


def segmenter(network=None, **recipe):
    settings = {"train": "whole", "encoder": "efficientnet-lite0", "resolution_m": 1.0, "patch": 64, **recipe}
    return NetworkSegmenter(CARD, Recipe(**settings), network or StandIn(), torch.device("cpu"))


def expected_probabilities(image):
    """What ``StandIn`` says of a whole tile at its own resolution."""
    height, width = image.shape[:2]
    place = np.zeros((3, height, width))
    place[0] = ((np.arange(height) + 0.5) / height)[:, None]
    place[1] = (np.arange(width) + 0.5) / width
    logits = 3 * np.concatenate([image.transpose(2, 0, 1) / 255, place])
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=0)


def noise(height, width):
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(64, 96), (50, 131), (20, 20)])
def test_every_pixel_is_predicted_at_its_place_whatever_the_tiles_size(size):
    found = segmenter().probabilities(noise(*size), metres_per_pixel=(1, 1))
    assert (found.shape, found.dtype) == ((6, *size), np.float32)
    assert np.allclose(found, expected_probabilities(noise(*size)), atol=1e-5)


@pytest.mark.parametrize("size", [(200, 150), (65, 300)])
def test_windows_give_what_the_whole_tile_gives(size, monkeypatch):
    monkeypatch.setattr(module, "WHOLE_UP_TO", 64)
    monkeypatch.setattr(module, "WINDOW", 64)
    whole = segmenter(network := StandIn())
    found = whole.probabilities(noise(*size), metres_per_pixel=(1, 1))
    assert {shape for shape, _ in network.seen} == {(3, 64, 64)}
    assert len(network.seen) > 6
    assert np.allclose(found, expected_probabilities(noise(*size)), atol=1e-5)


@pytest.mark.parametrize("tta", ["none", "flips", "d4"])
@pytest.mark.parametrize("windowed", [False, True])
def test_the_average_over_transforms_is_brought_back_to_where_the_tile_lies(tta, windowed, monkeypatch):
    """Colours stay where they are under every transform; the places that were seen average out to the middle."""
    if windowed:
        monkeypatch.setattr(module, "WHOLE_UP_TO", 64)
        monkeypatch.setattr(module, "WINDOW", 64)
    image = noise(96, 160)
    found = segmenter().probabilities(image, metres_per_pixel=(1, 1), tta=tta)
    assert np.allclose(found.sum(axis=0), 1, atol=1e-5)
    # Between colours, the place plays no part: their ratio is that of the image.
    ratio = np.exp(3 * (image[..., 0].astype(float) - image[..., 1]) / 255)
    assert np.allclose(found[0] / found[1], ratio, rtol=1e-3)
    if tta != "none":
        middle = np.abs(found[3] - found[3][::-1]).mean()
        assert middle < np.abs(expected_probabilities(image)[3] - expected_probabilities(image)[3][::-1]).mean()


@pytest.mark.parametrize("surroundings", ["global", "two-scales"])
def test_windows_are_given_the_surroundings_that_the_network_reads(surroundings):
    network = StandIn(surroundings=surroundings, at_training_size=surroundings == "two-scales")
    segmenter(network).probabilities(noise(160, 160), metres_per_pixel=(1, 1))
    shapes = set(network.seen)
    if surroundings == "global":
        assert shapes == {((3, 160, 160), (3, 256, 256))}
    else:
        assert shapes == {((3, 64, 64), (2, 3, 64, 64))}


@pytest.mark.parametrize(
    ("sight", "shapes"),
    [
        ("auto", {(3, 64, 64)}),
        ("whole", {(3, 224, 160)}),
        ("patches", {(3, 96, 96)}),
        ("resized", {(3, 96, 96)}),
    ],
)
def test_a_tile_is_seen_whole_or_in_patches_or_resized_as_the_recipe_says(sight, shapes, monkeypatch):
    for name, side in {"WHOLE_UP_TO": 64, "WINDOW": 64, "PATCH": 96, "RESIZED_TO": 96}.items():
        monkeypatch.setattr(module, name, side)
    image = cv2.resize(noise(10, 7), (140, 200), interpolation=cv2.INTER_LINEAR)
    made = segmenter(network := StandIn(), sight=sight)
    found = made.probabilities(image, metres_per_pixel=(1, 1))
    assert {shape for shape, _ in network.seen} == shapes
    assert np.abs(found - expected_probabilities(image)).max() < (0.08 if sight == "resized" else 1e-4)
    assert np.array_equal(made.predict(image, metres_per_pixel=(1, 1)), found.argmax(axis=0))


def test_where_memory_runs_out_windows_become_smaller(monkeypatch):
    class Large(StandIn):
        def forward(self, images, context):
            if images.shape[-1] > 64:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(images, context)

    image = noise(160, 160)
    found = segmenter(network := Large()).probabilities(image, metres_per_pixel=(1, 1))
    assert {shape for shape, _ in network.seen} == {(3, 64, 64)}
    assert np.allclose(found, expected_probabilities(image), atol=1e-5)
    with pytest.raises(InputError, match="not enough memory for this network"):
        segmenter(Large(smallest=128)).probabilities(image, metres_per_pixel=(1, 1))


def test_a_tile_smaller_than_the_network_takes_is_mirrored_out():
    network = StandIn(smallest=128)
    image = noise(40, 200)
    found = segmenter(network).probabilities(image, metres_per_pixel=(1, 1))
    assert network.seen[0][0] == (3, 128, 224)
    assert np.allclose(found, expected_probabilities(image), atol=1e-5)


def test_cells_hold_the_mean_of_their_pixels_and_lie_on_the_tiles_grid():
    image = noise(100, 83)
    found = segmenter().cell_probabilities(image, metres_per_pixel=(1, 1))
    assert found.shape == (6, *cell_grid((100, 83), metres_per_pixel=(1, 1), resolution_m=1.0).cells)
    whole = segmenter().probabilities(image, metres_per_pixel=(1, 1))
    assert np.allclose(found[:, 2, 3], whole[:, 16:24, 24:32].mean(axis=(1, 2)), atol=1e-5)
    assert np.allclose(found[:, 12, 10], whole[:, 96:, 80:].mean(axis=(1, 2)), atol=1e-5)
    assert np.allclose(found.sum(axis=0), 1, atol=1e-5)


def test_a_finer_tile_is_predicted_at_the_recipes_resolution_and_enlarged():
    image = np.kron(noise(64, 64), np.ones((2, 2, 1), np.uint8))
    fine = segmenter().probabilities(image, metres_per_pixel=(0.5, 0.5))
    coarse = segmenter().probabilities(image[::2, ::2], metres_per_pixel=(1, 1))
    assert fine.shape == (6, 128, 128)
    logits = torch.from_numpy(coarse).log()[None]
    expected = torch.nn.functional.interpolate(logits, size=(128, 128), mode="bilinear").softmax(dim=1)[0]
    assert np.allclose(fine, expected.numpy(), atol=1e-4)


def test_enlarging_keeps_certain_classes_certain():
    certain = np.zeros((6, 4, 4), np.float32)
    certain[2] = 1
    found = enlarged_probabilities(certain, (9, 11))
    assert (found.argmax(axis=0) == 2).all()
    assert np.isfinite(found).all()
    assert np.allclose(by_cell(certain), certain[:, :1, :1])


def test_a_cancel_is_heard_between_windows(monkeypatch):
    class Impatient(SilentProgress):
        def update(self, done, total, message):
            if done == 1:
                raise CancelledError

    monkeypatch.setattr(module, "WHOLE_UP_TO", 64)
    monkeypatch.setattr(module, "WINDOW", 64)
    network = StandIn()
    with pytest.raises(CancelledError):
        segmenter(network).probabilities(noise(160, 160), metres_per_pixel=(1, 1), progress=Impatient())
    assert len(network.seen) == 1


def test_an_image_of_another_kind_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="uint8"):
        segmenter().probabilities(np.zeros((8, 8), np.uint8))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network") / "run"
    recipe = Recipe(name="test", train="decoder", encoder="efficientnet-lite0", decoder="fpn", surroundings="global")
    network = build_network(encoder="efficientnet-lite0", decoder="fpn", surroundings="global")
    start_run(folder, recipe)
    finish_run(folder, head=network, card=CARD)
    return folder


def test_a_run_of_a_network_predicts_a_tile_as_any_other_run_does(run, tmp_path):
    made = load_segmenter(run, "cpu")
    assert isinstance(made, NetworkSegmenter)
    image, raster = scene(1)
    write_pair(tmp_path, "7", image[:200, :131], raster[:200, :131])
    prediction = predict_tile([made], tmp_path / "7_sat.jpg", switches=Switches(tta="flips"), progress=SilentProgress())
    assert prediction.raster.shape == (200, 131)
    assert np.allclose(prediction.probabilities.sum(axis=0), 1, atol=1e-5)
    assert np.array_equal(made.predict(image), load_segmenter(run, "cpu").predict(image))


def test_the_queue_asks_a_network_for_its_doubts_and_the_usual_encoder_for_embeddings(run, tmp_path):
    write_scenes(tmp_path / "data", names=("1",))
    workspace = open_workspace(tmp_path / "workspace")
    index_folder(workspace, tmp_path / "data", SilentProgress())
    shutil.copytree(run, workspace.runs / "net")
    [home] = collections(workspace)
    compute_facts(workspace, collection_id=home.id, run="net", progress=SilentProgress())
    [facts] = known_facts(workspace, home.id).by_tile.values()
    image, _ = scene(0)
    probabilities = load_segmenter(run, "cpu").cell_probabilities(image)
    assert facts.uncertainty == pytest.approx(mean_entropy(probabilities), abs=0.02)  # the tile was a JPEG
    assert np.linalg.norm(facts.embedding) == pytest.approx(1, abs=1e-5)


def test_a_gpu_that_is_not_there_is_refused(run, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA GPU"):
        load_segmenter(run, "cuda")
