"""The run: networks are trained beside outliers of several kinds, and tested on images of
classes and kinds they have not seen.
"""

from collections.abc import Iterator

from mlcv_explore import data
from mlcv_explore.data import open_set
from mlcv_explore.data.open_set import OpenSet
from mlcv_explore.ideas.virtual_outliers import BY_DEPTH, PHOTOGRAPHS, VALIDATION, VirtualOutliersConfig
from mlcv_explore.ideas.virtual_outliers.claims import LEFT_OUT, NETWORKS, VOS
from mlcv_explore.metrics import outlier_detection
from mlcv_explore.metrics.rank_correlation import rank_correlation
from mlcv_explore.models import layer_features, layer_scores, outlier_sources, virtual_outliers
from mlcv_explore.models.layer_scores import Opened
from mlcv_explore.models.layered_network import LAYERS, build, train
from mlcv_explore.seeds import stream


def measured(config: VirtualOutliersConfig, seed: int) -> Iterator[dict[tuple[str, str], float]]:
    """What a seed's networks measure, one after the other: {(arm, measure): value}."""
    yield {}  # a first frame at once
    parts = prepare(config, seed)
    for name in NETWORKS:
        own = trained(config, parts, name, seed)
        odds, layer = own.over(own.log_odds), VOS.index(name) if name in VOS else LAYERS - 1
        scores = {name: [each[layer] for each in odds]}
        found = {(name, "accuracy"): own.accuracy(1, parts.test[1])}
        if name == "energy":
            depths, scores = layer_scores.depths(own, config.neighbours), layer_scores.untrained(own)
        elif name == "several":
            draws = stream(seed, "combination")
            virtual = layer_scores.virtual(own, parts.validation[1], config.draws, draws)
            combined = outlier_detection.combined(odds, virtual)
            scores = {name: combined, "average": outlier_detection.averaged(odds)}
            dealt = outlier_detection.shuffled(depths, seed)
            for arm, each in zip(BY_DEPTH, (depths, dealt), strict=True):
                found[arm, "rise"] = outlier_detection.rise(odds, each)
        elif name == "oracle":
            scores[name] = outlier_detection.combined(odds, layer_scores.of_images(own, parts.all_known))
        elif name in VOS:
            found[name, "rank"] = rank_correlation(depths[1], odds[1][layer])
            real = own.gaussians[layer], own.groups[0][layer], parts.validation[1]
            found[name, "share"] = virtual_outliers.share_less_likely(*real, config.draws)
        for arm, each in scores.items():
            rates = outlier_detection.rates(each, depths)
            found |= {(arm, measure): value for measure, value in rates.items()}
        yield found


def prepare(config: VirtualOutliersConfig, seed: int) -> OpenSet:
    """A seed's images: which classes are left out is drawn, and all parts."""
    stored = config.dataset == PHOTOGRAPHS
    whole = layer_features.dataset() if stored else data.load(config.dataset)
    parts = data.split(whole, config.train_size, VALIDATION, config.test_size, seed)
    return open_set.prepare(parts, LEFT_OUT, seed, layer_features.outliers() if stored else None)


def trained(config: VirtualOutliersConfig, parts: OpenSet, name: str, seed: int) -> Opened:
    """The network of one arm, with its features of all images; all networks begin with the same
    weights and see the same batches.
    """
    images, labels = parts.train
    shape = layer_features.SIZES if config.dataset == PHOTOGRAPHS else images.shape[1:]
    network, draws = build(shape, config.width, len(parts.classes), seed), stream(seed, f"outliers {name}")
    layers = (
        range(LAYERS) if name in ("several", "oracle") else (VOS.index(name) if name in VOS else LAYERS - 1,)
    )
    outliers = {
        "energy": None,
        "npos": outlier_sources.nonparametric(network, images, labels, config.neighbours, draws),
        "real_features": outlier_sources.real_features(network, images, draws),
        "oracle": outlier_sources.known(network, parts.all_known, draws),
    }.get(name, outlier_sources.virtual(network, images, labels, layers, config.draws, draws))
    held_out = parts.validation if config.best_epoch else None
    about = seed, outliers, layers, config.weight, config.start, held_out
    train(network, images, labels, config.epochs, *about)
    return layer_scores.opened(network, parts.train, parts.groups)
