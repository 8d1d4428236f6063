"""The tiles: find, read, georeference, split, show small, show on a map, and draw a sample of them."""
