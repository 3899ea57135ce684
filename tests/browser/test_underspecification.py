"""A digit corrupted in a real browser: by the keyboard severity rises and networks part."""

from playwright.sync_api import expect


def test_networks_that_agree_part_when_severity_rises(server, new_tab):
    tab = new_tab(390, 844, "dark")
    tab.open(f"{server}/underspecification?underspecification-strength=0")
    expect(tab.page.get_by_text("12 predict 7").first).to_be_visible(timeout=60_000)
    tab.idle()
    severity = tab.page.get_by_role("slider", name="Severity")
    severity.focus()
    for _ in range(4):
        tab.page.keyboard.press("ArrowRight")
    tab.page.wait_for_function("() => !location.search.includes('strength=0')", timeout=15_000)
    tab.idle()
    expect(tab.page.get_by_text("12 predict 7")).to_have_count(0)
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
