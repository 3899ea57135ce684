"""Training an encoder without labels: as an autoencoder, by rotation prediction, or by
contrast of two views.

All seeds train as one stack of `models.encoders`. Sources: Gidaris, Singh, Komodakis,
Unsupervised Representation Learning by Predicting Image Rotations, 2018,
https://arxiv.org/abs/1803.07728; Chen, Kornblith, Norouzi, Hinton, A Simple Framework
for Contrastive Learning of Visual Representations, 2020,
https://arxiv.org/abs/2002.05709
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from mlcv_explore.data.augmentation import jitter, rotate_quarter_turns
from mlcv_explore.data.few_labels import FewLabels
from mlcv_explore.models.encoders import Networks, build_heads
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import stream

BATCH = 100
RATE = 0.003
EMBEDDING = 64  # dimensions of the contrastive head's output
TEMPERATURE = 0.5
Generators = Sequence[torch.Generator]
# images (S, B, C, h, w) → features (S, 2B, …): both views of each
Views = Callable[[torch.Tensor, Generators], torch.Tensor]


def pretrain_encoder(
    method: str,
    networks: Networks,
    depth: int,
    images: torch.Tensor,
    seeds: Sequence[int],
    steps: int,
    noise: float = 0.2,
    shift: int = 0,
) -> None:
    """Train the layers below `depth` in place on unlabelled images (n, C, h, w) in
    [0, 1], by "autoencoder", "rotation" or "contrastive"; "random" leaves them.

    Contrastive views are images shifted by at most `shift` pixels, with Gaussian noise.
    """
    if method == "random" or depth == 0:
        return
    generators, shape = [stream(seed, "pretraining") for seed in seeds], networks.feature_shape(depth)
    if method == "contrastive":

        def views(batch: torch.Tensor, generators: Generators) -> torch.Tensor:
            pair = [jitter(batch, noise, shift, generators) for _ in range(2)]
            return networks.partial_forward(torch.cat(pair, dim=1), 0, depth)

        train_contrastive(networks, views, shape, images, seeds, generators, steps)
        return
    outputs = images[0].numel() if method == "autoencoder" else 4
    heads = build_heads(shape, math.prod(shape), outputs, seeds)
    trained = [*networks.encoder_parameters(depth), *heads.parameters()]
    optimiser = torch.optim.Adam(trained, lr=RATE, fused=True)
    for _ in range(steps):
        batch = sample(images, generators)
        if method == "rotation":
            turns = torch.stack([torch.randint(4, (BATCH,), generator=generator) for generator in generators])
            batch = rotate_quarter_turns(batch, turns)
        predicted = heads(networks.partial_forward(batch, 0, depth).flatten(2))
        if method == "autoencoder":
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


def train_supervised(networks: Networks, dataset: FewLabels, seeds: list[int], steps: int) -> None:
    """Train on all labels instead, in place: the upper bound to compare with."""
    generators, labels = (
        [stream(seed, "supervised") for seed in seeds],
        torch.from_numpy(dataset.split.train.labels),
    )
    optimiser = torch.optim.Adam(networks.parameters(), lr=RATE, fused=True)
    for _ in range(steps):
        places = sample(torch.arange(len(labels)), generators)
        logits = networks.partial_forward(dataset.images["train"][places])
        loss = functional.cross_entropy(logits.mT, labels[places], reduction="none").mean(1)
        gradient_step(optimiser, loss.sum())


def contrastive_loss(embedded: torch.Tensor, temperature: float = TEMPERATURE) -> torch.Tensor:
    """Normalised temperature-scaled cross-entropy (S,) of embeddings (S, 2B, e): rows r
    and r + B are two views of one image (NT-Xent of SimCLR).
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
