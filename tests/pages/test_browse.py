from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog.catalogue import index_folder, tiles
from core.catalog.splitting import plans as split_plans
from core.errors import InputError
from core.jobs import queue, worker
from core.progress import SilentProgress
from core.workspace import WORKSPACE_VARIABLE, Workspace, open_workspace
from tests.core.catalog.pictures import write_pair, write_picture

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
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "ws"))
    return open_workspace()


@pytest.fixture
def filled(workspace: Workspace, tmp_path: Path) -> Workspace:
    for name in ("119", "2774", "5"):
        write_pair(tmp_path / "land", name)
    write_picture(tmp_path / "land" / "bare_sat.jpg")
    (tmp_path / "land" / "broken_sat.jpg").write_bytes(b"")
    index_folder(workspace, tmp_path / "land", SilentProgress())
    return workspace


def _page(**query: str) -> AppTest:
    test = AppTest.from_string(AROUND, default_timeout=30)
    for name, value in query.items():
        test.query_params[name] = value
    test.run()
    assert not test.exception
    return test


def _texts(test: AppTest) -> str:
    return "\n".join(str(part.value) for part in (*test.markdown, *test.caption, *test.subheader, *test.warning))


def test_an_empty_workspace_points_to_start(workspace: Workspace) -> None:
    test = _page()
    assert "No tiles yet" in test.info[0].value
    assert test.get("page_link")[0].proto.label == "Go to Start"


def test_the_collection_is_summed_up_while_no_tile_is_open(filled: Workspace) -> None:
    text = _texts(_page())
    assert "All 4 tiles" in text
    assert "**3** came with a mask" in text
    assert "**0** kept for the test" in text


def test_filters_in_the_address_are_applied(filled: Workspace) -> None:
    assert "1 of 4 tiles" in _texts(_page(labels="no labels yet"))
    both = _page(split="val", labels="mask given")
    expected = len(tiles(filled, 1, split="val", with_mask=True))
    assert f"{expected} of 4 tiles" in _texts(both)


def test_a_widget_changes_the_address_and_a_chip_takes_it_back(filled: Workspace) -> None:
    test = _page(view="Gallery")
    test.selectbox(key="filter_split").set_value("train").run()
    test.text_input(key="filter_text").set_value("2774").run()
    assert (test.query_params["split"], test.query_params["q"]) == ("train", "2774")
    chips = [button for button in test.button if (button.key or "").startswith("browse_chip_")]
    assert [chip.label for chip in chips] == ["id has '2774'", "train"]
    chips[0].click().run()
    assert "q" not in test.query_params
    assert test.text_input(key="filter_text").value == ""
    test.button(key="browse_clear").click().run()
    assert test.query_params == {"view": "Gallery"}


def test_the_filter_panel_shows_and_changes_what_the_address_asks(filled: Workspace) -> None:
    test = _page(view="Gallery", water="present", known="10-90", problems="1")
    test.session_state["browse_filter_panel"] = True
    test.run()
    assert test.button_group(key="filter_quick_water").value == "present"
    assert test.slider(key="filter_known").value == (10, 90)
    test.slider(key="filter_share_barren").set_range(0, 20).run()
    test.number_input(key="filter_classes_from").set_value(2).run()
    test.toggle(key="filter_problems").set_value(False).run()
    assert test.query_params == {
        "view": "Gallery",
        "water": "present",
        "barren": "0-20",
        "classes": "2-",
        "known": "10-90",
    }
    assert not test.exception


def test_what_makes_no_sense_in_an_address_is_named_and_the_rest_holds(filled: Workspace) -> None:
    test = _page(view="Gallery", water="much", q="2774", page="99", order="alike", alike="12345")
    assert "water='much'" in test.warning[0].value
    assert "1 of 4 tiles" in _texts(test)


def test_an_order_by_what_nobody_knows_says_so(filled: Workspace) -> None:
    assert "No run was judged on these tiles" in _page(view="Gallery", order="iou").info[0].value
    assert "Run f9 was not judged" in _page(view="Gallery", iou="0-50", run="f9").info[0].value
    assert "No run has looked" in _page(view="Gallery", uncertainty="20-").info[0].value


def test_an_order_is_chosen_and_turned_round(filled: Workspace) -> None:
    test = _page(view="Gallery")
    test.selectbox(key="filter_order").set_value("water").run()
    assert test.query_params["order"] == "water"
    test.button(key="browse_direction").click().run()
    assert test.query_params["down"] == "0"


def test_all_that_pass_are_selected_and_moved_to_a_split_and_back(filled: Workspace) -> None:
    test = _page(view="Gallery", labels="mask given")
    assert "Select all 3" in [button.label for button in test.button]
    test.button(key="browse_select_all").click().run()
    test.session_state["browse_to_split"] = True
    test.run()
    test.button(key="browse_to_test").click().run()
    assert [tile.split for tile in tiles(filled, 1) if tile.mask_path] == ["test"] * 3
    assert "3 tiles are in test of the split" in test.toast[0].value
    assert "**3** kept for the test" in _texts(test)
    before = {"119": "train", "2774": "train"}
    test.button(key="browse_undo").click().run()
    assert {tile.name: tile.split for tile in tiles(filled, 1) if tile.name in before}["119"] == "train"
    assert not test.exception


def test_a_frozen_split_refuses_in_words(filled: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise InputError("The split 'a' is frozen, since run 'f' trained under it; copy it and change the copy.")

    monkeypatch.setattr(split_plans, "move_tiles", refuse)
    test = _page(view="Gallery")
    test.button(key="browse_select_all").click().run()
    test.session_state["browse_to_split"] = True
    test.run()
    test.button(key="browse_to_val").click().run()
    assert "is frozen" in test.toast[0].value


def test_selected_tiles_are_packed_by_a_job(filled: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "ensure_running", lambda *_: None)
    test = _page(view="Gallery", q="119")
    test.button(key="browse_select_all").click().run()
    test.session_state["browse_export"] = True
    test.run()
    test.button(key="browse_pack_files").click().run()
    job = queue.jobs(filled)[0]
    assert job.arguments[0] == "export-tiles"
    assert job.arguments[-2:] == ("--tile", "119")


def test_a_filter_that_nothing_passes_says_so(filled: Workspace) -> None:
    test = _page(view="Gallery", labels="labelled here")
    assert "No tile passes these filters" in test.info[0].value


def test_the_tile_in_the_address_is_opened_with_its_facts(filled: Workspace) -> None:
    row = next(tile for tile in tiles(filled, 1) if tile.name == "119")
    test = _page(tile=str(row.id))
    text = _texts(test)
    assert "Tile 119" in text
    assert "64 x 48 pixels" in text
    assert "train, in GLNet's list" in text
    assert "Label this tile" in [button.label for button in test.button]


@pytest.mark.parametrize("tile", ["9999", "abc", "-1", "99999999999999999999999"])
def test_an_address_with_no_such_tile_still_shows_the_page(filled: Workspace, tile: str) -> None:
    assert "All 4 tiles" in _texts(_page(tile=tile))


def test_a_link_to_a_tile_opens_its_collection(filled: Workspace, tmp_path: Path) -> None:
    write_pair(tmp_path / "other", "77")
    index_folder(filled, tmp_path / "other", SilentProgress())
    row = next(tile for tile in tiles(filled, 1) if tile.name == "5")
    test = _page(tile=str(row.id))
    assert test.selectbox[0].value == "land"
    assert "Tile 5" in _texts(test)


def test_what_was_wrong_is_listed(filled: Workspace) -> None:
    test = _page()
    assert test.expander[0].label == "1 things to know about these files"
    assert "0 bytes" in test.table[0].value.to_string()


def test_the_sample_is_called_synthetic(workspace: Workspace) -> None:
    write_pair(workspace.sample, "1")
    index_folder(workspace, workspace.sample, SilentProgress())
    assert "synthetic sample" in _texts(_page())
