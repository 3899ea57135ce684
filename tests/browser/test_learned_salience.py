"""A visitor uploads an image, sees its learned mask beside Grad-CAM, and shrinks the mask."""

import re

from playwright.sync_api import expect


def test_an_uploaded_image_has_its_learned_mask_beside_grad_cam(server, new_tab, tmp_path):
    from PIL import Image

    Image.radial_gradient("L").resize((320, 200)).convert("RGB").save(tmp_path / "mine.png")
    (tmp_path / "garbage.png").write_bytes(b"GIF89a and nothing more")
    tab = new_tab()
    tab.open(f"{server}/learned_salience?learned_salience-source=Upload")
    chooser = tab.page.locator('[data-testid="stFileUploaderDropzoneInput"]')
    chooser.set_input_files(tmp_path / "garbage.png")
    expect(tab.page.get_by_text("Image rejected")).to_be_visible(timeout=20_000)
    chooser.set_input_files(tmp_path / "mine.png")
    learned = tab.page.get_by_alt_text("Learned mask: evidence for the prediction")
    expect(learned).to_be_visible(timeout=30_000)
    expect(tab.page.get_by_alt_text("Grad-CAM: evidence for the prediction")).to_be_visible()
    expect(tab.page.get_by_alt_text(re.compile("^Bounding boxes"))).to_be_visible()
    text = tab.text()
    assert re.search(r"Prediction: [a-z]+ \d+\.\d%", text) and "Kept: " in text and "Complement: " in text
    before = learned.get_attribute("src")
    tab.page.get_by_role("slider", name="Area weight").first.focus()
    for _ in range(10):
        tab.page.keyboard.press("ArrowRight")
    tab.idle()
    assert "learned_salience-area_weight=7" in tab.page.url
    expect(learned).not_to_have_attribute("src", before)
    tab.downloads("learned_salience-mask")
    with tab.page.expect_download() as mask:
        tab.page.get_by_role("button", name="Map (NPY)").click()
    assert mask.value.path().read_bytes().startswith(b"\x93NUMPY")
