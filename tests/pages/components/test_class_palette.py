"""The colours of classes on the pages."""

from streamlit.testing.v1 import AppTest

from core.screen_colours import Palette, kept_palette
from core.workspace import WORKSPACE_VARIABLE, open_workspace


def test_the_choice_reaches_legends_and_masks_and_the_next_session(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path))

    def page():
        import streamlit as st

        from core.workspace import open_workspace
        from pages.components.class_palette import in_palette, palette_choice
        from pages.components.legend import legend_html

        palette_choice(open_workspace())
        st.code(legend_html())
        st.code(in_palette("/tiles/1/mask.png?v=2"))

    app = AppTest.from_function(page).run()
    assert "#00ffff" in app.code[0].value
    assert app.code[1].value == "/tiles/1/mask.png?v=2"
    app.button_group(key="screen_palette").set_value(Palette.SAFE).run()
    assert not app.exception
    assert "#d55e00" in app.code[0].value
    assert app.code[1].value == "/tiles/1/mask.png?v=2&palette=safe"
    assert kept_palette(open_workspace()) is Palette.SAFE
    assert "#d55e00" in AppTest.from_function(page).run().code[0].value
