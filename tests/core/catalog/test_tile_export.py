import csv
import zipfile
from io import StringIO
from pathlib import Path

import pytest

from core.catalog.catalogue import index_folder, tiles
from core.catalog.tile_export import export_tiles
from core.errors import InputError
from core.progress import SilentProgress
from core.workspace import Workspace, open_workspace
from tests.core.catalog.pictures import write_pair, write_picture


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    for name in ("119", "2774"):
        write_pair(tmp_path / "land", name)
    write_picture(tmp_path / "land" / "bare_sat.jpg")
    found = open_workspace(tmp_path / "ws")
    index_folder(found, tmp_path / "land", SilentProgress())
    return found


def test_images_masks_and_figures_of_the_named_tiles_are_packed_in_their_order(
    workspace: Workspace, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "tiles.zip"
    kinds = ("images", "masks")
    told = export_tiles(workspace, 1, ["bare", "119"], kinds=kinds, out=out, progress=SilentProgress())
    assert (told["tiles"], told["files"]) == (2, 3)
    with zipfile.ZipFile(out) as archive:
        assert sorted(archive.namelist()) == ["119_mask.png", "119_sat.jpg", "bare_sat.jpg", "tiles.csv"]
        assert archive.read("119_sat.jpg") == (tmp_path / "land" / "119_sat.jpg").read_bytes()
        rows = list(csv.DictReader(StringIO(archive.read("tiles.csv").decode())))
    assert [row["tile"] for row in rows] == ["bare", "119"]
    assert rows[0]["share_water"] == ""
    shares = next(tile for tile in tiles(workspace, 1) if tile.name == "119").class_shares or []
    assert float(rows[1]["share_water"]) == pytest.approx(shares[4], abs=1e-5)


@pytest.mark.parametrize("names", [["119", "nobody"], ["119", "2774"]])
def test_an_export_that_cannot_be_whole_leaves_nothing(workspace: Workspace, tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "land" / "2774_sat.jpg").unlink()
    out = tmp_path / "tiles.zip"
    with pytest.raises(InputError, match=r"nobody|2774_sat\.jpg .* is gone"):
        export_tiles(workspace, 1, names, kinds=("images",), out=out, progress=SilentProgress())
    assert [path.name for path in tmp_path.iterdir() if "zip" in path.name] == []


def test_a_file_that_is_there_is_not_written_over(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        export_tiles(workspace, 1, [], kinds=(), out=tmp_path / "mine.zip", progress=SilentProgress())
