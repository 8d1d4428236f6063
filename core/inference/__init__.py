"""From a tile to a class raster: test-time augmentation, refinement, kept predictions."""
