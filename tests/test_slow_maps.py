"""Maps that take seconds, on Saliency's page: computed in the background, cancelled, scored,
tried again.
"""

import re
from collections.abc import Callable

import pytest
from opening import finished, opened, words
from streamlit.testing.v1 import AppTest

from mlcv_explore.saliency.attribution import GROUPS
from mlcv_explore.saliency.captum_calls import CALLS


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


class Hungry:
    """A computation that finds no memory until there is some."""

    def __init__(self, compute: Callable) -> None:
        self.compute, self.tries, self.enough = compute, 0, False

    def __call__(self, given: object) -> object:
        self.tries += 1
        if not self.enough:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.")
        return self.compute(given)


def test_a_map_that_failed_is_named_and_computed_once_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lrp = Hungry(CALLS["lrp"])
    monkeypatch.setitem(CALLS, "lrp", lrp)
    link = {"captum": "LRP (Captum)", "coalitions": "30"}
    app = finished(opened("saliency", methods="Sobel edges", model="cifar10/0", **link)).run()
    text = words(app)
    assert not app.exception and lrp.tries == 1 and "Could not be computed: LRP (Captum)." in text
    assert "**LRP (Captum)**  \n:material/error:" in text and "in the background" not in text
    lrp.enough = True
    app.button(key="saliency-again").click().run()
    text = words(finished(app))
    assert not app.exception and lrp.tries == 2 and "3\u00a0passes" in text
    assert "Could not be computed" not in text and "saliency-again" not in keys(app)


def test_a_quick_map_that_memory_lacked_for_is_computed_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = ("deeplift",)
    deeplift = Hungry(GROUPS[group])
    monkeypatch.setitem(GROUPS, group, deeplift)
    app = opened("saliency", methods="DeepLift", model="cifar10/0", coalitions="40")
    reason = "**DeepLift**  \n:material/block: DeepLift needs more memory than is free now."
    assert not app.exception and reason in words(app)
    deeplift.enough = True
    assert reason not in words(app.run()) and "completeness" in words(app) and not app.exception


def keys(app: AppTest) -> set[str]:
    return {button.key for button in app.button}
