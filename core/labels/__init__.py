"""The labels: strokes, the class raster they paint, undo, instances."""
