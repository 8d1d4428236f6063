from pathlib import Path

import pytest

from core.catalog.images import read_info
from core.catalog.world_file import read_resolution, world_file, write_resolution
from tests.core.catalog.pictures import write_picture


@pytest.mark.parametrize("name", ["a.png", "b.JPG", "c.jpeg"])
def test_a_written_resolution_is_read_with_the_image(tmp_path: Path, name: str) -> None:
    image = write_picture(tmp_path / name)
    assert read_info(image).metres_per_pixel_x == 0.5
    write_resolution(image, 0.3)
    info = read_info(image)
    assert (info.metres_per_pixel_x, info.metres_per_pixel_y, info.crs) == (0.3, 0.3, None)


@pytest.mark.parametrize("text", ["", "1\n2\n", "4.5e-6\n0\n0\n-4.5e-6\n13\n52\n", "a\nb\nc\nd\ne\nf\n", "ä"])
def test_what_is_no_resolution_in_metres_is_not_used(tmp_path: Path, text: str) -> None:
    image = write_picture(tmp_path / "a.png")
    world_file(image).write_text(text)
    assert read_resolution(image) is None
