"""Drawing, uploading and choosing in a real browser, on a page of its own: the result
follows the stroke, keys draw too, thumbnails are chosen by key and stand in the link.
"""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .conftest import serving

SIDE = 32
COLOURS = ((222, 214, 196), (46, 132, 204), (150, 40, 160))
PAGE = f"""
import numpy as np
import streamlit as st

from mlcv_explore.ui import inputs, small_image_input
from mlcv_explore.ui.canvas import draw_on_grid

greys = {{"dark": 40, "mid": 120, "light": 220}}
examples = {{name: np.full((8, 8, 3), grey, np.uint8) for name, grey in greys.items()}}
example = inputs.example_strip("example", examples)
st.text(f"Example: {{example}}")
start = np.zeros(({SIDE}, {SIDE}), np.uint8)
if st.toggle("Other start"):
    start[:] = 2
codes = draw_on_grid(
    "mask", start, f"start {{start[0, 0]}}", ("paper", "circle", "cross"), {COLOURS},
    (("circle", 0), ("circle", 0), ("cross", 5)), 1, 7, "Mask to paint",
)
st.text("Counts: " + " ".join(str(int((codes == code).sum())) for code in range(3)))
digit = small_image_input.draw_digit("digit")
st.text(f"Digit: {{None if digit is None else round(float(digit.sum()), 2)}}")
image = inputs.upload("file")
st.text(f"Image: {{None if image is None else image.size}}")
"""
PIXEL = """(canvas, [row, column]) => {
    const pixel = canvas.getContext("2d").getImageData(column, row, 1, 1).data;
    return Array.from(pixel).slice(0, 3);
}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of that page."""
    folder = tmp_path_factory.mktemp("painting")
    (folder / "page.py").write_text(PAGE, encoding="utf-8")
    with serving(folder / "page.py", folder, "/_stcore/health") as address:
        yield address


def colour(canvas, row, column):
    """The canvas's pixel."""
    return tuple(canvas.evaluate(PIXEL, [row, column]))


def line(tab, start):
    """The line of text on the page that begins so."""
    return tab.page.get_by_text(re.compile(f"^{start}: "))


def changed(tab, start, old):
    """That line once it is another than `old`."""
    expect(line(tab, start)).not_to_have_text(old, timeout=15_000)
    tab.idle()
    return line(tab, start).inner_text()


def test_the_result_follows_the_stroke_and_keys_draw_too(page, new_tab):
    tab = new_tab()
    tab.open(page)
    canvas = tab.page.get_by_label("Mask to paint")
    expect(canvas).to_be_visible(timeout=30_000)
    empty = line(tab, "Counts").inner_text()
    assert empty == f"Counts: {SIDE**2} 0 0" and colour(canvas, 16, 16) == COLOURS[0]
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    pixel = box["width"] / SIDE
    tab.page.mouse.move(box["x"] + 8 * pixel, box["y"] + 16 * pixel)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + 24 * pixel, box["y"] + 16 * pixel, steps=12)
    during = changed(tab, "Counts", empty)  # while the button is still down
    tab.page.mouse.move(box["x"] + 24 * pixel, box["y"] + 26 * pixel, steps=6)
    tab.page.mouse.up()
    after = changed(tab, "Counts", during)
    assert colour(canvas, 16, 16) == COLOURS[1] and len({empty, during, after}) == 3
    group = tab.page.locator(".painter").first
    group.get_by_role("button", name="Undo").click()
    assert changed(tab, "Counts", after) == empty and colour(canvas, 16, 16) == COLOURS[0]

    group.get_by_role("radio", name="cross").check()
    assert group.get_by_label("Brush size in pixels").is_disabled(), "a cross has a size of its own"
    tab.page.keyboard.press("Tab")  # from the brushes
    assert canvas.evaluate("canvas => getComputedStyle(canvas).outlineStyle") == "solid"
    tab.page.keyboard.press("ArrowLeft")
    expect(group.locator(".position")).to_have_text("Row 17, column 16: paper")
    tab.page.keyboard.press("Space")
    crossed = changed(tab, "Counts", empty)
    assert colour(canvas, 16, 15) == COLOURS[2]
    group.get_by_role("button", name="Clear").click()
    assert changed(tab, "Counts", crossed) == empty and colour(canvas, 16, 15) == COLOURS[0]
    tab.page.get_by_text("Other start").click()
    assert changed(tab, "Counts", empty) == f"Counts: 0 0 {SIDE**2}" and colour(canvas, 3, 3) == COLOURS[2]


def test_a_digit_is_drawn_on_a_telephone(page, new_tab):
    tab = new_tab(390, 844, "dark")
    tab.open(page)
    canvas = tab.page.get_by_label("Canvas to draw a digit on")
    expect(canvas).to_be_visible(timeout=30_000)
    canvas.click(position={"x": 60, "y": 60})
    assert changed(tab, "Digit", "Digit: None") != "Digit: 0.0"
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")


def test_an_upload_is_read_or_rejected_in_a_sentence(page, new_tab, tmp_path):
    (tmp_path / "drawing.svg.png").write_text("<svg/>")
    tab = new_tab()
    tab.open(page)
    chooser = tab.page.locator('[data-testid="stFileUploaderDropzoneInput"]')
    chooser.set_input_files(tmp_path / "drawing.svg.png")
    expect(tab.page.get_by_text("Image rejected")).to_be_visible(timeout=30_000)
    expect(tab.page.get_by_text("is an SVG drawing, only JPEG")).to_be_visible()
    expect(tab.page.get_by_text("Not stored, not shared.").first).to_be_visible()


def test_thumbnails_are_chosen_by_key_and_stand_in_the_link(page, new_tab):
    tab = new_tab()
    tab.open(f"{page}/?example=mid")
    strip = tab.page.locator(".st-key-example")
    expect(line(tab, "Example")).to_have_text("Example: mid", timeout=30_000)
    images = strip.get_by_role("radio").evaluate_all(
        "elements => elements.map(one => getComputedStyle(one, '::before').backgroundImage)"
    )
    assert len(set(images)) == 3 and all(image.startswith('url("data:image/png') for image in images)
    strip.get_by_role("radio", name="mid").focus()
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("Space")
    expect(line(tab, "Example")).to_have_text("Example: light", timeout=15_000)
    tab.idle()
    assert "example=light" in tab.page.url
