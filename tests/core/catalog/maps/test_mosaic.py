import numpy as np
import pytest

from core.catalog.maps.contact_sheet import SIDE, ContactSheet, as_keys
from core.catalog.maps.mosaic import ZOOM_OFFSET, Mosaic, lay_out, render, sample
from core.catalog.pyramid import Levels, build_levels
from core.tables import Tile


def _tiles(*sizes: tuple[int, int]) -> list[Tile]:
    return [Tile(id=number, name=str(number), width=w, height=h) for number, (w, h) in enumerate(sizes)]


def _constant(tile: Tile, _longest: int) -> Levels:
    return build_levels(np.full((tile.height, tile.width), 10 + tile.id, np.uint8))


def _whole(mosaic: Mosaic, zoom: int) -> np.ndarray:
    """The mosaic at one zoom, put together from its map tiles."""
    side = 256 * 2**-zoom
    columns, rows = -(-mosaic.width // side), -(-mosaic.height // side)
    canvas = np.zeros((rows * 256, columns * 256), np.uint8)
    for y in range(rows):
        for x in range(columns):
            piece = canvas[y * 256 : (y + 1) * 256, x * 256 : (x + 1) * 256]
            render(mosaic, zoom, x, y, read=_constant, canvas=piece)
    return canvas


def test_tiles_of_several_sizes_lie_in_cells_of_the_largest_without_touching() -> None:
    mosaic = lay_out(_tiles((300, 300), (100, 50), (300, 200), (256, 256), (10, 10)))
    assert mosaic.cell_width == mosaic.cell_height == 312
    canvas = _whole(mosaic, 0)
    for place in mosaic.places:
        tile = place.tile
        inside = canvas[place.top : place.top + tile.height, place.left : place.left + tile.width]
        assert (inside == 10 + tile.id).all()
    assert (canvas > 0).sum() == sum(tile.width * tile.height for tile in (p.tile for p in mosaic.places))


@pytest.mark.parametrize("zoom", [-1, -2, -3])
def test_overviews_show_every_tile_in_its_place_without_seams(zoom: int) -> None:
    mosaic = lay_out(_tiles(*[(301, 201)] * 7))
    canvas = _whole(mosaic, zoom)
    for place in mosaic.places:
        middle_y, middle_x = place.top + 100 >> -zoom, place.left + 150 >> -zoom
        assert canvas[middle_y, middle_x] == 10 + place.tile.id
        row = canvas[middle_y] == 10 + place.tile.id
        assert row.sum() == -(-301 // 2**-zoom)
        assert np.diff(np.flatnonzero(row)).max() == 1


def test_a_point_belongs_to_the_tile_under_it_and_to_none_in_the_gaps() -> None:
    mosaic = lay_out(_tiles(*[(100, 100)] * 4))
    assert mosaic.at(0, 0).id == 0
    assert mosaic.at(mosaic.cell_width + 99.9, mosaic.cell_height + 0.1).id == 3
    assert mosaic.at(101, 50) is None
    assert mosaic.at(-1, 5) is None
    assert mosaic.at(5, 1e9) is None


def test_the_smallest_zoom_shows_the_whole_grid_in_one_map_tile() -> None:
    mosaic = lay_out(_tiles(*[(2448, 2448)] * 800))
    assert max(mosaic.width, mosaic.height) * 2.0**mosaic.min_zoom <= 256
    assert -ZOOM_OFFSET <= mosaic.min_zoom < 0


def test_an_empty_collection_has_an_empty_grid() -> None:
    mosaic = lay_out([])
    assert mosaic.places == ()
    assert mosaic.at(0, 0) is None


def test_in_another_order_the_same_tiles_lie_in_the_same_places() -> None:
    tiles = _tiles(*[(100, 100)] * 7)
    by_name, turned = lay_out(tiles), lay_out(tiles, np.arange(7)[::-1])
    assert [place.tile.id for place in turned.places] == [6, 5, 4, 3, 2, 1, 0]
    assert [(p.left, p.top) for p in turned.places] == [(p.left, p.top) for p in by_name.places]
    with pytest.raises(ValueError, match="each of them once"):
        lay_out(tiles, np.array([0, 0, 1, 2, 3, 4, 5]))


@pytest.mark.parametrize("zoom", [-4, -5])
def test_a_contact_sheet_shows_the_same_as_the_tiles_themselves(zoom: int) -> None:
    mosaic = lay_out(_tiles(*[(400, 300), (300, 400), (50, 60)] * 20), np.random.default_rng(0).permutation(60))
    pictures = np.repeat(np.arange(11, 71), SIDE * SIDE).reshape(60, SIDE, SIDE).astype(np.uint8)
    sheet = ContactSheet(as_keys([f"{number:02}" for number in range(59)]), (pictures,))
    sampled = np.zeros((256, 256), np.uint8)
    sample(mosaic, zoom, 0, 0, sheet=sheet, rows=mosaic.order, canvas=sampled)
    drawn = np.zeros((256, 256), np.uint8)
    render(mosaic, zoom, 0, 0, canvas=drawn, read=lambda tile, _: [np.full((tile.height, tile.width), 11 + tile.id)])
    assert set(np.unique(sampled)) == {0, *range(11, 71)}
    edges = np.zeros((256, 256), bool)
    edges[1:, :] |= drawn[1:] != drawn[:-1]
    edges[:, 1:] |= drawn[:, 1:] != drawn[:, :-1]
    near = edges | np.roll(edges, -1, 0) | np.roll(edges, -1, 1) | np.roll(edges, (-1, -1), (0, 1))
    assert (sampled == drawn)[~near].all()  # corners are rounded to whole pixels by the one and not by the other
    assert (~near).mean() > 0.5
