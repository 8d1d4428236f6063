import numpy as np
import pytest

from core.errors import InputError
from core.labels import superpixels
from tests.core.labels.pictured import four_fields, workspace_of
from tests.scenes import small_pair

GRAINS = list(superpixels.GRAINS)


@pytest.fixture(scope="module")
def pieces():
    return superpixels.cut(four_fields(256, 320), metres_per_pixel=0.5)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(superpixels, "_memory", superpixels._Memory())


def upright(ids, height, width):
    return ids.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]


def test_a_piece_of_any_grain_keeps_to_one_field(pieces):
    rows, columns = np.arange(128) >= 64, np.arange(160) >= 80
    field = 2 * rows[:, None] + columns[None, :]
    for grain in GRAINS:
        ids = pieces.ids(grain)
        counts = np.bincount(ids.ravel() * 4 + field.ravel(), minlength=4 * pieces.count(grain)).reshape(-1, 4)
        assert counts.max(axis=1).sum() / counts.sum() > 0.97, grain


def test_pieces_are_numbered_without_gaps_and_fewer_the_coarser(pieces):
    counts = [pieces.count(grain) for grain in GRAINS]
    assert counts[0] > counts[1] > counts[2] >= 4
    for grain, count in zip(GRAINS, counts, strict=True):
        assert np.array_equal(np.unique(pieces.ids(grain)), np.arange(count))


def test_every_fine_piece_lies_in_one_medium_and_that_in_one_coarse_piece(pieces):
    for finer, coarser in (("fine", "medium"), ("medium", "coarse")):
        pairs = np.unique(np.stack([pieces.ids(finer).ravel(), pieces.ids(coarser).ravel()]), axis=1)
        assert pairs.shape[1] == pieces.count(finer)


def test_every_piece_is_connected(pieces):
    from scipy.ndimage import label

    ids = pieces.ids("medium")
    for piece in range(pieces.count("medium")):
        assert label(ids == piece)[1] == 1


def test_a_tile_of_smaller_pixels_has_fewer_pieces_for_its_size():
    scene = small_pair(0, 256).image
    assert superpixels.cut(scene, metres_per_pixel=0.25).count("medium") < superpixels.cut(
        scene, metres_per_pixel=0.5
    ).count("medium")


def test_large_pixels_do_not_make_pieces_of_a_pixel():
    pieces = superpixels.cut(small_pair(0, 256).image, metres_per_pixel=30)
    assert 128 * 128 / pieces.count("fine") > 20


@pytest.mark.parametrize("shape", [(509, 544), (260, 260), (31, 7), (2, 2), (1, 1), (1, 90)])
def test_a_tile_of_any_size_is_cut_and_its_regions_fill_it_exactly(tmp_path, shape):
    workspace, [tile] = workspace_of(tmp_path, four_fields(*shape))
    for grain in GRAINS:
        ids = superpixels.ids(workspace, tile, grain)
        assert ids.shape == ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
        box, mask = superpixels.region(workspace, tile, grain, range(int(ids.max()) + 1))
        assert (box.top, box.left, box.height, box.width) == (0, 0, *shape)
        assert mask.shape == shape
        assert mask.all()


def test_an_image_of_one_colour_is_cut(tmp_path):
    workspace, [tile] = workspace_of(tmp_path, np.full((64, 64, 3), 90, np.uint8))
    assert superpixels.ids(workspace, tile, "coarse").shape == (32, 32)


def test_a_region_is_the_pieces_pixels_in_the_smallest_box(tmp_path):
    workspace, [tile] = workspace_of(tmp_path, four_fields(101, 133))
    ids = upright(superpixels.ids(workspace, tile, "fine"), 101, 133)
    chosen = [int(ids[100, 132]), int(ids[50, 60]), int(ids[50, 60])]
    box, mask = superpixels.region(workspace, tile, "fine", chosen)
    painted = np.zeros((101, 133), bool)
    painted[box.slices] = mask
    assert np.array_equal(painted, np.isin(ids, chosen))
    assert all(edge.any() for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))


def test_pieces_are_kept_and_the_same_after_a_restart(tmp_path, monkeypatch):
    workspace, [tile] = workspace_of(tmp_path, four_fields(120, 90))
    assert not superpixels.is_ready(workspace, tile)
    before = superpixels.prepare(workspace, tile)
    assert superpixels.is_ready(workspace, tile)
    monkeypatch.setattr(superpixels, "_memory", superpixels._Memory())
    monkeypatch.setattr(superpixels, "cut", None)
    after = superpixels.prepare(workspace, tile)
    for grain in GRAINS:
        assert np.array_equal(before.ids(grain), after.ids(grain))


@pytest.mark.parametrize("damage", [b"", b"no archive", "half"])
def test_a_damaged_file_is_cut_anew(tmp_path, monkeypatch, damage):
    workspace, [tile] = workspace_of(tmp_path, four_fields(120, 90))
    before = superpixels.prepare(workspace, tile)
    [path] = workspace.superpixels.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage == "half" else damage)
    monkeypatch.setattr(superpixels, "_memory", superpixels._Memory())
    assert np.array_equal(superpixels.prepare(workspace, tile).fine, before.fine)
    assert path.read_bytes() == whole


def test_the_folder_keeps_to_its_bound(tmp_path, monkeypatch):
    images = [four_fields(90, 90 + number) for number in range(3)]
    workspace, tiles = workspace_of(tmp_path, *images)
    monkeypatch.setattr(superpixels, "LIMIT_BYTES", 1)
    for tile in tiles:
        superpixels.prepare(workspace, tile)
    assert [path.name[:16] for path in workspace.superpixels.iterdir()] == [tiles[-1].fingerprint]


@pytest.mark.parametrize(("grain", "segments"), [("huge", [0]), ("fine", [10**6]), ("fine", [-1]), ("fine", [])])
def test_a_grain_or_piece_that_does_not_exist_is_refused(tmp_path, grain, segments):
    workspace, [tile] = workspace_of(tmp_path, four_fields(60, 60))
    with pytest.raises(InputError, match=r"superpixels|Superpixels"):
        superpixels.region(workspace, tile, grain, segments)


def test_an_image_of_another_size_than_indexed_and_one_too_large_are_refused(tmp_path, monkeypatch):
    workspace, [tile] = workspace_of(tmp_path, four_fields(60, 60))
    tile.width = 61
    with pytest.raises(InputError, match="changed its size"):
        superpixels.prepare(workspace, tile)
    monkeypatch.setattr(superpixels, "MAX_PIXELS", 10)
    with pytest.raises(InputError, match="cut it into smaller tiles"):
        superpixels.prepare(workspace, tile)
