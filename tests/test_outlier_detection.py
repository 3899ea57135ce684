"""Scores against outliers, neighbours and prediction depth, and virtual outliers."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest, spearmanr
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from mlcv_explore.metrics import neighbours, outlier_detection
from mlcv_explore.metrics.rank_correlation import rank_correlation
from mlcv_explore.models import virtual_outliers
from mlcv_explore.seeds import numpy_stream, stream


def test_auroc_counts_ties_half_and_agrees_with_scikit_learn() -> None:
    draws = numpy_stream(0, "scores")
    real, outliers = draws.integers(0, 6, 90).astype(float), draws.integers(-2, 5, 70).astype(float)
    labels = np.repeat([1, 0], [90, 70])
    expected = roc_auc_score(labels, np.concatenate([real, outliers]))
    assert outlier_detection.auroc(real, outliers) == pytest.approx(expected, abs=1e-12)
    assert outlier_detection.auroc(real, real) == 0.5
    assert outlier_detection.auroc(real + 10, outliers) == 1


def test_false_positives_keep_95_per_cent_of_the_real() -> None:
    real = np.arange(100.0)
    assert outlier_detection.fpr95(real, np.array([0.0, 3.9, 4.0, 50.0])) == 0.5
    assert outlier_detection.fpr95(real, np.full(5, -1.0)) == 0


def test_fishers_score_is_a_sum_of_logarithms_of_shares() -> None:
    reference = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    scores = np.array([[0.0, 2.0, 9.0], [10.0, 5.0, 99.0]])
    shares = np.array([[1, 3, 4], [2, 1, 4]]) / 4
    assert outlier_detection.fisher(scores, reference) == pytest.approx(np.log(shares).sum(0))


def test_one_layer_combined_is_that_layer_and_a_useless_one_gets_nothing() -> None:
    draws = numpy_stream(1, "layers")
    real, outliers = draws.normal(size=(3, 200)), draws.normal(size=(3, 200))
    outliers[1] -= 2  # the only layer that tells them apart
    weights = outlier_detection.fitted_weights(real, outliers)
    assert weights[1] > 5 * weights[[0, 2]].max() and weights.min() >= 0
    alone = outlier_detection.fitted_weights(real[1:2], outliers[1:2])
    one = outlier_detection.auroc(real[1], outliers[1])
    assert outlier_detection.auroc(alone @ real[1:2], alone @ outliers[1:2]) == one
    reversed_layers = outlier_detection.fitted_weights(outliers, real)  # real ones score lower: none is used
    assert reversed_layers[1] == 0


def test_neighbours_are_scikit_learns_and_skip_themselves() -> None:
    draws = stream(0, "points")
    known, asked = torch.randn(300, 7, generator=draws), torch.randn(40, 7, generator=draws)
    distances, places = neighbours.nearest(known, asked, 6)
    expected, expected_places = NearestNeighbors(n_neighbors=6).fit(known.numpy()).kneighbors(asked.numpy())
    assert np.allclose(distances, expected, atol=1e-4) and np.array_equal(places, expected_places)
    own = neighbours.nearest(known, known, 1, skip_first=True)[1][:, 0]
    assert not (own == torch.arange(300)).any()
    with pytest.raises(ValueError, match="between 1 and 299"):
        neighbours.nearest(known, known, 300, skip_first=True)
    labels = torch.randint(4, (300,), generator=draws)
    clear = KNeighborsClassifier(n_neighbors=1).fit(known, labels).predict(asked)
    assert np.array_equal(neighbours.votes(labels, places[:, :1]), clear)


def test_most_neighbours_decide_and_the_nearest_breaks_a_tie() -> None:
    labels, places = torch.tensor([0, 1, 2]), torch.tensor([[2, 1, 1], [2, 1, 0], [0, 2, 2]])
    assert neighbours.votes(labels, places).tolist() == [1, 2, 2]


def test_prediction_depth_is_0_where_all_agree_and_all_layers_where_the_last_does_not() -> None:
    probes = torch.tensor([[1, 0, 1, 1, 0], [1, 0, 0, 1, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]])
    depth = neighbours.prediction_depth(probes, torch.ones(5, dtype=torch.long))
    assert depth.tolist() == [0, 2, 2, 3, 4]  # an agreement that is lost again does not count


@pytest.fixture(scope="module")
def gaussians() -> virtual_outliers.Gaussians:
    draws = stream(0, "features")
    labels = torch.arange(600) % 3
    stretch = torch.tensor([[1.0, 0, 0], [2.0, 0.5, 0], [0, 1.0, 3.0]])
    features = 4 * labels[:, None] + torch.randn(600, 3, generator=draws) @ stretch.T
    return virtual_outliers.fit(features, labels, 3)


def test_covariance_is_that_about_the_classes_means(gaussians: virtual_outliers.Gaussians) -> None:
    covariance = gaussians.root @ gaussians.root.T
    expected = torch.tensor([[1.0, 2.0, 0.0], [2.0, 4.25, 0.5], [0.0, 0.5, 10.0]])
    assert torch.allclose(covariance, expected, atol=0.9) and gaussians.shrinkage < 0.05
    points = torch.randn(4, 3, generator=stream(1, "points"))
    apart = points[:, None] - gaussians.means
    slow = torch.einsum("nki,ij,nkj->nk", apart, torch.linalg.inv(covariance), apart)
    assert torch.allclose(gaussians.distances(points), slow, rtol=1e-3)


def test_fewer_examples_than_dimensions_are_shrunk_and_still_drawn_from() -> None:
    few = torch.randn(12, 40, generator=stream(2, "few"))
    fitted = virtual_outliers.fit(few, torch.arange(12) % 3, 3)
    assert 0.1 < fitted.shrinkage <= 1
    drawn = virtual_outliers.least_likely(fitted, torch.arange(3), 100, stream(0, "draws"))
    assert drawn.isfinite().all()


def test_the_least_likely_is_distributed_as_if_all_were_drawn(gaussians: virtual_outliers.Gaussians) -> None:
    """Against drawing 200 points and keeping the farthest, 1,000 times."""
    wanted = torch.zeros(1000, dtype=torch.long)
    ours = virtual_outliers.least_likely(gaussians, wanted, 200, stream(3, "ours"))
    distances = gaussians.distances(ours)[:, 0].sqrt()
    slow = torch.randn(1000, 200, 3, generator=stream(3, "slow")).norm(dim=2).amax(1)
    assert kstest(distances.numpy(), slow.numpy()).pvalue > 0.01
    assert float(distances.median()) == pytest.approx(
        virtual_outliers.typical_radius(gaussians, 200), rel=0.02
    )
    centred = (ours - gaussians.means[0]).mean(0)  # no direction is preferred
    assert (centred.abs() < 4 * ours.std(0) / 1000**0.5).all()
    unlikely = virtual_outliers.least_likely(gaussians, wanted, 10_000, stream(4, "ours"))
    beyond = gaussians.distances(unlikely)[:, 0] > chi2.ppf(0.99, 3)
    assert beyond.float().mean() > 0.99  # less likely than 99 % of a Gaussian's draws


def test_the_share_of_real_features_beyond_is_a_gaussians_own(gaussians: virtual_outliers.Gaussians) -> None:
    labels = torch.zeros(20_000, dtype=torch.long)
    real = virtual_outliers.least_likely(gaussians, labels, 1, stream(5, "real"))
    share = virtual_outliers.share_less_likely(gaussians, real, labels, 100)
    assert share == pytest.approx(1 - 0.5 ** (1 / 100), abs=0.003)


def test_nonparametric_outliers_lie_beyond_the_examples_of_their_class() -> None:
    draws, labels = stream(6, "npos"), torch.arange(400) % 2
    features = torch.randn(400, 5, generator=draws) + 20 * labels[:, None]
    found = virtual_outliers.nonparametric(features, labels, labels, 10, draws)
    assert ((found.mean(1) > 10) == (labels == 1)).all()  # each in its own class
    apart = neighbours.nearest(features, features, 10, skip_first=True)[0][:, -1]
    assert neighbours.nearest(features, found, 10)[0][:, -1].median() > 1.5 * apart.median()


def test_nonparametric_outliers_are_drawn_around_the_isolated_with_one_neighbour_too() -> None:
    draws, labels = stream(7, "npos"), torch.zeros(200, dtype=torch.long)
    features = torch.randn(200, 5, generator=draws)
    features[0] = 50.0
    found = virtual_outliers.nonparametric(features, labels, labels.repeat(2), 1, draws)
    away = torch.cdist(found, features).amin(1)
    typical = neighbours.nearest(features, features, 1, skip_first=True)[0].median()
    assert (found.mean(1) > 40).sum() > 5 and away.min() > 0.01 and away.median() > 0.5 * typical


def test_combined_and_averaged_scores_are_standardised_by_the_reference() -> None:
    draws = numpy_stream(2, "groups")
    groups = [draws.normal(layer, 1 + layer, (3, 50)) for layer in range(4)]
    outliers = draws.normal(-2, 1, (3, 40))
    reference = groups[0]
    spread = [(each - reference.mean(1)[:, None]) / reference.std(1)[:, None] for each in (*groups, outliers)]
    weights = outlier_detection.fitted_weights(spread[0], spread[-1])
    assert np.allclose(outlier_detection.layer_weights(reference, outliers), weights)
    for one, own in zip(outlier_detection.combined(groups, outliers), spread, strict=False):
        assert np.allclose(one, (weights[:, None] * own).sum(0))
    for one, own in zip(outlier_detection.averaged(groups), spread, strict=False):
        assert np.allclose(one, own.mean(0))


def test_rates_average_near_and_far_and_depths_see_their_own_images() -> None:
    draws = np.random.default_rng(0)
    scores = [draws.normal(size=50), draws.normal(size=60) + 1, *(draws.normal(size=40) for _ in range(4))]
    depths = [np.zeros(50, int), np.arange(60) % 5, *(np.arange(40) % 5 for _ in range(4))]
    found, auroc = outlier_detection.rates(scores, depths), outlier_detection.auroc
    kinds = [auroc(scores[1], each) for each in scores[2:]]
    assert found["near"] == kinds[0] and found["far"] == pytest.approx(np.mean(kinds[1:]))
    assert found["auroc"] == pytest.approx((kinds[0] + np.mean(kinds[1:])) / 2)
    false = [outlier_detection.fpr95(scores[1], each) for each in scores[2:]]
    assert found["fpr95"] == pytest.approx((false[0] + np.mean(false[1:])) / 2)
    for name, kept in (("deep", lambda at: at >= 2), ("shallow", lambda at: at < 2)):
        own = [each[kept(at)] for each, at in zip(scores[1:], depths[1:], strict=True)]
        kinds = auroc(own[0], own[1]), auroc(own[0], np.concatenate(own[2:]))
        assert found[name] == pytest.approx(np.mean(kinds))
    same = outlier_detection.rates([scores[0], scores[1], *[scores[1]] * 4], [depths[0], *[depths[1]] * 5])
    assert same["auroc"] == 0.5  # real against real
    few = [np.zeros(50, int), np.zeros(60, int), *[np.zeros(40, int)] * 4]
    assert outlier_detection.rates(scores, few)["deep"] == 0.5


def test_the_best_layer_rises_where_deep_images_are_told_apart_later() -> None:
    draws = np.random.default_rng(1)
    depths = [np.zeros(9, int), *[np.arange(600) % 4] * 3]

    def odds(count: int, shift: float) -> np.ndarray:
        best = np.where(np.arange(count) % 4 < 2, 1, 3)  # layer 2 of shallow, layer 4 of deep images
        return draws.normal(size=(4, count)) + shift * (np.arange(4)[:, None] == best)

    groups = [odds(9, 0), odds(600, 2), odds(600, -2), odds(600, -2)]
    assert outlier_detection.rise(groups, depths) == 2
    assert outlier_detection.rise(groups, [3 - each for each in depths]) == -2
    shuffled = [outlier_detection.shuffled(depths, seed) for seed in range(20)]
    assert abs(np.mean([outlier_detection.rise(groups, each) for each in shuffled])) < 1
    assert all(
        np.array_equal(np.sort(one), np.sort(own)) for one, own in zip(shuffled[0], depths, strict=True)
    )


def test_rank_correlation_is_scipys_and_0_where_one_is_constant() -> None:
    draws = numpy_stream(3, "ranks")
    for _ in range(20):
        first, second = draws.integers(0, 5, 60), draws.normal(size=60)
        second += draws.normal() * first
        assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)
    assert rank_correlation(np.ones(9), np.arange(9.0)) == rank_correlation(np.arange(9.0), np.ones(9)) == 0
