"""Tiles with coordinates: where they lie, and the map that shows them there."""
