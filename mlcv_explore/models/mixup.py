"""Baselines that mix training examples: input mixup and CutMix by torchvision, manifold
mixup. Each seed draws from its own stream.

Sources: Zhang et al., mixup: Beyond Empirical Risk Minimization, 2017,
https://arxiv.org/abs/1710.09412; Yun et al., CutMix, 2019,
https://arxiv.org/abs/1905.04899; Verma et al., Manifold Mixup, 2018,
https://arxiv.org/abs/1806.05236
"""

from collections.abc import Sequence

import numpy as np
import torch

from mlcv_explore.models.encoders import Networks
from mlcv_explore.seeds import seeded

# pixels and the first two depths, one of them a batch, as in the code of Verma et al.
MANIFOLD_DEPTHS = 3
MANIFOLD_BETA = 2.0
INPUT_BETA = 1.0  # of input mixup and CutMix


def mixed_inputs(
    kind: str, images: torch.Tensor, labels: torch.Tensor, seeds: Sequence[int], step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (S, B, C, h, w) and one-hot labels (S, B, K), mixed by "input_mixup" or
    "cutmix"; torchvision pairs the neighbours of a batch. Input mixup also takes vectors
    (S, B, d).
    """
    from mlcv_explore.torchvision_compat import transforms

    transform = {"input_mixup": transforms.MixUp, "cutmix": transforms.CutMix}[kind]
    change = transform(alpha=INPUT_BETA, num_classes=labels.shape[-1])
    shaped = images if images.ndim == 5 else images[..., None, None]  # torchvision takes images alone
    pairs = [
        seeded(seed, lambda own=own, classes=classes: change(own, classes), f"{kind} {step}")
        for seed, own, classes in zip(seeds, shaped, labels.argmax(-1), strict=True)
    ]
    changed, targets = (torch.stack(part) for part in zip(*pairs, strict=True))
    return changed.view_as(images), targets


def manifold_mixup(
    networks: Networks, images: torch.Tensor, labels: torch.Tensor, rngs: Sequence[np.random.Generator]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and targets (S, B, K) of images (S, B, …) mixed with their neighbours at a
    random depth a batch and seed, with shares from a beta distribution.
    """
    depths = [int(rng.integers(MANIFOLD_DEPTHS)) for rng in rngs]
    weights = [rng.beta(MANIFOLD_BETA, MANIFOLD_BETA) for rng in rngs]
    shares, values = torch.tensor(weights, dtype=torch.float32), images
    for depth in range(MANIFOLD_DEPTHS):
        here = torch.tensor([drawn == depth for drawn in depths])
        share = torch.where(here, shares, torch.ones(())).view(-1, *[1] * (values.ndim - 1))
        # the batch is in random order, so its neighbours are random partners
        values = share * values + (1 - share) * values.roll(1, 1)
        values = networks.partial_forward(values, depth, depth + 1)
    share = shares[:, None, None]
    logits = networks.partial_forward(values, MANIFOLD_DEPTHS)
    return logits, share * labels + (1 - share) * labels.roll(1, 1)
