"""One small image from every source; a rejected file is reported and replaced."""

import io

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest


def page(side: int) -> None:
    import numpy as np
    import streamlit as st

    from mlcv_explore.config import Config, setting
    from mlcv_explore.data.dataset import Images
    from mlcv_explore.ui import small_image_input

    class NumberedView(Config):
        first: int = setting(2, "First image", low=1, high=3, step=1)

    shape = (3, 1 if side == 8 else 3, side, side)
    test = Images(
        np.zeros(shape, np.uint8), np.arange(3), ("a", "b", "c"), np.zeros(shape[:1] + shape[2:], np.uint8)
    )
    chosen = small_image_input.choose(
        "demo", NumberedView.setting("first"), "First image", small_image_input.SOURCES, test
    )
    st.text("none" if chosen is None else f"{chosen.image.shape} {chosen.label}")


def opened(side: int, **link: str) -> AppTest:
    app = AppTest.from_function(page, kwargs={"side": side}, default_timeout=20)
    for name, value in link.items():
        app.query_params[f"demo-{name}"] = value
    return app.run()


def saved(mode: str, size: tuple[int, int], kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.indices(size[::-1]).sum(0).astype(np.uint8)).convert(mode).save(file, kind)
    return file.getvalue()


WIDE, TALL = saved("L", (200, 40)), saved("RGBA", (31, 90))
BAD = (b"", b"<svg onload='a'/>", saved("RGB", (50, 30), "TIFF"), WIDE[:60])


def test_a_test_image_is_the_default_and_shows_its_class():
    app = opened(32)
    assert app.text[0].value == "(3, 32, 32) 1" and app.caption[0].value == "First image: class b."
    assert app.slider(key="demo-first").set_value(3).run().text[0].value == "(3, 32, 32) 2"


@pytest.mark.parametrize(("side", "channels"), [(32, 3), (8, 1)])
def test_photographs_have_the_size_of_the_test_images_and_no_class(side: int, channels: int):
    app = opened(side, **{"first-source": "Gallery"})
    assert app.text[0].value == f"({channels}, {side}, {side}) None" and not app.exception
    app = opened(side, **{"first-source": "Upload"})
    for good, bad in zip((WIDE, TALL, WIDE, TALL), BAD, strict=True):
        assert app.file_uploader[0].upload("bad.png", bad, "image/png").run().text[0].value == "none"
        assert app.error[0].value.count("\n") == 0 and not app.exception
        app.file_uploader[0].upload("good.png", good, "image/png").run()
        assert app.text[0].value == f"({channels}, {side}, {side}) None" and not app.error


def test_nothing_is_chosen_before_something_is_drawn():
    assert opened(8, **{"first-source": "Draw"}).text[0].value == "none"
