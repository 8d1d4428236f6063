"""The table of switches, on made-up tiles and what a made-up head says of them."""

import numpy as np

from core.atomic import write_json
from core.catalog.discover import discover
from core.inference.compact import CompactProbabilities, write_compact
from core.training.cross_validation import truth_of
from tests.benchmarks.inference import switches_table
from tests.benchmarks.inference.switches_table import Variant, measure, refinements, table
from tests.scenes import write_pairs


def test_every_variant_has_a_name_of_its_own_and_the_first_is_nothing_at_all():
    variants = refinements()
    assert len({one.name for one in variants}) == len(variants)
    assert variants[0] == Variant("none")


def test_what_helps_is_told_with_its_interval_and_cost(tmp_path, monkeypatch):
    write_pairs(tmp_path / "data", 3, 128)
    tiles = discover(tmp_path / "data").tiles
    generator = np.random.default_rng(0)
    for tile in tiles:
        truth = truth_of(tile)
        logits = 2.0 * (truth[None] == np.arange(6)[:, None, None]) + generator.normal(0, 1.5, (6, *truth.shape))
        exponentials = np.exp(logits)
        said = (exponentials / exponentials.sum(axis=0)).astype(np.float32)
        write_json(tmp_path / "kept" / "none" / f"{tile.name}.json", 0.5)
        write_compact(tmp_path / "kept" / "none" / f"{tile.name}.zip", CompactProbabilities.by_pixel(said, None))
    few = [one for one in refinements() if one.name in {"none", "CRF, default", "offsets"}]
    monkeypatch.setattr(switches_table, "refinements", lambda: few)
    figures = measure(tiles, tmp_path / "kept")
    assert figures["none"]["change"] == 0
    assert figures["CRF, default"]["change"] > 0.05  # noise goes
    low, high = figures["CRF, default"]["interval"]
    assert low < figures["CRF, default"]["change"] < high
    text = table(figures, len(tiles))
    assert text.count("\n| CRF, default |") == 1
    assert "| none |" not in text
