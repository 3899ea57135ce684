"""Learners of stacked levels: what the objectives have in common, what baselines compute
by hand, and that only the supervised bound sees labels.
"""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as Reference
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.metrics import ridge_probe
from mlcv_explore.models import fitted_levels, level_learners
from mlcv_explore.models.level_learners import (
    Autoencoder,
    Contrastive,
    GradientLearner,
    Hyperparameters,
    Input,
    Supervised,
    encoded,
    info_nce,
    projected,
)
from mlcv_explore.models.stacked_autoencoders import Shape, reconstruction_loss

SEEDS = (0, 1)
OBJECTIVES = [(kind, target) for kind in ("greedy", "joint", "both") for target in ("code", "pixels")]


@pytest.fixture(scope="module")
def batch() -> torch.Tensor:
    """Two seeds' digits, (2, 60, 64), of mean 0 and variance 1."""
    pixels = data.load("digits").train.as_float()[:120].view(2, 60, 64)
    return (pixels - pixels.mean()) / pixels.std()


def settings(levels: int = 3, **changes: object) -> Hyperparameters:
    given = {"shape": Shape((1, 8, 8), 8, levels), "rate": 0.005, "noise": 0.5, "weight": 1.0}
    return Hyperparameters(**given | changes)


def trained(own: GradientLearner, batch: torch.Tensor, steps: int = 5) -> GradientLearner:
    for _ in range(steps):
        own.step(batch, torch.zeros(batch.shape[:2], dtype=torch.int64))
    return own


def equal(one: GradientLearner, other: GradientLearner) -> bool:
    return all(torch.equal(*pair) for pair in zip(one.model.up, other.model.up, strict=True))


@pytest.mark.parametrize(("objective", "target"), OBJECTIVES[:4])
def test_with_one_level_every_objective_is_the_end_to_end_loss_bit_for_bit(objective, target, batch):
    whole, own = (
        trained(Autoencoder(settings(1), SEEDS, *given), batch)
        for given in (("global",), (objective, target))
    )
    assert equal(whole, own) and torch.equal(whole.model.way[0], own.model.own[0])
    assert torch.equal(whole.losses["global"], own.losses["level1"])


@pytest.mark.parametrize(
    ("objective", "target", "change", "baseline"),
    [
        ("both", "code", "weight", "global"),
        ("both", "pixels", "weight", "global"),
        ("greedy", "code", "noise", "greedy"),
    ],
)
def test_at_weight_or_noise_zero_a_learner_is_its_baseline_bit_for_bit(
    objective, target, change, baseline, batch
):
    plain = trained(Autoencoder(settings(), SEEDS, baseline), batch)
    none, some = (
        trained(Autoencoder(own, SEEDS, objective, target, denoising=change == "noise"), batch)
        for own in (settings(**{change: 0.0}), settings())
    )
    assert equal(plain, none) and not equal(plain, some)


def test_every_objective_and_target_is_another_learner_from_equal_weights(batch):
    every = [Autoencoder(settings(), SEEDS, *given) for given in [("global",), *OBJECTIVES]]
    every += [
        GradientLearner(settings(), SEEDS),
        Contrastive(settings(), SEEDS),
        Supervised(settings(), SEEDS, 10),
    ]
    assert all(equal(every[0], own) for own in every)
    for own in every[:7]:
        trained(own, batch)
        assert (own.updates == 5).all()
    assert sum(equal(one, other) for one in every for other in every[:7]) == 7


def test_an_output_relu_cannot_go_below_its_floor(batch):
    """The best it can reconstruct is max(x, 0): the floor is E[min(x, 0)²]. A linear
    output goes below it.
    """
    floor = float(batch.clamp(max=0).square().mean())
    assert reconstruction_loss(batch.relu(), batch).mean().item() == pytest.approx(floor, rel=1e-5)
    clipped, linear = (
        trained(Autoencoder(settings(rate=0.01), SEEDS, "global", clipped=clipped), batch, steps=300)
        for clipped in (True, False)
    )
    assert float(clipped.decode(2, clipped.encode(batch)[-1]).min()) == 0.0
    assert float(linear.losses["global"].mean()) < floor < float(clipped.losses["global"].mean())
    assert linear.decode(1, linear.encode(batch)[1]) is None


def test_a_seed_does_not_depend_on_another(batch):
    together = trained(Autoencoder(settings(), SEEDS, "both"), batch)
    alone = trained(Autoencoder(settings(), (1,), "both"), batch[1:])
    torch.testing.assert_close(alone.model.up[2][0], together.model.up[2][1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("clipped", [False, True])
def test_an_end_to_end_step_gives_own_decoders_no_gradient(clipped, batch):
    model = trained(Autoencoder(settings(), SEEDS, "global", clipped=clipped), batch, steps=1).model
    assert all(weight.grad is None for weight in [*model.own, *model.own_bias])
    assert all(weight.grad is not None for weight in [*model.up, *model.way])


def test_images_encoded_in_parts_have_the_codes_of_all_at_once(batch, monkeypatch):
    own = Autoencoder(settings(), SEEDS, "greedy")
    monkeypatch.setattr(level_learners, "BATCH", 7)
    for one, other in zip(encoded(own, batch), own.encode(batch), strict=True):
        torch.testing.assert_close(one, other)


def test_codes_in_parts_lie_on_the_directions_of_their_own_level_and_seed(batch, monkeypatch):
    """Those of the input, which has no level, too."""
    monkeypatch.setattr(level_learners, "BATCH", 7)
    for own in (Autoencoder(settings(), SEEDS, "greedy"), Input()):
        codes = [level.numpy() for level in own.encode(batch)]
        bases = [[ridge_probe.leading(code, 3) for code in level] for level in codes]
        for level, found in enumerate(projected(own, bases, [batch, batch[:, :20]])):
            for code, basis, (whole, part) in zip(codes[level], bases[level], found, strict=True):
                np.testing.assert_allclose(whole, basis.transform(code), atol=1e-5)
                np.testing.assert_allclose(part, whole[:20], atol=1e-5)
    assert len(codes) == 1 and np.array_equal(codes[0], batch)


def test_info_nce_by_hand_and_its_limits():
    pairs = torch.eye(3).repeat(2, 1)[None]
    expected = np.log(1 + 2 * np.exp(-1 / level_learners.TEMPERATURE))
    assert info_nce(pairs).item() == pytest.approx(expected, rel=1e-4)
    assert info_nce(5 * pairs).item() == pytest.approx(expected, rel=1e-4)
    assert info_nce(torch.ones(1, 6, 3)).item() == pytest.approx(np.log(3), rel=1e-5)


def test_a_contrastive_view_shifts_by_at_most_an_eighth_and_levels_are_detached(batch):
    own = Contrastive(settings(noise=0.0), SEEDS)
    view, pixels = own.view(batch).view(2, 60, 8, 8), batch.view(2, 60, 8, 8)
    padded = functional.pad(pixels, (1, 1, 1, 1), mode="replicate")
    shifts = [padded[..., row : row + 8, column : column + 8] for row in range(3) for column in range(3)]
    assert (torch.stack(shifts) == view).flatten(3).all(3).any(0).all() and not torch.equal(view, pixels)
    terms = {}
    own.minimise = terms.update
    own.step(batch, None)
    terms["level2"].sum().backward()
    assert own.model.up[0].grad is None and own.model.up[1].grad is not None


def test_a_contrastive_view_of_a_vector_has_noise_and_no_shift(batch):
    shape = Shape((64, 1, 1), 8, 1)
    assert torch.equal(Contrastive(settings(shape=shape, noise=0.0), SEEDS).view(batch), batch)
    noise = Contrastive(settings(shape=shape, noise=0.5), SEEDS).view(batch) - batch
    assert float(noise.std()) == pytest.approx(0.5, rel=0.05)
    assert float(noise.mean()) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("build", "arguments", "uses"),
    [(Autoencoder, ("greedy",), False), (Contrastive, (), False), (Supervised, (10,), True)],
)
def test_only_the_supervised_bound_uses_labels(build, arguments, uses, batch):
    labels = torch.arange(60).expand(2, 60) % 10
    one, other = (build(settings(), SEEDS, *arguments) for _ in range(2))
    one.step(batch, labels)
    other.step(batch, labels.flip(1))
    assert equal(one, other) != uses


def test_the_supervised_loss_is_the_cross_entropy_of_its_head(batch):
    own, labels = Supervised(settings(), SEEDS, 10), torch.arange(60).expand(2, 60) % 10
    logits = own.model.codes(batch)[-1] @ own.head + own.head_bias
    own.step(batch, labels)
    expected = functional.cross_entropy(logits.flatten(0, 1), labels.flatten()).item()
    assert own.losses["labels"].mean().item() == pytest.approx(expected, rel=1e-5)


# Levels fitted in one piece


def test_stacked_pca_gains_nothing_and_decodes_to_pcas_error(batch):
    own = fitted_levels.PCA(settings(), SEEDS)
    own.fit(batch)
    pca = Reference(8).fit(batch[0].numpy())
    expected, codes = pca.inverse_transform(pca.transform(batch[0].numpy())), own.encode(batch)
    for level, code in enumerate(codes):
        np.testing.assert_allclose(np.abs(code.numpy()), np.abs(codes[0].numpy()), atol=1e-5)
        np.testing.assert_allclose(own.decode(level, code)[0], expected, atol=1e-4)


def test_kmeans_features_by_hand_and_their_decoding_to_cluster_means():
    centres = np.array([[0.0, 0.0], [4.0, 0.0]])
    assert fitted_levels.kmeans_features(np.array([[1.0, 0.0]]), centres).tolist() == [[1.0, 0.0]]
    own = fitted_levels.KMeans(settings(shape=Shape((1, 1, 2), 2, 1)), (0,))
    points = torch.tensor([[[0.0, 0.0], [0.0, 2.0], [9.0, 0.0], [9.0, 2.0]]])
    own.fit(points)
    assert own.decode(0, own.encode(points)[0]).tolist() == [[[0, 1], [0, 1], [9, 1], [9, 1]]]
