"""The run: small networks are trained, plainly or robustly, and attacked layer by layer."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.experiment.measured import Measured
from mlcv_explore.ideas.layer_attacks import AXES, IMAGENET, VALIDATION, LayerAttacksConfig
from mlcv_explore.ideas.layer_attacks.claims import MEANINGS, NETWORKS, SITES
from mlcv_explore.metrics.rank_correlation import rank_correlation
from mlcv_explore.models import imagenet, site_attacks
from mlcv_explore.models.attacks import Attack
from mlcv_explore.models.consistent_photographs import REFERENCES, photographs
from mlcv_explore.models.encoders import ConvolutionalNetwork
from mlcv_explore.models.layers import Chain, chain
from mlcv_explore.models.robust_training import train
from mlcv_explore.models.site_attacks import OpenedNetwork, median_size, smallest
from mlcv_explore.models.transplants import transplanted
from mlcv_explore.seeds import seeded

BLOCKS = (0, 2, 5, 8, 10)  # the sites of the ImageNet network
FIRST, LATER = ("blocks.0.",), ("blocks.1.", "blocks.2.", "last.")  # weights of a small network, by name
DONATED = {  # transplant → which network's weights it keeps frozen, and which of them
    **{"early_block": ("at_input", FIRST), "late_blocks": ("at_input", LATER)},
    **{"own_block": ("plain", FIRST), "own_blocks": ("plain", LATER)},
}
Labelled = tuple[torch.Tensor, torch.Tensor | None]  # images; their classes, or None: what the network says
Values = dict[tuple[str, str], float]  # (arm, measure) → value


def run(config: LayerAttacksConfig, seeds: Sequence[int]) -> Iterator[Measured]:
    """A frame a layer, or a network, of all seeds; before them one at once."""
    lengths = {_depth: len(SITES) + 2, _training: len(NETWORKS)}
    stages = {"depth": [_depth], "training": [_training], "all": [*lengths]}[config.experiment]
    parts = [itertools.chain([{}], *(stage(config, seed) for stage in stages)) for seed in seeds]
    yield from AXES.film(parts, 1 + sum(lengths[stage] for stage in stages))


def _depth(config: LayerAttacksConfig, seed: int) -> Iterator[Values]:
    """Training; every site of one network; the trends, and that of an untrained network."""
    network = prepare(config, seed)
    yield {}
    found: list[dict[str, float]] = []
    for site, name in enumerate(SITES):
        found.append(site_attacks.sizes(network, site, seed, found[0]["raw"] if site else 0.0))
        yield {(name, measure): value for measure, value in found[-1].items()}
    depth, sites = np.arange(len(SITES)), range(len(SITES))
    over_depth = {name: np.array([each[name] for each in found]) for name in found[0]}
    ranked = {meaning: over_depth[meaning] for meaning in MEANINGS}
    ranked["whole"] = over_depth["whitened"] * [network.length(site) for site in sites]
    if config.dataset != IMAGENET:
        plain = prepare(config, seed, trained=False)
        ranked["untrained"] = np.array([smallest(plain, site, seed, "whitened").median() for site in sites])
    trends = {(arm, "trend"): rank_correlation(depth, values) for arm, values in ranked.items()}
    predictors = {"depth": depth, "dimension": over_depth["dimension"]}
    ranks = {
        (arm, "ranks"): abs(rank_correlation(values, over_depth["whitened"]))
        for arm, values in predictors.items()
    }
    yield {("flat", "trend"): 0.0, **trends, **ranks}


def prepare(config: LayerAttacksConfig, seed: int, trained: bool = True) -> OpenedNetwork:
    """A seed's network with its activations. Of the ImageNet network the labels are its own
    predictions, and every seed has photographs of its own.
    """
    if config.dataset == IMAGENET:
        images, others = photographs(config.attacked, seed)
        whole = chain(imagenet.load().network)
        blocks = tuple(whole.between(first, last) for first, last in itertools.pairwise(BLOCKS))
        return _opened(config, Chain(blocks, SITES), (others, None), (images, None))
    training, _, test = _split(config, seed)
    network = _network(config, training[0], seed)
    if trained:
        train(network, *training, config.epochs, seed)
    else:  # nothing it says is right: as for the ImageNet network its own predictions count
        test = test[0], None
    return _opened(config, sites_of(network), training, test)


def _split(config: LayerAttacksConfig, seed: int) -> list[Labelled]:
    """Images for training, validation and test."""
    parts = data.split(data.load(config.dataset), config.train_size, VALIDATION, config.attacked, seed)
    three = parts.train, parts.validation, parts.test
    return [(part.as_float(), torch.from_numpy(part.labels).long()) for part in three]


def _network(config: LayerAttacksConfig, images: torch.Tensor, seed: int) -> ConvolutionalNetwork:
    _, channels, side, _ = images.shape
    return seeded(seed, lambda: ConvolutionalNetwork(channels, side, config.width, 10))


def sites_of(network: ConvolutionalNetwork) -> Chain:
    """A small network as its five sites."""
    return Chain((*network.blocks, lambda values: network.last(values.mean((2, 3)))), SITES)


def _opened(
    config: LayerAttacksConfig, made: Chain, references: Labelled, attacked: Labelled
) -> OpenedNetwork:
    """A chain with images to attack; the first REFERENCES others describe its sites."""
    few = [None if each is None else each[:REFERENCES] for each in references]
    search = Attack(config.norm, config.steps, config.restarts)
    return site_attacks.opened(made, *few, *attacked, search, config.reachable)


def _training(config: LayerAttacksConfig, seed: int) -> Iterator[Values]:
    """Networks robust at each site and transplants, each attacked at every site with the
    plain network's ε₅₀ per channel, measured on validation images.
    """
    training, held_out, test = _split(config, seed)
    networks: dict[str, ConvolutionalNetwork] = {}
    radii: list[float] = []
    for name in NETWORKS:
        if name in DONATED:
            donor, blocks = DONATED[name]
            network, free = transplanted(networks["plain"], networks[donor], blocks)
            train(network, *training, config.epochs, seed, parameters=free)
        else:
            network, site = _network(config, training[0], seed), NETWORKS.index(name) - 1
            robust = (config.norm, site, radii[site]) if radii else ()
            train(network, *training, config.epochs, seed, *robust)
        networks[name] = network
        if name == "plain":
            plain = _opened(config, sites_of(network), training, held_out)
            needed = [median_size(smallest(plain, site, seed, "unit")) for site in range(4)]
            radii = [float(size * plain.length(site)) for site, size in enumerate(needed)]
        opened = _opened(config, sites_of(network), training, test)
        yield {(name, "clean"): site_attacks.accuracy(opened)} | {
            (name, measure): site_attacks.robust_accuracy(opened, site, radii[site], seed)
            for site, measure in enumerate(("robust", *SITES[1:4]))
        }
