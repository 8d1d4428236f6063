import json
import shutil

import cv2
import numpy as np
import pytest
from sqlalchemy import delete, select

from core.catalog.alike.layouts import LIKENESS, kept_layout
from core.catalog.alike.looks import known_looks, look_arguments
from core.catalog.alike.related import NEAR_DUPLICATE, NEIGHBOURS, SAME_FILE, related_pairs
from core.catalog.catalogue import collections, index_folder, tiles
from core.catalog.images import write_mask
from core.cli import main
from core.errors import CancelledError
from core.inference.tile_looks import instance_sizes, look_at_collection
from core.progress import CancelFlag, SilentProgress
from core.tables import Tile, TileLook
from core.workspace import open_workspace
from tests.pieces import Image, jpeg
from tests.scenes import small_pair

SIDE = 256


def _write(path, image: Image, quality=92):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A left and a right half (1, 2), 1 again as a file (3), encoded anew (4) and as a PNG (5), and another (6)."""
    data = tmp_path_factory.mktemp("looks") / "data"
    scene = small_pair(1, 2 * SIDE)
    left, right = scene.image[:SIDE, :SIDE], scene.image[:SIDE, SIDE:]
    _write(data / "1_sat.jpg", left)
    _write(data / "2_sat.jpg", right)
    write_mask(data / "2_mask.png", scene.raster[:SIDE, SIDE:])
    shutil.copy(data / "1_sat.jpg", data / "3_sat.jpg")
    _write(data / "4_sat.jpg", jpeg(left, 60), quality=80)
    _write(data / "5_sat.png", cv2.cvtColor(cv2.imread(str(data / "1_sat.jpg")), cv2.COLOR_BGR2RGB))
    _write(data / "6_sat.jpg", small_pair(2, SIDE).image)
    return data


@pytest.fixture(scope="module")
def looked(folder, one_thread):
    """The folder in a workspace, after the job."""
    workspace = open_workspace(folder.parent / "workspace")
    index_folder(workspace, folder, SilentProgress())
    [home] = collections(workspace)
    result = look_at_collection(workspace, collection_id=home.id, device="cpu", progress=SilentProgress())
    return workspace, home, result


def test_pairs_that_belong_together_are_found(looked):
    workspace, home, result = looked
    assert result["pairs"] == {SAME_FILE: 1, NEAR_DUPLICATE: 2, NEIGHBOURS: 1}
    names = {tile.id: tile.name for tile in tiles(workspace, home.id)}
    related = related_pairs(workspace, home.id)
    assert {(names[pair.first], names[pair.second], pair.kind, pair.side) for pair in related.pairs} == {
        ("1", "3", SAME_FILE, None),
        ("1", "5", NEAR_DUPLICATE, None),
        ("1", "4", NEAR_DUPLICATE, None),
        ("1", "2", NEIGHBOURS, "right"),
    }
    assert [pair.words for pair in related.pairs][1] == "the same picture in two files"
    assert (related.looked, related.missing) == (6, 0)


def test_everything_is_kept_of_every_tile(looked):
    workspace, home, result = looked
    assert (result["tiles"], result["looked_at"], result["left_out"]) == (6, 6, [])
    assert known_looks(workspace, home.id).missing == 0
    by_name = {tile.name: tile.id for tile in tiles(workspace, home.id)}
    with workspace.database.read() as session:
        looks = {row.tile_id: row for row in session.scalars(select(TileLook))}
    embedding = np.frombuffer(looks[by_name["1"]].embedding, np.float32)
    np.testing.assert_allclose(np.linalg.norm(embedding), 1, atol=1e-5)
    assert len(looks[by_name["1"]].colours) == 6
    assert looks[by_name["1"]].sizes == {}
    labelled = int((small_pair(1, 2 * SIDE).raster[:SIDE, SIDE:] < 6).sum())
    sizes = looks[by_name["2"]].sizes
    assert 0.9 * labelled < sum(map(sum, sizes.values())) <= labelled
    assert sorted(kept_layout(workspace, home, LIKENESS).ids.tolist()) == sorted(by_name.values())


def test_a_second_time_nothing_is_looked_at(looked, capsys):
    workspace, home, _ = looked
    arguments = [*look_arguments(home.id), "--workspace", str(workspace.root), "--device", "cpu"]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["tiles"], result["looked_at"]) == (6, 0)
    assert result["pairs"] == {SAME_FILE: 1, NEAR_DUPLICATE: 2, NEIGHBOURS: 1}


class CancelAt(SilentProgress):
    """Cancels before the tile of this name is looked at."""

    def __init__(self, name):
        super().__init__(CancelFlag())
        self.name = name

    def update(self, done, total, message):
        if message == f"Looking at tile {self.name}":
            raise CancelledError("cancelled")
        super().update(done, total, message)


def test_a_cancel_keeps_what_was_looked_at_and_a_broken_file_is_left_out(folder, tmp_path, one_thread):
    shutil.copytree(folder, tmp_path / "data")
    workspace = open_workspace(tmp_path / "workspace")
    index_folder(workspace, tmp_path / "data", SilentProgress())
    [home] = collections(workspace)
    with pytest.raises(CancelledError):
        look_at_collection(workspace, collection_id=home.id, device="cpu", progress=CancelAt("4"))
    assert known_looks(workspace, home.id).missing == 3  # 1 and its copy 3, and 2, are done
    (tmp_path / "data" / "6_sat.jpg").write_bytes(b"\xff\xd8\xff gone")
    result = look_at_collection(workspace, collection_id=home.id, device="cpu", progress=SilentProgress())
    assert result["looked_at"] == 2
    assert len(result["left_out"]) == 1
    assert "6_sat.jpg" in result["left_out"][0]
    assert related_pairs(workspace, home.id).missing == 1


class ForgetAt(SilentProgress):
    """Takes a tile out of the catalogue, as an index does, before it is looked at."""

    def __init__(self, workspace, name):
        super().__init__()
        self.workspace, self.name = workspace, name

    def update(self, done, total, message):
        if message == f"Looking at tile {self.name}":
            with self.workspace.database.write() as session:
                session.execute(delete(Tile).where(Tile.name == self.name))
        super().update(done, total, message)


def test_a_tile_that_goes_meanwhile_is_no_error(folder, tmp_path, one_thread):
    workspace = open_workspace(tmp_path / "workspace")
    index_folder(workspace, folder, SilentProgress())
    [home] = collections(workspace)
    look_at_collection(workspace, collection_id=home.id, device="cpu", progress=ForgetAt(workspace, "6"))
    assert (len(known_looks(workspace, home.id).ids), known_looks(workspace, home.id).missing) == (5, 0)


def test_instances_are_counted_with_their_sizes():
    raster = np.full((20, 20), 255, np.uint8)
    raster[0:5, 0:5] = raster[10:20, 0:5] = 4
    raster[0:2, 10:12] = 4  # a crumb
    raster[0:4, 16:20] = 0
    assert instance_sizes(raster) == {"urban": [16], "water": [25, 50]}
