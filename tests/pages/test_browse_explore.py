from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog.catalogue import index_folder, tiles
from core.progress import SilentProgress
from core.workspace import WORKSPACE_VARIABLE, Workspace, open_workspace
from pages.components import browse_explore
from tests.core.catalog.alike.looked import look, two_kinds
from tests.core.catalog.pictures import write_pair, write_picture
from tests.pages.test_browse import AROUND

PARTS = ("Classes", "Instances and patches", "Colours", "Problems")


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    for seed, name in enumerate(("119", "2774", "5")):
        write_pair(tmp_path / "land", name, seed=seed)
    (tmp_path / "land" / "broken_sat.jpg").write_bytes(b"")
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "ws"))
    workspace = open_workspace()
    index_folder(workspace, tmp_path / "land", SilentProgress())
    return workspace


def _page(part: str) -> AppTest:
    test = AppTest.from_string(AROUND, default_timeout=30)
    test.query_params["view"], test.query_params["part"] = "Explore", part
    test.run()
    assert not test.exception
    return test


def _texts(test: AppTest) -> str:
    return "\n".join(str(part.value) for part in (*test.markdown, *test.caption, *test.info))


def test_classes_are_charted_with_a_blind_guess_that_says_where_it_was_scored(filled: Workspace) -> None:
    test = _page("Classes")
    assert len(test.get("plotly_chart")) == 3
    assert "A blind guess" in _texts(test)
    assert "| all, 3 tiles |" in _texts(test)


def test_without_a_look_the_job_is_offered_where_it_is_needed(filled: Workspace) -> None:
    for part in PARTS[1:]:
        assert "Look at the tiles" in [button.label for button in _page(part).button], part


def test_with_a_look_every_part_shows_its_figures(filled: Workspace) -> None:
    look(filled, tiles(filled, 1), two_kinds(3))
    for part in PARTS[1:]:
        assert "Look at the tiles" not in [button.label for button in _page(part).button], part
    assert len(_page("Colours").get("plotly_chart")) == 1
    listed = _page("Problems").dataframe[0].value
    assert "left out" in listed["kind"].to_list()


def test_an_unlabelled_collection_says_what_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_picture(tmp_path / "bare" / "1_sat.jpg")
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "ws"))
    index_folder(open_workspace(), tmp_path / "bare", SilentProgress())
    assert "nothing is known of its classes" in _texts(_page("Classes"))
    assert "No tile came with a mask" in _texts(_page("Instances and patches"))


@pytest.mark.parametrize(
    ("follow", "clicked", "asked"),
    [
        ("_to_share", ("train", "water", 9), {"split": "train", "water": "present", "order": "water"}),
        ("_to_share", ("all", "", 9), {"known": "0-99"}),
        ("_to_pair", ("urban", "water", 1, 2, 50.0), {"urban": "present", "water": "present", "order": "urban"}),
        ("_to_count", 1, {"classes": "1-1"}),
        ("_to_class", ("forest", "1 ha", "2 ha"), {"forest": "present", "order": "forest"}),
        ("_to_tile", (7, "119"), {"tile": "7"}),
    ],
)
def test_what_is_clicked_in_a_chart_leads_to_its_tiles(
    monkeypatch: pytest.MonkeyPatch, follow: str, clicked: object, asked: dict[str, str]
) -> None:
    went: dict[str, str | None] = {}
    monkeypatch.setattr(
        browse_explore, "show_filter", lambda wanted, **others: went.update({**wanted.to_query(), **others})
    )
    monkeypatch.setattr(browse_explore, "show", lambda **others: went.update(others))
    getattr(browse_explore, follow)(clicked)
    assert {key: value for key, value in went.items() if value is not None} == {**asked, "view": "Gallery"}
