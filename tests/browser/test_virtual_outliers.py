"""The demo of virtual outliers in a real browser: another example by a click, another layer by
the keyboard, and the address holds both.
"""

from playwright.sync_api import expect


def test_an_outlier_is_chosen_and_a_layer_by_the_keyboard(server, new_tab):
    tab = new_tab(390, 844, "dark")
    tab.open(f"{server}/virtual_outliers?virtual_outliers-network=Digits")
    expect(tab.page.get_by_text("prediction depth 0 of 4").first).to_be_visible(timeout=60_000)
    tab.page.get_by_role("radio", name="noise").click()
    tab.idle()
    expect(tab.page.get_by_text("more real than 0 % of real images").first).to_be_visible(timeout=15_000)
    layer = tab.page.get_by_role("slider", name="Layer").first
    layer.focus()
    tab.page.keyboard.press("ArrowLeft")
    tab.page.wait_for_function("() => location.search.includes('virtual_outliers-layer=3')", timeout=15_000)
    tab.idle()
    assert "virtual_outliers-example=noise" in tab.page.url
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
