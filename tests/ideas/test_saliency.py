"""Saliency: what holds of every map whatever the classifier, a classifier that reads the
tag, uncertainty, and the tables by hand.
"""

from functools import cache

import numpy as np
import pytest
import torch

from mlcv_explore.data import scenes
from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.saliency import (
    ARMS,
    ATTRIBUTIONS,
    CONTROLS,
    GENERATED,
    MEASURES,
    Frame,
    SaliencyConfig,
    arms,
    metrics,
    run,
    tables,
    training,
)
from mlcv_explore.saliency import METHODS, measures, uncertainty
from mlcv_explore.statistics import significant_cells

SMALL = SaliencyConfig(rho=1.0, pictures=3, scenes=1000, epochs=4)


@cache
def film() -> tuple[Frame, ...]:
    return tuple(run(SMALL, (0,)))


def measured(arm: str, measure: str) -> float:
    return float(film()[-1].measured[0, ARMS.index(arm), MEASURES.index(measure)])


def test_every_method_is_an_arm_in_the_order_of_its_library() -> None:
    assert (*CONTROLS, *ATTRIBUTIONS) == tuple(METHODS) == ARMS[: len(METHODS)]


def test_the_true_mask_is_the_bound_and_controls_do_not_move() -> None:
    assert (measured("truth", "mass"), measured("truth", "tag"), measured("truth", "pointing")) == (1, 0, 1)
    assert all(measured(arm, "moved") == pytest.approx(0, abs=1e-6) for arm in (*CONTROLS, "truth"))
    assert min(measured(arm, "moved") for arm in ATTRIBUTIONS) > 0.05


def test_a_classifier_trained_with_an_informative_tag_reads_it_and_maps_lie_there() -> None:
    last = film()[-1]
    assert last.accuracy[0] > 0.9 and last.swapped[0] < 0.5 and last.follows[0] > 0.9
    chance = scenes.TAG_SIDE**2 / SMALL.side**2
    assert measured("integrated_gradients", "tag") > 5 * chance > 5 * measured("centre", "tag")


def test_every_scene_has_its_share_in_the_means() -> None:
    explained = [frame for frame in film() if frame.measured.any()]
    assert len(explained) == SMALL.pictures
    points = np.stack(
        [
            frame.measured[0, :, MEASURES.index("pointing")] * (index + 1)
            for index, frame in enumerate(explained)
        ]
    )
    one_by_one = np.diff(points, axis=0, prepend=0)
    assert one_by_one.min() > -1e-5 and one_by_one.max() < 1 + 1e-5  # a share of one scene


def test_the_shown_maps_are_those_of_the_first_scene() -> None:
    first = next(frame for frame in film() if frame.measured.any())
    assert [frame.shown.any() for frame in film()].count(True) == 1 and first.shown.any()
    shown = first.shown[0].astype(int)
    asked = [ARMS.index(arm) for arm in arms(SMALL)]
    assert set(np.abs(shown[asked]).max((1, 2))) == {127}
    mask = training.explained(SMALL, 0).masks[0]
    assert np.array_equal(shown[ARMS.index("truth")], 127 * mask.astype(int))


def test_generated_maps_are_computed_only_on_request() -> None:
    config = SMALL.replace(generation=True, scenes=50, epochs=1, pictures=1)
    with_maps = metrics(config, list(run(config, (0,))))
    assert {f"{arm}_mass" for arm in GENERATED} <= set(with_maps) and not {
        f"{arm}_mass" for arm in GENERATED
    } & set(metrics(SMALL, film()))


def test_the_scenes_explained_have_uninformative_tags() -> None:
    # of a classifier whose own tags always agree
    explained = training.Experiment(SMALL.replace(pictures=150, scenes=50), 3).explained
    assert 0.1 < (explained.tags == explained.labels).mean() < 0.4  # a quarter, of 150


# --- uncertainty


def test_a_map_in_multiples_of_its_mean_has_no_unit() -> None:
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


def test_models_of_another_prediction_are_left_out_and_opposite_signs_are_not_stable() -> None:
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


def test_uncertainty_of_grad_cam_is_that_of_its_layer() -> None:
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


def table(rho: str, values: dict[str, dict[str, list[float]]]) -> Table:
    return Table(
        [
            {"claim": "tags", "arm": arm, "rho": rho, "seed": seed, "measure": measure, "value": value}
            for arm, measures in values.items()
            for measure, column in measures.items()
            for seed, value in enumerate(column)
        ]
    )


def test_rankings_that_agree_have_tau_one_and_opposite_ones_minus_one() -> None:
    values = {
        arm: {
            "moved": [rank] * 2,
            "insertion": [rank + 5] * 2,
            "deletion": [5] * 2,
            "mass": [-rank] * 2,
            "tag": [rank] * 2,
        }
        for rank, arm in enumerate(ATTRIBUTIONS)
    }
    agreed = tables.agreement(table("0.25", values), 0.25)
    assert agreed["model-dependent", "faithful"].mean == pytest.approx(1)
    assert agreed["faithful", "on the true cause"].mean == pytest.approx(-1)
    # there the tag is the cause
    agreed = tables.agreement(table("1.0", values), 1.0)
    assert agreed["faithful", "on the true cause"].mean == pytest.approx(1)


def test_methods_are_compared_with_the_best_control_of_each_property_seed_by_seed() -> None:
    flat = {measure: [0.5, 0.5, 0.5] for measure in MEASURES}
    values = dict.fromkeys((*ATTRIBUTIONS, *CONTROLS), flat) | {
        "edges": flat | {"moved": [0.0, 0.1, 0.2], "mass": [0.6, 0.7, 0.8]},
        "centre": flat | {"moved": [0.0, 0.0, 0.0], "insertion": [0.7, 0.7, 0.7]},
        "random": flat | {"moved": [0.0, 0.0, 0.0]},
        # 0.15 above the edges of its own seed, to the last
        "gradient": flat | {"mass": [0.75, 0.85, 0.95], "deletion": [0.5, 0.1, 0.3]},
    }
    controls, differences = tables.over_best_control(table("0.25", values), 0.25)
    assert controls == ("edges", "centre", "edges") and differences.shape == (12, 3, 3)
    mean, low, high, significant = significant_cells(differences)
    assert mean[0] == pytest.approx([0.4, 0.0, 0.15]) and significant[0].tolist() == [False, False, True]
    assert (low[0, 2], high[0, 2]) == pytest.approx((0.15, 0.15))
    assert mean[1] == pytest.approx([0.4, -0.2, -0.2]) and significant[1].tolist() == [False, True, False]


def test_the_learned_map_is_measured_on_the_cause_of_each_classifier() -> None:
    rows = [
        *table("0.25", {arm: {"mass": [0.6, 0.8], "tag": [0.0, 0.0]} for arm in GENERATED}).rows,
        *table("1.0", {arm: {"mass": [0.0, 0.0], "tag": [0.3, 0.5]} for arm in GENERATED}).rows,
    ]
    on_object, on_tag = tables.learned(Table(rows)).values()
    assert [item.mean for item in on_object] == pytest.approx([0.7] * 3)
    assert [item.mean for item in on_tag] == pytest.approx([0.4] * 3)


def test_mass_ignores_signs() -> None:
    half = np.array([[1.0, -1.0]])
    assert measures.mass_in_mask(half, np.array([[1, 0]])) == pytest.approx(0.5)
