"""Sources of outliers: of the class of each image, of the features of the epoch they begin in,
at their layers.
"""

from collections.abc import Callable

import pytest
import torch

from mlcv_explore.models import layered_network, outlier_sources, virtual_outliers
from mlcv_explore.models.layered_network import LayeredNetwork
from mlcv_explore.models.outlier_sources import Source
from mlcv_explore.seeds import stream

SEEN = torch.arange(50)


@pytest.fixture
def network() -> LayeredNetwork:
    return layered_network.build((1, 8, 8), 4, 8, 0)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(240, 1, 8, 8, generator=stream(0, "images"))


@pytest.fixture(scope="module")
def labels() -> torch.Tensor:
    return torch.arange(240) % 8


def given(network: LayeredNetwork, source: Source) -> dict[int, torch.Tensor]:
    """Outliers of the second epoch; the network has changed since the first."""
    source()
    for parameter in network.parameters():
        parameter.data.mul_(1.5)
    found = source()(SEEN)
    return dict(found) if isinstance(found, dict) else dict(enumerate(found))


@pytest.mark.parametrize("layers", [(3,), (1,), range(4)])
def test_virtual_outliers_are_of_each_images_class_at_their_layers(network, images, labels, layers) -> None:
    found = given(
        network, outlier_sources.virtual(network, images, labels, layers, 10_000, stream(0, "draws"))
    )
    assert [*found] == [*layers]
    for layer, drawn in found.items():
        gaussians = virtual_outliers.fit(network.features(images)[layer].detach(), labels, 8)
        away = gaussians.distances(drawn).gather(1, labels[SEEN][:, None]).sqrt()
        radii = away / virtual_outliers.typical_radius(gaussians, 10_000)
        assert radii.min() > 0.8 and radii.max() < 1.6


def test_nonparametric_outliers_lie_beyond_the_images_of_their_class(network, images, labels) -> None:
    found = given(network, outlier_sources.nonparametric(network, images, labels, 5, stream(0, "draws")))
    last = network.features(images)[3].detach()
    expected = virtual_outliers.nonparametric(last, labels, labels, 5, _later(last, labels))
    assert [*found] == [3] and torch.allclose(found[3], expected[SEEN])


def _later(last: torch.Tensor, labels: torch.Tensor) -> torch.Generator:
    """The generator after the draws of an epoch: their number hangs on shapes alone."""
    draws = stream(0, "draws")
    virtual_outliers.nonparametric(last, labels, labels, 5, draws)
    return draws


def test_real_features_are_those_of_images_at_the_last_layer(network, images) -> None:
    found = given(network, outlier_sources.real_features(network, images, stream(0, "draws")))
    assert [*found] == [3]
    assert torch.cdist(found[3], network.features(images)[3]).amin(1).max() < 0.01
    assert len({tuple(row.tolist()) for row in found[3]}) > 25


def test_known_outliers_are_at_every_layer_and_train_it(network, images) -> None:
    found = given(network, outlier_sources.known(network, images[:30], stream(0, "draws")))
    assert [*found] == [0, 1, 2, 3] and all(len(drawn) == 50 for drawn in found.values())
    for layer, features in enumerate(network.features(images[:30])):
        assert torch.cdist(found[layer], features).amin(1).max() < 0.01
    assert all(drawn.requires_grad for drawn in found.values())


@pytest.mark.parametrize("kind", ["virtual", "nonparametric", "real_features"])
def test_other_outliers_do_not_train_the_layers_they_come_from(kind: str, network, images, labels) -> None:
    make: dict[str, Callable[[torch.Generator], Source]] = {
        "virtual": lambda draws: outlier_sources.virtual(network, images, labels, (2, 3), 100, draws),
        "nonparametric": lambda draws: outlier_sources.nonparametric(network, images, labels, 5, draws),
        "real_features": lambda draws: outlier_sources.real_features(network, images, draws),
    }
    assert not any(drawn.requires_grad for drawn in given(network, make[kind](stream(0, "draws"))).values())
