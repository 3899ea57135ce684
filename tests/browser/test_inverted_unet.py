"""The demo in a real browser: the image follows keys and an uploaded mask, on a telephone
in the dark too.
"""

import re

from PIL import Image
from playwright.sync_api import expect

from mlcv_explore.data.masked_images import SCENE_COLOURS
from mlcv_explore.ideas.inverted_unet import inference

OUTPUT = 'img[alt="Image predicted for this mask"]'


def new_image(tab, old):
    """The address of the predicted image once it is another than `old`."""
    tab.page.wait_for_function(
        "([image, old]) => document.querySelector(image).src !== old", arg=[OUTPUT, old], timeout=15_000
    )
    tab.idle()
    return tab.page.locator(OUTPUT).evaluate("image => image.src")


def test_the_image_follows_the_mask(server, new_tab, tmp_path):
    tab = new_tab(390, 844, "dark")
    Image.fromarray(SCENE_COLOURS[inference.examples().regions[2]].repeat(4, 0).repeat(4, 1)).save(
        tmp_path / "mask.png"
    )
    tab.open(f"{server}/inverted_unet?inverted_unet-begin=Upload&inverted_unet-level=edges")
    expect(tab.page.locator(OUTPUT)).to_be_visible(timeout=30_000)
    tab.idle()
    empty = tab.page.locator(OUTPUT).evaluate("image => image.src")
    tab.page.locator('[data-testid="stFileUploaderDropzoneInput"]').set_input_files(tmp_path / "mask.png")
    expect(tab.page.get_by_text(re.compile("128 × 128 pixels"))).to_be_visible(timeout=30_000)
    uploaded = new_image(tab, empty)
    tab.page.locator("canvas").first.focus()
    tab.page.keyboard.press("Space")
    painted = new_image(tab, uploaded)
    tab.page.get_by_role("button", name="Undo").click()
    assert new_image(tab, painted) == uploaded
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
