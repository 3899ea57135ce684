"""The formula of mixed features and soft labels: by hand, at its limits, and as label
smoothing in expectation.
"""

import numpy as np
import pytest
import torch

from mlcv_explore.models import mixing, photograph_paths
from mlcv_explore.seeds import stream


def random(*shape: int, purpose: str = "test") -> torch.Tensor:
    return torch.randn(shape, generator=stream(0, purpose))


def one_hot(labels: list[int], classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), classes).float()


@pytest.mark.parametrize(("classes", "share"), [(4, 0.475), (10, 0.232), (100, 0.027)])
def test_softmax_smooths_a_one_hot_label_even_at_weight_0(classes: int, share: float) -> None:
    own, other = one_hot([1], classes), one_hot([0], classes)
    smoothed = mixing.soft_labels(own, other, 0.0, "softmax")
    assert float(smoothed[0, 1]) == pytest.approx(share, abs=5e-4)
    assert torch.equal(mixing.soft_labels(own, other, 0.0, "sum_to_one"), own)


@pytest.mark.parametrize("scaling", ["sum_to_one", "softmax", "argmax"])
@pytest.mark.parametrize("mode", ["sum", "convex", "extrapolate"])
def test_labels_are_shares_that_sum_to_1_and_pairs_of_a_class_stay_hard(scaling: str, mode: str) -> None:
    own, other = one_hot([0, 1, 2], 4), torch.tensor([[0, 0.5, 0.5, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    for weight in (0.0, 0.3, 1.0, 2.0):
        labels = mixing.soft_labels(own, other, weight, scaling, 0.7, mode)
        assert (labels >= 0).all()
        torch.testing.assert_close(labels.sum(1), torch.ones(3))
        if scaling != "softmax":
            assert torch.equal(labels[1:], own[1:])
        if mode == "extrapolate" and scaling == "sum_to_one":
            torch.testing.assert_close(labels, own)


def test_weight_1_is_symmetric_and_the_largest_of_equals_is_the_own_label() -> None:
    first, second = random(3, 5), random(3, 5, purpose="b")
    own, other = one_hot([0, 1, 2], 4), one_hot([3] * 3, 4)
    assert torch.equal(mixing.mix_features(first, second, 1.0), mixing.mix_features(second, first, 1.0))
    swapped = mixing.soft_labels(other, own, 1.0, "sum_to_one")
    assert torch.equal(mixing.soft_labels(own, other, 1.0, "sum_to_one"), swapped)
    assert torch.equal(mixing.soft_labels(own, other, 1.0, "argmax"), own)
    assert torch.equal(mixing.soft_labels(own, other, 1.5, "argmax"), other)


def test_modes_by_hand_and_weight_0_changes_no_bit() -> None:
    first, second = torch.tensor([1.0, 4.0]), torch.tensor([3.0, 0.0])
    by_hand = {"sum": [2.5, 4.0], "convex": [5 / 3, 8 / 3], "extrapolate": [0.0, 6.0]}
    for mode, values in by_hand.items():
        torch.testing.assert_close(mixing.mix_features(first, second, 0.5, mode), torch.tensor(values))
        assert torch.equal(mixing.mix_features(first, second, 0.0, mode), first)


def test_before_a_linear_layer_mixing_only_mixes_logits_and_a_normalised_layer_ignores_the_scale() -> None:
    first, second, head = random(6, 8), random(6, 8, purpose="other"), torch.nn.Linear(8, 3)
    with torch.no_grad():
        mixed = head(mixing.mix_features(first, second, 0.5, "convex"))
        torch.testing.assert_close(mixed, mixing.mix_features(head(first), head(second), 0.5, "convex"))
        both = [mixing.mix_features(first, second, 0.5, mode) for mode in ("sum", "convex")]
        summed, convex = (torch.nn.functional.normalize(each, dim=-1) @ head.weight.T for each in both)
    torch.testing.assert_close(summed, convex)
    assert mixing.own_share(0.5) == pytest.approx(2 / 3)


def test_smoothing_is_the_mean_of_soft_labels_over_partners_of_every_class() -> None:
    own = one_hot([2], 10)
    every = [mixing.soft_labels(own, one_hot([label], 10), 0.5, "sum_to_one") for label in range(10)]
    torch.testing.assert_close(torch.stack(every).mean(0), mixing.smooth_labels(own, 1 / 3))
    assert torch.equal(mixing.smooth_labels(own, 0.0), own)


def test_photographs_are_mixed_by_the_formula_with_the_share_of_its_weight() -> None:
    first, second = random(6), random(6, purpose="other")
    features = photograph_paths.between(first.numpy(), second.numpy())
    labels = photograph_paths.between(*one_hot([1, 0], 2).numpy())
    for place, share in enumerate(photograph_paths.SHARES[:-1]):
        weight = share / (1 - share)
        by_formula = mixing.mix_features(first, second, weight, "convex")
        np.testing.assert_allclose(features[place], by_formula, atol=1e-6)
        target = mixing.soft_labels(*one_hot([1, 0], 2), weight, "sum_to_one")
        np.testing.assert_allclose(labels[place], target, atol=1e-6)
    assert np.array_equal(features[-1], second.numpy())
