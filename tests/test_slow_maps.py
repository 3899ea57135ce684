"""Maps that take seconds, on Saliency's page: computed in the background, cancelled, scored."""

import re

from opening import finished, opened, words
from streamlit.testing.v1 import AppTest


def test_captums_own_methods_have_tiles_with_cost_scores_and_a_command() -> None:
    more = ["KernelShap (Captum)", "LRP (Captum)"]
    link = {"captum": more, "coalitions": "20", "superpixels": "4", "scores": "true"}
    app = opened("saliency", methods="Sobel edges", model="cifar10/0", **link)
    assert not app.exception and "Computed in the background" in words(app)
    app = finished(finished(app))  # the maps, then their scores
    text = words(app)
    assert "**KernelShap (Captum)**" in text and "20\u00a0passes" in text and "3\u00a0passes" in text
    assert re.search(r"\d\.\d\u00a0s\b", text) and "Computed in the background" not in text
    assert list(app.dataframe[-1].value["Map"]) == ["Sobel edges", *more]
    assert not app.exception and app.selectbox(key="saliency-by").options == ["Sobel edges", *more]


def test_a_cancelled_map_is_not_computed_until_it_is_wanted_again() -> None:
    waiting = "**KernelShap (Captum)**  \n:material/hourglass:"
    link = {"captum": "KernelShap (Captum)", "coalitions": "5000"}
    app = opened("saliency", methods="Sobel edges", model="cifar10/0", **link)
    app.button(key="saliency-cancel").click().run()
    app = finished(app)
    assert not app.exception and waiting in words(app) and "saliency-cancel" not in keys(app)
    app.button(key="saliency-resume").click().run()
    assert not app.exception and "saliency-resume" not in keys(app)
    app.button(key="saliency-cancel").click().run()
    assert waiting in words(finished(app))
    app.slider(key="saliency-coalitions").set_value(10).run()  # another request
    text = words(finished(app))
    assert not app.exception and waiting not in text and "10\u00a0passes" in text


def keys(app: AppTest) -> set[str]:
    return {button.key for button in app.button}
