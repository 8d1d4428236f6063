from core.training import provenance
from core.training.recipe import load_recipe
from core.training.runs import read_run
from tests.core.training.run_files import write_run


def test_the_recipe_hash_tells_every_setting_but_the_name():
    usual = provenance.recipe_hash(load_recipe("head"))
    assert provenance.recipe_hash(load_recipe("head", ["name=another"])) == usual
    assert provenance.recipe_hash(load_recipe("head", ["l2=0.5"])) != usual
    assert provenance.recipe_hash(load_recipe("head", ["train_tiles=1,2"])) != usual


def test_the_order_of_tiles_does_not_matter_to_a_fingerprint_and_their_content_does():
    assert provenance.digest({"a": "1", "b": "2"}) == provenance.digest({"b": "2", "a": "1"})
    assert provenance.digest({"a": "1", "b": "2"}) != provenance.digest({"a": "2", "b": "1"})


def test_it_fills_the_fields_of_a_card(tmp_path):
    told = provenance.provenance(load_recipe("head"), images={"1": "x"}, labels={"1": "y"})
    card = read_run(write_run(tmp_path / "run", **told)).card
    assert card.recipe_hash == told["recipe_hash"]
    assert card.data_fingerprint != card.label_fingerprint
    assert card.peak_memory_bytes > 2**20
    assert {"system", "processor", "cores", "torch threads", "memory"} <= set(card.environment)


def test_a_card_without_these_fields_still_loads(tmp_path):
    import json

    folder = write_run(tmp_path / "run")
    card = json.loads((folder / "card.json").read_text())
    for name in ("recipe_hash", "data_fingerprint", "label_fingerprint", "code_version", "environment"):
        del card[name]
    del card["peak_memory_bytes"]
    (folder / "card.json").write_text(json.dumps(card))
    read = read_run(folder).card
    assert (read.recipe_hash, read.environment, read.peak_memory_bytes) == ("", {}, None)
