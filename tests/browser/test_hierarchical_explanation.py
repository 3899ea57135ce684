"""A digit drawn in a real browser: its tree appears, opens to strokes by mouse and
keys, and follows the slider.
"""

from playwright.sync_api import expect


def drawn_stroke(tab, corners):
    canvas = tab.page.locator("canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    pixel = box["width"] / 32
    (column, row), *rest = corners
    tab.page.mouse.move(box["x"] + column * pixel, box["y"] + row * pixel)
    tab.page.mouse.down()
    for column, row in rest:
        tab.page.mouse.move(box["x"] + column * pixel, box["y"] + row * pixel, steps=8)
    tab.page.mouse.up()


def test_a_drawn_digit_becomes_a_tree_that_opens(server, new_tab):
    tab = new_tab()
    tab.open(f"{server}/hierarchical_explanation?hierarchical_explanation-source=Draw")
    expect(tab.page.locator("canvas").first).to_be_visible(timeout=30_000)
    expect(tab.page.get_by_text("Draw a digit with mouse")).to_be_visible(timeout=30_000)
    drawn_stroke(tab, [(50, 40), (60, 50)])  # a stroke outside the canvas draws nothing
    expect(tab.page.get_by_text("Draw a digit with mouse")).to_be_visible()
    drawn_stroke(tab, [(10, 8), (22, 8), (14, 26)])
    expect(tab.page.get_by_text("Classifier: 7 ")).to_be_visible(timeout=30_000)
    expect(tab.page.get_by_text("of X's energy; τ")).to_be_visible()
    tab.idle()
    closed = tab.page.locator('[aria-expanded="false"]').first
    expect(closed).to_be_visible(timeout=15_000)
    before = tab.page.locator("[aria-expanded=true]").count()
    closed.focus()
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("[aria-expanded=true]")).to_have_count(before + 1)
    slider = tab.page.get_by_role("slider", name="Atoms in E, at most")
    slider.focus()
    tab.page.keyboard.press("ArrowRight")
    expect(tab.page.get_by_text("E: 5 of ")).to_be_visible(timeout=15_000)
    expect(tab.page.locator("[aria-expanded=true]")).to_have_count(before + 1)  # what was opened stays so
