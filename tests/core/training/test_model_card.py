import pytest

from core.training.model_card import limits, model_card
from core.training.runs import read_run
from tests.core.training.run_files import FOLDS, VALIDATION, WIDE, keep_evaluation, write_run


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "mine"


def card_of(folder, settings=(), **changes):
    return model_card(read_run(write_run(folder, settings, **changes)))


def test_it_tells_use_data_scores_settings_environment_licence_and_limits(folder):
    text = card_of(folder, ["l2=0.25"])
    for words in (
        "# mine",
        "## Intended use",
        "2 tiles: 1, 2",
        "| water | 30 | 900 |",
        "mIoU 0.500",
        "on 1 tile (9)",
        "licence apache-2.0",
        "l2 = 0.25",
        "0.1.0+1234567",
        "`0123456789abcdef`",
        "a processor",
        "peak memory 1.0 GiB",
        "version `llll`",
        "## Limits",
    ):
        assert words in text


def test_scores_on_held_out_tiles_come_with_interval_tiles_and_switches(folder, tmp_path):
    write_run(folder)
    keep_evaluation(tmp_path / "evaluations" / "mine")
    text = model_card(read_run(folder))
    assert "mIoU 0.321 (95 % interval 0.200 to 0.400)" in text
    assert "2 tiles of a collection (7, 8)" in text
    assert "switches: tta flips" in text
    assert "urban | 0.400 (95 % interval 0.100 to 0.500)" in text


def test_scores_of_an_older_run_of_the_same_name_are_not_taken(folder, tmp_path):
    write_run(folder)
    keep_evaluation(tmp_path / "evaluations" / "mine", day="2025-12-31T23:59")
    (tmp_path / "evaluations" / "mine" / "broken.json").write_text("{")
    assert "0.321" not in model_card(read_run(folder))


def test_the_score_of_folds_says_on_how_many_left_out_tiles_and_how_sure_it_is(folder):
    text = card_of(folder, measured=FOLDS, validation=None)
    assert "Cross-validation: mIoU 0.512 (95 % interval 0.410 to 0.590)" in text
    assert "measured on 6 left-out tiles: each of 2 members on those that it never saw" in text
    assert "urban | 0.400 (95 % interval 0.200 to 0.500)" in text
    assert "None was measured" not in text


def test_the_interval_of_a_validation_is_told_and_few_tiles_loudly(folder):
    note = "Measured on 1 tile only: nothing can be said of other tiles, so the interval is the whole range."
    text = card_of(folder, validation={**VALIDATION, "interval": WIDE, "note": note})
    assert "Validation: mIoU 0.500 (95 % interval 0.000 to 1.000)" in text
    assert f"**{note}**" in text


def test_folds_whose_members_judged_nothing_have_no_score(folder):
    text = card_of(folder, measured={"members": 1, "cross_validation": None}, validation=None)
    assert "Cross-validation" not in text
    assert "None was measured" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"validation": None}, "never scored on tiles that it had not trained on"),
        ({}, "Its only score is on the tiles"),
        ({"validation": None, "measured": FOLDS}, "Its members were scored on tiles that each had not seen"),
        ({"state": "cancelled"}, "stopped by hand"),
        ({"missing_classes": ["water", "barren"]}, "never predicts water and barren"),
        ({"classes": {"urban": {"instances": 3, "pixels": 9}}}, "Few labelled instances of urban (3)"),
        ({"warnings": ["Tile 5 has no labels."]}, "Tile 5 has no labels."),
    ],
)
def test_what_speaks_against_it_is_said(folder, changes, words):
    run = read_run(write_run(folder, **changes))
    assert any(words in sentence for sentence in limits(run.card, []))


def test_names_from_outside_are_no_markup(folder):
    assert "<script>" not in card_of(folder, training_tiles={"<script>alert(1)</script>": "f"})


def test_a_run_from_before_the_hashes_were_kept_has_a_card_too(folder):
    text = card_of(folder, recipe_hash="", data_fingerprint="", label_fingerprint="", environment={}, code_version="")
    assert "not kept" in text
