"""What a reader does with the hierarchical representation: change the digit, then train
and see the probes over depth.
"""

from playwright.sync_api import expect

SMALL = {"epochs": 1, "train_size": 200, "labels": 2, "levels": 2, "width": 8, "batch_size": 100, "seeds": 2}


def test_a_digit_is_given_back_by_every_level_and_a_training_ends_in_probes_over_depth(server, new_tab):
    tab = new_tab(390, 844, "dark")
    tab.open(f"{server}/hierarchical_representation")
    back = tab.page.get_by_alt_text("What own targets: greedy, code below gives back from level 3")
    expect(back).to_be_visible(timeout=30_000)
    before = back.get_attribute("src")
    item = tab.page.get_by_role("slider", name="Test digit")
    item.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.idle()
    assert "hierarchical_representation-item=6" in tab.page.url
    assert (
        tab.page.get_by_alt_text(
            "What own targets: greedy, code below gives back from level 3"
        ).get_attribute("src")
        != before
    )
    maps = tab.page.locator('[data-testid="stVegaLiteChart"]')
    assert all(maps.nth(place).bounding_box()["height"] > 200 for place in range(3))
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    link = "&".join(f"hierarchical_representation-{name}={value}" for name, value in SMALL.items())
    tab.open(f"{server}/hierarchical_representation?hierarchical_representation-act=Train&{link}")
    tab.page.get_by_role("button", name="Train", exact=True).click()
    expect(tab.page.get_by_text("What these seeds say")).to_be_visible(timeout=60_000)
    expect(tab.page.get_by_text("Probes at epoch 1")).to_be_visible()
    assert tab.page.locator('[data-testid="stVegaLiteChart"]').first.bounding_box()["height"] > 200
