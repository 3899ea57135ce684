"""The page of the Copernican learner: curves, stops, files good and bad, two features."""

import re
from functools import partial

import pytest

from mlcv_explore.ideas.copernican.arms import KIND_LABELS
from mlcv_explore.models.learning_curves import KINDS
from tests import opening
from tests.opening import words

SLUG = "copernican"
opened, forecast = partial(opening.opened, SLUG), partial(opening.caption, part="interval: ")
LINE = "\n".join(f"{row};{row**0.5:.4f}".replace(".", ",") for row in range(1, 60)).encode()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_curve_with_its_forecast(kind):
    app = opened(curve=KIND_LABELS[kind], stop="40")
    assert not app.exception
    assert "actual: " in forecast(app) and "By construction: " in words(app)
    assert len(app.get("vega_lite_chart")) == 2


def test_the_forecast_follows_the_stop_and_the_confidence():
    app = opened()
    first = forecast(app)
    assert "95% interval" in first and "**below**" in first  # the default makes the point
    app.slider(key=f"{SLUG}-stop").set_value(80).run()
    second = forecast(app)
    app.slider(key=f"{SLUG}-level").set_value(0.0).run()
    assert len({first, second, forecast(app)}) == 3
    past, low, high = re.search(r": (\S+) so far\. 0% interval: (\S+) to (\S+) more", forecast(app)).groups()
    assert past == low == high
    app.slider(key=f"{SLUG}-level").set_value(1.0).run()
    assert "0 to inf more, beyond the chart" in forecast(app) and not app.exception


def test_an_uploaded_curve_is_stopped_and_how_it_was_read_is_shown():
    app = opened(curve="Your own CSV")
    assert "Upload a CSV file" in words(app)
    app.file_uploader[0].upload("curve.csv", b"<svg onload='a'/>", "text/csv").run()
    assert not app.exception and "curve.csv must hold numbers alone: line 1 has _svg" in words(app)
    app.file_uploader[0].upload("mine<b>.csv", b"t;gain\n" + LINE, "text/csv").run()
    assert not app.exception and "is a header" in words(app) and "<b>" not in words(app)
    first = forecast(app)
    app.slider(key=f"{SLUG}-stop").set_value(60).run()
    assert forecast(app) != first and "this one curve" in words(app)


def test_two_features_of_equal_ages_keep_their_ranks():
    app = opened()
    assert "reverses the ranking" in words(app)
    app.slider(key=f"{SLUG}-age").set_value(50).run()
    assert "keeps the ranking" in words(app)


def test_the_details_of_the_answer_name_their_sources():
    app = opening.unfolded(SLUG)
    assert not app.exception and "means over its sources; all 28" in words(app)
    assert "all 25 with intervals" in words(app) and len(app.dataframe) == 7
