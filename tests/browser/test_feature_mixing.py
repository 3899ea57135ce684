"""The demo in a real browser: two uploads, λ, and the map moves; a run, and its effects."""

import re

import numpy as np
from PIL import Image
from playwright.sync_api import expect

NOTICE = re.compile(r"novelty percentile")


def test_two_uploads_are_mixed_and_the_map_moves_with_the_weight(server, new_tab, tmp_path):
    for name, colour in (("red.png", (200, 40, 30)), ("blue.jpg", (20, 60, 190))):
        pixels = np.full((60, 90, 3), 120, np.uint8)
        pixels[20:45, 30:60] = colour
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "bad.png").write_bytes(b"no image at all")
    tab = new_tab(1440, 1000)
    tab.open(
        f"{server}/feature_mixing?feature_mixing-first-source=Upload&feature_mixing-second-source=Upload"
    )
    choosers = tab.page.locator('[data-testid="stFileUploaderDropzoneInput"]')
    expect(choosers).to_have_count(2, timeout=30_000)
    choosers.nth(0).set_input_files(tmp_path / "bad.png")
    expect(tab.page.get_by_text("Image rejected")).to_be_visible(timeout=30_000)
    choosers.nth(0).set_input_files(tmp_path / "red.png")
    choosers.nth(1).set_input_files(tmp_path / "blue.jpg")
    expect(tab.page.get_by_text(NOTICE)).to_be_visible(timeout=30_000)
    tab.idle()
    plane = tab.page.locator('[data-testid="stVegaLiteChart"]').nth(1)
    expect(plane).to_be_visible(timeout=30_000)
    before = plane.screenshot()
    words = tab.page.get_by_text(NOTICE).inner_text()
    weight = tab.page.get_by_role("slider", name="Weight λ")
    weight.focus()
    for _ in range(12):
        tab.page.keyboard.press("ArrowRight")
    tab.page.wait_for_url("**feature_mixing-weight=1.6**", timeout=15_000)
    tab.idle()
    assert plane.screenshot() != before or tab.page.get_by_text(NOTICE).inner_text() != words


def test_a_run_ends_in_effects_and_results(server, new_tab):
    tab = new_tab(390, 844, "dark")
    tab.open(
        f"{server}/feature_mixing?feature_mixing-act=Train&feature_mixing-seeds=2&feature_mixing-steps=40&feature_mixing-width=32"
    )
    tab.page.get_by_role("button", name="Train", exact=True).click()
    expect(tab.page.get_by_text("Results", exact=True)).to_be_visible(timeout=120_000)
    tab.idle()
    expect(tab.page.get_by_text("Each factor averaged over the other")).to_be_visible()
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
