"""The page of the hierarchical representation under Streamlit's own test runner:
digits, drawings, uploads good and bad, every wiring.
"""

import io
import re
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from mlcv_explore import data
from mlcv_explore.ideas.hierarchical_representation import decodes, looking
from mlcv_explore.ideas.hierarchical_representation import evidence as tables
from mlcv_explore.ideas.hierarchical_representation.levels import losses
from mlcv_explore.statistics import t_interval
from tests import opening
from tests.opening import words

SLUG = "hierarchical_representation"
opened = partial(opening.opened, SLUG)
SHAPES = np.zeros((40, 30), bool)
SHAPES[4:36, 8:22] = True
SHAPES[10:30, 12:18] = False  # a zero


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("arm", ["greedy_pixels", "committed", "contrastive"])
def test_every_level_gives_the_digit_back_or_says_why_not(arm):
    app = opened(arm=arm, item="7")
    said = words(app)
    assert not app.exception
    assert (
        re.search(r"level 3: \d\.\d\d", said)
        and said.count("Nearest: ") == 3
        and re.search(r"true \d in colour", said)
    )
    assert said.count("no decoder was taught") == 2 + sum(not decodes(arm, level, 3) for level in range(3))
    assert ("Of the wirings alone" in said) == (arm == "contrastive")
    assert len(app.get("vega_lite_chart")) == 5  # three maps, probes over depth, gradients


def test_the_picture_follows_the_digit_and_the_wiring():
    app = opened()
    first = words(app)
    app.slider(key=f"{SLUG}-item").set_value(20).run()
    second = words(app)
    app.selectbox(key=f"{SLUG}-arm").set_value("joint_code").run()
    assert not app.exception and len({first, second, words(app)}) == 3
    assert "Own losses reach the levels below" in words(app)


def test_an_uploaded_digit_is_cut_to_its_ink_and_placed():
    app = opened(source="Upload")
    assert "A dark digit on light paper" in words(app)
    app.file_uploader[0].upload("zero.png", png(np.where(SHAPES, 20, 240).astype(np.uint8)), "image/png")
    app.run()
    said = words(app)
    assert not app.exception and said.count("Nearest: ") == 3 and "every 0 in colour" in said


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"<svg onload='alert(1)'/>", "only JPEG, PNG, WebP and GIF"),
        (png(np.full((9, 9), 80, np.uint8)), "is of one colour"),
    ],
)
def test_a_bad_upload_is_refused_in_a_sentence_and_the_page_goes_on(content, sentence):
    app = opened(source="Upload")
    app.file_uploader[0].upload("digit.png", content, "image/png")
    app.run()
    assert not app.exception and sentence in words(app)
    app.segmented_control(key=f"{SLUG}-source").set_value("Digit").run()
    assert "goes in" in words(app)


def test_nothing_is_drawn_at_first_and_what_a_canvas_may_send_is_checked():
    app = opened(source="Draw")
    assert not app.exception and "Draw a digit" in words(app)


def test_settings_out_of_bounds_in_the_link_are_told():
    said = words(
        opened(act="Train", local_weight="11", noise="-1", labels="ten", arm="greedy", source="Camera")
    )
    for name in (
        "local_weight must be between 0 and 10",
        "noise must be between 0 and 2",
        "labels must be a whole number",
        "arm must be one of",
    ):
        assert name in said
    assert "source must be one of" in said


def test_the_answer_says_what_was_asked_and_every_learner_what_it_breaks():
    app = opened(act="Answer")
    said, shown = words(app), [table.value.to_string() for table in app.table]
    assert not app.exception and len(shown) == 4
    assert "rise with depth more than one global loss?" in said and "replace the autoencoder?" in said
    for sentence in ("linear", "no decoder", "no gradient passes"):
        assert sentence in shown[1]
    assert "4,224 of 12,640" in shown[2] and "redrawn" in shown[3]


# What stands behind the page


@pytest.fixture(scope="module")
def mind() -> looking.Mind:
    return looking.mind()


def test_what_ships_is_the_arm_it_says_and_lies_on_its_own_map(mind):
    """Test digits, which no level has seen, are given back with the error that a run
    measures; a training digit lies where it was laid.
    """
    split = data.split(data.load("digits"), 1000, 100, 697, 0)
    pixels = (
        split.test.as_float().flatten(1)[None] - mind.shelf.mean.flatten()
    ) / mind.shelf.spread.flatten()
    for arm, most in (("global", 0.25), ("greedy_code", 0.2), ("greedy_pixels", 0.1)):
        levels = mind.shelf.arms[arm]
        with torch.no_grad():
            back = levels.reconstruction(2, levels.codes(pixels)[-1], whole=arm == "global")
        error = float((back - pixels).square().mean())
        own = [looking.seen(mind, arm, picture[0] / 255).errors[2] for picture in split.test.images[:20]]
        assert error < most and np.mean(own) == pytest.approx(
            float((back - pixels).square().mean(2)[0, :20].mean()), rel=1e-3
        )
        train = looking.seen(mind, arm, split.train.images[3, 0] / 255)
        width = mind.maps[arm, 0].width
        assert (
            np.linalg.norm(train.places[0] - mind.maps[arm, 0].coordinates[3]) < 0.05 * width
            and train.alike[0][0] == split.train.labels[3]
        )


def test_no_picture_ships_in_the_checkpoint(mind):
    """Features are 12 numbers a digit; nothing in it has the size of the pictures but
    the first level's weights.
    """
    sizes = {name: tuple(values.shape) for name, values in mind.shelf.state_dict().items()}
    assert not any(size[-1:] == (64,) and size[0] in (100, 697, 1000) for size in sizes.values())
    assert {size[1] for name, size in sizes.items() if "features" in name} == {12}


def test_the_diagram_is_what_one_backward_pass_finds(mind):
    terms, blocks, table = looking.reached("both_code")
    levels = mind.shelf.arms["both_code"].requires_grad_(True)
    pixels = (
        mind.digits.as_float()[: looking.BATCH].flatten(1)[None] - mind.shelf.mean.flatten()
    ) / mind.shelf.spread.flatten()
    losses(levels, pixels, "both")[terms[1]].sum().backward()
    own = levels.up[0].grad.flatten(), levels.up_bias[0].grad.flatten()
    levels.zero_grad(set_to_none=True)
    levels.requires_grad_(False)
    assert table[1, blocks.index("encoder 1")] == pytest.approx(float(torch.cat(own).norm()), rel=1e-5)
    assert looking.without_gradient("both_code")[0] == 0 and looking.without_gradient("global")[0] > 0


def rows(**columns: dict[str, list[float]]) -> list[dict]:
    """Rows of the arms' table, one a seed."""
    return [
        {"claim": "arms", "arm": arm, "measure": measure, "seed": seed, "value": value}
        for arm, measures in columns.items()
        for measure, values in measures.items()
        for seed, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("shift", "word"), [(0.05, "yes, and better"), (0.0, "yes"), (-0.015, "yes"), (-0.06, "no")]
)
def test_a_learner_replaces_the_autoencoder_unless_it_is_worse_beyond_the_margin(shift, word):
    own = np.array([0.8, 0.82, 0.81, 0.83])
    noise = np.array([0.001, -0.001, 0.001, -0.001])
    table = rows(
        greedy_code={"accuracy": own.tolist()},
        **{name: {"accuracy": (own + shift + noise).tolist()} for name in tables.LEARNERS},
    )
    found = tables.learners(table)
    assert {said for _, _, said in found.values()} == {word}
    assert found["pca"][1] == t_interval(shift + noise) or found["pca"][1].mean == pytest.approx(shift)
