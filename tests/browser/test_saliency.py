"""Saliency in a real browser: an upload, a refused camera, two scenes with their scores."""

import re

import pytest
from playwright.sync_api import expect


def test_an_uploaded_image_has_maps_and_tests(server, new_tab, tmp_path):
    from PIL import Image

    Image.linear_gradient("L").resize((300, 200)).convert("RGB").save(tmp_path / "grey <b>ramp.png")
    (tmp_path / "not an image.png").write_bytes(b"<svg onload='alert(1)'/>")
    tab = new_tab()
    tab.open(
        f"{server}/saliency?saliency-source=Upload&saliency-methods=Grad-CAM&saliency-methods=SmoothGrad"
    )
    chooser = tab.page.locator('[data-testid="stFileUploaderDropzoneInput"]')
    chooser.set_input_files(tmp_path / "not an image.png")
    expect(tab.page.get_by_text("Image rejected")).to_be_visible(timeout=20_000)
    chooser.set_input_files(tmp_path / "grey <b>ramp.png")
    expect(tab.page.get_by_text("Model input: ")).to_be_visible(timeout=60_000)
    tab.idle()
    tab.page.get_by_role("combobox", name=re.compile("^Model")).click()
    tab.page.get_by_role("option", name="cifar10/0").click()
    expect(tab.page.get_by_text("Model input: 32 × 32 pixels.")).to_be_visible(timeout=30_000)
    tab.idle()
    tab.page.get_by_role("combobox", name=re.compile("^Class")).click()
    tab.page.get_by_role("option", name="truck").click()
    expect(tab.page.get_by_text("Explained: truck")).to_be_visible(timeout=30_000)
    for name in ("Layers randomised", "Share of pixels removed"):
        tab.page.get_by_role("slider", name=re.compile(name)).first.focus()
        for _ in range(3):
            tab.page.keyboard.press("ArrowRight")
        tab.idle()
    assert "3 layers randomised" in tab.text() and "without 15% of its pixels" in tab.text()
    tab.downloads("saliency-gradcam")
    with tab.page.expect_download() as heat:
        tab.page.get_by_role("button", name=re.compile("Heat map")).click()
    assert Image.open(heat.value.path()).size == (300, 200)
    assert tab.page.evaluate(
        "() => [...document.querySelectorAll('[data-testid=stImage] img')].every(image => image.complete &&"
        " image.naturalWidth)"
    )


def test_a_refused_camera_is_explained_and_leads_back(server, new_tab):
    tab = new_tab()
    tab.open(f"{server}/saliency?saliency-source=Camera&saliency-methods=Gradient")
    assert "Needs a camera, your browser's permission" in tab.text() and "Choose an image" in tab.text()
    assert tab.page.locator('[data-testid="stException"]').count() == 0
    tab.page.get_by_role("radio", name="Gallery").click()
    expect(tab.page.get_by_text("Explained: tiger cat")).to_be_visible(timeout=30_000)
    assert "saliency-source=Camera" not in tab.page.url


@pytest.mark.parametrize("width", [1440, 390])
def test_two_scenes_are_compared_and_scored(server, new_tab, width):
    tab = new_tab(width)
    tab.open(f"{server}/saliency?saliency-methods=Gradient&saliency-methods=Sobel+edges")
    tab.page.get_by_role("radio", name="Scene").click()
    expect(tab.page.get_by_text("the true cause is known")).to_be_visible(timeout=30_000)
    tab.idle()
    assert "Scene 1: a" in tab.text() and "scenes, ρ = 0.25" in tab.text() and "on the object" in tab.text()
    tab.open(f"{tab.page.url}&saliency-compare=scene-2")
    assert tab.text().count("Prediction: ") == 2
    assert tab.page.get_by_alt_text("Gradient: evidence for the prediction").count() == 2
    tab.page.get_by_text("Scores of these maps").click()
    menu = tab.page.locator(".st-key-saliency-scores-table-downloads button:visible").first
    expect(menu).to_be_visible(timeout=30_000)
    tab.downloads("saliency-scores-table")
    with tab.page.expect_download() as numbers:
        tab.page.get_by_role("button", name="Scores (CSV)").click()
    lines = numbers.value.path().read_text(encoding="utf-8").splitlines()
    assert "method,milliseconds" in lines[0] and [line.split(",")[:2] for line in lines[1:]] == [
        [scene, method] for scene in ("scene-1", "scene-2") for method in ("gradient", "edges")
    ]
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth + 2")


def test_a_slow_map_is_cancelled_while_it_is_computed_and_the_page_goes_on(server, new_tab):
    tab = new_tab()
    link = "saliency-methods=Gradient&saliency-captum=KernelShap+(Captum)&saliency-coalitions=5000"
    tab.page.goto(f"{server}/saliency?{link}", wait_until="domcontentloaded")
    expect(tab.page.get_by_text(re.compile("[1-9][0-9]* of 5000 evaluations"))).to_be_visible(timeout=60_000)
    share = tab.page.get_by_role("slider", name=re.compile("Share of pixels")).first  # meanwhile
    share.focus()
    tab.page.keyboard.press("ArrowRight")
    expect(tab.page.get_by_text("Model input without 5% of its pixels.")).to_be_visible(timeout=20_000)
    tab.page.get_by_role("button", name="Cancel").click()
    expect(tab.page.get_by_role("button", name="Compute what was cancelled")).to_be_visible(timeout=20_000)
    expect(tab.page.get_by_text("of 5000 evaluations")).to_have_count(0)
    tab.idle()
