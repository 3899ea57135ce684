"""Training an encoder without labels: as an autoencoder, by rotation prediction, or by
contrast; and contrastive views made by changing pixels or features.

Sources: Gidaris, Singh, Komodakis, Unsupervised Representation Learning by Predicting
Image Rotations, 2018, https://arxiv.org/abs/1803.07728; Chen, Kornblith, Norouzi,
Hinton, A Simple Framework for Contrastive Learning, 2020,
https://arxiv.org/abs/2002.05709
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore.data.augmentation import add_feature_noise, jitter, rotate_quarter_turns
from mlcv_explore.ideas.feature_mixing.dataset import MixingDataset, as_inputs, load
from mlcv_explore.ideas.feature_mixing.mixing import mix_features
from mlcv_explore.ideas.feature_mixing.networks import Networks, apply_networks, build_heads, build_networks
from mlcv_explore.ideas.feature_mixing.settings import PROBE_ARMS, FeatureMixingConfig
from mlcv_explore.metrics.linear_probe import principal_components, probe
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import stream

BATCH = 100
RATE = 0.003
EMBEDDING = 64  # dimensions of the contrastive head's output
TEMPERATURE = 0.5
CHANGED = 1  # depth of the features that contrastive views change
PROBED = 2  # depth that is compared and probed
Generators = Sequence[torch.Generator]
# images (S, B, C, h, w) → features (S, 2B, …): both views of each
Views = Callable[[torch.Tensor, Generators], torch.Tensor]


def pretrain_encoder(
    config: FeatureMixingConfig, networks: Networks, images: torch.Tensor, seeds: Sequence[int]
) -> None:
    """Train the layers below the depth in place, on unlabelled images (n, C, h, w) in
    [0, 1]; nothing where the encoder starts at random.
    """
    kind, depth = config.encoder, config.depth
    if kind == "random" or depth == 0:
        return
    generators, shape = [stream(seed, "pretraining") for seed in seeds], networks.feature_shape(depth)
    if kind == "contrastive":
        views = contrastive_views("probe_jitter", config, networks, depth)
        train_contrastive(networks, views, shape, images, seeds, generators, config.pretraining)
        return
    outputs = images[0].numel() if kind == "autoencoder" else 4
    heads = build_heads(shape, math.prod(shape), outputs, seeds)
    optimiser = torch.optim.Adam(
        [*networks.encoder_parameters(depth), *heads.parameters()], lr=RATE, fused=True
    )
    for _ in range(config.pretraining):
        batch = sample(images, generators)
        if kind == "rotation":
            turns = torch.stack([torch.randint(4, (BATCH,), generator=generator) for generator in generators])
            batch = rotate_quarter_turns(batch, turns)
        predicted = heads(networks.partial_forward(as_inputs(batch, config.network), 0, depth).flatten(2))
        if kind == "autoencoder":
            loss = (predicted - batch.flatten(2)).square().sum(2).mean(1)
        else:
            loss = functional.cross_entropy(predicted.mT, turns, reduction="none").mean(1)
        gradient_step(optimiser, loss.sum())  # seeds share no parameter, so no gradient


def train_contrastive(
    networks: Networks,
    views: Views,
    shape: Sequence[int],
    images: torch.Tensor,
    seeds: Sequence[int],
    generators: Generators,
    steps: int,
) -> None:
    """Train in place what `views` runs through, so that two views of an image are
    nearer than those of others; features of this shape go through a head that is
    discarded.
    """
    heads = build_heads(shape, math.prod(shape), EMBEDDING, seeds)
    optimiser = torch.optim.Adam([*networks.parameters(), *heads.parameters()], lr=RATE, fused=True)
    for _ in range(steps):
        features = views(sample(images, generators), generators)
        gradient_step(optimiser, contrastive_loss(heads(features.flatten(2))).sum())


def contrastive_loss(embedded: torch.Tensor, temperature: float = TEMPERATURE) -> torch.Tensor:
    """Normalised temperature-scaled cross-entropy (S,) of embeddings (S, 2B, e): rows r
    and r + B are two views of one image (SimCLR).
    """
    embedded = functional.normalize(embedded, dim=-1)
    count = embedded.shape[1]
    similarity = embedded @ embedded.mT / temperature
    similarity = similarity.masked_fill(torch.eye(count, dtype=torch.bool), -torch.inf)
    other = (torch.arange(count) + count // 2) % count
    return -similarity.log_softmax(-1)[:, torch.arange(count), other].mean(1)


def sample(images: torch.Tensor, generators: Generators) -> torch.Tensor:
    """A batch a seed: (n, …) → (S, BATCH, …)."""
    return torch.stack(
        [images[torch.randint(len(images), (BATCH,), generator=generator)] for generator in generators]
    )


def mix_within_batch(features: torch.Tensor, weight: float, generators: Generators) -> torch.Tensor:
    """Features (S, B, …), each convexly mixed with λ of a random one of its batch."""
    orders = [torch.randperm(features.shape[1], generator=generator) for generator in generators]
    partners = torch.stack([own[order] for own, order in zip(features, orders, strict=True)])
    return mix_features(features, partners, weight, "convex")


def contrastive_views(
    arm: str, config: FeatureMixingConfig, networks: Networks, depth: int = PROBED
) -> Views:
    """Two views of each image, as features of a depth, as this arm makes them."""

    def views(batch: torch.Tensor, generators: Generators) -> torch.Tensor:
        pair = [batch, batch]
        if arm in ("probe_jitter", "probe_both"):
            pair = [jitter(batch, config.pixel_noise, config.pixel_shift, generators) for _ in range(2)]
        inputs = as_inputs(torch.cat(pair, dim=1), config.network)
        features = networks.partial_forward(inputs, 0, CHANGED)
        halves = features.split(batch.shape[1], dim=1)
        if arm == "probe_noise":
            features = torch.cat(
                [add_feature_noise(half, config.feature_noise, generators) for half in halves], 1
            )
        elif arm in ("probe_mixed", "probe_both"):
            features = torch.cat(
                [mix_within_batch(half, config.jitter_weight, generators) for half in halves], 1
            )
        return networks.partial_forward(features, CHANGED, depth)

    return views


def run_probes(config: FeatureMixingConfig, seeds: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Arm after arm: its place in PROBE_ARMS, and the probes' test accuracy (S,)."""
    dataset = load(config, seeds)
    for place, arm in enumerate(PROBE_ARMS):
        yield place, probe_accuracy(dataset, *codes(arm, config, dataset, seeds))


def codes(
    arm: str, config: FeatureMixingConfig, dataset: MixingDataset, seeds: list[int]
) -> tuple[np.ndarray, ...]:
    """Codes of training, validation and test images, each (S, n, d), of an encoder that
    this arm trained without labels; the oracle's with all labels.
    """
    count = len(seeds)
    if arm == "probe_pixels":
        return tuple(
            np.broadcast_to(part.flatten(1).numpy(), (count, len(part), part[0].numel()))
            for part in dataset.inputs.values()
        )
    networks = build_networks(config.network, dataset.shape, config.width, dataset.classes, seeds)
    if arm == "probe_supervised":
        _train_supervised(networks, dataset, seeds, config.contrast_steps)
    elif arm != "probe_random":
        views, shape = contrastive_views(arm, config, networks), networks.feature_shape(PROBED)
        generators = [stream(seed, "contrast") for seed in seeds]
        train_contrastive(networks, views, shape, dataset.images, seeds, generators, config.contrast_steps)
    return tuple(
        apply_networks(networks, part, count, 0, PROBED).flatten(2).numpy()
        for part in dataset.inputs.values()
    )


def probe_accuracy(
    dataset: MixingDataset, train: np.ndarray, validation: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Test accuracy (S,) of logistic probes on the labelled images' codes, in the
    principal components of all training codes.
    """
    split, accuracy = dataset.split, []
    for row, (labelled, labels) in enumerate(zip(dataset.labelled, dataset.labels, strict=True)):
        components = principal_components(train[row], train.shape[-1])
        parts = [components.transform(part) for part in (train[row][labelled], validation[row], test[row])]
        predicted = probe(parts[0], labels, parts[1], split.validation.labels, parts[2]).argmax(1)
        accuracy.append((predicted == split.test.labels).mean())
    return np.array(accuracy, dtype=np.float32)


def _train_supervised(networks: Networks, dataset: MixingDataset, seeds: list[int], steps: int) -> None:
    generators = [stream(seed, "supervised") for seed in seeds]
    labels = torch.from_numpy(dataset.split.train.labels)
    optimiser = torch.optim.Adam(networks.parameters(), lr=RATE, fused=True)
    for _ in range(steps):
        places = sample(torch.arange(len(labels)), generators)
        logits = networks.partial_forward(dataset.inputs["train"][places])
        loss = functional.cross_entropy(logits.mT, labels[places], reduction="none").mean(1)
        gradient_step(optimiser, loss.sum())
