"""The page of idea 8: the demo, uploads, links that cannot be used, the answer."""

from functools import partial

import numpy as np
import pytest

from mlcv_explore.charts.images import png
from tests import opening
from tests.opening import claims, words

SLUG = "feature_mixing"
opened = partial(opening.opened, SLUG)
WIDE = np.arange(200, dtype=np.uint8)[None].repeat(40, 0)  # a grey image
notice = partial(opening.caption, part="novelty percentile")


@pytest.mark.parametrize("data", ["Scenes", "Digits"])
@pytest.mark.parametrize("mode", ["sum", "object"])
def test_the_demo_is_complete_at_first_paint(data: str, mode: str) -> None:
    app = opened(data=data, mixing=mode)
    assert not app.exception and "Nearest training images" in words(app) and notice(app)
    assert len(app.get("vega_lite_chart")) == 2 and words(app).count("image: class ") == 2


def test_every_control_changes_the_mixture() -> None:
    app = opened(world="Digits")
    seen = [notice(app)]
    for name, value in (("weight", 1.7), ("depth", 1), ("first", 9), ("second", 17), ("mixture", 4)):
        app.slider(key=f"{SLUG}-{name}").set_value(value).run()
        assert not app.exception
        seen.append(notice(app))
    assert len(set(seen)) == len(seen)
    app.selectbox(key=f"{SLUG}-scaling").set_value("softmax").run()
    assert app.number_input(key=f"{SLUG}-temperature") and not app.exception
    app.slider(key=f"{SLUG}-mixture").set_value(1).run()
    assert "With m = 1 nothing is mixed" in words(app)


def test_two_uploads_are_mixed_once_both_are_there() -> None:
    app = opened(**{"first-source": "Upload", "second-source": "Upload"})
    for place, values in enumerate((WIDE, WIDE.T)):
        assert "once both images are chosen" in words(app)
        app.file_uploader[place].upload("<b>.png", png(values), "image/png").run()
    assert "Predicted class used" in words(app) and notice(app)
    assert not app.exception and not app.error and "<b>" not in words(app)


def test_an_empty_rectangle_is_reported() -> None:
    app = opened(mixing="rectangle", area="0.0")
    assert "nothing is pasted" in words(app) and not app.exception
    app.slider(key=f"{SLUG}-area").set_value(0.5).run()
    assert "nothing is pasted" not in words(app)


def test_a_link_with_unusable_values_of_the_demo_is_reported_and_opens() -> None:
    app = opened(mixture="12", mixing="wild")
    assert not app.exception and notice(app)
    assert "mixture must be a whole number between 1 and 5" in words(app)
    assert "mixing must be one of the 5 offered" in words(app)


def test_results_beyond_the_claims_are_drawn() -> None:
    app = opening.unfolded(SLUG)
    assert not app.exception and "of the gain" in words(app)
    shown = [table.value for table in app.dataframe]
    assert claims(app)["Claim"] and len(shown) == 9
    assert "0.157" in str(shown[-1]) and "0.427" in str(shown[-1])
    assert sum("At fitted temperatures (nats)" in table for table in shown) == 4
