"""From labelled tiles to a run: recipe, cached features, cells, heads."""
