"""Contrastive views made by changing pixels or features, and the codes of encoders
trained on them.
"""

from typing import Protocol

import numpy as np
import torch

from mlcv_explore.data.augmentation import add_feature_noise, jitter
from mlcv_explore.data.few_labels import FewLabels
from mlcv_explore.models.encoders import Networks, apply_networks, build_networks
from mlcv_explore.models.mixing import mix_features
from mlcv_explore.models.self_supervised import Generators, Views, train_contrastive, train_supervised
from mlcv_explore.seeds import stream

CHANGED = 1  # depth of the features that views change
PROBED = 2  # depth that is compared and probed


class ViewSettings(Protocol):
    """What views and their training read of an idea's settings."""

    network: str  # "dense" or "convolutional"
    width: int
    contrast_steps: int
    pixel_noise: float  # of views, standard deviation
    pixel_shift: int  # largest, pixels
    feature_noise: float  # in standard deviations of each feature
    jitter_weight: float  # λ of a view's partner


def mix_within_batch(features: torch.Tensor, weight: float, generators: Generators) -> torch.Tensor:
    """Features (S, B, …), each convexly mixed with λ of a random one of its batch."""
    orders = [torch.randperm(features.shape[1], generator=generator) for generator in generators]
    partners = torch.stack([own[order] for own, order in zip(features, orders, strict=True)])
    return mix_features(features, partners, weight, "convex")


def contrastive_views(arm: str, config: "ViewSettings", networks: Networks) -> Views:
    """Two views of each image, as features of depth PROBED, as this arm makes them."""

    def views(batch: torch.Tensor, generators: Generators) -> torch.Tensor:
        pair = [batch, batch]
        if arm in ("probe_jitter", "probe_both"):
            pair = [jitter(batch, config.pixel_noise, config.pixel_shift, generators) for _ in range(2)]
        halves = [networks.partial_forward(torch.cat(pair, dim=1), 0, CHANGED)]
        if arm in ("probe_noise", "probe_mixed", "probe_both"):  # each view by itself
            halves = halves[0].split(batch.shape[1], dim=1)
        if arm == "probe_noise":
            halves = [add_feature_noise(half, config.feature_noise, generators) for half in halves]
        elif len(halves) > 1:
            halves = [mix_within_batch(half, config.jitter_weight, generators) for half in halves]
        return networks.partial_forward(torch.cat(halves, dim=1), CHANGED, PROBED)

    return views


def codes(arm: str, config: "ViewSettings", dataset: FewLabels, seeds: list[int]) -> tuple[np.ndarray, ...]:
    """Codes (S, n, d) of training, validation and test images by this arm's encoder."""
    train = dataset.images["train"]
    networks = build_networks(config.network, train.shape[1:], config.width, dataset.classes, seeds)
    if arm == "probe_supervised":
        train_supervised(networks, dataset, seeds, config.contrast_steps)
    elif arm not in ("probe_pixels", "probe_random"):
        views, shape = contrastive_views(arm, config, networks), networks.feature_shape(PROBED)
        generators = [stream(seed, "contrast") for seed in seeds]
        train_contrastive(networks, views, shape, train, seeds, generators, config.contrast_steps)
    depth = 0 if arm == "probe_pixels" else PROBED
    return tuple(
        apply_networks(networks, part, len(seeds), 0, depth).flatten(2).numpy()
        for part in dataset.images.values()
    )
