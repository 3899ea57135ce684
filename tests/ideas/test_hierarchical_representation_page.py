"""The page with digits, drawings and uploads; the weights and the tables behind it."""

from functools import partial

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.charts import images
from mlcv_explore.ideas.hierarchical_representation import BASES, VARIATIONS, idea, inference, tables
from mlcv_explore.ideas.hierarchical_representation.settings import LENGTHS, arms, decodes
from mlcv_explore.models import stacked_autoencoders
from mlcv_explore.statistics import t_interval
from mlcv_explore.ui import evidence
from tests import opening
from tests.opening import words

SLUG = "hierarchical_representation"
opened = partial(opening.opened, SLUG)
ZERO = np.full((40, 30), 240, np.uint8)
ZERO[4:36, 8:22] = 20
ZERO[10:30, 12:18] = 240


@pytest.mark.parametrize("arm", ["greedy_pixels", "committed", "contrastive"])
def test_every_level_reconstructs_the_digit_or_has_no_decoder(arm):
    app = opened(arm=idea.label(arm), digit="7")
    text = words(app)
    assert not app.exception and text.count("Nearest: ") == 3 and "Colour: 7" in text
    undecoded = 2 + sum(not decodes(arm, level, 3) for level in range(3))  # 2 of the end-to-end arm
    assert text.count("no decoder") == undecoded
    assert ("Layer-wise loss: 4,224 of" in text) == (arm == "contrastive")  # whose gradients are not its own
    assert len(app.get("vega_lite_chart")) == 5  # three maps, probes over depth, gradients


def test_results_follow_the_digit_and_the_arm():
    app = opened()
    first = words(app)
    assert "Data: CIFAR-10, photographs as features of an ImageNet network." in first
    app.segmented_control(key=f"{SLUG}-digit").set_value("3").run()
    second = words(app)
    app.selectbox(key=f"{SLUG}-arm").set_value("joint_code").run()
    assert not app.exception and len({first, second, words(app)}) == 3
    assert "Not detached, code: reconstructions" in words(app)


def test_a_bad_upload_is_rejected_in_a_sentence_and_a_digit_is_cropped_to_its_ink_and_placed():
    app = opened(source="Upload")
    for content, sentence in (
        (b"<svg onload='alert(1)'/>", "only JPEG, PNG, WebP and GIF"),
        (images.png(np.full((9, 9), 80, np.uint8)), "only one colour"),
        (images.png(ZERO), "zero.png: cropped to its ink; inverted, since"),
    ):
        app.file_uploader[0].upload("zero.png", content, "image/png").run()
        assert not app.exception and sentence in words(app)
    assert words(app).count("Nearest: ") == 3 and "Colour: 0" in words(app)


def test_an_empty_canvas_has_a_hint_and_links_to_what_is_not_there_are_reported():
    app = opened(source="Draw")
    assert not app.exception and "Draw a digit" in words(app)
    text = words(opened(act="Train", arm="greedy", source="Camera"))
    assert "arm must be one of" in text and "source must be one of" in text


def test_pretrained_levels_have_the_error_of_a_run_and_a_training_digit_lies_on_its_own_place():
    """Test digits are new to every level."""
    base, split = inference.demo(), data.split(data.load("digits"), 1000, 100, 697, 0)
    pixels = base.standardised(split.test.as_float().flatten(1))
    for arm, most in (("global", 0.25), ("greedy_code", 0.2), ("greedy_pixels", 0.1)):
        model, (_, fitted) = base.weights.arms[arm], base.maps[arm, 0]
        with torch.no_grad():
            output = model.reconstruction(2, model.codes(pixels)[-1], end_to_end=arm == "global")
        errors = (output - pixels).square().mean(2)[0]
        own = [inference.infer(base, arm, image[0] / 255)[2].error for image in split.test.images[:20]]
        assert float(errors.mean()) < most and own == pytest.approx(errors[:20].tolist(), rel=1e-3)
        placed = inference.infer(base, arm, split.train.images[3, 0] / 255)[0]
        assert np.linalg.norm(placed.place - fitted.coordinates[3]) < 0.05 * fitted.width
        assert placed.neighbours[0] == split.train.labels[3]
    # no image ships: features are 12 numbers a digit, and only first levels' weights have its size
    sizes = {name: tuple(values.shape) for name, values in base.weights.state_dict().items()}
    assert not any(size[-1:] == (64,) and size[0] in (100, 697, 1000) for size in sizes.values())
    assert {size[1] for name, size in sizes.items() if "features" in name} == {12}


def test_gradients_of_the_original_code_miss_a_third_of_its_parameters():
    losses, blocks, norms, sizes = inference.gradients("both_code")
    assert losses == [*(f"loss of level {level}" for level in (1, 2, 3)), "end-to-end loss"]
    assert [blocks[0], blocks[3], blocks[-1]] == ["enc\n1", "dec\n1", "e2e\n1"]
    assert norms.shape == (4, 9) and sizes.tolist()[:3] == [64 * 32 + 32, 32 * 32 + 32, 32 * 32 + 32]
    base = inference.demo()
    assert not any(weight.requires_grad for weight in base.weights.parameters())
    model = base.weights.arms["both_code"].requires_grad_(True)
    pixels = base.standardised(base.test.as_float()[:100].flatten(1))
    loss = stacked_autoencoders.losses(model, pixels, "both")["level2"].sum()
    norm = torch.cat([one.flatten() for one in torch.autograd.grad(loss, [model.up[0], model.up_bias[0]])])
    model.requires_grad_(False)
    assert norms[1, 0] == pytest.approx(float(norm.norm()), rel=1e-5)
    assert inference.parameters_without_gradient("both_code")[0] == 0
    assert inference.parameters_without_gradient("committed") == (4224, 12_640)


def test_tiles_are_a_digit_and_its_reconstructions():
    digit, *others = (tile.values for tile in inference.tiles())
    assert (digit == inference.demo().example(9)).all() and len(others) == 4
    assert all(0 < np.abs(other - digit).mean() < 0.2 for other in others)


@pytest.mark.parametrize(
    ("difference", "text"), [(0.05, "yes, better"), (0.0, "yes"), (-0.015, "yes"), (-0.06, "no")]
)
def test_a_learner_replaces_the_autoencoder_unless_it_is_worse_beyond_the_margin(difference, text):
    values = difference + np.array([0.001, -0.001, 0.001, -0.001])
    assert tables.replaces(t_interval(values)) == text
    assert tables.replaces(t_interval(np.array([-0.06, 0.01, -0.03, 0.005]))) == "unclear"


def shown(study: str) -> list[tables.Columns]:
    return [columns for columns, _ in tables.details(evidence.table(SLUG, study), study, 4224, 12_640)]


def test_details_are_the_evidence_in_tables():
    table, (levels, lengths, runs, learners, original) = evidence.table(SLUG), shown("live")
    for columns in (levels, lengths, runs, learners, original):
        assert len({len(column) for column in columns.values()}) == 1
    curves = tables.study_depth(table, "level")
    assert levels["Level 3 (%)"][0] == t_interval(curves["global"][:, 3])
    undecoded = [arm for arm, cell in zip(levels["Arm"], levels["Error"], strict=True) if cell == "–"]
    assert undecoded == [idea.label(arm) for arm in ("contrastive", "random", "supervised")]
    pca = learners["Learner"].index("PCA")
    lost = table.difference("arms", "pca", "greedy_code", "accuracy")
    assert learners["Minus autoencoder (points)"][pca] == lost
    for assumption in ("linear", "no decoder", "no gradient passes"):
        assert any(assumption in text for text in learners["Assumption it breaks"])
    assert "4,224 of 12,640" in original["Effect"][0]


@pytest.mark.parametrize("study", ["live", "photographs"])
def test_lengths_and_other_runs_are_those_of_the_rows(study):
    table, (levels, lengths, runs, *_) = evidence.table(SLUG, study), shown(study)
    early, *_, end = lengths["Layer-wise loss − end-to-end (points)"]
    assert len(lengths[f"Share of {BASES[study].epochs} epochs"]) == len(LENGTHS) + 1
    assert end == table.difference("own_targets", "greedy_code", "global", "accuracy")
    assert early == table.difference("own_targets_early", "greedy_code", "global", "after5")
    assert levels["Arm"] == [idea.label(arm) for arm in arms(BASES[study])]
    settings = {name: getattr(VARIATIONS[study][-1], name) for name in tables.RUNS[study]}
    assert runs["Raw input (%)"][-1] == table.interval("varied", "pixels", "accuracy", **settings)
    early = table.difference("varied", "greedy_code", "global", "after5", **settings)
    assert runs["The same after 5 % (points)"][-1] == early
    assert all(f"{name} {value}" in runs["Run"][-1] for name, value in settings.items())


def test_the_answer_shows_digits_and_photographs_side_by_side():
    """Every table, from the rows of the second study too."""
    app = opening.unfolded(SLUG)
    heads = [tuple(table.value) for table in app.dataframe]
    assert not app.exception and "Two coarse classes: vehicles, animals. Level 0: the input." in words(app)
    assert sum("Run" in head for head in heads) == 2 and sum("Learner" in head for head in heads) == 1
