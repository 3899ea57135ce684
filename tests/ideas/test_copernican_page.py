"""The page of the Copernican learner under Streamlit's own test runner: curves, stops,
files good and bad, the two features.
"""

import re
from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

from tests import opening
from tests.opening import words

SLUG = "copernican"
opened = partial(opening.opened, SLUG)
CURVES = (
    "Boosting rounds",
    "Training loss",
    "PCA variance",
    "Feature importance",
    "t-SNE loss",
    "Epochs to best",
)
LINE = "\n".join(f"{row};{row**0.5:.4f}".replace(".", ",") for row in range(1, 60)).encode()


def cone(app: AppTest) -> str:
    return next(element.value for element in app.caption if "so far. With c" in element.value)


@pytest.mark.parametrize("curve", CURVES)
def test_every_kind_has_a_curve_with_its_cone(curve):
    app = opened(curve=curve, stop="40")
    assert not app.exception
    assert "came," in cone(app) and "by construction" in words(app)
    assert len(app.get("vega_lite_chart")) == 2


def test_the_cone_follows_the_stop_and_the_confidence():
    app = opened()
    first = cone(app)
    app.slider(key=f"{SLUG}-stop").set_value(80).run()
    second = cone(app)
    app.slider(key=f"{SLUG}-level").set_value(0.0).run()
    assert "c = 0%" in cone(app) and len({first, second, cone(app)}) == 3
    so_far, low, high = re.search(r": (\S+) so far\. .* says (\S+) to (\S+) more", cone(app)).groups()
    assert so_far == low == high
    app.slider(key=f"{SLUG}-level").set_value(1.0).run()
    assert "0 to any amount more" in cone(app) and "beyond the chart: any amount more" in cone(app)
    assert not app.exception


def test_an_uploaded_curve_is_stopped_and_what_was_done_to_it_is_said():
    app = opened(curve="Your own CSV")
    assert "Give a CSV file" in words(app)
    app.file_uploader[0].upload("mine<b>.csv", b"t;gain\n" + LINE, "text/csv")
    app.run()
    assert not app.exception and "taken for a header" in words(app) and "<b>" not in words(app)
    first = cone(app)
    app.slider(key=f"{SLUG}-stop").set_value(60).run()
    assert cone(app) != first and "this one curve" in words(app)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty file"),
        (b"1,2\n1,3\n2,4\n", "repeats 1"),
        (b"<svg onload='a'/>", "numbers alone: line 1 has _svg"),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence_and_the_page_goes_on(content, sentence):
    app = opened(curve="Your own CSV")
    app.file_uploader[0].upload("curve.csv", content, "text/csv")
    app.run()
    assert not app.exception and sentence in words(app) and "curve.csv" in words(app)
    app.segmented_control(key=f"{SLUG}-curve").set_value("t-SNE loss").run()
    assert "came," in cone(app)


def test_two_features_of_equal_ages_keep_their_ranks():
    app = opened(rate_a="0.02", rate_b="0.05", age_a="50", age_b="10")
    assert "turns the ranking round" in words(app)
    app.toggle(key=f"{SLUG}-equal").set_value(True).run()
    assert "leaves the ranking as it is" in words(app)


def test_the_answer_says_why_and_labels_what_is_true_by_construction():
    said = opened(act="Answer")
    assert not said.exception
    assert "Why use this?" in words(said) and "Not for its confidence" in words(said)
    tables = [table.value.to_string() for table in said.table]
    assert len(tables) == 5 and tables[0].count("by construction") == 7 and "none lasts" in tables[1]


def test_a_link_that_names_what_is_not_offered_is_told():
    app = opened(curve="PCA varianse", stop="400", act="Read")
    assert "did you mean 'PCA variance'" in words(
        app
    ) and "stop must be a whole number between 1 and 99" in words(app)
