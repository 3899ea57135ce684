"""Journeys in a real browser: play, train, cancel, share, reload, compare."""

import re

import pytest
from playwright.sync_api import expect

from mlcv_explore import idea

SMALL = "label_noise-epochs=30&label_noise-seeds=3&label_noise-train_size=300&label_noise-width=32"
LONG = "label_noise-epochs=400&label_noise-seeds=10"


def test_from_home_to_a_verdict_and_a_shared_link(server, new_tab):
    tab = new_tab()
    tab.open(server)
    card = idea.card("label_noise")
    assert card.question in tab.text()
    tab.page.get_by_test_id("stMain").get_by_role("link", name=card.question).click()
    tab.idle()
    assert tab.page.locator("h1").inner_text() == card.question
    epoch = tab.page.get_by_role("slider", name="Epoch").first
    epoch.focus()
    for _ in range(5):
        tab.page.keyboard.press("ArrowLeft")
    tab.idle()
    assert "label_noise-epoch=95" in tab.page.url
    tab.downloads("label_noise-play-accuracy")
    with tab.page.expect_download() as numbers:
        tab.page.get_by_role("button", name="Numbers (CSV)").click()
    assert (
        numbers.value.path()
        .read_text(encoding="utf-8")
        .startswith("line,role,x,mean,low,high,n,seed\nPlain,baseline,1,")
    )

    tab.open(f"{server}/label_noise?label_noise-act=Train&{LONG}")
    tab.page.get_by_role("button", name="Train", exact=True).click()
    expect(tab.page.get_by_text(re.compile(r"Step \d+ of 400"))).to_be_visible(timeout=30_000)
    tab.page.get_by_role("button", name="Cancel").click()
    expect(tab.page.get_by_text("Cancelled.")).to_be_visible(timeout=10_000)

    tab.open(f"{server}/label_noise?label_noise-act=Train&{SMALL}")
    tab.page.get_by_role("button", name="Train", exact=True).click()
    expect(tab.page.get_by_role("heading", name="Results", exact=True)).to_be_visible(timeout=60_000)
    tab.idle()  # the heading arrives before what stands below it
    verdict = re.search(r"(Supported|Contradicted|Undecided)[^\n]*n = 3 seeds[^\n]*", tab.text()).group()

    second = new_tab()
    second.open(tab.page.url)
    expect(second.page.get_by_role("heading", name="Results", exact=True)).to_be_visible(timeout=30_000)
    second.idle()
    assert verdict in second.text()


def test_a_reload_in_mid_run_finds_the_film_again(server, new_tab):
    tab = new_tab()
    tab.open(f"{server}/label_noise?label_noise-act=Train&{LONG}&label_noise-first_seed=500")
    tab.page.get_by_role("button", name="Train", exact=True).click()
    expect(tab.page.get_by_text(re.compile(r"Step \d+ of 400"))).to_be_visible(timeout=30_000)
    tab.page.reload()
    expect(tab.page.get_by_text(re.compile(r"Step \d+ of 400"))).to_be_visible(timeout=30_000)
    tab.page.get_by_role("button", name="Cancel").click()
    expect(tab.page.get_by_text("Cancelled.")).to_be_visible(timeout=10_000)


def test_two_saved_runs_are_compared(server, new_tab):
    tab = new_tab()
    for sigma in ("0.5", "1.5"):
        tab.open(f"{server}/label_noise?label_noise-act=Train&{SMALL}&label_noise-sigma={sigma}")
        tab.page.get_by_role("button", name="Train", exact=True).click()
        expect(tab.page.get_by_role("heading", name="Results", exact=True)).to_be_visible(timeout=60_000)
    tab.open(f"{server}/runs")
    for label, sigma in (("Open a run", "0.5"), ("Compare with", "1.5")):
        tab.page.get_by_role("combobox", name=re.compile(label)).click()
        tab.page.get_by_role("option", name=re.compile(f"Noise σ {sigma}")).first.click()
        tab.idle()
    expect(tab.page.get_by_text("B minus A, seed by seed")).to_be_visible()
    assert "Noise σ" in tab.text()


def test_a_bad_link_names_setting_rule_and_value(server, new_tab):
    tab = new_tab()
    tab.open(f"{server}/label_noise?label_noise-sigma=9&label_noise-sigmma=1")
    assert "LabelNoiseConfig.sigma must be between 0 and 2, got 9" in tab.text()
    assert "did you mean 'sigma'" in tab.text()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_every_page_is_whole(server, new_tab, width, scheme):
    """As wide as it is opened, and made as narrow or wide as the other."""
    tab = new_tab(width, 900, scheme)
    tab.open(server)
    links = tab.page.eval_on_selector_all(
        '[data-testid="stSidebarNavLink"]', "links => links.map(link => link.href)"
    )
    assert len(links) >= 3
    for link in dict.fromkeys(links):
        tab.open(link)
        assert_whole(tab, f"{link} opened at {width} px")
        other = {1440: 390, 390: 1440}[width]
        tab.page.set_viewport_size({"width": other, "height": 900})
        tab.idle()
        assert_whole(tab, f"{link} changed to {other} px")
        tab.page.set_viewport_size({"width": width, "height": 900})


def assert_whole(tab, name):
    """No exception, one title, nothing beyond the screen, and a description of every image."""
    assert tab.page.locator('[data-testid="stException"]').count() == 0, name
    assert tab.page.locator("h1").count() == 1, name
    # the main part scrolls by itself, and the document does not grow with it
    assert tab.page.evaluate(
        "() => [document.documentElement, document.querySelector('[data-testid=stMain]')].every("
        "part => part.scrollWidth <= Math.min(part.clientWidth, window.innerWidth) + 2)"
    ), f"{name} is wider than the screen"
    # further frames of a moving tile are decoration: the first one describes the tile
    assert tab.page.evaluate(
        "() => [...document.querySelectorAll('img')].every(image => image.alt || image.width <= 40 ||"
        " image.closest('.live')?.querySelector('img').alt)"
    ), f"{name} has an image without a description"
