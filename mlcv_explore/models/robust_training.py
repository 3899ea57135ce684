"""Training a small network on images, or on adversarial perturbations of what one of its
blocks puts out; and the spread of activations, in which their sizes are measured.

Source: A. Madry et al., 2018, https://arxiv.org/abs/1706.06083; at hidden layers: M. Singh
et al., 2019, https://arxiv.org/abs/1905.05186.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.models import attacks
from mlcv_explore.models.attacks import Attack
from mlcv_explore.models.encoders import ConvolutionalNetwork
from mlcv_explore.seeds import stream

RATE, BATCH = 0.003, 50
INNER = Attack(steps=3, restarts=1)  # of every batch
SHRINKAGE = 0.01  # of a covariance towards its mean variance, so that dead channels have a size
FLOOR = 1e-6


def channel_scale(activations: torch.Tensor, whitened: bool) -> torch.Tensor:
    """(C, C): the square root of the channels' covariance over images and places (n, C, …),
    shrunk towards their mean variance; without `whitened` of its diagonal alone.
    """
    flat = activations.transpose(0, 1).flatten(1)
    centred = flat - flat.mean(1, keepdim=True)
    covariance = centred @ centred.T / centred.shape[1]
    mean = covariance.diagonal().mean().clamp_min(FLOOR)
    if not whitened:
        return (covariance.diagonal() + SHRINKAGE * mean).sqrt().diag()
    values, vectors = torch.linalg.eigh(
        (1 - SHRINKAGE) * covariance + SHRINKAGE * mean * torch.eye(len(flat))
    )
    return vectors @ values.clamp_min(0).sqrt().diag() @ vectors.T


def train(
    network: ConvolutionalNetwork,
    images: torch.Tensor,
    labels: torch.Tensor,
    epochs: int,
    seed: int,
    norm: str = "l2",
    site: int | None = None,
    radius: float = 0.0,
    parameters: Sequence[nn.Parameter] | None = None,
) -> None:
    """Adam on cross-entropy, in place, in the same order of batches for every network of a
    seed. With a site the activations there are perturbed by at most `radius` in standard
    deviations of each channel of the batch; `parameters` are those that change.
    """
    optimiser = torch.optim.Adam(network.parameters() if parameters is None else parameters, RATE)
    order, draws = stream(seed, "order"), stream(seed, "robust training")
    for _ in range(epochs):
        for chosen in torch.randperm(len(images), generator=order).split(BATCH):
            values = images[chosen]
            if site is not None:
                values = network.partial_forward(values, 0, site)
                start = values.detach()
                scale, bound = channel_scale(start, False), torch.full((len(start),), radius)
                attack = replace(INNER, norm=norm, scale=scale)
                _, units = attacks.search(
                    lambda at: network.partial_forward(at, site), start, labels[chosen], bound, attack, draws
                )
                values = values + attack.perturbed(start, units) - start
            loss = functional.cross_entropy(network.partial_forward(values, site or 0), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    network.requires_grad_(False)
