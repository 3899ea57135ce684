"""Saliency: what must hold of every map whatever the classifier, a classifier that
reads the tag, and the tables by hand.
"""

from functools import cache

import numpy as np
import pytest
import torch

from mlcv_explore.data import scenes
from mlcv_explore.ideas.saliency import (
    ARMS,
    CONTROLS,
    GENERATED,
    MEASURES,
    RECIPES,
    Frame,
    SaliencyConfig,
    arms,
    metrics,
    run,
    training,
)
from mlcv_explore.ideas.saliency import evidence as tables
from mlcv_explore.saliency import measures, uncertainty

SMALL = SaliencyConfig(rho=1.0, pictures=3)


@cache
def film() -> tuple[Frame, ...]:
    return tuple(run(SMALL, (0,)))


def measured(arm: str, measure: str) -> float:
    return float(film()[-1].measured[0, ARMS.index(arm), MEASURES.index(measure)])


def test_the_true_mask_is_the_bound_and_controls_do_not_move() -> None:
    assert (measured("truth", "mass"), measured("truth", "tag"), measured("truth", "pointing")) == (1, 0, 1)
    assert all(measured(arm, "moved") == pytest.approx(0, abs=1e-6) for arm in (*CONTROLS, "truth"))
    assert min(measured(arm, "moved") for arm in RECIPES) > 0.05


def test_a_classifier_taught_with_a_telling_tag_reads_it_and_maps_lie_there() -> None:
    last = film()[-1]
    assert last.accuracy[0] > 0.9 and last.swapped[0] < 0.5 and last.follows[0] > 0.9
    chance = scenes.TAG_SIDE**2 / SMALL.side**2
    assert measured("integrated_gradients", "tag") > 5 * chance > 5 * measured("centre", "tag")


def test_every_picture_has_its_share_in_the_means() -> None:
    explained = [frame for frame in film() if frame.measured.any()]
    assert len(explained) == SMALL.pictures
    points = np.stack(
        [
            frame.measured[0, :, MEASURES.index("pointing")] * (index + 1)
            for index, frame in enumerate(explained)
        ]
    )
    one_by_one = np.diff(points, axis=0, prepend=0)
    assert one_by_one.min() > -1e-5 and one_by_one.max() < 1 + 1e-5  # a share of one picture


def test_the_shown_maps_are_those_of_the_first_scene() -> None:
    first = next(frame for frame in film() if frame.measured.any())
    assert [frame.shown.any() for frame in film()].count(True) == 1 and first.shown.any()
    shown = first.shown[0].astype(int)
    asked = [ARMS.index(arm) for arm in arms(SMALL)]
    assert set(np.abs(shown[asked]).max((1, 2))) == {127}
    mask = training.explained(SMALL, 0).masks[0]
    assert np.array_equal(shown[ARMS.index("truth")], 127 * mask.astype(int))


def test_generated_maps_are_asked_for_or_absent() -> None:
    config = SMALL.replace(generation=True, scenes=50, epochs=1, pictures=1)
    with_maps = metrics(config, list(run(config, (0,))))
    assert {f"{arm}_mass" for arm in GENERATED} <= set(with_maps) and not {
        f"{arm}_mass" for arm in GENERATED
    } & set(metrics(SMALL, film()))


def test_the_scenes_explained_carry_tags_that_tell_nothing() -> None:
    # of a classifier whose own tags tell everything
    found = training.Student(SMALL.replace(pictures=150), 3).explained
    assert 0.1 < (found.tags == found.labels).mean() < 0.4  # a quarter, of 150


# --- doubt


def test_density_makes_units_comparable() -> None:
    values = np.array([[1.0, -3.0], [0.0, 0.0]])
    np.testing.assert_allclose(uncertainty.scale_to_mean(1000 * values), uncertainty.scale_to_mean(values))
    assert (
        np.abs(uncertainty.scale_to_mean(values)).mean() == pytest.approx(1)
        and not uncertainty.scale_to_mean(np.zeros((2, 2))).any()
    )


class Weighted(torch.nn.Module):
    """Logits (B, 2): the weighted sum of the pixels, and nothing."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        first = (pictures * self.weights).sum((1, 2, 3))
        return torch.stack([first, torch.zeros_like(first)], dim=1)


def test_models_that_answer_otherwise_are_not_asked_and_opposite_signs_are_not_stable() -> None:
    steady = torch.ones(3, 8, 8)
    turned = steady.clone()
    turned[:, 0, 0] = -1.0
    against = -steady
    networks = [Weighted(weights).eval() for weights in (steady, turned, steady, turned, against)]
    found = uncertainty.over_models(
        networks, torch.full((3, 8, 8), 0.5), 0, ["gradient"], training.SaliencySettings(), 0
    )["gradient"]
    assert found.count == 4 and found.stable.sum() == 63 and not found.stable[0, 0]
    np.testing.assert_allclose(found.mean[1, 1], 3.0, rtol=1e-5)
    assert (
        uncertainty.over_models(
            networks[4:], torch.full((3, 8, 8), 0.5), 0, ["gradient"], training.SaliencySettings(), 0
        )
        == {}
    )


def test_doubt_about_grad_cam_is_about_the_layer_that_was_asked_for() -> None:
    network = training.classifiers.residual_classifier(4, 4, training.MEAN, training.STD).eval()
    picture, settings = torch.rand(3, 32, 32), training.SaliencySettings(cam_positive=False)
    target, same = int(network(picture[None]).argmax()), [network, network]
    early, late = (
        uncertainty.over_models(same, picture, target, ["gradcam"], settings, 0, layer)["gradcam"].mean
        for layer in ("halve1.0", None)
    )
    wanted = training.attribute_all(network, picture, target, ["gradcam"], settings, 0, "halve1.0")
    np.testing.assert_allclose(early, next(wanted).values, rtol=1e-5)
    assert np.abs(early - late).max() > 1e-6


# --- tables


def rows(rho: str, values: dict[str, dict[str, list[float]]]) -> list[dict]:
    return [
        {"claim": "tags", "arm": arm, "rho": rho, "seed": seed, "measure": measure, "value": value}
        for arm, found in values.items()
        for measure, each in found.items()
        for seed, value in enumerate(each)
    ]


def test_rankings_that_agree_have_tau_one_and_opposite_ones_minus_one() -> None:
    values = {
        arm: {
            "moved": [place] * 2,
            "insertion": [place + 5] * 2,
            "deletion": [5] * 2,
            "mass": [-place] * 2,
            "tag": [place] * 2,
        }
        for place, arm in enumerate(RECIPES)
    }
    agreed = tables.agreement(rows("0.25", values), "0.25")
    assert agreed["model-dependent", "faithful"].mean == pytest.approx(1) and agreed[
        "faithful", "on the true cause"
    ].mean == pytest.approx(-1)
    # there the tag is the cause
    assert tables.agreement(rows("1.0", values), "1.0")[
        "faithful", "on the true cause"
    ].mean == pytest.approx(1)


def test_recipes_are_held_against_the_best_control_of_each_property_seed_by_seed() -> None:
    flat = {measure: [0.5, 0.5, 0.5] for measure in MEASURES}
    values = dict.fromkeys((*RECIPES, *CONTROLS), flat) | {
        "edges": flat | {"moved": [0.0, 0.1, 0.2], "mass": [0.6, 0.7, 0.8]},
        "centre": flat | {"moved": [0.0, 0.0, 0.0], "insertion": [0.7, 0.7, 0.7]},
        "random": flat | {"moved": [0.0, 0.0, 0.0]},
        # 0.15 above the edges of its own seed, to the last
        "gradient": flat | {"mass": [0.75, 0.85, 0.95], "deletion": [0.5, 0.1, 0.3]},
    }
    found = tables.lead(rows("0.25", values), "0.25")
    assert found.controls == ("edges", "centre", "edges")
    assert found.mean[0] == pytest.approx([0.4, 0.0, 0.15]) and found.sure[0].tolist() == [False, False, True]
    assert (found.low[0, 2], found.high[0, 2]) == pytest.approx((0.15, 0.15))
    assert found.mean[1] == pytest.approx([0.4, -0.2, -0.2]) and found.sure[1].tolist() == [
        False,
        True,
        False,
    ]


def test_the_table_is_sorted_by_mass_on_the_object() -> None:
    values = {
        arm: {measure: [0.1, 0.1] for measure in MEASURES} | {"mass": mass}
        for arm, mass in (("gradient", [0.1, 0.3]), ("truth", [1.0, 1.0]))
    }
    lines = tables.table(rows("0.25", values), "0.25")
    assert [line.arm for line in lines] == ["truth", "gradient"] and lines[1].measures[
        "mass"
    ].mean == pytest.approx(0.2)


def test_mass_is_judged_without_signs() -> None:
    half = np.array([[1.0, -1.0]])
    assert measures.mass_in_mask(half, np.array([[1, 0]])) == pytest.approx(0.5)
