from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog.alike.related import RelatedPair, keep_pairs
from core.catalog.catalogue import collection, tiles
from core.catalog.splitting.plans import NewSplit, Place, keep, members, plans, record
from core.jobs import queue
from core.workspace import WORKSPACE_VARIABLE
from tests.core.catalog.splitting.split_tables import workspace_of

PAGES = Path(__file__).parents[2] / "pages"
AROUND = f"""
import streamlit as st
from pathlib import Path
pages = Path({str(PAGES)!r})
st.navigation([st.Page(pages / "browse.py", default=True), *(
    st.Page(pages / f"{{name}}.py", url_path=name) for name in ("start", "label", "train")
)]).run()
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "ws"))
    return workspace_of(tmp_path / "ws", 20)


def _relate(workspace, *pairs):
    images = {row.id: row.fingerprint for row in tiles(workspace, 1)}
    keep_pairs(workspace, 1, images=images, pairs=pairs)


def _page():
    test = AppTest.from_string(AROUND, default_timeout=30)
    test.query_params["view"] = "Splits"
    test.run()
    assert not test.exception
    return test


def _texts(test):
    parts = (*test.markdown, *test.subheader, *test.caption, *test.info, *test.warning, *test.error, *test.get("html"))
    return "\n".join(str(getattr(part, "value", None) or part.proto.body) for part in parts)


def _press(test, key):
    test.button(key=key).click().run()
    assert not test.exception
    return test


def test_the_split_that_came_is_shown_with_its_balance_and_what_is_not_known(workspace):
    text = _texts(_page())
    assert "every fourth validates" in text
    assert "Measured on 20 labelled tiles" in text
    assert "The tiles were not looked at yet" in text


def test_without_a_leak_it_says_on_what_that_was_measured(workspace):
    _relate(workspace, RelatedPair(1, 3, "neighbours", 0.9, "right"))
    text = _texts(_page())
    assert "No leak" in text
    assert "1 pair of neighbours, each on one side" in text
    assert "Measured on all 20 tiles" in text


def test_a_leak_is_listed_and_one_press_moves_its_tiles_together(workspace):
    _relate(workspace, RelatedPair(1, 2, "neighbours", 0.9, "right"), RelatedPair(5, 6, "near duplicate", 0.99))
    test = _page()
    text = _texts(test)
    assert "2 leaks" in text
    assert "tw-pair right" in text
    assert "the second goes on at the right edge of the first, correlation of the edges 0.90" in text
    text = _texts(_press(test, "split_mend_1_2"))
    assert "1 leak" in text
    (row,) = plans(workspace, 1)
    assert (row.name, collection(workspace, 1).split_plan_id) == ("by hand", row.id)
    assert test.selectbox(key="split_shown_1").value == "by hand"
    text = _texts(_press(test, "split_mend_all"))
    assert "No leak" in text
    assert plans(workspace, 1)[0].moved == 1


def test_a_new_split_is_foretold_kept_and_in_use(workspace):
    _relate(workspace, RelatedPair(1, 2, "neighbours", 0.9, "right"))
    test = _page()
    test.session_state["split_new"] = True
    test.run()
    assert not test.exception
    text = _texts(test)
    assert "**14** train, **3** val, **3** test." in text
    assert "No leak is known." in text
    _press(test, "split_keep")
    assert test.selectbox(key="split_shown_1").value == "stratified"
    assert {row.split_source for row in tiles(workspace, 1)} == {"plan"}


@pytest.mark.parametrize("method", ["random", "grouped", "hold out", "glnet", "by hand", "lists"])
def test_every_method_has_a_form_that_works_or_says_what_is_missing(workspace, method):
    test = AppTest.from_string(AROUND, default_timeout=30)
    test.query_params["view"] = "Splits"
    test.session_state["split_new"] = True
    test.session_state["split_method"] = method
    test.run()
    assert not test.exception
    keys = {button.key for button in test.button}
    said = {
        "grouped": "0 of these tiles were looked at",
        "hold out": "0 of these tiles were looked at",
        "glnet": "No tile of this collection is in GLNet's lists",
    }.get(method)
    if said:
        assert said in _texts(test)
    assert ("split_keep" in keys) == (method in ("random", "by hand"))


def test_a_frozen_split_says_which_run_holds_it_and_cannot_be_changed(workspace):
    _relate(workspace, RelatedPair(1, 2, "neighbours", 0.9, "right"))
    places = {str(number): Place("val" if number == 1 else "train") for number in range(18)}
    row = keep(workspace, 1, NewSplit("mine", "random", places), followed=True)
    split = record(workspace, 1, training="0", validation="1")
    arguments = ["fit", "--out", str(workspace.runs / "head-1"), *split.option()]
    queue.submit(workspace, kind="fit", title="Train", arguments=arguments, device="cuda:7")
    test = _page()
    test.session_state["split_move"] = True
    test.run()
    text = _texts(test)
    assert "Frozen: head-1 trained under it" in text
    assert "2 of 20 tiles are in no side of it" in text
    assert test.button(key="split_mend_all").label == "Move all together in a copy"
    assert test.button(key="split_move_go").disabled
    test.session_state["split_more"] = True
    test.run()
    text = _texts(_press(test, "split_delete"))
    assert "frozen, since run 'head\\-1' trained under it" in text or "frozen, since run 'head-1'" in text
    assert [one.id for one in plans(workspace, 1)] == [row.id]
    _press(test, "split_mend_all")
    assert test.selectbox(key="split_shown_1").value == "mine mended"
    assert "No leak" in _texts(test)
    assert members(workspace, row.id) == places


def test_tiles_are_moved_by_name_and_one_that_is_not_there_is_named(workspace):
    test = _page()
    test.session_state["split_move"] = True
    test.run()
    test.text_area(key="split_move_names").set_value("0, 2\n3")
    test.button_group(key="split_move_side").set_value("test")
    _press(test, "split_move_go")
    assert {row.name for row in tiles(workspace, 1, split="test")} == {"0", "2", "3"}
    test.text_area(key="split_move_names").set_value("0, nobody")
    assert "There is no tile nobody" in _texts(_press(test, "split_move_go"))


def test_another_fold_is_chosen_to_judge(workspace):
    places = {str(number): Place("val" if number % 4 == 0 else "train", number % 4) for number in range(20)}
    keep(workspace, 1, NewSplit("folds", "random", places, judge=0), followed=True)
    test = _page()
    test.button_group[-1].set_value(2).run()
    assert not test.exception
    assert plans(workspace, 1)[0].judge == 2
    assert {row.name for row in tiles(workspace, 1, split="val")} == {"2", "6", "10", "14", "18"}
