"""The run: networks are trained beside outliers of several kinds, and tested on images of
classes and kinds they have not seen.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.data import scenes
from mlcv_explore.ideas.virtual_outliers import (
    ARMS,
    MEASURES,
    PHOTOGRAPHS,
    VALIDATION,
    Frame,
    VirtualOutliersConfig,
)
from mlcv_explore.ideas.virtual_outliers.claims import DEPTHS, FAR_IMAGES, LEFT_OUT, NETWORKS, VOS
from mlcv_explore.metrics import neighbours
from mlcv_explore.metrics.outlier_detection import auroc, fisher, fitted_weights, fpr95, standardised
from mlcv_explore.models import layer_features, virtual_outliers
from mlcv_explore.models.layered_network import LAYERS, LayeredNetwork, Outliers, build, train
from mlcv_explore.models.virtual_outliers import Gaussians
from mlcv_explore.seeds import numpy_stream, stream

NEAR = 5  # whose distance is an untrained score
DEEP = 2  # prediction depth from which on an image counts as deep
Measured = dict[tuple[str, str], float]


@dataclass(frozen=True, eq=False)
class Parts:
    """A seed's images: classes that are learned, the two left out, and far outliers."""

    train: tuple[torch.Tensor, torch.Tensor]
    validation: tuple[torch.Tensor, torch.Tensor]
    test: tuple[torch.Tensor, torch.Tensor]
    known: dict[str, torch.Tensor]  # real outliers that only the oracle is trained on
    outliers: dict[str, torch.Tensor]  # of the test; the first are "near"

    @property
    def groups(self) -> list[torch.Tensor]:
        """Validation and test images, and every kind of outlier."""
        return [self.validation[0], self.test[0], *self.outliers.values()]


@dataclass(frozen=True, eq=False)
class Opened:
    """A trained network's features of all groups at every layer, and their log-odds."""

    network: LayeredNetwork
    train: list[torch.Tensor]  # (n, d) of every layer
    groups: list[list[torch.Tensor]]  # the same of every group

    def over(self, score: Callable[[list[torch.Tensor]], np.ndarray]) -> list[np.ndarray]:
        """A score of every group."""
        return [score(features) for features in self.groups]

    def log_odds(self, features: list[torch.Tensor]) -> np.ndarray:
        """(L, n)."""
        return np.stack([self.network.log_odds(own, layer).numpy() for layer, own in enumerate(features)])


def run(config: VirtualOutliersConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """A frame a network, of all seeds."""
    measured = np.zeros((len(seeds), len(ARMS), len(MEASURES)), np.float32)
    parts, steps = [_measured(config, seed) for seed in seeds], 1 + len(NETWORKS)
    for step in range(1, steps + 1):
        for rows, part in zip(measured, parts, strict=True):
            for (arm, name), value in next(part).items():
                rows[ARMS.index(arm), MEASURES.index(name)] = value
        yield Frame(step, steps, measured.copy())


def _measured(config: VirtualOutliersConfig, seed: int) -> Iterator[Measured]:
    yield {}  # a first frame at once
    parts = prepare(config, seed)
    plain = opened(trained(config, parts, "energy", seed), parts)
    depths = depth_of(config, plain, parts)
    rated = partial(rates, depths=depths)
    yield accuracy("energy", plain, parts) | _untrained(plain, parts, rated)
    for name in NETWORKS[1:]:
        own = opened(trained(config, parts, name, seed), parts)
        found, odds = accuracy(name, own, parts), own.over(own.log_odds)
        if name in ("several", "oracle"):
            outliers = virtual(config, own, parts, seed) if name == "several" else known(own, parts)
            found |= rated(name, combined(odds, outliers))
        else:
            found |= rated(name, [each[VOS.index(name) if name in VOS else -1] for each in odds])
        if name == "several":
            found |= rated("average", [standardised(each, odds[0]).mean(0) for each in odds])
            found |= {("depth", "rise"): rise(odds, depths)}
            found |= {("shuffled", "rise"): rise(odds, shuffled(depths, seed))}
        if name in VOS:
            layer = VOS.index(name)
            found[name, "rank"] = rank_correlation(depths[1], odds[1][layer])
            gaussians = virtual_outliers.fit(own.train[layer], parts.train[1], classes(parts))
            real = own.groups[0][layer], parts.validation[1]
            found[name, "share"] = virtual_outliers.share_less_likely(gaussians, *real, config.draws)
        yield found


def classes(parts: Parts) -> int:
    """How many are learned."""
    return int(parts.train[1].max()) + 1


def prepare(config: VirtualOutliersConfig, seed: int) -> Parts:
    """A seed's images: which two classes are left out is drawn, and all parts."""
    whole = layer_features.dataset() if config.dataset == PHOTOGRAPHS else data.load(config.dataset)
    parts = data.split(whole, config.train_size, VALIDATION, config.test_size, seed)
    count = len(whole.train.classes)
    out = numpy_stream(seed, "classes left out").choice(count, LEFT_OUT, replace=False)
    number = torch.full((count,), -1)
    number[[each for each in range(count) if each not in out]] = torch.arange(count - LEFT_OUT)
    inside, near = [], []
    for part in (parts.train, parts.validation, parts.test):
        images, labels = part.as_float(), number[torch.from_numpy(part.labels)]
        inside.append((images[labels >= 0], labels[labels >= 0]))
        near.append(images[labels < 0])
    if config.dataset == PHOTOGRAPHS:
        every = layer_features.outliers()
        order = {
            name: torch.randperm(len(each), generator=stream(seed, name)) for name, each in every.items()
        }
        far = {name: (each[order[name][0::2]], each[order[name][1::2]]) for name, each in every.items()}
    else:
        far = far_images(inside[0][0], inside[2][0], seed)
    known = {"near": near[0]} | {name: first for name, (first, _) in far.items()}
    return Parts(*inside, known, {"near": near[2]} | {name: last for name, (_, last) in far.items()})


def far_images(
    train_images: torch.Tensor, test_images: torch.Tensor, seed: int
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Inverted images, generated scenes and noise: FAR_IMAGES each to know, and to test."""
    _, channels, side, _ = train_images.shape
    every = scenes.generate(scenes.ScenesConfig(), 2 * FAR_IMAGES, seed, "far outliers").images
    small = torch.nn.functional.interpolate(
        torch.from_numpy(every).float().div(255), size=(side, side), mode="area"
    )
    small = small if channels == 3 else small.mean(1, keepdim=True)
    noise = torch.rand(2 * FAR_IMAGES, channels, side, side, generator=stream(seed, "noise images"))
    return {
        "inverted": (1 - train_images[:FAR_IMAGES], 1 - test_images[:FAR_IMAGES]),
        "scenes": (small[:FAR_IMAGES], small[FAR_IMAGES:]),
        "noise": (noise[:FAR_IMAGES], noise[FAR_IMAGES:]),
    }


def trained(config: VirtualOutliersConfig, parts: Parts, name: str, seed: int) -> LayeredNetwork:
    """The network of one arm; all begin with the same weights and see the same batches."""
    images, labels = parts.train
    shape = layer_features.SIZES if config.dataset == PHOTOGRAPHS else images.shape[1:]
    network = build(shape, config.width, classes(parts), seed)
    layers = (
        range(LAYERS) if name in ("several", "oracle") else (VOS.index(name) if name in VOS else LAYERS - 1,)
    )
    draws = stream(seed, f"outliers {name}")

    @torch.no_grad()
    def epoch() -> Outliers:
        features = network.features(images)
        if name == "oracle":
            real = torch.cat(list(parts.known.values()))
            return lambda chosen: network.features(real[_some(len(real), len(chosen), draws)])
        if name == "real_features":
            return lambda chosen: {LAYERS - 1: features[-1][_some(len(images), len(chosen), draws)]}
        if name == "npos":
            most = virtual_outliers.nonparametric(features[-1], labels, labels, config.neighbours, draws)
            return lambda chosen: {LAYERS - 1: most[chosen]}
        fitted = {layer: virtual_outliers.fit(features[layer], labels, classes(parts)) for layer in layers}
        return lambda chosen: {
            layer: virtual_outliers.least_likely(gaussians, labels[chosen], config.draws, draws)
            for layer, gaussians in fitted.items()
        }

    outliers = None if name == "energy" else epoch
    held_out = parts.validation if config.best_epoch else None
    about = seed, outliers, layers, config.weight, config.start, held_out
    train(network, images, labels, config.epochs, *about)
    return network


def _some(count: int, wanted: int, draws: torch.Generator) -> torch.Tensor:
    return torch.randint(count, (wanted,), generator=draws)


@torch.no_grad()
def opened(network: LayeredNetwork, parts: Parts) -> Opened:
    """A trained network with its features of everything."""
    return Opened(
        network, network.features(parts.train[0]), [network.features(each) for each in parts.groups]
    )


def accuracy(name: str, own: Opened, parts: Parts) -> Measured:
    """On test images of the classes that are learned."""
    predicted = own.network.heads[-1](own.groups[1][-1]).argmax(1)
    return {(name, "accuracy"): float((predicted == parts.test[1]).float().mean())}


def _untrained(plain: Opened, parts: Parts, rated: Callable[..., Measured]) -> Measured:
    """What needs no outliers: the plain network's confidence and energy, distances to its
    training features at the last layer, and at all.
    """
    labels, last = parts.train[1], plain.network.heads[-1]
    found = rated("msp", plain.over(lambda each: last(each[-1]).softmax(1).amax(1).numpy()))
    energy = plain.over(lambda each: last(each[-1]).logsumexp(1).numpy())
    found |= rated("energy", energy)
    gaussians = [virtual_outliers.fit(own, labels, classes(parts)) for own in plain.train]
    apart = plain.over(partial(nearness, gaussians))
    found |= rated("mahalanobis_last", [each[-1] for each in apart])
    own = [standardised(each, apart[0]) for each in apart]
    found |= rated("mahalanobis", [each.mean(0) for each in own])
    energies = [standardised(each[None], energy[0][None]) for each in energy]
    pairs = zip(own, energies, strict=True)
    found |= rated("mixed", [np.concatenate([each[:-1], last]).mean(0) for each, last in pairs])
    apart = plain.over(lambda each: -neighbour_distances(plain.train, each, NEAR))
    found |= rated("fusion", [standardised(each, apart[0]).mean(0) for each in apart])
    return found | rated("fisher", [fisher(each, apart[0]) for each in apart])


def nearness(gaussians: Sequence[Gaussians], features: Sequence[torch.Tensor]) -> np.ndarray:
    """(L, n): the negative squared Mahalanobis distance to the nearest class mean."""
    pairs = zip(gaussians, features, strict=True)
    return np.stack([-own.distances(values).amin(1).numpy() for own, values in pairs])


def neighbour_distances(
    train_features: Sequence[torch.Tensor], features: Sequence[torch.Tensor], count: int
) -> np.ndarray:
    """(L, n): the distance to the count-th nearest training example."""
    pairs = zip(train_features, features, strict=True)
    return np.stack([neighbours.nearest(own, values, count)[0][:, -1].numpy() for own, values in pairs])


def depth_of(config: VirtualOutliersConfig, plain: Opened, parts: Parts) -> list[np.ndarray]:
    """The prediction depth of all groups in the plain network, 0 to LAYERS."""
    labels = parts.train[1]

    def depth(features: list[torch.Tensor]) -> np.ndarray:
        pairs = zip(plain.train, features, strict=True)
        places = [neighbours.nearest(own, values, config.neighbours)[1] for own, values in pairs]
        probes = torch.stack([neighbours.votes(labels, each) for each in places])
        return neighbours.prediction_depth(probes, plain.network.heads[-1](features[-1]).argmax(1)).numpy()

    return plain.over(depth)


def virtual(config: VirtualOutliersConfig, own: Opened, parts: Parts, seed: int) -> np.ndarray:
    """Log-odds (L, n) of virtual outliers of every layer, one for each validation image."""
    draws, features = stream(seed, "combination"), []
    for values in own.train:
        gaussians = virtual_outliers.fit(values, parts.train[1], classes(parts))
        features.append(virtual_outliers.least_likely(gaussians, parts.validation[1], config.draws, draws))
    return own.log_odds(features)


@torch.no_grad()
def known(own: Opened, parts: Parts) -> np.ndarray:
    """Log-odds (L, n) of the real outliers that the oracle knows."""
    return own.log_odds(own.network.features(torch.cat(list(parts.known.values()))))


def combined(odds: Sequence[np.ndarray], outliers: np.ndarray) -> list[np.ndarray]:
    """The log-odds of all layers as one score of every group (n,): weights that tell
    validation images from these outliers.
    """
    reference = odds[0]
    weights = fitted_weights(standardised(reference, reference), standardised(outliers, reference))
    return [weights @ standardised(each, reference) for each in odds]


def rates(name: str, scores: Sequence[np.ndarray], depths: Sequence[np.ndarray]) -> Measured:
    """How well a score tells test images from outliers: near, far, and by the prediction
    depth that both have.
    """
    _, real, *others = scores
    kinds = [auroc(real, each) for each in others]
    near, far = kinds[0], float(np.mean(kinds[1:]))
    false = [fpr95(real, each) for each in others]
    found = {
        "near": near,
        "far": far,
        "auroc": (near + far) / 2,
        "fpr95": (false[0] + np.mean(false[1:])) / 2,
    }
    found |= dict(zip(DEPTHS, by_depth(scores, depths), strict=True))
    return {(name, measure): float(value) for measure, value in found.items()}


def by_depth(scores: Sequence[np.ndarray], depths: Sequence[np.ndarray]) -> list[float]:
    """AUROC among images of low and of high prediction depth, mean of near and of all far
    outliers; 0.5 where there are none.
    """
    found = []
    for deep in (False, True):
        _, real, near, *far = (each[(at >= DEEP) == deep] for each, at in zip(scores, depths, strict=True))
        kinds = near, np.concatenate(far)
        found.append(np.mean([auroc(real, each) if len(real) and len(each) else 0.5 for each in kinds]))
    return [float(each) for each in found]


def rise(odds: Sequence[np.ndarray], depths: Sequence[np.ndarray]) -> float:
    """By how many layers the most separating one of deep images is later than that of
    shallow images.
    """
    layers = [by_depth([each[layer] for each in odds], depths) for layer in range(LAYERS)]
    shallow, deep = np.array(layers).argmax(0)
    return float(deep - shallow)


def shuffled(depths: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    """The same depths dealt anew among a group's images."""
    draws = numpy_stream(seed, "shuffled depths")
    return [draws.permutation(each) for each in depths]


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's; 0 where one of both is constant."""
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic) if np.ptp(first) and np.ptp(second) else 0.0
