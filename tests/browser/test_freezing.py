"""Freezing in a real browser: a block is frozen by the keyboard, and the address holds it."""

from playwright.sync_api import expect


def test_a_block_is_frozen_by_the_keyboard(server, new_tab):
    tab = new_tab(390, 844, "dark")
    tab.open(f"{server}/freezing")
    expect(tab.page.get_by_text("After, with 200 target images").first).to_be_visible(timeout=60_000)
    tab.idle()
    before = tab.page.get_by_test_id("stMetricValue").first.inner_text()
    block = tab.page.get_by_role("switch", name="Freeze block 2")
    block.focus()
    tab.page.keyboard.press("Space")
    tab.page.wait_for_function("() => location.search.includes('freezing-frozen2=true')", timeout=15_000)
    tab.idle()
    assert tab.page.get_by_test_id("stMetricValue").first.inner_text() != before
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
