"""Attention rollout: how much of each patch reaches the prediction through the attention
of all blocks. It is the same for every class.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mlcv_explore.saliency import tokens
from mlcv_explore.saliency.methods import Attribution, SaliencyError
from mlcv_explore.saliency.rules import SOFTMAX


class AttentionWeights(TorchFunctionMode):
    """Collects the attention weights of one image, in the order they are computed, also
    where a fused function keeps them to itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[torch.Tensor] = []  # (windows, tokens, tokens), the mean of the heads
        self.counts: set[int] = set()  # of tokens that are normalised

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is functional.multi_head_attention_forward:
            wanted = kwargs.get("need_weights", True)
            result, weights = func(*args, **(kwargs | {"need_weights": True, "average_attn_weights": True}))
            self.weights.append(weights)
            return result, weights if wanted else None
        result = func(*args, **kwargs)
        if func is functional.scaled_dot_product_attention:
            self.weights.append(_fused_weights(*args, **kwargs).mean(1))
        elif func in SOFTMAX and result.ndim >= 4 and result.shape[-2] == result.shape[-1] > 1:
            self.weights.append(result.flatten(0, -4).mean(1))
        elif func is functional.layer_norm and result.ndim == 3:
            self.counts.add(result.shape[1])
        return result


def rollout(network: nn.Module, image: torch.Tensor) -> Attribution:
    """Attention rollout (Abnar and Zuidema, 2005.00928): the product of (W + 1)/2 over all
    blocks, W their attention weights averaged over heads; the row of the class token, or
    the mean of all rows where the tokens are averaged. Never negative.

    Raises SaliencyError for a network without attention, with attention within windows, or
    whose tokens change between blocks.
    """
    with torch.no_grad(), AttentionWeights() as seen:
        network(image[None])
    if not seen.weights:
        raise SaliencyError("Attention rollout needs attention between tokens, and this network has none.")
    count = seen.weights[0].shape[-1]
    if any(weights.shape != (1, count, count) for weights in seen.weights) or count not in seen.counts:
        raise SaliencyError(
            "Attention rollout follows the same tokens through all blocks, and this network attends within"
            " windows or changes its tokens."
        )
    shape, pool = tokens.grid_shape(count, network, image), _pool(network)
    before = 0 if shape is None else count - shape[0] * shape[1]
    if shape is None or pool not in ("token", "avg") or (pool == "token" and not before):
        raise SaliencyError(
            "Attention rollout needs a class token or an average of all tokens before the classifier, and"
            " this network has neither."
        )
    flow = rolled_out([weights[0] for weights in seen.weights])
    values = flow[0, before:] if pool == "token" else flow[before:, before:].mean(0)
    values = functional.interpolate(
        values.view(1, 1, *shape), image.shape[1:], mode="bilinear", align_corners=False
    )
    return Attribution(values[0, 0], 1, 0)


def rolled_out(weights: list[torch.Tensor]) -> torch.Tensor:
    """The product of (W + 1)/2 over attention weights (n, n), the first block's first:
    (n, n), whose row i holds the shares of the input tokens in token i. Rows sum to 1.
    """
    flow = torch.eye(len(weights[0]), device=weights[0].device)
    for block in weights:
        flow = (block + torch.eye(len(block), device=block.device)) / 2 @ flow
    return flow


def _fused_weights(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **_: Any,
) -> torch.Tensor:
    """The weights (B, heads, n, m) that `scaled_dot_product_attention` uses in evaluation."""
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, float("-inf"))
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(-1)


def _pool(network: nn.Module) -> str | None:
    """What the classifier reads: "token", "avg" or something else; None where the network
    does not tell.
    """
    for module in network.modules():
        if hasattr(module, "num_prefix_tokens"):  # timm
            return getattr(module, "global_pool", None)
        if isinstance(getattr(module, "class_token", None), nn.Parameter):  # torchvision
            return "token"
    return None
