"""Scores at every layer of a network: against how one would get them by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.data import open_set
from mlcv_explore.data.open_set import OpenSet
from mlcv_explore.metrics import outlier_detection
from mlcv_explore.metrics.outlier_detection import auroc
from mlcv_explore.models import layer_scores, layered_network, virtual_outliers
from mlcv_explore.models.layer_scores import Opened
from mlcv_explore.seeds import stream
from tests.calls import recorded

NEIGHBOURS = 5


@pytest.fixture(scope="module")
def parts() -> OpenSet:
    return open_set.prepare(data.split(data.load("digits"), 400, 300, 200, 0), 2, 0)


@pytest.fixture(scope="module")
def own(parts: OpenSet) -> Opened:
    network = layered_network.build((1, 8, 8), 4, 8, 0)
    layered_network.train(network, *parts.train, 4, 0)
    return layer_scores.opened(network, parts.train, parts.groups)


def test_features_and_accuracy_are_the_networks(parts: OpenSet, own: Opened) -> None:
    for images, features in zip((parts.train[0], *parts.groups), (own.train, *own.groups), strict=True):
        pairs = zip(own.network.features(images), features, strict=True)
        assert all(torch.allclose(*pair, atol=1e-5) for pair in pairs)
    assert torch.equal(own.labels, parts.train[1])
    right = (own.network(parts.test[0]).argmax(1) == parts.test[1]).float().mean()
    assert own.accuracy(1, parts.test[1]) == pytest.approx(float(right)) and right > 0.3


def test_log_odds_are_lines_in_the_negative_energies(parts: OpenSet, own: Opened) -> None:
    for layer, head in enumerate(own.network.heads):
        energy = head(own.groups[2][layer]).exp().sum(1).log()
        expected = own.network.slopes[layer] * energy + own.network.offsets[layer]
        assert np.allclose(own.log_odds(own.groups[2])[layer], expected, atol=1e-4)
        again = layer_scores.of_images(own, parts.outliers["near"])[layer]
        assert np.allclose(again, expected, atol=1e-4)


def test_scores_without_outliers_by_hand(own: Opened) -> None:
    """From the inverse covariance, all distances, and the first group as the reference."""
    found, head = layer_scores.untrained(own), own.network.heads[-1]

    def apart(layer: int, group: list[torch.Tensor]) -> np.ndarray:
        gaussians = virtual_outliers.fit(own.train[layer], own.labels, 8)
        means = torch.stack([own.train[layer][own.labels == label].mean(0) for label in range(8)])
        inverse, away = torch.linalg.inv(gaussians.root @ gaussians.root.T), group[layer][:, None] - means
        return -torch.einsum("nki,ij,nkj->nk", away, inverse, away).amin(1).numpy()

    def fifth(layer: int, group: list[torch.Tensor]) -> np.ndarray:
        return -torch.cdist(group[layer], own.train[layer]).sort(1).values[:, 4].numpy()

    def spread(score: Callable[..., np.ndarray], *about: Any) -> np.ndarray:
        values, reference = (score(*about, group) for group in (group, own.groups[0]))
        return (values - reference.mean()) / reference.std()

    def energy(group: list[torch.Tensor]) -> np.ndarray:
        return head(group[-1]).exp().sum(1).log().numpy()

    def p_value(layer: int, group: list[torch.Tensor]) -> np.ndarray:
        reference = fifth(layer, own.groups[0])
        return (1 + (reference <= fifth(layer, group)[:, None]).sum(1)) / (1 + len(reference))

    for place, group in enumerate(own.groups):
        layers, near = ([spread(score, layer) for layer in range(4)] for score in (apart, fifth))
        expected = {
            "msp": head(group[-1]).softmax(1).max(1).values.numpy(),
            "energy": energy(group),
            "mahalanobis_last": apart(3, group),
            "mahalanobis": np.mean(layers, 0),
            "mixed": np.mean([*layers[:3], spread(energy)], 0),
            "fusion": np.mean(near, 0),
        }
        for name, values in expected.items():
            assert np.allclose(found[name][place], values, rtol=0.02, atol=0.02), (name, place)
        product = np.sum([np.log(p_value(layer, group)) for layer in range(4)], 0)
        assert np.abs(found["fisher"][place] - product).mean() < 0.05, place  # ties within a rounding


def test_prediction_depth_by_hand_in_every_group(own: Opened) -> None:
    for group, depths in zip(own.groups, layer_scores.depths(own, NEIGHBOURS), strict=True):
        predicted, wrong = own.network.heads[-1](group[-1]).argmax(1), []
        for known, values in zip(own.train, group, strict=True):
            votes = own.labels[torch.cdist(values, known).argsort(1)[:, :NEIGHBOURS]].tolist()
            wrong.append([max(each, key=each.count) for each in votes] != predicted.numpy())
        expected = (np.array(wrong) * np.arange(1, 5)[:, None]).max(0)
        assert (expected == depths).mean() > 0.98  # but for neighbours equally far


def test_virtual_outliers_of_every_layer_fit_the_weights_of_the_layers(
    parts: OpenSet, own: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = recorded(monkeypatch, layer_scores.virtual_outliers, "least_likely")
    labels = parts.validation[1]
    found = layer_scores.virtual(own, labels, 1000, stream(0, "combination"))
    assert found.shape == (4, len(labels)) and [call[2] for call in drawn] == [1000] * 4
    assert all(torch.equal(call[1], labels) for call in drawn)
    assert [call[0] for call in drawn] == own.gaussians
    odds = own.over(own.log_odds)
    scores = outlier_detection.combined(odds, found)
    assert [len(each) for each in scores] == [len(group) for group in parts.groups]
    single = outlier_detection.combined([each[2:3] for each in odds], found[2:3])
    assert auroc(single[1], single[2]) == pytest.approx(auroc(odds[1][2], odds[2][2]))
