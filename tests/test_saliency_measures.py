"""What maps are worth, against values by hand, every order there is, Captum's own
measures; and maps generated from gradients.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max
from scipy.stats import spearmanr
from torch import nn

from mlcv_explore.config import SettingError
from mlcv_explore.models.classifiers import residual_classifier
from mlcv_explore.saliency.faithfulness import (
    at_share,
    deletion,
    filled,
    gaussian_noise,
    infidelity,
    insertion,
    max_sensitivity,
    saliency_ranks,
    uniform_noise,
)
from mlcv_explore.saliency.generation import (
    GenerationConfig,
    best_single,
    generate,
    input_names,
    layer_inputs,
    train,
)
from mlcv_explore.saliency.measures import (
    kendall,
    mass_in_mask,
    mass_on_tag,
    mean_map,
    pointing,
    similarity,
    stable,
)
from mlcv_explore.seeds import numpy_stream, seeded, stream

FILLS = ("mean", "blur", "noise")


class Weighted(nn.Module):
    """Logits (weights · image, 0), so that the first class has probability σ(weights ·
    image).
    """

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = weights  # (channels, h, w)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = (images * self.weights).flatten(1).sum(1)
        return torch.stack([first, torch.zeros_like(first)], dim=1)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def draws(*shape: int, purpose: str = "a test") -> torch.Tensor:
    return torch.rand(shape, generator=stream(0, purpose))


def small_network(side: int = 16) -> nn.Sequential:
    """An untrained residual network whose batch normalisation has seen images."""
    network = seeded(1, lambda: residual_classifier(4, 3, [0.5] * 3, [0.25] * 3))
    network(draws(32, 3, side, side))
    return network.eval()


# --- deletion and insertion
# --------------------------------------------------------------------------------------

PIXELS = torch.tensor([[[0.8, 0.6], [0.4, 0.2]]])  # mean 0.5
WEIGHTS = torch.tensor([[[1.0, 5.0], [-2.0, -3.0]]])
TARGET = torch.tensor([0])


def test_both_curves_by_hand():
    """Weights · pixels is 2.4; each pixel that becomes 0.5 takes w·(x − 0.5) off: 0.3,
    0.5, 0.2 and 0.9, which leaves 0.5.
    """
    order = np.array([[[[3.0, 2.0], [1.0, 0.0]]]])  # by rows
    removed = deletion(Weighted(WEIGHTS), PIXELS[None], TARGET, order, "mean", 4)
    shown = insertion(Weighted(WEIGHTS), PIXELS[None], TARGET, order, "mean", 4)
    assert np.allclose(
        removed.probabilities[0, 0], [sigmoid(value) for value in (2.4, 2.1, 1.6, 1.4, 0.5)], atol=1e-6
    )
    assert np.allclose(
        shown.probabilities[0, 0], [sigmoid(value) for value in (0.5, 0.8, 1.3, 1.5, 2.4)], atol=1e-6
    )
    assert removed.shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    first, *middle, last = (sigmoid(value) for value in (2.4, 2.1, 1.6, 1.4, 0.5))
    assert removed.area[0, 0] == pytest.approx((first / 2 + sum(middle) + last / 2) / 4, abs=1e-6)


def test_no_order_is_better_than_that_of_what_each_pixel_adds():
    """Against all 24 orders, at every share: the lowest deletion and the highest
    insertion; with the sign turned, the other extreme.
    """
    orders = np.array([np.reshape(order, (2, 2)) for order in itertools.permutations((4.0, 3.0, 2.0, 1.0))])
    adds = (WEIGHTS * (PIXELS - 0.5)).numpy()
    maps = np.concatenate([adds, -adds, orders])[None]
    for curve, sign in ((deletion, 1), (insertion, -1)):
        values = (
            sign
            * curve(Weighted(WEIGHTS), PIXELS[None], TARGET, maps, "mean", 4, signed=True).probabilities[0]
        )
        assert np.allclose(values[0], values[2:].min(0), atol=1e-6) and np.allclose(
            values[1], values[2:].max(0), atol=1e-6
        )
        assert np.ptp(values[2:], axis=0)[1:-1].min() > 0.05


def test_random_maps_have_on_average_the_mean_over_all_orders():
    orders = np.array([np.reshape(order, (2, 2)) for order in itertools.permutations((4.0, 3.0, 2.0, 1.0))])
    exact = deletion(Weighted(WEIGHTS), PIXELS[None], TARGET, orders[None], "mean", 4).probabilities[0]
    maps = draws(3_000, 2, 2).numpy()
    measured = deletion(Weighted(WEIGHTS), PIXELS[None], TARGET, maps[None], "mean", 4).probabilities[0]
    assert (np.abs(measured.mean(0) - exact.mean(0)) < 4 * exact.std(0) / math.sqrt(len(maps)) + 1e-4).all()
    flat = np.stack(
        [
            deletion(
                Weighted(WEIGHTS), PIXELS[None], TARGET, np.ones((1, 1, 2, 2)), "mean", 4, seed=seed
            ).area
            for seed in range(600)
        ]
    )
    areas = np.trapezoid(exact, dx=0.25)
    assert abs(flat.mean() - areas.mean()) < 4 * areas.std() / math.sqrt(len(flat)), (
        "a map without an order is a random one"
    )


@pytest.mark.parametrize("fill", FILLS)
def test_all_maps_of_a_image_share_both_ends_which_are_the_image_and_its_fill(fill: str):
    network, images, targets = small_network(), draws(3, 3, 16, 16), torch.tensor([0, 2, 1])
    maps = draws(3, 4, 16, 16, purpose="maps").numpy()
    removed, shown = (
        curve(network, images, targets, maps, fill, 5, seed=7) for curve in (deletion, insertion)
    )
    for curve in (removed, shown):
        assert np.ptp(curve.probabilities[..., [0, -1]], axis=1).max() == 0
        assert np.ptp(curve.probabilities[..., 1:-1], axis=1).min() > 0
    assert np.array_equal(removed.probabilities[..., 0], shown.probabilities[..., -1])
    assert np.array_equal(removed.probabilities[..., -1], shown.probabilities[..., 0])
    with torch.no_grad():
        for place, ends in ((0, images), (-1, filled(images, fill, 7))):
            expected = network(ends).softmax(1)[range(3), targets]
            assert np.allclose(removed.probabilities[:, 0, place], expected, atol=1e-6)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("insert", [False, True])
def test_the_image_of_the_slider_is_the_one_that_the_curve_evaluates(fill: str, insert: bool):
    network, images, targets = small_network(), draws(2, 3, 16, 16), torch.tensor([2, 1])
    maps = np.maximum(draws(2, 2, 16, 16, purpose="maps").numpy() - 0.7, 0)  # most pixels tie at zero
    curve = (insertion if insert else deletion)(network, images, targets, maps, fill, 6, seed=3)
    for place, share in enumerate(curve.shares):
        shown = [at_share(images[0], saliency, share, fill, seed=3, insert=insert) for saliency in maps[0]]
        with torch.no_grad():
            assert np.allclose(
                curve.probabilities[0, :, place], network(torch.stack(shown)).softmax(1)[:, 2], atol=1e-6
            )
    changed = (at_share(images[0], maps[0, 0], 0.25, fill, insert=True) != filled(images, fill)[0]).any(0)
    assert changed.sum() == 64 and maps[0, 0][changed].min() >= np.sort(maps[0, 0], axis=None)[-64]


def test_many_images_at_once_are_the_same_images_one_by_one():
    """Without ties and draws, which differ by an image's place, nothing depends on what
    else is in the batch.
    """
    network, images, targets = small_network(), draws(3, 3, 16, 16), torch.tensor([0, 2, 1])
    maps = draws(3, 5, 16, 16, purpose="maps").numpy()
    together = deletion(network, images, targets, maps, "blur", 20)
    for index in range(3):
        alone = deletion(network, images[[index]], targets[[index]], maps[[index], 1:2], "blur", 20)
        assert np.allclose(together.probabilities[index, 1], alone.probabilities[0, 0], atol=1e-6)


def test_ties_are_broken_at_random_but_by_the_seed_alone_and_alike_for_all_maps():
    maps = np.zeros((2, 3, 8, 8))
    maps[:, :, 0, 0] = 1
    ranks = saliency_ranks(maps, seed=4)
    assert (ranks[..., 0, 0] == 0).all()
    assert np.array_equal(ranks, saliency_ranks(maps, seed=4)) and not np.array_equal(
        ranks, saliency_ranks(maps, seed=5)
    )
    assert np.array_equal(ranks[:, 0], ranks[:, 2]) and not np.array_equal(ranks[0], ranks[1])
    assert (np.sort(ranks.reshape(6, 64)) == np.arange(64)).all()
    assert np.array_equal(ranks[:1], saliency_ranks(maps[:1], seed=4)), (
        "the first image does not feel the others"
    )
    second = [int(saliency_ranks(maps[:1, :1], seed=seed).reshape(64).argsort()[1]) for seed in range(400)]
    middle = np.mean(second)
    assert abs(middle - 32) < 4 * 63 / math.sqrt(12 * 400), (
        "each of the 63 that tie is as likely to come next"
    )


def test_signed_saliency_puts_evidence_against_last():
    maps = np.array([[[[0.5, -2.0], [1.0, 0.0]]]])
    assert saliency_ranks(maps, signed=True).tolist() == [[[[1, 3], [0, 2]]]]
    assert saliency_ranks(maps).tolist() == [[[[2, 0], [1, 3]]]]


def test_fills():
    images = draws(2, 3, 32, 32)
    mean, blur, noise = (filled(images, fill, 1) for fill in FILLS)
    assert torch.allclose(mean[1, 2], images[1, 2].mean().expand(32, 32))
    assert torch.allclose(blur.mean((2, 3)), images.mean((2, 3)), atol=0.02) and blur.std() < images.std() / 8
    spike = torch.zeros(1, 1, 33, 33)
    spike[..., 16, 16] = 1
    profile = filled(spike, "blur")[0, 0].sum(0)
    assert float((profile * (torch.arange(33) - 16.0) ** 2).sum()) == pytest.approx((33 / 8) ** 2, rel=0.05)
    dark = 0.5 + 0.05 * torch.rand(1, 3, 64, 64, generator=stream(0, "dark"))
    drawn = filled(dark, "noise")
    assert torch.allclose(drawn.mean((2, 3)), dark.mean((2, 3)), atol=0.001) and torch.allclose(
        drawn.std((2, 3)), dark.std((2, 3)), rtol=0.05
    )
    assert noise.min() >= 0 and noise.max() <= 1
    assert torch.equal(noise, filled(images, "noise", 1)) and not torch.equal(
        noise, filled(images, "noise", 2)
    )
    with pytest.raises(ValueError, match="one of mean, blur, noise, got 'grey'"):
        filled(images, "grey")


@pytest.mark.parametrize(
    ("maps", "steps", "rule"),
    [
        (np.ones((1, 1, 2, 2)), 0, "at least one step, got 0"),
        (np.ones((1, 1, 3, 2)), 4, "do not fit"),
        (np.ones((2, 1, 2, 2)), 4, "do not fit"),
        (np.ones((1, 2, 2)), 4, r"got shape \(1, 2, 2\)"),
        (np.full((1, 1, 2, 2), np.nan), 4, "not finite"),
    ],
)
def test_maps_that_make_no_curve_are_refused(maps: np.ndarray, steps: int, rule: str):
    with pytest.raises(ValueError, match=rule):
        deletion(Weighted(WEIGHTS), PIXELS[None], TARGET, maps, "mean", steps)


def test_a_share_beyond_the_image_is_refused():
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.5"):
        at_share(PIXELS, np.ones((2, 2)), 1.5)


# --- on the true cause
# --------------------------------------------------------------------------------------


def blob(side: int = 12) -> np.ndarray:
    mask = np.zeros((side, side), dtype=np.uint8)
    mask[2:5, 3:9] = 1
    return mask


def test_the_true_mask_points_and_weighs_on_itself():
    mask = blob()
    assert pointing(mask, mask) == 1 and mass_in_mask(mask, mask) == 1
    assert pointing(1 - mask, mask) == 0 and mass_in_mask(1 - mask, mask) == 0


def test_an_even_or_empty_map_gets_the_area_of_the_mask():
    mask, share = blob(), 18 / 144
    for even in (np.ones((12, 12)), np.zeros((12, 12)), np.full((12, 12), -3.0)):
        assert mass_in_mask(even, mask, signed=True) == pytest.approx(share), (
            "evidence against alone leaves no mass"
        )
        assert mass_in_mask(even, mask) == pytest.approx(share)
        assert pointing(even, mask) == pytest.approx(share)


def test_mass_and_pointing_by_hand_with_and_without_signs():
    saliency = np.array([[-4.0, 3.0], [1.0, 0.0]])
    mask = np.array([[1, 0], [1, 0]])
    assert mass_in_mask(saliency, mask) == pytest.approx(5 / 8) and mass_in_mask(
        saliency, mask, signed=True
    ) == pytest.approx(1 / 4)
    assert pointing(saliency, mask) == 1 and pointing(saliency, mask, signed=True) == 0
    assert pointing(np.array([[2.0, 2.0], [2.0, 0.0]]), mask) == pytest.approx(2 / 3)


def test_masks_go_with_many_maps_and_boxes_are_half_open():
    maps = draws(4, 5, 12, 12).numpy()
    masks = np.stack([np.roll(blob(), shift, axis=0) for shift in range(4)])
    boxes = np.array([[2 + shift, 3, 5 + shift, 9] for shift in range(4)])
    inside = mass_in_mask(maps, masks[:, None])
    assert inside.shape == (4, 5)
    assert inside[2, 3] == pytest.approx(maps[2, 3][4:7, 3:9].sum() / maps[2, 3].sum())
    assert np.allclose(mass_on_tag(maps, boxes[:, None]), inside)
    assert mass_on_tag(np.ones((12, 12)), np.array([0, 0, 4, 4])) == pytest.approx(16 / 144)


# --- infidelity and sensitivity
# --------------------------------------------------------------------------------------


def test_the_exact_attribution_of_a_linear_model_has_no_infidelity_and_a_wrong_one_what_it_gets_wrong():
    weights = draws(3, 8, 8, purpose="weights") - 0.5
    images, targets = draws(2, 3, 8, 8), torch.tensor([0, 0])
    attributions = torch.stack([weights, 2 * weights, torch.zeros_like(weights)])[None].expand(
        2, -1, -1, -1, -1
    )
    perturbations = gaussian_noise(images, 0.1, 4_000, seed=0, grey=False)
    measured = infidelity(Weighted(weights), images, targets, attributions, perturbations)
    assert measured.shape == (2, 3) and measured[:, 0].max() < 1e-8
    assert np.allclose(measured[:, 1:], 0.01 * float(weights.square().sum()), rtol=0.15), (
        "the variance of weights · perturbation"
    )
    best = infidelity(Weighted(weights), images, targets, attributions, perturbations, normalise=True)
    assert best[:, :2].max() < 1e-8 and np.allclose(best[:, 2], measured[:, 2])
    grey = gaussian_noise(images, 0.1, 50, seed=0)
    summed = infidelity(Weighted(weights), images, targets, attributions.sum(2, keepdim=True), grey)
    assert summed[:, 0].max() < 1e-8 and summed[:, 2].min() > 1e-4, (
        "maps summed over channels are exact under grey perturbations"
    )


@pytest.mark.parametrize("normalise", [False, True])
def test_infidelity_is_captums_on_the_same_perturbations(normalise: bool):
    network, images, targets = small_network(), draws(3, 3, 16, 16), torch.tensor([0, 2, 1])
    attributions = draws(3, 2, 3, 16, 16, purpose="attributions") - 0.5
    noise = gaussian_noise(images, 0.2, 30, seed=1, grey=False)
    measured = infidelity(network, images, targets, attributions, noise, normalise)
    by_image = noise.transpose(0, 1).flatten(0, 1)
    for index in range(2):
        expected = captum_infidelity(
            network,
            lambda given: (by_image, given - by_image),
            images,
            attributions[:, index],
            target=targets,
            n_perturb_samples=30,
            normalize=normalise,
        )
        assert np.allclose(measured[:, index], expected, rtol=1e-4)


def test_sensitivity_is_captums_on_the_same_perturbations():
    network, images, targets = small_network(), draws(3, 3, 16, 16), torch.tensor([0, 2, 1])
    noise = uniform_noise(images, 0.05, 6, seed=2)
    assert noise.abs().max() <= 0.05 and noise.abs().max() > 0.049

    def gradient(given: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            leaf = given.detach().requires_grad_()
            scores = network(leaf).gather(1, targets.repeat_interleave(len(given) // 3)[:, None])
            return torch.autograd.grad(scores.sum(), leaf)[0]

    measured = max_sensitivity(lambda given: gradient(given).numpy(), images, noise)
    by_image = noise.transpose(0, 1).flatten(0, 1)
    captums = {"perturb_func": lambda given: given + by_image, "n_perturb_samples": 6}
    expected = sensitivity_max(
        lambda given: (gradient(given[0]),) if isinstance(given, tuple) else gradient(given),
        images,
        **captums,
    )
    assert np.allclose(measured, expected, rtol=1e-4) and measured.min() > 0.01


def test_sensitivity_by_hand():
    """Φ(x) = x: what changes is the perturbation itself; where the map is zero it is
    not divided.
    """
    images = torch.tensor([[[[3.0, 4.0]]], [[[0.0, 0.0]]]])
    noise = torch.tensor([[[[[0.0, 1.0]]], [[[0.5, 0.0]]]], [[[[2.0, 0.0]]], [[[0.0, 0.25]]]]])
    assert max_sensitivity(lambda given: given.numpy(), images, noise).tolist() == pytest.approx([0.4, 0.5])


# --- similarity, completeness, agreement
# --------------------------------------------------------------------------------------


def test_a_map_is_like_itself_and_its_negative_is_unlike_it_only_with_signs():
    maps = draws(2, 3, 16, 16).numpy() - 0.5
    own, turned, absolute = (
        similarity(maps, 7 * maps, True),
        similarity(maps, -maps, True),
        similarity(maps, -maps),
    )
    assert own.rank.shape == own.structure.shape == (2, 3)
    assert np.allclose(own.rank, 1) and np.allclose(own.structure, 1)
    assert np.allclose(turned.rank, -1) and turned.structure.max() < -0.5
    assert np.allclose(absolute.rank, 1) and np.allclose(absolute.structure, 1)


def test_similarity_falls_with_noise_and_is_nothing_between_strangers():
    one, other = numpy_stream(0, "two maps").normal(size=(2, 24, 24))
    measured = [similarity(one, one + share * other, True) for share in (0.1, 0.5, 2)]
    for measure in ("rank", "structure"):
        values = [float(getattr(score, measure)) for score in measured]
        assert values == sorted(values, reverse=True) and values[0] > 0.9 and values[-1] < 0.6
    unrelated = similarity(one, other, True)
    assert abs(unrelated.rank) < 0.15 and abs(unrelated.structure) < 0.15


def test_ranks_that_tie_are_averaged_as_scipy_does():
    one, other = np.round(draws(2, 8, 8).numpy(), 1)
    one = np.maximum(one - 0.5, 0)
    assert similarity(one, other).rank == pytest.approx(spearmanr(one, other, axis=None).statistic)
    flat = np.zeros((8, 8))
    assert similarity(flat, other).rank == 0 and similarity(flat, flat + 1).rank == 1


def test_kendall_by_hand():
    """Of the six pairs of four methods, 1 2 3 4 and 1 3 2 4 agree on five: τ = 4/6;
    reversed, −1; a property without an order has τ 0.
    """
    scores = {
        "moves": [[1, 2, 3, 4], [1, 2, 3, 4]],
        "faithful": [[1, 3, 2, 4], [4, 3, 2, 1]],
        "cause": [[5, 5, 5, 5], [1, 2, 3, 4]],
    }
    measured = kendall({name: np.array(values) for name, values in scores.items()})
    assert list(measured) == [("moves", "faithful"), ("moves", "cause"), ("faithful", "cause")]
    assert measured["moves", "faithful"].mean == pytest.approx((4 / 6 - 1) / 2)
    assert measured["moves", "cause"].mean == pytest.approx(0.5) and measured[
        "faithful", "cause"
    ].mean == pytest.approx(-0.5)
    assert measured["moves", "faithful"].n == 2


def test_kendalls_interval_is_over_models():
    noise = numpy_stream(0, "scores").normal(size=(2, 12, 9))
    truth = np.arange(9)
    measured = kendall({"one": truth + 2 * noise[0], "other": truth + 2 * noise[1], "none": noise[0]})
    related, unrelated = measured["one", "other"], measured["other", "none"]
    assert 0 < related.low < related.mean < related.high < 1 and related.n == 12
    assert unrelated.low < 0 < unrelated.high


# --- uncertainty
# --------------------------------------------------------------------------------------


def test_signs_that_four_of_five_share_are_stable():
    maps = np.zeros((5, 1, 4))
    maps[:, 0, 0] = [1, 2, 3, 4, 5]
    maps[:, 0, 1] = [1, 2, 3, 4, -5]
    maps[:, 0, 2] = [1, 2, 3, -4, -5]
    assert stable(maps, "sign").tolist() == [[True, True, False, True]]
    assert stable(maps, "sign", 0.9).tolist() == [[True, False, False, True]]


def test_ranks_are_stable_where_the_maps_agree_on_the_top_fifth():
    maps = np.tile(np.arange(10.0).reshape(1, 2, 5), (5, 1, 1))  # 8 and 9 are the top fifth
    assert stable(maps, "rank", 1.0).all()
    maps[0, 1, 3], maps[0, 1, 2] = 7, 8  # one map prefers another pixel
    assert (
        stable(maps, "rank", 1.0).tolist() == [[True] * 5, [True, True, False, False, True]]
        and stable(maps, "rank", 0.8).all()
    )
    assert stable(-maps, "rank", 1.0).sum() == 8 and stable(-maps, "rank", 1.0, signed=True).all(), (
        "by size, unless with signs"
    )
    with pytest.raises(ValueError, match="by sign or by rank, got 'size'"):
        stable(maps, "size")


def test_random_maps_are_stable_as_often_as_under_binomial_chance():
    maps = numpy_stream(0, "random maps").normal(size=(5, 100, 100))
    by_sign, by_rank = 2 * (5 + 1) / 32, 0.8**5 + 5 * 0.8**4 * 0.2 + 5 * 0.2**4 * 0.8 + 0.2**5
    for by, expected in (("sign", by_sign), ("rank", by_rank)):
        assert stable(maps, by).mean() == pytest.approx(
            expected, abs=4 * math.sqrt(expected * (1 - expected) / 10_000) + 0.003
        )


def test_the_mean_map_gives_each_map_its_weight_or_the_same_weight():
    one, other = np.array([[1.0, -1.0]]), np.array([[30.0, 10.0]])
    assert mean_map([one, other]).tolist() == [[15.5, 4.5]]
    assert np.allclose(mean_map([one, other], equal=True), (one / 1 + other / 20) / 2 * 10.5)
    assert np.allclose(mean_map([one, 0 * one], equal=True), one / 4), "a map of zeros has a vote and no size"


# --- generation
# --------------------------------------------------------------------------------------


def test_layer_inputs_are_what_autograd_gives_by_hand():
    """image → convolution → ReLU → convolution, stride 2 → ReLU → mean → linear, with
    the chain rule written out.
    """
    network = seeded(
        0,
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 1),
            nn.ReLU(),
            nn.Conv2d(4, 5, 2, 2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(5, 3),
        ),
    )
    images, targets = draws(2, 3, 8, 8), torch.tensor([2, 0])
    measured = layer_inputs(network, images, targets)
    assert measured.shape == (2, 18, 8, 8) and not measured.requires_grad
    with torch.no_grad():
        first = torch.relu(network[0](images))
        before = network[2](first)
        second_gradient = (network[6].weight[targets] / 16)[:, :, None, None].expand(-1, -1, 4, 4)
        first_gradient = nn.functional.conv_transpose2d(
            second_gradient * (before > 0), network[2].weight, stride=2
        )
        own_gradient = nn.functional.conv_transpose2d(first_gradient * (first > 0), network[0].weight)
    for start, activation, gradient in ((0, images, own_gradient), (6, first, first_gradient)):
        product = gradient * activation
        expected = [
            summary
            for values in (gradient, product)
            for summary in (values.mean(1), values.abs().mean(1), values.abs().amax(1))
        ]
        assert torch.allclose(measured[:, start : start + 6], torch.stack(expected, dim=1), atol=1e-7)
    assert torch.allclose(measured[:, 12], second_gradient.mean(1)[:, :1, :1].expand(-1, 8, 8), atol=1e-7), (
        "an even gradient stays even when resized"
    )
    product = (second_gradient * torch.relu(before)).abs().amax(1)
    assert (
        torch.allclose(measured[:, 17].mean((1, 2)), product.mean((1, 2)), rtol=0.2)
        and measured[:, 17].amax() <= product.amax() + 1e-7
    )
    names = input_names(network, images)
    assert (
        len(names) == 18
        and names[0] == "image: mean gradient"
        and names[11] == "1: largest absolute gradient × activation"
        and names[12][0] == "3"
    )


def test_layer_inputs_leave_no_trace_and_batches_change_nothing():
    network, images = small_network(), draws(130, 3, 16, 16)
    targets = torch.arange(130) % 3
    with torch.no_grad():
        measured = layer_inputs(network, images, targets)
    assert measured.shape == (130, 54, 16, 16) and len(input_names(network, images)) == 54
    assert torch.allclose(
        measured[127:129], layer_inputs(network, images[127:129], targets[127:129]), atol=1e-5
    )
    assert all(parameter.grad is None for parameter in network.parameters()) and not any(
        module._forward_hooks for module in network.modules()
    )
    other = layer_inputs(network, images[:2], (targets[:2] + 1) % 3)
    assert not torch.allclose(other[:, 0], measured[:2, 0]), "another target, another gradient"


def test_a_relu_that_runs_twice_is_two_layers_and_a_network_without_one_is_refused():
    relu = nn.ReLU()
    network = nn.Sequential(
        nn.Conv2d(3, 2, 1), relu, nn.Conv2d(2, 2, 1), relu, nn.Flatten(), nn.Linear(2 * 16, 3), relu
    )
    assert layer_inputs(network, draws(1, 3, 4, 4), torch.tensor([0])).shape == (1, 18, 4, 4)
    assert [name.split(":")[0] for name in input_names(network, draws(1, 3, 4, 4))[6::6]] == ["1", "1#2"]
    with pytest.raises(ValueError, match="no ReLU module"):
        layer_inputs(nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), draws(1, 3, 4, 4), torch.tensor([0]))


def toy(count: int, side: int = 16) -> tuple[torch.Tensor, np.ndarray]:
    """Five channels of noise, one of which is where the mask lies, at a size that
    differs by image, with noise as large as a third of it.
    """
    rng = numpy_stream(count, "toy")
    masks = np.zeros((count, side, side), dtype=np.uint8)
    for mask, (top, left) in zip(masks, rng.integers(0, side - 6, (count, 2)), strict=True):
        mask[top : top + 6, left : left + 6] = 1
    inputs = rng.normal(size=(count, 5, side, side))
    inputs[:, 3] = (masks + 0.33 * inputs[:, 3]) * 10.0 ** rng.uniform(-3, 3, (count, 1, 1))
    return torch.from_numpy(inputs).float(), masks


def test_generation_finds_the_informative_channel_and_beats_it():
    config = GenerationConfig(epochs=20, batch_size=10, rate=0.02)
    inputs, masks = toy(150)
    network = train(inputs, masks, config, seed=0)
    fresh, inside = toy(60)
    maps = generate(network, fresh)
    assert maps.shape == (60, 16, 16) and maps.dtype == np.float32 and maps.min() >= 0 and maps.max() <= 1
    assert best_single(inputs, masks) == 3
    single = mass_in_mask(fresh[:, 3].numpy(), inside).mean()
    assert (
        mass_in_mask(maps, inside).mean() > max(0.85, single + 0.2) and pointing(maps, inside).mean() > 0.95
    )
    assert np.allclose(generate(network, 1000 * fresh), maps, atol=1e-4), (
        "the scale of the gradients does not count"
    )


def test_generation_without_information_predicts_the_area_of_the_mask():
    inputs, masks = toy(150)
    inputs[:, 3] = inputs[:, 2]
    network = train(inputs, masks, GenerationConfig(epochs=4), seed=0)
    fresh, inside = toy(60)
    fresh[:, 3] = fresh[:, 2]
    assert mass_in_mask(generate(network, fresh), inside).mean() < 36 / 256 + 0.1


def reads(channel: int) -> nn.Sequential:
    """A network whose logits rise and fall with the brightness of one colour above 0.5,
    wherever that is.
    """
    first, last = nn.Conv2d(3, 3, 1), nn.Linear(3, 2)
    with torch.no_grad():
        first.weight.copy_(torch.eye(3)[:, :, None, None])
        first.bias.fill_(-0.5)
        last.weight.copy_(torch.eye(3)[channel] * torch.tensor([[1.0], [-1.0]]))
    return nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)


def test_generation_follows_the_model_where_its_control_follows_the_image():
    """Taught on a model that reads red squares, with these as the answer; of one that
    reads blue squares the map is on those.
    """
    rng = numpy_stream(0, "two squares")
    images, masks = (
        torch.rand(150, 3, 16, 16, generator=stream(0, "grounds")) / 2,
        np.zeros((150, 2, 16, 16), dtype=np.uint8),
    )
    for image, pair, tops, side in zip(
        images, masks, rng.integers(0, 11, (150, 2)), rng.permuted([[0, 8]] * 150, axis=1), strict=True
    ):
        for colour, mask, top, left in zip((0, 2), pair, tops, side + 1, strict=True):
            image[colour, top : top + 5, left : left + 5] = 0.9
            mask[top : top + 5, left : left + 5] = 1
    config, targets = GenerationConfig(epochs=12, rate=0.02), torch.arange(150) % 2
    train_inputs, other = (layer_inputs(reads(colour), images, targets) for colour in (0, 2))
    map_network = train(train_inputs[:100], masks[:100, 0], config, seed=0)
    control = train(images[:100], masks[:100, 0], config, seed=0)
    moved, stayed = generate(map_network, other[100:]), generate(control, images[100:])
    assert mass_in_mask(generate(map_network, train_inputs[100:]), masks[100:, 0]).mean() > 0.8
    assert (
        mass_in_mask(moved, masks[100:, 1]).mean() > 0.8 and mass_in_mask(moved, masks[100:, 0]).mean() < 0.1
    )
    assert mass_in_mask(stayed, masks[100:, 0]).mean() > 0.8


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator_alone():
    inputs, masks = toy(40)
    before = torch.random.get_rng_state()
    one, same, other = (train(inputs, masks, GenerationConfig(epochs=2), seed) for seed in (3, 3, 4))
    assert torch.equal(before, torch.random.get_rng_state())
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, same.state_dict()[name]) and not torch.equal(
            weight, other.state_dict()[name]
        )


def test_settings_of_generation_are_checked():
    with pytest.raises(SettingError, match="between 1 and 200"):
        GenerationConfig(epochs=0)
