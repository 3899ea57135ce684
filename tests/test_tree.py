"""The tree of images draws without a browser, and refuses shares that are none. What
it does in one: tests/browser/test_tree.py.
"""

import pytest
from streamlit.testing.v1 import AppTest

from mlcv_explore.ui.tree import Node, tree


def test_a_tree_is_drawn() -> None:
    def page() -> None:
        from mlcv_explore.ui.tree import Node, tree

        tree(
            "tree",
            [
                Node(
                    "all",
                    share=1.0,
                    children=(Node("cat", "0.83", b"PNG", "a cat", 0.83, True), Node("dog")),
                    opened=True,
                )
            ],
            "Classes",
        )
        tree("none", [], "Nothing")

    assert not AppTest.from_function(page).run().exception


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"share of 'cat' must be between 0 and 1"):
        tree("tree", [Node("animals", children=(Node("cat", share=share),))], "Classes")
