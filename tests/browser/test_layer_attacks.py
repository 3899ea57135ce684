"""A photograph attacked at a layer in a real browser: a larger size by the keyboard changes
the prediction, and the address holds it.
"""

from playwright.sync_api import expect


def test_a_larger_size_at_a_late_layer_changes_the_prediction(server, new_tab):
    tab = new_tab(390, 844, "dark")
    tab.open(f"{server}/layer_attacks?layer_attacks-layer=6&layer_attacks-size=0.1")
    before = tab.page.get_by_text("cat 90%", exact=True).first
    expect(before).to_be_visible(timeout=60_000)
    tab.idle()
    size = tab.page.get_by_role("slider", name="Size")
    size.focus()
    for _ in range(25):
        tab.page.keyboard.press("ArrowRight")
    tab.page.wait_for_function("() => location.search.includes('layer_attacks-size=0.35')", timeout=15_000)
    tab.idle()
    captions = tab.page.locator('[data-testid="stCaptionContainer"]').all_inner_texts()
    shown = [text for text in captions if text.strip().endswith("%")]
    assert shown[0] == "cat 90%" and not shown[1].startswith("cat") and shown[2].endswith("cat 90%")
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
