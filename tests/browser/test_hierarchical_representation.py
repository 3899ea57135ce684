"""What a reader does with the hierarchical representation: choose another digit by the
keyboard, then train and see probe accuracy over depth.
"""

from playwright.sync_api import expect

SMALL = {"epochs": 1, "train_size": 200, "labels": 2, "levels": 2, "width": 8, "batch_size": 100, "seeds": 2}


def test_a_digit_is_reconstructed_by_every_level_and_a_run_ends_in_probes_over_depth(server, new_tab):
    tab, slug = new_tab(390, 844, "dark"), "hierarchical_representation"
    tab.open(f"{server}/{slug}")
    shown = tab.page.get_by_alt_text("Layer-wise loss: input, then reconstructions")
    expect(shown).to_be_visible(timeout=30_000)
    before = shown.get_attribute("src")
    tab.page.get_by_role("radio", name="9").focus()
    tab.page.keyboard.press("ArrowLeft")
    tab.page.keyboard.press("Space")
    tab.page.wait_for_url(f"**{slug}-digit=8**", timeout=15_000)
    tab.idle()
    assert shown.get_attribute("src") != before
    maps = tab.page.locator('[data-testid="stVegaLiteChart"]')
    assert all(maps.nth(place).bounding_box()["height"] > 200 for place in range(3))
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    link = "&".join(f"{slug}-{name}={value}" for name, value in SMALL.items())
    tab.open(f"{server}/{slug}?{slug}-act=Train&{link}")
    tab.page.get_by_role("button", name="Train", exact=True).click()
    expect(tab.page.get_by_text("Results", exact=True)).to_be_visible(timeout=60_000)
    expect(tab.page.get_by_text("epoch 1. Level 0: the input")).to_be_visible()
    assert maps.first.bounding_box()["height"] > 200
