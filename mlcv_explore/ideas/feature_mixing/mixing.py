"""The formula: F = F_i + λ/(m−1)·ΣF_j and y = scale(y_i + λ/(m−1)·Σy_j), its other
modes, and what is pasted instead of added.
"""

from typing import Literal

import torch

Mode = Literal["sum", "convex", "extrapolate"]
Scaling = Literal["sum_to_one", "softmax", "argmax"]
MODES: tuple[Mode, ...] = ("sum", "convex", "extrapolate")
SCALINGS: tuple[Scaling, ...] = ("sum_to_one", "softmax", "argmax")


def own_share(weight: float) -> float:
    """1/(1 + λ): what is left of an image's own label when labels are divided by their
    sum.
    """
    return 1 / (1 + weight)


def mixed(features: torch.Tensor, partners: torch.Tensor, weight: float, mode: Mode = "sum") -> torch.Tensor:
    """Features (…) with the mean of their partners (…), both of one shape: at λ = 0 the
    features themselves, bit for bit.

    sum: F_i + λ·F_j; convex: that divided by 1 + λ; extrapolate: F_i + λ·(F_i − F_j),
    away from the partner (DeVries and Taylor, 1702.05538).
    """
    if mode == "extrapolate":
        return features + weight * (features - partners)
    summed = features + weight * partners
    return summed if mode == "sum" else summed * own_share(weight)


def soft_labels(
    own: torch.Tensor,
    partners: torch.Tensor,
    weight: float,
    scaling: Scaling,
    temperature: float = 1.0,
    mode: Mode = "sum",
) -> torch.Tensor:
    """Labels (…, K) of one-hot labels (…, K) and the mean of their partners' (…, K):
    non-negative, each summing to 1.

    sum_to_one divides by the sum, softmax takes the exponentials at a temperature,
    argmax the largest alone (the image's own among equals). Extrapolation moves away
    from the partner: what would fall below 0 stays at 0.
    """
    total = (
        (own + weight * (own - partners)).clamp_min(0) if mode == "extrapolate" else own + weight * partners
    )
    if scaling == "softmax":
        return (total / temperature).softmax(-1)
    if scaling == "argmax":
        return torch.nn.functional.one_hot((total + 1e-6 * own).argmax(-1), total.shape[-1]).to(total.dtype)
    return total / total.sum(-1, keepdim=True)


def smoothed(own: torch.Tensor, weight: float) -> torch.Tensor:
    """Label smoothing of strength λ/(1 + λ), (…, K): what soft labels of unmixed
    features are in expectation over partners of any class.

    Source: Szegedy et al., Rethinking the Inception Architecture, 2015,
    https://arxiv.org/abs/1512.00567
    """
    strength = 1 - own_share(weight)
    return (1 - strength) * own + strength / own.shape[-1]


def pasted(features: torch.Tensor, partners: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Feature maps (…, C, h, w) with the partner's where the mask (…, 1, h, w) in [0,
    1] is; an empty mask gives the features themselves.

    Source: Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for
    Instance Segmentation, 2020, https://arxiv.org/abs/2012.07177
    """
    return torch.where(mask > 0, features + mask * (partners - features), features)


def soft_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """−Σ t log p over the last axis, (…), nats."""
    return -(targets * logits.log_softmax(-1)).sum(-1)
