"""The embedded synthetic sample: scenes for trying everything without a download."""

from core.catalog.sample.scene import Scene, draw_scene
from core.catalog.sample.write import MARKER, tile_name, write_sample

__all__ = ["MARKER", "Scene", "draw_scene", "tile_name", "write_sample"]
