"""The run: small networks are trained, plainly or robustly, and attacked layer by layer."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.ideas.layer_attacks import ARMS, IMAGENET, MEASURES, VALIDATION, Frame, LayerAttacksConfig
from mlcv_explore.ideas.layer_attacks.claims import MEANINGS, NETWORKS, SITES
from mlcv_explore.metrics.intrinsic_dimension import two_nearest
from mlcv_explore.models import attacks, imagenet
from mlcv_explore.models.attacks import Attack
from mlcv_explore.models.consistent_photographs import REFERENCES, photographs
from mlcv_explore.models.encoders import ConvolutionalNetwork
from mlcv_explore.models.layers import Chain, chain
from mlcv_explore.models.robust_training import FLOOR, channel_scale, train
from mlcv_explore.seeds import seeded, stream

BLOCKS = (0, 2, 5, 8, 10)  # the sites of the ImageNet network


@dataclass(frozen=True, eq=False)
class Site:
    """A layer: the activations that are attacked, and what those of other images say."""

    attacked: torch.Tensor  # (B, C, …)
    scales: dict[str, torch.Tensor]  # "whitened", "unit": (C, C)
    dimension: float
    others: torch.Tensor  # (B,): distance to the nearest activation of another class


@dataclass(frozen=True, eq=False)
class OpenedNetwork:
    """A network as its five sites, and the classes of the images attacked."""

    chain: Chain
    sites: list[Site]
    labels: torch.Tensor

    def attack(self, config: LayerAttacksConfig, site: int, scale: torch.Tensor | None = None) -> Attack:
        """The search of a run at a site; only there are values bounded, and on request."""
        low = 0.0 if config.reachable and site < 4 else -np.inf
        high = 1.0 if config.reachable and not site else np.inf
        return Attack(config.norm, config.steps, config.restarts, scale, low, high)


def run(config: LayerAttacksConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """A frame a layer, or a network, of all seeds."""
    measured = np.zeros((len(seeds), len(ARMS), len(MEASURES)), np.float32)
    parts = [_parts(config, seed) for seed in seeds]
    depth, training = config.experiment != "training", config.experiment != "depth"
    steps = 1 + (len(SITES) + 2) * depth + len(NETWORKS) * training
    for step in range(1, steps + 1):
        for rows, part in zip(measured, parts, strict=True):
            for (arm, name), value in next(part).items():
                rows[ARMS.index(arm), MEASURES.index(name)] = value
        yield Frame(step, steps, measured.copy())


def _parts(config: LayerAttacksConfig, seed: int) -> "Iterator[Measured]":
    yield {}  # a first frame at once
    if config.experiment != "training":
        yield from _depth(config, seed)
    if config.experiment != "depth":
        yield from _training(config, seed)


Measured = dict[tuple[str, str], float]


def _depth(config: LayerAttacksConfig, seed: int) -> Iterator[Measured]:
    """Training; every site of one network; the trends, and that of an untrained network."""
    opened = prepare(config, seed)
    yield {}
    table = {meaning: np.zeros(len(SITES)) for meaning in (*MEANINGS, "dimension")}
    reference = 0.0
    for site, name in enumerate(SITES):
        medians, noise = sizes(config, opened, site, seed, reference)
        reference = reference or medians["raw"]
        for meaning in MEANINGS:
            table[meaning][site] = medians[meaning]
        table["dimension"][site] = opened.sites[site].dimension
        row = {(name, meaning): medians[meaning] for meaning in MEANINGS}
        yield row | {(name, "noise"): noise, (name, "dimension"): table["dimension"][site]}
    trends = {(meaning, "trend"): trend(np.arange(5), table[meaning]) for meaning in MEANINGS}
    counts = [1.0 if config.norm == "linf" else layer.attacked[0].numel() ** 0.5 for layer in opened.sites]
    trends[("whole", "trend")] = trend(np.arange(5), table["whitened"] * counts)
    predictors = {"depth": np.arange(5), "dimension": table["dimension"]}
    ranks = {(name, "ranks"): abs(trend(values, table["whitened"])) for name, values in predictors.items()}
    if config.dataset != IMAGENET:
        plain = prepare(config, seed, trained=False)
        whitened = [smallest(config, plain, site, seed, "whitened").median() for site in range(5)]
        trends[("untrained", "trend")] = trend(np.arange(5), np.array(whitened))
    yield trends | ranks | {("flat", "trend"): 0.0}


def trend(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation; 0 where one of both is constant."""
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1]) if all(np.ptp(values) for values in ranks) else 0.0


def sizes(
    config: LayerAttacksConfig, opened: OpenedNetwork, site: int, seed: int, reference: float
) -> tuple[dict[str, float], float]:
    """ε₅₀ at a site in every meaning, over the images that are classified correctly, and
    the share of their predictions that random noise of the raw size changes. `reference` is
    the raw ε₅₀ of the input, 0 at the input itself.
    """
    radii = {meaning: smallest(config, opened, site, seed, meaning) for meaning in MEANINGS[:3]}
    right = radii["raw"] > 0
    medians = {meaning: float(half(values)) for meaning, values in radii.items()}
    attack, layer = opened.attack(config, site), opened.sites[site]
    moved = attack.noise(layer.attacked, radii["raw"].nan_to_num(posinf=0), stream(seed, f"noise {site}"))
    after = attacks.margins(opened.chain.tail(site)(attack.perturbed(layer.attacked, moved)), opened.labels)
    medians["distance"] = float((radii["raw"] / layer.others.clamp_min(FLOOR))[right].median())
    start = opened.sites[0].attacked
    radius = torch.full((len(start),), reference or medians["raw"])
    noise = attack.noise(start, radius, stream(seed, "reference noise"))
    noisy = opened.attack(config, 0).perturbed(start, noise)
    shift = attack.sizes(opened.chain.between(0, site)(noisy) - layer.attacked)
    medians["shift"] = float((radii["raw"] / shift.clamp_min(FLOOR))[right].median())
    return medians, float((after[right] <= 0).float().mean())


def half(radii: torch.Tensor) -> torch.Tensor:
    """The median of smallest perturbations over the images that need one. Raises ValueError
    where none does, or where half are not changed by any that is tried.
    """
    right = radii[radii > 0]
    if not len(right):
        raise ValueError("No attacked image is classified correctly, so none has a smallest perturbation.")
    if not (median := right.median()).isfinite():
        raise ValueError("No perturbation that is tried changes half of the predictions: allow more steps.")
    return median


def smallest(
    config: LayerAttacksConfig, opened: OpenedNetwork, site: int, seed: int, meaning: str
) -> torch.Tensor:
    """The smallest perturbation of every attacked image (B,), 0 where it is wrong already:
    raw, or in units of the site's spread, as the root mean square in L2.
    """
    scale = opened.sites[site].scales.get(meaning)
    attack, start = opened.attack(config, site, scale), opened.sites[site].attacked
    draws = stream(seed, f"attack {site} {meaning}")
    radii = attacks.smallest(opened.chain.tail(site), start, opened.labels, attack, draws)
    return radii if scale is None or config.norm == "linf" else radii / start[0].numel() ** 0.5


def prepare(config: LayerAttacksConfig, seed: int, trained: bool = True) -> OpenedNetwork:
    """A seed's network with its activations. Of the ImageNet network the labels are its own
    predictions, and every seed has photographs of its own.
    """
    if config.dataset == IMAGENET:
        images, others = photographs(config.attacked, seed)
        whole = chain(imagenet.load().network)
        blocks = tuple(whole.between(first, last) for first, last in itertools.pairwise(BLOCKS))
        made = Chain(blocks, SITES)
        return described(made, others, None, images, None, config.norm)
    parts = data.split(data.load(config.dataset), config.train_size, VALIDATION, config.attacked, seed)
    images, labels = parts.train.as_float(), torch.from_numpy(parts.train.labels).long()
    network = _network(config, images, seed)
    test = parts.test.as_float()
    if not trained:  # nothing it says is right: as for the ImageNet network its own predictions count
        return described(sites_of(network), images, labels, test, None, config.norm)
    train(network, images, labels, config.epochs, seed)
    truth = torch.from_numpy(parts.test.labels).long()
    return described(sites_of(network), images, labels, test, truth, config.norm)


def sites_of(network: ConvolutionalNetwork) -> Chain:
    """A small network as its five sites."""
    return Chain((*network.blocks, lambda values: network.last(values.mean((2, 3)))), SITES)


def described(
    made: Chain,
    references: torch.Tensor,
    reference_labels: torch.Tensor | None,
    images: torch.Tensor,
    labels: torch.Tensor | None,
    norm: str,
) -> OpenedNetwork:
    """A chain with images to attack; the first REFERENCES others describe its sites.
    Without labels the network's own predictions count.
    """
    values, attacked = _activations(made, references[:REFERENCES]), _activations(made, images)
    classes = values[-1].argmax(1) if reference_labels is None else reference_labels[:REFERENCES]
    labels = attacked[-1].argmax(1) if labels is None else labels
    sites = []
    for reference, start in zip(values, attacked, strict=True):
        pairs = zip(start, labels, strict=True)
        nearest = [Attack(norm).sizes(reference[classes != label] - one).min() for one, label in pairs]
        scales = {"whitened": channel_scale(reference, True), "unit": channel_scale(reference, False)}
        sites.append(Site(start, scales, two_nearest(reference.flatten(1).numpy()), torch.stack(nearest)))
    return OpenedNetwork(made, sites, labels)


@torch.no_grad()
def _activations(made: Chain, images: torch.Tensor) -> list[torch.Tensor]:
    parts = [made.activations(part) for part in images.split(50)]
    return [torch.cat(values).contiguous() for values in zip(*parts, strict=True)]


def _network(config: LayerAttacksConfig, images: torch.Tensor, seed: int) -> ConvolutionalNetwork:
    _, channels, side, _ = images.shape
    return seeded(seed, lambda: ConvolutionalNetwork(channels, side, config.width, 10))


def _training(config: LayerAttacksConfig, seed: int) -> Iterator[Measured]:
    """Networks robust at each site and transplants, each attacked at every site with the
    plain network's ε₅₀ per channel, measured on validation images.
    """
    parts = data.split(data.load(config.dataset), config.train_size, VALIDATION, config.attacked, seed)
    images, labels = parts.train.as_float(), torch.from_numpy(parts.train.labels).long()
    held_out, test = (
        (part.as_float(), torch.from_numpy(part.labels).long()) for part in (parts.validation, parts.test)
    )
    networks: dict[str, ConvolutionalNetwork] = {}
    radii: list[torch.Tensor] = []
    for name in NETWORKS:
        network = networks[name] = _network(config, images, seed)
        if name in ("plain", "at_input", "at_early", "at_middle", "at_late"):
            site = None if name == "plain" else NETWORKS.index(name) - 1
            radius = 0.0 if site is None else float(radii[site])
            train(network, images, labels, config.epochs, seed, config.norm, site, radius)
        else:
            frozen, other = _transplanted(name, networks)
            network.load_state_dict(other)
            free = [value for key, value in network.named_parameters() if not frozen(key)]
            train(network, images, labels, config.epochs, seed, parameters=free)
        if name == "plain":
            radii = _radii(config, described(sites_of(network), images, labels, *held_out, config.norm), seed)
        opened = described(sites_of(network), images, labels, *test, config.norm)
        yield {(name, "clean"): accuracy(opened)} | {
            (name, measure): robust_accuracy(config, opened, place, radii[place], seed)
            for place, measure in enumerate(("robust", *SITES[1:4]))
        }


def _radii(config: LayerAttacksConfig, opened: OpenedNetwork, seed: int) -> list[torch.Tensor]:
    """ε₅₀ per channel at the four sites before the logits, as whole norms."""
    radii = [smallest(config, opened, site, seed, "unit") for site in range(4)]
    counts = [1.0 if config.norm == "linf" else layer.attacked[0].numel() ** 0.5 for layer in opened.sites]
    return [half(values) * count for values, count in zip(radii, counts, strict=False)]


def _transplanted(
    name: str, networks: dict[str, ConvolutionalNetwork]
) -> tuple[Callable[[str], bool], dict[str, torch.Tensor]]:
    """Which parameters stay frozen, and the weights that training begins with: the plain
    network's but for the robust ones.
    """
    plain, robust = networks["plain"].state_dict(), networks["at_input"].state_dict()
    later, source = name.endswith("blocks"), plain if name.startswith("own") else robust

    def frozen(key: str) -> bool:
        return key.startswith("blocks.0.") != later

    return frozen, {key: source[key] if frozen(key) else value for key, value in plain.items()}


def accuracy(opened: OpenedNetwork) -> float:
    """The share of attacked images that are classified correctly before."""
    return float((opened.sites[-1].attacked.argmax(1) == opened.labels).float().mean())


def robust_accuracy(
    config: LayerAttacksConfig, opened: OpenedNetwork, site: int, radius: torch.Tensor, seed: int
) -> float:
    """The share that no attack of this radius, in standard deviations of each channel,
    changes.
    """
    attack = opened.attack(config, site, opened.sites[site].scales["unit"])
    start, bound = opened.sites[site].attacked, radius.expand(len(opened.labels))
    lowest, _ = attacks.search(
        opened.chain.tail(site), start, opened.labels, bound, attack, stream(seed, f"test {site}")
    )
    return float((lowest > 0).float().mean())
