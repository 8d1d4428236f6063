"""The switches of a prediction: one value, one key, and the same again from a command line."""

import json

import pytest

from core.cli import build_parser
from core.errors import InputError
from core.inference.crf import CrfParameters
from core.inference.predict_tiles import switch_arguments
from core.inference.switches import PLAIN_KEY, Switches
from core.switch_options import chosen_switches

EVERYTHING = Switches(
    tta="d4",
    refinement="crf",
    crf=CrfParameters(bilateral_metres=30),
    gate=0.02,
    offsets=(0.5, 0, 0, -0.25, 0, 0),
    class_regions=(100, 0, 0, 0, 2000, 0),
    abstain=0.4,
)


def test_no_switches_have_a_key_in_words_and_any_switch_another_one():
    changed = [
        Switches(tta="flips"),
        Switches("none", "guided"),
        Switches("none", "crf"),
        Switches("none", "crf", crf=CrfParameters(bilateral_metres=30)),
        Switches(min_region=50),
        Switches(gate=0.01),
        Switches(abstain=0.5),
        Switches(offsets=(0, 0, 0, 0, 0, 1)),
        Switches(class_regions=(0, 0, 0, 0, 0, 50)),
    ]
    assert Switches().key == PLAIN_KEY
    assert len({one.key for one in changed} | {PLAIN_KEY}) == len(changed) + 1


def test_what_has_no_effect_changes_no_key():
    assert Switches(crf=CrfParameters(bilateral_metres=30)).key == PLAIN_KEY
    by_class = (0.0, 0, 0, 0, 500, 0)
    assert Switches(min_region=50, class_regions=by_class).key == Switches(class_regions=by_class).key


@pytest.mark.parametrize("switches", [Switches(), Switches("all", "guided", 200), EVERYTHING])
def test_they_come_back_from_json_and_from_a_command_line(switches):
    assert Switches.from_facts(json.loads(json.dumps(switches.facts))).key == switches.key
    line = ["predict", "--run", "r", "--data", "d", "--out", "o", *switch_arguments(switches)]
    assert chosen_switches(build_parser().parse_args(line)) == switches


def test_facts_of_an_older_evaluation_are_understood():
    assert Switches.from_facts({"tta": "none", "refinement": "none", "min_region": 0}) == Switches()


def test_only_what_is_on_has_a_code_version():
    assert set(EVERYTHING.versions) == {"tta", "crf", "gate", "offsets", "class_regions", "abstain"}
    assert Switches().versions == {}


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"tta": "most"}, "d4"),
        ({"refinement": "sharpen"}, "guided"),
        ({"min_region": -1}, "at least 0"),
        ({"offsets": (1.0,)}, "six"),
        ({"abstain": 1.0}, "between 0 and 1"),
        ({"gate": -0.1}, "between 0 and 1"),
    ],
)
def test_switches_that_make_no_sense_are_refused(wrong, word):
    with pytest.raises(InputError, match=word):
        Switches(**wrong)


@pytest.mark.parametrize("given", ["lake=0.5", "urban=much", "urban"])
def test_a_word_that_is_no_class_or_number_is_refused_on_the_command_line(given):
    line = ["predict", "--run", "r", "--data", "d", "--out", "o", "--offset", given]
    with pytest.raises(InputError, match="agriculture"):
        chosen_switches(build_parser().parse_args(line))
