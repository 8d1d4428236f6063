import pytest

from core.errors import InputError
from core.training.recipe import load_recipe
from core.training.runs import add_metrics, check_run_folder, list_runs, read_head, read_metrics, read_run, start_run


def test_a_run_that_was_only_started_is_not_listed(tmp_path):
    start_run(tmp_path / "run", load_recipe())
    assert list_runs(tmp_path) == []
    with pytest.raises(InputError, match=r"no run \(it has no card.json\)"):
        read_run(tmp_path / "run")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"state": "finished"}', "\x00\x01"])
def test_a_card_that_is_not_ours_is_refused_and_not_listed(tmp_path, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "card.json").write_text(content)
    assert list_runs(tmp_path) == []
    with pytest.raises(InputError, match="not written by this Tilewright"):
        read_run(tmp_path / "run")


def test_foreign_weights_are_refused_in_one_sentence(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match="not a safetensors file"):
        read_head(tmp_path)


def test_a_curve_that_is_being_written_is_read_up_to_its_last_whole_line(tmp_path):
    start_run(tmp_path, load_recipe())
    add_metrics(tmp_path, {"iteration": 5, "loss": 1.5})
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"iteration": 10, "lo')
    assert read_metrics(tmp_path) == [{"iteration": 5, "loss": 1.5}]
    assert read_metrics(tmp_path / "elsewhere") == []


def test_a_folder_of_other_files_is_not_taken_for_a_run(tmp_path):
    (tmp_path / "119_sat.jpg").write_bytes(b"a tile")
    with pytest.raises(InputError, match="no run"):
        check_run_folder(tmp_path)
    start_run(tmp_path / "run", load_recipe())
    check_run_folder(tmp_path / "run")
    check_run_folder(tmp_path / "new")
