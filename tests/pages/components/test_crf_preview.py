"""The preview of the refinements' parameters."""

import cv2
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.inference.crf import CRF_LIMITS, CrfParameters
from core.inference.guided_filter import GUIDED_LIMITS, GuidedParameters
from pages.components.crf_preview import _CRF_WORDS, _GUIDED_WORDS


def script(image_path, refinement):
    from types import SimpleNamespace

    import numpy as np
    import streamlit as st

    from core.inference.presence import mean_presence
    from core.inference.switches import Switches
    from core.inference.tile_prediction import MeanLook
    from pages.components.crf_preview import crf_preview, with_chosen

    def said():
        st.session_state["asked"] = st.session_state.get("asked", 0) + 1
        generator = np.random.default_rng(0)
        probabilities = generator.random((6, 600, 1100), np.float32) * 0.15
        probabilities[2] += 0.12
        probabilities /= probabilities.sum(axis=0)
        return MeanLook(probabilities, mean_presence(probabilities))

    tile = SimpleNamespace(image_path=image_path, fingerprint=image_path)
    switches = with_chosen(Switches(refinement=refinement), key="p")
    crf_preview(tile, said, version="1", switches=switches, key="p")
    st.session_state["switches"] = with_chosen(Switches(refinement=refinement), key="p")


@pytest.fixture
def image_path(tmp_path):
    path = tmp_path / "1_sat.jpg"
    cv2.imwrite(str(path), np.full((600, 1100, 3), 120, np.uint8))
    return str(path)


def opened(image_path, refinement):
    app = AppTest.from_function(script, default_timeout=60, args=(image_path, refinement)).run()
    assert not app.exception
    return app


def share(app):
    return float(next(one.value for one in app.caption if "pixels change" in one.value).split("%")[0])


def test_a_stronger_crf_changes_more_and_the_model_is_asked_once(image_path):
    app = opened(image_path, "crf")
    app.slider(key="p_bilateral_weight").set_value(0.0)
    app.slider(key="p_smooth_weight").set_value(0.0).run()
    assert share(app) == 0
    app.slider(key="p_bilateral_weight").set_value(20.0).run()
    assert share(app) > 5
    assert app.session_state["asked"] == 1


def test_what_is_taken_over_becomes_the_page_s_switches(image_path):
    app = opened(image_path, "guided")
    assert app.session_state["switches"].guided == GuidedParameters()
    app.slider(key="p_radius_metres").set_value(20.0)
    app.select_slider(key="p_area_water").set_value(400.0).run()
    assert app.session_state["switches"].guided == GuidedParameters()
    app.button(key="p_use").click().run()
    switches = app.session_state["switches"]
    assert switches.guided == GuidedParameters(radius_metres=20)
    assert switches.class_regions == (0, 0, 0, 0, 400, 0)
    app.button(key="p_defaults").click().run()
    app.button(key="p_use").click().run()
    assert app.session_state["switches"].guided == GuidedParameters()
    assert app.session_state["switches"].class_regions == ()


def test_another_piece_of_the_tile_can_be_looked_at(image_path):
    app = opened(image_path, "none")
    app.button(key="p_elsewhere").click().run()
    assert not app.exception
    assert app.session_state["p_place"] == 1


def test_an_image_that_is_gone_is_told(tmp_path):
    app = opened(str(tmp_path / "gone_sat.jpg"), "crf")
    assert "cannot be read" in app.error[0].value


def test_every_slider_lies_within_what_is_allowed():
    for words, limits, own in (
        (_CRF_WORDS, CRF_LIMITS, CrfParameters()),
        (_GUIDED_WORDS, GUIDED_LIMITS, GuidedParameters()),
    ):
        for name, (_, highest) in words.items():
            assert limits[name].low <= getattr(own, name) <= highest <= limits[name].high
