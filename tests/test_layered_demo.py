"""A layered network that ships: one image at every layer, a layer's map, and its card."""

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.data import open_set
from mlcv_explore.data.open_set import OpenSet
from mlcv_explore.models import checkpoints, layer_scores, layered_demo, layered_network
from mlcv_explore.models.layered_demo import LayeredDemo, Reading

NAME, SEED = "virtual_outliers_digits/3", 3


@pytest.fixture(scope="module")
def parts() -> OpenSet:
    return open_set.prepare(data.split(data.load("digits"), 1000, 300, 400, SEED), 2, SEED)


@pytest.fixture(scope="module")
def demo(parts: OpenSet) -> LayeredDemo:
    return layered_demo.load(NAME, parts, 30, 10_000, SEED)


def reading(demo: LayeredDemo, parts: OpenSet, group: int, place: int = 0) -> Reading:
    return layered_demo.read(demo, parts.groups[group][place][None])


def test_a_reading_is_what_the_network_and_its_neighbours_say(demo: LayeredDemo, parts: OpenSet) -> None:
    depths = layer_scores.depths(layer_scores.opened(demo.opened.network, parts.train, parts.groups), 30)
    for group in (1, 2, 5):
        image, found = parts.groups[group][:1], reading(demo, parts, group)
        probabilities = demo.opened.network(image).softmax(1)[0]
        assert found.prediction == int(probabilities.argmax()) and found.depth == depths[group][0]
        assert found.probability == pytest.approx(float(probabilities.max()), abs=1e-5)
        network, features = demo.opened.network, demo.opened.network.features(image)
        energies = [network.heads[layer](each).exp().sum().log() for layer, each in enumerate(features)]
        assert np.allclose(found.energies, energies, atol=1e-4)
        lines = network.slopes.numpy() * found.energies + network.offsets.numpy()
        assert np.allclose(found.odds, lines, atol=1e-5)
        for layer, each in enumerate(features):
            near = torch.cdist(each, demo.opened.train[layer])[0].argsort()[:30]
            labels = demo.opened.labels[near].tolist()
            assert labels.count(found.votes[layer]) == max(labels.count(label) for label in labels)
            assert found.shares[layer] == pytest.approx(labels.count(found.votes[layer]) / 30)


def test_percentiles_count_real_images_and_all_layers_make_one_score(
    demo: LayeredDemo, parts: OpenSet
) -> None:
    for group in (1, 5):
        found = reading(demo, parts, group)
        expected = [100 * (own < value).mean() for own, value in zip(demo.odds, found.odds, strict=True)]
        assert found.percentiles == pytest.approx(expected)
        spread = demo.odds.std(1)
        score, others = (demo.weights / spread @ odds for odds in (found.odds, demo.odds))
        assert found.combined == pytest.approx(100 * (others < score).mean())
    assert np.allclose(demo.odds, layer_scores.of_images(demo.opened, parts.validation[0]), atol=1e-5)
    assert torch.equal(demo.labels, parts.validation[1])


def test_the_map_is_of_its_layer(demo: LayeredDemo, parts: OpenSet) -> None:
    found = reading(demo, parts, 5)
    first, last = (layered_demo.cloud(demo, found, layer, 10_000) for layer in (0, 3))
    assert not np.allclose(first.real, last.real) and first.shrinkage != last.shrinkage
    assert len(last.real) == len(last.labels) == layered_demo.SHOWN
    assert len(last.virtual) == layered_demo.DRAWN
    spread = np.linalg.svd(demo.opened.train[3] - demo.opened.train[3].mean(0))[1] ** 2
    whole = layered_demo.cloud(demo, found, 3, 1).real
    assert whole.var(0)[0] > whole.var(0)[1] and spread[0] > spread[1]  # the first direction is the widest


def test_less_likely_outliers_lie_farther_out_and_fewer_real_features_beyond(
    demo: LayeredDemo, parts: OpenSet
) -> None:
    found = reading(demo, parts, 1)
    clouds = [layered_demo.cloud(demo, found, 3, draws) for draws in (1, 1000, 1_000_000)]
    assert [each.radius for each in clouds] == sorted(each.radius for each in clouds)
    assert clouds[0].radius == pytest.approx(1)
    shares = [each.less_likely for each in clouds]
    assert shares == sorted(shares, reverse=True)


def test_the_card_of_a_network_builds_it_again(parts: OpenSet) -> None:
    network = layered_network.build((1, 8, 8), 4, 8, 0)
    own, reported = layer_scores.opened(network.requires_grad_(False), parts.train, parts.groups), []
    trained = layered_demo.checkpoint(own, parts, "digits", 7, lambda *about: reported.append(about))
    shipped = checkpoints.read_card(checkpoints.FOLDER / NAME, NAME, ("arguments",))
    about, accuracy = trained.about, own.accuracy(1, parts.test[1])
    assert trained.network is network and about["arguments"] == shipped["arguments"] | {
        "sizes": [4, 8, 16, 16]
    }
    for name in ("kind", "architecture", "classes", "left_out", "data"):
        assert about[name] == shipped[name], name
    assert about["metrics"] == {"test_accuracy": accuracy, "test_size": len(parts.test[0])}
    assert about["steps"] == 7 and reported == [(7, 7, 0.0, accuracy)]
    again = layered_network.LayeredNetwork(**about["arguments"])
    again.load_state_dict(network.state_dict())
    assert torch.equal(again(parts.test[0][:3]), network(parts.test[0][:3]))
    vectors = layered_network.build((4, 8, 16, 16), 0, 8, 0)
    assert vectors.arguments == {"sizes": [4, 8, 16, 16], "classes": 8, "channels": 0, "side": 0}
