"""A visitor's own curve in a real browser: upload it, move the stop by the keyboard, and
the forecast changes.
"""

import re

from playwright.sync_api import expect

FORECAST = re.compile(r"95% interval: ")


def test_the_forecast_of_an_uploaded_curve_follows_the_stop(server, new_tab, tmp_path):
    (tmp_path / "gain.csv").write_text(
        "\ufeffstep;gain\n" + "\n".join(f"{row};{row**0.5:.3f}".replace(".", ",") for row in range(1, 80)),
        encoding="utf-8",
    )
    (tmp_path / "bad.csv").write_text("1,2\n3,3\n2,4\n", encoding="utf-8")
    tab = new_tab(390, 844, "dark")
    tab.open(f"{server}/copernican?copernican-curve=Your+own+CSV")
    chooser = tab.page.locator('[data-testid="stFileUploaderDropzoneInput"]')
    chooser.set_input_files(tmp_path / "bad.csv")
    expect(tab.page.get_by_text("Curve rejected")).to_be_visible(timeout=30_000)
    chooser.set_input_files(tmp_path / "gain.csv")
    expect(tab.page.get_by_text(FORECAST)).to_be_visible(timeout=30_000)
    tab.idle()
    chart = tab.page.locator('[data-testid="stVegaLiteChart"]').first
    expect(chart).to_be_visible(timeout=30_000)
    text, before = tab.page.get_by_text(FORECAST).inner_text(), chart.screenshot()
    stop = tab.page.get_by_role("slider", name="Stop, % of the way")
    stop.focus()
    for _ in range(10):
        tab.page.keyboard.press("ArrowRight")
    tab.page.wait_for_function(
        "([old]) => !document.body.innerText.includes(old)", arg=[text], timeout=15_000
    )
    tab.idle()
    assert chart.screenshot() != before
    assert "copernican-stop=40" in tab.page.url
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
