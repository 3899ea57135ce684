"""Teaching an encoder before it sees a label: as an autoencoder, by rotations, or by
contrast; and the jitters that contrast needs.

Sources: Gidaris, Singh, Komodakis, Unsupervised Representation Learning by Predicting
Image Rotations, 2018, https://arxiv.org/abs/1803.07728; Chen, Kornblith, Norouzi,
Hinton, A Simple Framework for Contrastive Learning, 2020,
https://arxiv.org/abs/2002.05709
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from mlcv_explore.ideas.feature_mixing import FeatureMixingConfig
from mlcv_explore.ideas.feature_mixing.mixing import mixed
from mlcv_explore.ideas.feature_mixing.networks import Network, heads
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import stream

BATCH = 100
RATE = 0.003
EMBEDDING = 64  # numbers that views are compared by
TEMPERATURE = 0.5

# pictures (S, B, C, h, w) → features (S, 2B, …): both views of each
Views = Callable[[torch.Tensor, list[torch.Generator]], torch.Tensor]


def flat(values: torch.Tensor) -> torch.Tensor:
    """(S, B, …) → (S, B, d)."""
    return values.flatten(2)


def pretrain(
    config: FeatureMixingConfig, network: Network, pictures: torch.Tensor, seeds: Sequence[int]
) -> None:
    """Teach the layers below the depth, in place, on unlabelled pictures (n, C, h, w)
    in [0, 1]. A random start leaves them as they are.
    """
    kind, depth, flattened, steps = (
        config.encoder,
        config.depth,
        config.network == "dense",
        config.pretraining,
    )
    if kind == "random" or depth == 0:
        return
    generators = [stream(seed, "pretraining") for seed in seeds]
    with torch.no_grad():
        features = network.through(
            _seen(pictures[:1].expand(len(seeds), 1, *pictures.shape[1:]), flattened), 0, depth
        )
    if kind == "contrastive":
        contrast(
            network, pixel_views(config, network), features.shape[2:], pictures, seeds, generators, steps
        )
        return
    outputs = math.prod(pictures.shape[1:]) if kind == "autoencoder" else 4
    head = heads("dense", features.shape[2:], features[0, 0].numel(), outputs, seeds)
    optimiser = torch.optim.Adam([*network.encoder(depth), *head.parameters()], lr=RATE, fused=True)
    for _ in range(steps):
        batch = drawn(pictures, generators)
        if kind == "autoencoder":
            found = head(flat(network.through(_seen(batch, flattened), 0, depth)))
            loss = (found - flat(batch)).square().sum(2).mean(1)
        else:
            turns = torch.stack([torch.randint(4, (BATCH,), generator=generator) for generator in generators])
            found = head(flat(network.through(_seen(turned(batch, turns), flattened), 0, depth)))
            loss = functional.cross_entropy(found.mT, turns, reduction="none").mean(1)
        gradient_step(optimiser, loss.sum())  # no seed feels another's gradient


def contrast(
    network: Network,
    views: Views,
    features: Sequence[int],
    pictures: torch.Tensor,
    seeds: Sequence[int],
    generators: list[torch.Generator],
    steps: int,
) -> None:
    """Train, in place, what `views` goes through, and a head that is thrown away, so
    that two views of a picture are nearer than those of others.
    """
    head = heads("dense", features, math.prod(features), EMBEDDING, seeds)
    optimiser = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=RATE, fused=True)
    for _ in range(steps):
        gradient_step(
            optimiser, contrastive_loss(head(flat(views(drawn(pictures, generators), generators)))).sum()
        )


def contrastive_loss(embedded: torch.Tensor, temperature: float = TEMPERATURE) -> torch.Tensor:
    """Normalised temperature-scaled cross-entropy (S,) of embeddings (S, 2B, e): row r
    and row r + B are two views of one picture (SimCLR).
    """
    embedded = functional.normalize(embedded, dim=-1)
    count = embedded.shape[1]
    alike = embedded @ embedded.mT / temperature
    alike = alike.masked_fill(torch.eye(count, dtype=torch.bool), -torch.inf)
    other = (torch.arange(count) + count // 2) % count
    return -alike.log_softmax(-1)[:, torch.arange(count), other].mean(1)


def drawn(pictures: torch.Tensor, generators: list[torch.Generator]) -> torch.Tensor:
    """A batch a seed: (n, …) → (S, B, …)."""
    return torch.stack(
        [pictures[torch.randint(len(pictures), (BATCH,), generator=generator)] for generator in generators]
    )


def turned(pictures: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Pictures (S, B, C, h, w) turned by quarter turns (S, B) of 0–3."""
    every = torch.stack([torch.rot90(pictures, turn, (-2, -1)) for turn in range(4)])
    rows, columns = torch.meshgrid(torch.arange(turns.shape[0]), torch.arange(turns.shape[1]), indexing="ij")
    return every[turns, rows, columns]


def jittered_pixels(
    pictures: torch.Tensor, noise: float, reach: int, generators: list[torch.Generator]
) -> torch.Tensor:
    """Pictures (S, B, C, h, w) shifted by up to `reach` pixels, the edge filled with 0,
    and with Gaussian noise of a standard deviation.
    """
    moved = (
        [_shifted(each, reach, generator) for each, generator in zip(pictures, generators, strict=True)]
        if reach
        else list(pictures)
    )
    return torch.stack(moved) + noise * _normal(pictures.shape, generators)


def noisy_features(
    features: torch.Tensor, strength: float, generators: list[torch.Generator]
) -> torch.Tensor:
    """Features (S, B, …) with Gaussian noise, `strength` times the standard deviation
    of each feature over the batch.
    """
    return features + strength * features.detach().std(1, keepdim=True) * _normal(features.shape, generators)


def features_mixed_a_little(
    features: torch.Tensor, weight: float, generators: list[torch.Generator]
) -> torch.Tensor:
    """Features (S, B, …), each with λ of another of its batch, convexly."""
    others = [torch.randperm(features.shape[1], generator=generator) for generator in generators]
    return mixed(
        features,
        torch.stack([each[order] for each, order in zip(features, others, strict=True)]),
        weight,
        "convex",
    )


def pixel_views(config: FeatureMixingConfig, network: Network) -> Views:
    """Two views by jitter of the pixels, at the depth that is set."""

    def views(batch: torch.Tensor, generators: list[torch.Generator]) -> torch.Tensor:
        both = torch.cat(
            [jittered_pixels(batch, config.pixel_noise, config.pixel_shift, generators) for _ in range(2)],
            dim=1,
        )
        return network.through(_seen(both, config.network == "dense"), 0, config.depth)

    return views


def _seen(pictures: torch.Tensor, flattened: bool) -> torch.Tensor:
    return flat(pictures) if flattened else pictures


def _shifted(pictures: torch.Tensor, reach: int, generator: torch.Generator) -> torch.Tensor:
    """(B, C, h, w), each moved by its own whole number of pixels."""
    side = pictures.shape[-1]
    wide = functional.pad(pictures, (reach,) * 4)
    down, right = torch.randint(2 * reach + 1, (2, len(pictures)), generator=generator)
    rows, columns = (start[:, None] + torch.arange(side) for start in (down, right))
    return wide[torch.arange(len(pictures))[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )


def _normal(shape: Sequence[int], generators: list[torch.Generator]) -> torch.Tensor:
    return torch.stack([torch.randn(tuple(shape[1:]), generator=generator) for generator in generators])
