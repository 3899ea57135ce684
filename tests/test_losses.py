"""Soft cross-entropy: PyTorch's own, for negative targets too, and its gradient."""

import torch
from torch.nn import functional

from mlcv_explore.models.losses import logit_gradient, soft_cross_entropy


def test_soft_cross_entropy_is_pytorchs_for_any_targets_and_its_gradient_autograds():
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 25, 10, generator=rng, requires_grad=True)
    targets = torch.randn(2, 25, 10, generator=rng)
    assert (targets < 0).any()
    loss = soft_cross_entropy(logits, targets)
    theirs = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(0, 1), reduction="none")
    assert torch.allclose(loss.flatten(), theirs, atol=1e-5)
    loss.sum().backward()
    assert torch.allclose(logits.grad, logit_gradient(logits.detach().softmax(-1), targets), atol=1e-5)
