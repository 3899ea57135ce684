"""Controls for images and files under Streamlit's own test runner."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from mlcv_explore.charts import images
from mlcv_explore.data import uploads
from mlcv_explore.ui import canvas, inputs


def words(app: AppTest) -> str:
    return " ".join(
        element.value for kind in ("caption", "error", "info", "markdown") for element in app.get(kind)
    )


def table_page() -> None:
    import streamlit as st

    from mlcv_explore.data.uploads import BadUpload
    from mlcv_explore.ui import inputs

    def parse(content: bytes, name: str, factor: int) -> list[int]:
        st.session_state["parsed"] = st.session_state.get("parsed", 0) + 1
        if not content.isdigit():
            raise BadUpload(f"{name} must hold a number.")
        return [factor * int(content)]

    factor = st.number_input("Factor", value=1)
    value = inputs.upload(
        "file", "A number", ("txt",), parse, args=(factor,), max_mb=1, rejected="Number rejected"
    )
    st.text(f"{value} after {st.session_state.get('parsed', 0)}")


def test_a_file_is_parsed_once_and_again_when_an_argument_changes() -> None:
    app = AppTest.from_function(table_page).run()
    assert app.text[0].value == "None after 0" and "Not stored, not shared." in words(app)
    app.file_uploader[0].upload("number.txt", b"7", "text/plain").run()
    assert app.text[0].value == "[7] after 1"
    assert app.run().text[0].value == "[7] after 1"
    assert app.number_input[0].set_value(3).run().text[0].value == "[21] after 2"


def test_a_rejected_file_is_one_sentence_and_stays_rejected() -> None:
    app = AppTest.from_function(table_page).run()
    app.file_uploader[0].upload("number.txt", b"seven", "text/plain").run()
    for _ in range(2):
        assert [error.value for error in app.error] == ["number.txt must hold a number."]
        assert app.text[0].value == "None after 1" and not app.exception
        app.run()


def image_page() -> None:
    import streamlit as st

    from mlcv_explore.ui import inputs

    image = inputs.choose_image("demo", ("cifar10/0", "scenes/0", "imagenet"))
    other = inputs.compare_image("demo")
    st.text([None if element is None else element.name for element in (image, other)])


def opened(**link: str) -> AppTest:
    app = AppTest.from_function(image_page)
    for name, value in link.items():
        app.query_params[f"demo-{name}"] = value
    return app.run(timeout=20)


def test_an_image_is_chosen_from_the_gallery_the_scenes_or_a_file() -> None:
    app = opened(photograph="coffee", compare="scene-2")
    assert app.text[0].value == "['coffee', 'scene-2']" and not app.exception
    app.segmented_control(key="demo-photograph").set_value("flower").run()
    assert app.text[0].value == "['flower', 'scene-2']"
    app = opened(source="Scene", scene="3")
    assert app.text[0].value == "['scene-3', None]"
    app = opened(source="Upload")
    assert app.text[0].value == "[None, None]" and "Choose an image" in words(app)
    app.file_uploader[0].upload("mine.png", images.png(np.zeros((4, 4, 3), np.uint8)), "image/png").run()
    assert app.text[0].value == "['own-image', None]"
    app.file_uploader[0].upload("mine.png", b"GIF", "image/png").run()
    assert app.text[0].value == "[None, None]" and "only JPEG, PNG, WebP and GIF" in words(app)


def test_the_model_follows_the_kind_of_image_but_not_over_a_choice_that_suits() -> None:
    app = opened()
    for source, model in (("Scene", "scenes/0"), ("Gallery", "imagenet"), ("Upload", "imagenet")):
        app.segmented_control(key="demo-source").set_value(source).run()
        assert app.session_state["demo-model"] == model
    app.session_state["demo-model"] = "resnet50"
    app.segmented_control(key="demo-source").set_value("Gallery").run()
    assert app.session_state["demo-model"] == "resnet50"


def digit_page() -> None:
    import streamlit as st

    from mlcv_explore.ui import small_image_input

    digit = small_image_input.draw_digit("canvas")
    st.text(None if digit is None else [digit.shape, float(digit.max())])


@pytest.mark.parametrize(("ink", "value"), [("0" * 1024, "None"), ("0" * 500 + "1" * 524, "[(8, 8), 1.0]")])
def test_a_drawn_digit_has_the_size_of_the_handwritten_ones(
    ink: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canvas, "_canvas", lambda **_: type("Sent", (), {"painted": f"drawing:{ink}"})())
    app = AppTest.from_function(digit_page).run()
    assert app.text[0].value == value and not app.exception


def test_home_can_import_them_without_data_sets_charts_and_numpy() -> None:
    script = """
import sys
import mlcv_explore.ui.inputs
sys.exit(", ".join({"mlcv_explore.data", "mlcv_explore.charts", "numpy", "torch"} & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert inputs.MAX_MB == uploads.MAX_BYTES >> 20
    limits = uploads.MAX_JPEG_PIXELS, uploads.MAX_PROGRESSIVE_PIXELS, uploads.MAX_PIXELS
    assert tuple(count * 1_000_000 for count in inputs.MEGAPIXELS) == limits


def test_the_limits_stand_beside_the_field_and_what_was_done_to_the_image_beneath_it() -> None:
    app = opened(source="Upload")
    assert "Not stored, not shared." in words(app) and "MB" not in words(app), "the field names the largest"
    assert app.file_uploader[0].proto.max_upload_size_mb == 24
    limits = "Largest image: 80 megapixels as JPEG (50 if progressive), 25 as PNG, WebP or GIF."
    assert app.file_uploader[0].help == limits
    frames, file = [Image.new("RGBA", (8, 6), (red, 0, 0, 99)) for red in (255, 0)], BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    app.file_uploader[0].upload("mine.webp", file.getvalue(), "image/webp").run()
    assert "mine.webp: first frame of an animation; transparent parts shown on white." in words(app)
    file = BytesIO()
    Image.new("RGB", (8, 6)).save(file, "JPEG")
    app.file_uploader[0].upload("mine.jfif", file.getvalue(), "image/jpeg").run()
    assert app.text[0].value == "['own-image', None]" and "mine.webp" not in words(app)


def test_what_was_done_to_the_image_of_the_home_page_is_said_where_it_opens() -> None:
    app = AppTest.from_function(image_page)
    app.query_params["demo-source"] = "Upload"
    frames, file = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")], BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    app.session_state[f"{inputs.HOME_UPLOAD}-image"] = inputs.read_image(file.getvalue(), "mine.gif")
    app.run(timeout=20)
    assert app.text[0].value == "['own-image', None]"
    assert "mine.gif: first frame of an animation." in words(app)


def test_what_was_done_to_a_photograph_of_the_camera_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    file, turned = BytesIO(), Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (8, 6)).save(file, "JPEG", exif=turned)
    taken = type("Taken", (), {"file_id": "1", "name": "camera.jpg", "getvalue": file.getvalue})
    monkeypatch.setattr(inputs, "_taken", lambda _: taken)
    app = opened(source="Camera")
    assert app.text[0].value == "['own-image', None]" and not app.exception
    assert "camera.jpg: turned upright by its EXIF orientation." in words(app)


def test_a_huge_image_has_maps_of_twelve_megapixels() -> None:
    file = BytesIO()
    Image.new("1", (12_000, 1200)).save(file, "PNG")
    width, height = inputs.read_image(file.getvalue(), "wide.png").size
    assert width * height <= 12_000_000 and width / height == pytest.approx(10, abs=0.01)
