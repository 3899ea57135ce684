"""The formula: F = F_i + λ/(m − 1)·ΣF_j and y = scale(y_i + λ/(m − 1)·Σy_j), with F the
features and y the labels of m images, and its other modes.
"""

import torch
from torch.nn import functional


def own_share(weight: float) -> float:
    """1/(1 + λ): the first image's share of a label that is divided by its sum."""
    return 1 / (1 + weight)


def mix_features(
    features: torch.Tensor, partners: torch.Tensor, weight: float, mode: str = "sum"
) -> torch.Tensor:
    """Features (…) mixed with the mean of their partners' (…); λ = 0 changes no bit.

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
    scaling: str,
    temperature: float = 1.0,
    mode: str = "sum",
) -> torch.Tensor:
    """Labels (…, K) of one-hot labels (…, K) and the mean of their partners' (…, K):
    non-negative, each summing to 1.

    sum_to_one divides by the sum, softmax applies it at a temperature, argmax keeps the
    largest class (the own one among equals). Extrapolation is cut at 0.
    """
    if mode == "extrapolate":
        total = (own + weight * (own - partners)).clamp_min(0)
    else:
        total = own + weight * partners
    if scaling == "softmax":
        return (total / temperature).softmax(-1)
    if scaling == "argmax":
        return functional.one_hot((total + 1e-6 * own).argmax(-1), total.shape[-1]).to(total.dtype)
    return total / total.sum(-1, keepdim=True)


def smooth_labels(own: torch.Tensor, strength: float) -> torch.Tensor:
    """Labels (…, K) smoothed towards all K classes. At strength λ/(1 + λ) that is the
    expectation of soft labels over partners of any class.

    Source: Szegedy et al., Rethinking the Inception Architecture, 2015,
    https://arxiv.org/abs/1512.00567
    """
    return (1 - strength) * own + strength / own.shape[-1]
