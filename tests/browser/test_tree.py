"""The tree of images in a real browser, on a page of its own: mouse and keys open it,
new data keep what is open, hostile names stay names.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .conftest import serving

PAGE = '''
import numpy as np
import streamlit as st

from mlcv_explore.charts.images import png
from mlcv_explore.ui.tree import Node, tree

other = st.toggle("Other data")
chance = np.random.default_rng(int(other))
HOSTILE = "<img src=x onerror=document.title='broken'>"


def grown(level, path, opened):
    """A binary tree of that many more levels; the left side is the path taken."""
    shares = (0.25, 0.75) if other else (0.83, 0.17)
    children = tuple(
        Node(
            title=f"{'other' if other else 'first'} {path}{side}",
            text="automobile, airplane, ship, truck" if level else HOSTILE,
            image=png(chance.integers(0, 256, (32, 32, 3), dtype=np.uint8)),
            alt=f"image {path}{side}",
            share=share,
            marked=side == "a",
            children=grown(level - 1, path + side, opened) if level else (),
            opened=opened and side == "a",
        )
        for side, share in zip("ab", shares)
    )
    return children


tree("small", grown(2, "", False), "A small tree")
if "deep" in st.query_params:
    tree("deep", grown(8, "", True), "A deep tree")
tree("empty", (), "An empty tree")
'''


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of that page."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "page.py").write_text(PAGE, encoding="utf-8")
    with serving(folder / "page.py", folder, "/_stcore/health") as address:
        yield address


def card(tab, title):
    """The card of that title."""
    return tab.page.get_by_role("treeitem").filter(has=tab.page.get_by_text(title, exact=True))


def test_mouse_and_keys_open_it_and_new_data_keep_what_is_open(page, new_tab):
    tab = new_tab()
    tab.open(page)
    tree = tab.page.get_by_role("tree", name="A small tree")
    expect(tree).to_be_visible(timeout=30_000)
    first = card(tab, "first a")
    expect(first).to_have_attribute("aria-expanded", "false")
    expect(first).to_have_attribute("aria-current", "true")
    expect(first).to_contain_text("83 %")
    expect(tab.page.get_by_alt_text("image a", exact=True)).to_be_visible()
    expect(tab.page.get_by_alt_text("image aa", exact=True)).to_be_hidden()
    first.click()
    expect(tab.page.get_by_alt_text("image aa", exact=True)).to_be_visible()

    tab.page.keyboard.press("ArrowDown")
    expect(card(tab, "first aa")).to_be_focused()
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("Space")
    expect(card(tab, "first ab")).to_have_attribute("aria-expanded", "true")
    tab.page.keyboard.press("ArrowRight")
    expect(card(tab, "first aba")).to_be_focused()
    expect(card(tab, "first aba")).to_contain_text("<img src=x")
    tab.page.keyboard.press("ArrowLeft")
    expect(card(tab, "first ab")).to_be_focused()
    tab.page.keyboard.press("End")
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate(
        "() => document.activeElement.shadowRoot?.activeElement?.textContent ?? ''"
    ).startswith("first b")
    expect(card(tab, "first b")).to_have_attribute("aria-expanded", "true")

    element = card(tab, "first ab").element_handle()
    tab.page.get_by_text("Other data").click()
    expect(card(tab, "other ab")).to_have_attribute("aria-expanded", "true", timeout=15_000)
    expect(card(tab, "other b")).to_have_attribute("aria-expanded", "true")
    expect(card(tab, "other b")).to_contain_text("75 %")
    # drawn over, not anew
    assert (
        element.evaluate("card => card.isConnected && card.querySelector('.title').textContent") == "other ab"
    )
    card(tab, "other a").click()
    expect(card(tab, "other ab")).to_be_hidden()
    assert tab.page.title() != "broken"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_deep_tree_fits_a_telephone(page, new_tab, scheme):
    tab = new_tab(390, 844, scheme)
    tab.open(f"{page}/?deep=1")
    expect(tab.page.get_by_alt_text("image aaaaaaaaa", exact=True)).to_be_visible(timeout=30_000)
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    tree = tab.page.get_by_role("tree", name="A deep tree")
    assert tree.evaluate("list => list.scrollWidth <= list.clientWidth")
    a, b = (tab.page.get_by_alt_text(f"image aaaaaaaa{side}", exact=True).bounding_box() for side in "ab")
    assert a["y"] == b["y"] and a["width"] >= 64 and b["x"] + b["width"] <= 390  # side by side even there
