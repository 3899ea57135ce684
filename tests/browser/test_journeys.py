"""What a reader does, in a real browser: play, train, cancel, believe, share, compare."""

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
    tab.page.get_by_test_id("stMain").get_by_role("link", name=re.compile(card.title)).click()
    tab.idle()
    assert tab.page.locator("h1").inner_text() == card.question
    epoch = tab.page.get_by_role("slider", name="Epoch").first
    epoch.focus()
    for _ in range(5):
        tab.page.keyboard.press("ArrowLeft")
    tab.idle()
    assert "label_noise-epoch=95" in tab.page.url
    tab.page.locator(".st-key-label_noise-accuracy-downloads button:visible").first.click()
    with tab.page.expect_download() as numbers:
        tab.page.get_by_role("button", name="Numbers (CSV)").click()
    assert (
        numbers.value.path()
        .read_text(encoding="utf-8")
        .startswith("line,role,x,mean,low,high,n,seed\nplain,baseline,1,")
    )

    tab.open(f"{server}/label_noise?label_noise-act=Train&{LONG}")
    tab.page.get_by_role("button", name="Train", exact=True).click()
    expect(tab.page.get_by_text(re.compile(r"Step \d+ of 400"))).to_be_visible(timeout=30_000)
    tab.page.get_by_role("button", name="Cancel").click()
    expect(tab.page.get_by_text("Cancelled.")).to_be_visible(timeout=10_000)

    tab.open(f"{server}/label_noise?label_noise-act=Train&{SMALL}")
    tab.page.get_by_role("button", name="Train", exact=True).click()
    expect(tab.page.get_by_text("What these seeds say")).to_be_visible(timeout=60_000)
    verdict = re.search(r"(Supported|Contradicted|Undecided)[^\n]*n = 3 seeds[^\n]*", tab.text()).group()

    second = new_tab()
    second.open(tab.page.url)
    expect(second.page.get_by_text("What these seeds say")).to_be_visible(timeout=30_000)
    assert verdict in second.text()


def test_an_uploaded_picture_is_explained_doubted_and_taken_apart(server, new_tab, tmp_path):
    from PIL import Image

    Image.linear_gradient("L").resize((300, 200)).convert("RGB").save(tmp_path / "grey <b>ramp.png")
    (tmp_path / "not a picture.png").write_bytes(b"<svg onload='alert(1)'/>")
    tab = new_tab()
    tab.open(f"{server}/saliency?saliency-source=Upload&saliency-methods=gradcam&saliency-methods=smoothgrad")
    chooser = tab.page.locator('[data-testid="stFileUploaderDropzoneInput"]')
    chooser.set_input_files(tmp_path / "not a picture.png")
    expect(tab.page.get_by_text("Image rejected")).to_be_visible(timeout=20_000)
    chooser.set_input_files(tmp_path / "grey <b>ramp.png")
    expect(tab.page.get_by_text("The model sees it squeezed")).to_be_visible(timeout=30_000)
    expect(tab.page.get_by_text("SmoothGrad", exact=True).last).to_be_visible(timeout=30_000)
    tab.idle()
    tab.page.get_by_role("combobox", name=re.compile("^Explain")).click()
    tab.page.get_by_role("option", name="truck").click()
    tab.idle()
    assert (
        "probability of truck" in tab.page.locator('[data-testid="stVegaLiteChart"]').last.inner_html()
        or "truck" in tab.text()
    )
    for name in ("Layers randomised", "Share of pixels removed"):
        tab.page.get_by_role("slider", name=re.compile(name)).first.focus()
        for _ in range(3):
            tab.page.keyboard.press("ArrowRight")
        tab.idle()
    assert (
        "3 of" in tab.text()
        and "layers randomised" in tab.text()
        and "without 15% of its pixels" in tab.text()
    )
    tab.page.locator(".st-key-saliency-gradcam-downloads button:visible").first.click()
    with tab.page.expect_download() as heat:
        tab.page.get_by_role("button", name=re.compile("Heat map")).click()
    assert Image.open(heat.value.path()).size == (300, 200)
    assert tab.page.evaluate(
        "() => [...document.querySelectorAll('[data-testid=stImage] img')].every(each => each.complete &&"
        " each.naturalWidth)"
    )


def test_a_camera_that_is_refused_is_told_and_leads_back(server, new_tab):
    tab = new_tab()
    tab.open(f"{server}/saliency?saliency-source=Camera&saliency-methods=gradient")
    assert (
        "Needs a camera, your browser's permission" in tab.text()
        and "A picture appears here once it is chosen" in tab.text()
    )
    assert tab.page.locator('[data-testid="stException"]').count() == 0
    tab.page.get_by_role("radio", name="Gallery").click()
    expect(tab.page.get_by_text("The model sees it squeezed")).to_be_visible(timeout=30_000)
    tab.idle()
    assert "saliency-source=Camera" not in tab.page.url and "Gradient" in tab.text()


@pytest.mark.parametrize("width", [1440, 390])
def test_two_scenes_are_compared_scored_and_taken_home(server, new_tab, width):
    tab = new_tab(width)
    tab.open(f"{server}/saliency?saliency-methods=gradient&saliency-methods=edges")
    tab.page.get_by_role("radio", name="Scene").click()
    expect(tab.page.get_by_text("the true cause is known")).to_be_visible(timeout=30_000)
    tab.idle()
    assert "Scene 1: a" in tab.text() and "scenes, ρ = 0.25" in tab.text() and "on object" in tab.text()
    tab.open(f"{tab.page.url}&saliency-compare=scene-2")
    assert "scene-1: Says" in tab.text() and "scene-2: Says" in tab.text()
    assert tab.page.get_by_alt_text("Gradient: where the answer rests").count() == 2
    tab.page.get_by_text("Scores of these maps").click()
    button = tab.page.get_by_role("button", name="Scores (CSV)")
    expect(button).to_be_visible(timeout=30_000)
    with tab.page.expect_download() as numbers:
        button.click()
    lines = numbers.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("picture,method,milliseconds") and [
        line.split(",")[:2] for line in lines[1:]
    ] == [[scene, method] for scene in ("scene-1", "scene-2") for method in ("gradient", "edges")]
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth + 2")


def test_a_reload_in_mid_run_finds_the_film_again(server, new_tab):
    tab = new_tab()
    tab.open(f"{server}/label_noise?label_noise-act=Train&{LONG}&label_noise-first_seed=500")
    tab.page.get_by_role("button", name="Train", exact=True).click()
    expect(tab.page.get_by_text(re.compile(r"Step \d+ of 400"))).to_be_visible(timeout=30_000)
    tab.page.reload()
    expect(tab.page.get_by_text(re.compile(r"Step \d+ of 400"))).to_be_visible(timeout=30_000)
    tab.page.get_by_role("button", name="Cancel").click()
    expect(tab.page.get_by_text("Cancelled.")).to_be_visible(timeout=10_000)


def test_two_kept_runs_are_compared(server, new_tab):
    tab = new_tab()
    for sigma in ("0.5", "1.5"):
        tab.open(f"{server}/label_noise?label_noise-act=Train&{SMALL}&label_noise-sigma={sigma}")
        tab.page.get_by_role("button", name="Train", exact=True).click()
        expect(tab.page.get_by_text("What these seeds say")).to_be_visible(timeout=60_000)
    tab.open(f"{server}/runs")
    for label, sigma in (("Open a run", "0.5"), ("Compare with", "1.5")):
        tab.page.get_by_role("combobox", name=re.compile(label)).click()
        tab.page.get_by_role("option", name=re.compile(f"sigma {sigma}")).first.click()
        tab.idle()
    expect(tab.page.get_by_text("B minus A, seed by seed")).to_be_visible()
    assert "sigma" in tab.text()


def test_a_bad_link_names_setting_rule_and_value(server, new_tab):
    tab = new_tab()
    tab.open(f"{server}/label_noise?label_noise-sigma=9&label_noise-sigmma=1")
    assert "LabelNoiseConfig.sigma must be between 0 and 2, got 9" in tab.text()
    assert "did you mean 'sigma'" in tab.text()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_whole(server, new_tab, width, scheme):
    tab = new_tab(width, 900, scheme)
    tab.open(server)
    links = tab.page.eval_on_selector_all(
        '[data-testid="stSidebarNavLink"]', "links => links.map(link => link.href)"
    )
    assert len(links) >= 3
    for link in dict.fromkeys(links):
        tab.open(link)
        assert tab.page.locator('[data-testid="stException"]').count() == 0
        assert tab.page.locator("h1").count() == 1
        assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth + 2"), (
            f"{link} is wider than the screen"
        )
        assert tab.page.evaluate(
            "() => [...document.querySelectorAll('img')].every(image => image.alt || image.width <= 40)"
        ), f"{link} has a silent picture"
