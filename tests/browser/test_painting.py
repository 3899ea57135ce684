"""Painting a mask in a real browser: the picture follows the stroke; keys paint too; an
uploaded mask is taken.
"""

import re

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from mlcv_explore.ideas.inverted_unet import brought, painting
from mlcv_explore.ideas.inverted_unet.worlds import REGIONS

PICTURE = 'img[alt="What the network paints of this mask"]'
COLOUR = """(canvas, [row, column]) => Array.from(canvas.getContext("2d").getImageData(column, row, 1, 1).data).slice(0, 3)"""


def colour(canvas, row, column):
    """The canvas's pixel."""
    return canvas.evaluate(COLOUR, [row, column])


def new_picture(tab, old):
    """The address of the painted picture once it is another than `old`."""
    tab.page.wait_for_function(
        "([picture, old]) => document.querySelector(picture).src !== old", arg=[PICTURE, old], timeout=15_000
    )
    tab.idle()
    return tab.page.locator(PICTURE).evaluate("image => image.src")


def test_the_picture_follows_the_stroke(server, new_tab):
    tab = new_tab()
    tab.open(f"{server}/inverted_unet?inverted_unet-begin=Empty")
    canvas = tab.page.locator("canvas").first
    expect(canvas).to_be_visible(timeout=30_000)
    expect(tab.page.locator(PICTURE)).to_be_visible(timeout=30_000)
    tab.idle()
    first = tab.page.locator(PICTURE).evaluate("image => image.src")
    circle, paper = (brought.COLOURS[code].tolist() for code in (REGIONS.index("circle"), 0))
    assert colour(canvas, 16, 16) == paper
    box = canvas.bounding_box()
    pixel = box["width"] / painting.SIDE
    tab.page.mouse.move(box["x"] + 8 * pixel, box["y"] + 16 * pixel)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + 24 * pixel, box["y"] + 16 * pixel, steps=12)
    during = new_picture(tab, first)  # while the button is still down
    tab.page.mouse.move(box["x"] + 24 * pixel, box["y"] + 26 * pixel, steps=6)
    tab.page.mouse.up()
    after = new_picture(tab, during)
    assert colour(canvas, 16, 16) == circle and len({first, during, after}) == 3
    tab.page.get_by_role("button", name="Undo").click()
    assert new_picture(tab, after) == first
    assert colour(canvas, 16, 16) == paper

    tab.page.get_by_role("radio", name="cross").check()
    canvas.focus()
    tab.page.keyboard.press("ArrowLeft")
    tab.page.keyboard.press("Space")
    crossed = new_picture(tab, first)
    assert colour(canvas, 16, 15) == brought.COLOURS[REGIONS.index("cross")].tolist()
    tab.page.get_by_role("radio", name="binary").click()
    new_picture(tab, crossed)
    tab.page.get_by_role("button", name="Clear").click()
    tab.idle()
    assert colour(canvas, 16, 15) == paper


def test_an_uploaded_mask_is_on_the_canvas_and_can_be_painted_over(server, new_tab, tmp_path):
    regions = painting.presets().regions[2]
    Image.fromarray(brought.coloured(regions).repeat(4, 0).repeat(4, 1)).save(tmp_path / "mask.png")
    Image.fromarray((np.indices((64, 64)).sum(0) * 2).astype(np.uint8)).save(tmp_path / "ramp.png")
    tab = new_tab(390, 844, "dark")
    tab.open(f"{server}/inverted_unet?inverted_unet-begin=Upload&inverted_unet-rung=edges")
    chooser = tab.page.locator('[data-testid="stFileUploaderDropzoneInput"]')
    chooser.set_input_files(tmp_path / "ramp.png")
    expect(tab.page.get_by_text("This mask was not taken")).to_be_visible(timeout=30_000)
    chooser.set_input_files(tmp_path / "mask.png")
    expect(tab.page.get_by_text(re.compile("128 × 128 pixels"))).to_be_visible(timeout=30_000)
    tab.idle()
    canvas = tab.page.locator("canvas").first
    places = np.argwhere(regions == regions[regions > 0].min())
    row, column = places[len(places) // 2].tolist()
    assert colour(canvas, row, column) == brought.COLOURS[regions[row, column]].tolist()
    old = tab.page.locator(PICTURE).evaluate("image => image.src")
    canvas.click(position={"x": 40, "y": 40})
    new_picture(tab, old)
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
