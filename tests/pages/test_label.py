"""The page around the canvas; the canvas itself is driven with the mouse in tests/browser."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.testing.v1 import AppTest

from core.catalog.catalogue import collections, index_folder, tiles
from core.labels import journal, tile_locks, work_status
from core.labels.mending import Mistake, places_to_mend, send
from core.labels.queue_rules import Rule
from core.labels.strokes import Box
from core.labels.work_status import Status, set_status
from core.progress import SilentProgress
from core.workspace import WORKSPACE_VARIABLE, open_workspace
from tests.core.labels.painting import brush

PAGES = Path(__file__).parents[2] / "pages"

# The page links to its neighbours, so it needs a navigation around it; theirs are not run.
AROUND = f"""
import streamlit as st
from pathlib import Path
pages = Path({str(PAGES)!r})
st.navigation([st.Page(pages / "label.py", default=True), *(
    st.Page(pages / f"{{name}}.py", url_path=name) for name in ("start", "train") if (pages / f"{{name}}.py").exists()
)]).run()
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "workspace"))
    return open_workspace()


@pytest.fixture
def three_tiles(workspace, tmp_path):
    folder = tmp_path / "tiles"
    folder.mkdir()
    for name in ("1", "2", "10"):
        Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(folder / f"{name}_sat.jpg")
    index_folder(workspace, folder, SilentProgress(), synthetic=True)
    [home] = collections(workspace)
    return tiles(workspace, home.id)


def run(**query):
    app = AppTest.from_string(AROUND, default_timeout=30)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def test_without_tiles_the_page_says_where_to_open_a_folder(workspace):
    [message] = run().info
    assert "Open a folder or the sample on the Start page" in message.value


def test_the_first_tile_is_open_and_previous_leads_nowhere(three_tiles):
    app = run()
    assert app.selectbox(key="label_pick").value == three_tiles[0].id
    assert app.button(key="label_previous").disabled
    assert not app.button(key="label_following").disabled
    assert any("0 of 3 done" in caption.value for caption in app.caption)


def test_an_address_opens_its_tile_and_the_arrow_goes_on(three_tiles):
    app = run(tile=str(three_tiles[1].id))
    assert app.selectbox(key="label_pick").value == three_tiles[1].id
    app.button(key="label_following").click().run()
    assert app.selectbox(key="label_pick").value == three_tiles[2].id
    assert app.query_params["tile"] == str(three_tiles[2].id)
    assert app.button(key="label_following").disabled


def test_an_arrow_works_as_the_first_act_of_a_session_as_after_a_restart_of_the_server(three_tiles):
    shown = run().button(key="label_following").click()
    restarted = AppTest.from_string(AROUND, default_timeout=30)
    restarted.query_params["tile"] = str(three_tiles[0].id)
    restarted._run(WidgetStates(widgets=[shown._widget_state]))  # the old page's click comes with the first run
    assert restarted.query_params["tile"] == str(three_tiles[1].id)


def test_choosing_from_the_list_opens_that_tile(three_tiles):
    app = run()
    app.selectbox(key="label_pick").select(three_tiles[2].id).run()
    assert app.query_params["tile"] == str(three_tiles[2].id)


@pytest.mark.parametrize("asked", ["999", "x", "../1", "9" * 40])
def test_an_address_of_no_tile_is_said_and_the_first_tile_opens(three_tiles, asked):
    app = run(tile=asked)
    assert "not in this workspace" in app.warning[0].value
    assert app.selectbox(key="label_pick").value == three_tiles[0].id


def test_the_list_tells_how_far_each_tile_is_and_who_has_it_open(workspace, three_tiles):
    journal.apply(workspace, three_tiles[1].id, brush([(20, 20)]))
    tile_locks.take(workspace, three_tiles[2].id, "", annotator="Ben", tab="tab-b")
    app = run()
    assert [option.split()[1:] for option in app.selectbox(key="label_pick").options] == [
        [],
        ["·", "in", "work"],
        ["·", "Ben"],
    ]


def test_the_sample_is_named(three_tiles):
    assert any("synthetic sample" in element.value for element in run().markdown)


def test_a_tile_is_marked_done_and_the_next_one_opens_with_its_reason(workspace, three_tiles):
    app = run()
    app.button(key="label_done_next").click().run()
    assert work_status.work(workspace, three_tiles[0].id).status is Status.DONE
    assert app.query_params["tile"] == str(three_tiles[1].id)
    assert any("Chosen next: next by name" in html.body for html in app.get("html"))


def test_next_leaves_out_what_is_done_or_in_other_hands_and_says_when_nothing_waits(workspace, three_tiles):
    set_status(workspace, three_tiles[1].id, Status.DONE, annotator="Ada")
    app = run()
    app.button(key="label_next").click().run()
    assert app.query_params["tile"] == str(three_tiles[2].id)
    tile_locks.take(workspace, three_tiles[0].id, "", annotator="Ben", tab="tab-b")
    app.button(key="label_next").click().run()
    assert app.query_params["tile"] == str(three_tiles[2].id)
    assert any("nothing else waits" in html.body for html in app.get("html"))


def test_a_tile_is_sent_back_with_a_comment_that_its_labeller_sees(workspace, three_tiles):
    set_status(workspace, three_tiles[0].id, Status.DONE, annotator="Ada")
    app = run()
    app.button(key="label_to_sent_back").click().run()
    assert "Say what to mend" in app.error[0].value
    app.text_area(key="label_comment").set_value("the <b>river</b>").run()
    app.button(key="label_to_sent_back").click().run()
    assert work_status.work(workspace, three_tiles[0].id).comment == "the <b>river</b>"
    assert any("the &lt;b&gt;river&lt;/b&gt;" in html.body for html in app.get("html"))


def test_approving_ones_own_labels_is_allowed_and_said(workspace, three_tiles):
    journal.apply(workspace, three_tiles[0].id, brush([(20, 20)]))
    set_status(workspace, three_tiles[0].id, Status.DONE, annotator="local")
    app = run()
    assert any("You labelled this tile yourself" in caption.value for caption in app.caption)
    app.button(key="label_to_approved").click().run()
    assert any("who labelled it too" in html.body for html in app.get("html"))


def open_panel(name):
    app = AppTest.from_string(AROUND, default_timeout=30)
    app.session_state[f"label_{name}_open"] = True
    app.run()
    assert not app.exception
    return app


def test_the_queue_explains_its_order_and_offers_what_it_lacks(workspace, three_tiles):
    app = open_panel("queue")
    app.selectbox(key="label_rule").select(Rule.DIVERSE).run()
    assert any("least like any tile" in caption.value for caption in app.caption)
    assert "No tile has been looked at" in app.info[0].value
    assert any("encoder alone" in button.label for button in app.button)
    app.selectbox(key="label_rule").select(Rule.UNCERTAIN).run()
    assert "needs a trained run" in app.info[0].value
    assert not any("Look at the tiles" in button.label for button in app.button)


def test_the_queue_lists_the_tiles_of_a_status_and_opens_them(workspace, three_tiles):
    set_status(workspace, three_tiles[2].id, Status.DONE, annotator="Ada")
    app = open_panel("queue")
    app.selectbox(key="label_show").select("done").run()
    assert any(three_tiles[2].name in html.body and "by Ada" in html.body for html in app.get("html"))
    app.button(key=f"label_open_{three_tiles[2].id}").click().run()
    assert app.query_params["tile"] == str(three_tiles[2].id)
    assert not app.session_state["label_queue_open"]


def test_the_people_panel_shows_who_is_here_and_how_far_an_opinion_agrees(workspace, three_tiles):
    tile_locks.take(workspace, three_tiles[1].id, "", annotator="<Ben>", tab="tab-b")
    journal.apply(workspace, three_tiles[0].id, brush([(20, 20)]))
    journal.apply(workspace, three_tiles[0].id, brush([(40, 40)], radius=40), opinion="Cy", annotator="Cy")
    app = open_panel("people")
    bodies = [html.body for html in app.get("html")]
    assert any("&lt;Ben&gt;" in body and "has tile 2 open" in body for body in bodies)
    assert any("<th>Cy</th>" in body for body in bodies)
    app.button(key="label_take_in").click().run()
    labels = journal.load(workspace, three_tiles[0].id)
    assert np.array_equal(labels, journal.load(workspace, three_tiles[0].id, opinion="Cy"))
    assert "undo on the canvas" in app.info[0].value
    assert journal.undo(workspace, three_tiles[0].id).state.counts["agriculture"].pixels < (labels == 1).sum()


def test_an_opinion_is_not_taken_into_labels_that_somebody_else_holds(workspace, three_tiles):
    journal.apply(workspace, three_tiles[0].id, brush([(40, 40)]), opinion="Cy", annotator="Cy")
    tile_locks.take(workspace, three_tiles[0].id, "", annotator="Ben", tab="tab-b")
    app = open_panel("people")
    app.button(key="label_take_in").click().run()
    assert "Ben is labelling this tile" in app.info[0].value
    assert (journal.load(workspace, three_tiles[0].id) == 255).all()


def test_a_second_opinion_hides_the_status_and_what_others_think(workspace, three_tiles):
    journal.apply(workspace, three_tiles[0].id, brush([(40, 40)]), opinion="Cy", annotator="Cy")
    app = open_panel("people")
    app.button(key="label_opinion_on").click().run()
    assert app.query_params["opinion"] == "1"
    app.session_state["label_people_open"] = True
    app.run()
    assert not any(box.key == "label_with" for box in app.selectbox)
    assert not any(button.key == "label_done_next" for button in app.button)
    app.button(key="label_opinion_off").click().run()
    assert "opinion" not in app.query_params


def test_places_sent_from_evaluate_are_framed_and_leave_the_list_one_by_one(workspace, three_tiles):
    mistake = Mistake("first", 4, 3)
    places = [(Box(2, 2, 8, 8), 60), (Box(20, 20, 30, 30), 700)]
    send(workspace, mistake, [(three_tiles[1].id, places)], annotator="Ada")
    app = run(tile=str(three_tiles[1].id))
    assert "water taken for forest by run first" in " ".join(element.value for element in app.markdown)
    boxes = [button.label for button in app.button if str(button.key).startswith("label_place_")]
    assert boxes == ["1: 175 m²", "2: 15 m²"]
    app.button(key="label_mended").click().run()
    assert [place.pixels for place in places_to_mend(workspace, three_tiles[1].collection_id)[three_tiles[1].id]] == [
        60
    ]
    app.button(key="label_mended_all").click().run()
    assert not [button for button in app.button if str(button.key).startswith("label_place_")]
