"""What a reader does with learned salience: bring a picture, see where its answer rests
beside the gradient, shrink the mask.
"""

import re

from playwright.sync_api import expect


def test_an_uploaded_picture_has_its_learned_salience_beside_the_gradient(server, new_tab, tmp_path):
    from PIL import Image

    Image.radial_gradient("L").resize((320, 200)).convert("RGB").save(tmp_path / "mine.png")
    (tmp_path / "garbage.png").write_bytes(b"GIF89a and nothing more")
    tab = new_tab()
    tab.open(f"{server}/learned_salience?learned_salience-source=Upload")
    chooser = tab.page.locator('[data-testid="stFileUploaderDropzoneInput"]')
    chooser.set_input_files(tmp_path / "garbage.png")
    expect(tab.page.get_by_text("Image rejected")).to_be_visible(timeout=20_000)
    chooser.set_input_files(tmp_path / "mine.png")
    learned = tab.page.get_by_alt_text("Learned salience: where the answer rests")
    expect(learned).to_be_visible(timeout=30_000)
    expect(tab.page.get_by_alt_text("Gradient salience: where the answer rests")).to_be_visible()
    expect(tab.page.get_by_alt_text(re.compile("^Boxes of the largest piece"))).to_be_visible()
    said = tab.text()
    assert (
        re.search(r"Says [a-z]+ \d+\.\d%", said) and "of what is kept" in said and "of what is left" in said
    )
    before = learned.get_attribute("src")
    area = tab.page.get_by_role("slider", name="Area weight").first
    area.focus()
    for _ in range(6):
        tab.page.keyboard.press("ArrowRight")
    tab.idle()
    assert "learned_salience-wanted=7" in tab.page.url
    expect(learned).not_to_have_attribute("src", before)
    tab.page.locator(".st-key-learned_salience-downloads button:visible").first.click()
    with tab.page.expect_download() as mask:
        tab.page.get_by_role("button", name="The mask itself (NPY)").click()
    assert mask.value.path().read_bytes().startswith(b"\x93NUMPY")
