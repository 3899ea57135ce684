"""The page of idea 8 under Streamlit's own test runner: the desk, two uploads good and
bad, links that cannot be used, the answer.
"""

import io
from functools import partial

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests import opening
from tests.opening import words

SLUG = "feature_mixing"
opened = partial(opening.opened, SLUG)


def picture(mode: str = "RGB", size: tuple[int, int] = (50, 30), kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray((np.indices((size[1], size[0])).sum(0) % 256).astype(np.uint8)).convert(mode).save(
        file, kind
    )
    return file.getvalue()


def notice(app: AppTest) -> str:
    return next(element.value for element in app.caption if "fifth nearest" in element.value)


@pytest.mark.parametrize("world", ["Scenes", "Digits"])
@pytest.mark.parametrize("mode", ["sum", "object"])
def test_the_desk_is_alive_at_first_paint(world, mode):
    app = opened(world=world, mixing=mode)
    assert not app.exception
    assert "Nearest training pictures" in words(app) and "of the training features" in notice(app)
    assert len(app.get("vega_lite_chart")) == 2 and words(app).count("It is: ") == 2


def test_everything_that_can_be_moved_moves_the_mixture():
    app = opened(world="Digits")
    seen = {notice(app)}
    for name, value in (("weight", 1.7), ("depth", 1), ("first", 9), ("second", 17), ("mixture", 4)):
        app.slider(key=f"{SLUG}-{name}").set_value(value).run()
        assert not app.exception
        seen.add(notice(app))
    assert len(seen) > 3
    app.selectbox(key=f"{SLUG}-scaling").set_value("softmax").run()
    assert app.number_input(key=f"{SLUG}-temperature") and not app.exception
    app.slider(key=f"{SLUG}-mixture").set_value(1).run()
    assert "With m = 1 nothing is mixed" in words(app)


def test_two_uploads_of_other_shapes_and_modes_are_mixed():
    app = opened(**{"first-source": "Upload", "second-source": "Upload"})
    assert "appears here once both are chosen" in words(app)
    app.file_uploader[0].upload("wide<b>.png", picture("L", (200, 40)), "image/png")
    app.run()
    assert "appears here once both are chosen" in words(app)
    app.file_uploader[1].upload("tall.png", picture("RGBA", (31, 90)), "image/png")
    app.run()
    assert (
        not app.exception
        and "takes" in words(app)
        and "for the upload's class" in words(app)
        and "<b>" not in words(app)
    )
    first = notice(app)
    app.slider(key=f"{SLUG}-weight").set_value(2.0).run()
    assert notice(app) != first


@pytest.mark.parametrize("content", [b"", b"<svg onload='a'/>", picture(kind="TIFF"), picture()[:60]])
def test_a_bad_upload_is_refused_in_a_sentence_and_the_page_goes_on(content):
    app = opened(**{"second-source": "Upload"})
    app.file_uploader[0].upload("bad.png", content, "image/png")
    app.run()
    assert not app.exception and app.error and app.error[0].value.count("\n") == 0
    app.file_uploader[0].upload("good.png", picture(), "image/png")
    app.run()
    assert not app.error and "of the training features" in notice(app)


def test_an_empty_rectangle_is_said_to_paste_nothing():
    app = opened(mixing="rectangle", area="0.0")
    assert "nothing is pasted" in words(app) and not app.exception
    app.slider(key=f"{SLUG}-area").set_value(0.5).run()
    assert "nothing is pasted" not in words(app)


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"weight": "7"}, "weight must be between 0 and 2"),
        ({"weight": "nan"}, "weight must be between 0 and 2"),
        ({"mixture": "12"}, "mixture must be a whole number between 1 and 5"),
        ({"images": "99"}, "images must be a whole number between 1 and 10"),
        ({"mixing": "wild"}, "mixing must be one of the 5 offered"),
        ({"area": "-1"}, "area must be between 0 and 1"),
    ],
)
def test_a_link_with_values_that_cannot_be_used_says_so_and_opens(link, sentence):
    app = opened(**link)
    assert sentence in words(app) and not app.exception and "of the training features" in notice(app)


def test_the_words_the_answer_and_the_example_are_there():
    assert "0.157" in str(opened().table[0].value) and "0.427" in str(opened().table[0].value)
    answer = opened(act="Answer")
    assert (
        not answer.exception
        and "Which scaling?" in words(answer)
        and "Does pretraining first matter?" in words(answer)
    )
    assert "soft label" in words(answer) and len(answer.table) >= 12
    read = opened(act="Read")
    assert (
        not read.exception
        and "Manifold" in words(read)
        and "Done before?" in str([item.value for item in read.subheader])
    )
