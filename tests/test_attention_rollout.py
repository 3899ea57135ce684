"""Attention rollout: its product by hand, on networks whose attention is fused, and
refused where it has no meaning.
"""

import numpy as np
import pytest
import torch
from test_saliency_tokens import IMAGE, MIXER, SETTINGS, SWIN, VIT, _grown, network
from torch import nn
from torch.nn import functional

from mlcv_explore.models.classifiers import residual_classifier
from mlcv_explore.saliency import SaliencyError, attention_rollout
from mlcv_explore.saliency.supported import attribute
from mlcv_explore.seeds import seeded


def values(model: nn.Module) -> np.ndarray:
    (made,) = attribute(model, IMAGE, 1, ["attention_rollout"], SETTINGS, 0)
    assert made.forwards == 1 and made.backwards == 0 and not made.signed
    return made.values


def test_the_product_by_hand() -> None:
    """The first token attends to the second, then the second block leaves all in place."""
    first = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    assert torch.equal(attention_rollout.rolled_out([first]), torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    second = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    # (second + 1)/2 = [[.75, .25], [.5, .5]], times [[.5, .5], [0, 1]]
    wanted = torch.tensor([[0.375, 0.625], [0.25, 0.75]])
    assert torch.equal(attention_rollout.rolled_out([first, second]), wanted)
    assert not torch.equal(attention_rollout.rolled_out([second, first]), wanted)


def test_a_vision_transformer_of_timm_by_hand() -> None:
    model = network(*VIT)
    vit, weights = model[1], []
    with torch.no_grad():
        given = vit._pos_embed(vit.patch_embed(model[0](IMAGE[None])))
        for block in vit.blocks:
            query, key, _ = block.attn.qkv(block.norm1(given)).reshape(17, 3, 3, 8).permute(1, 2, 0, 3)
            weights.append((query @ key.transpose(1, 2) / 8**0.5).softmax(-1).mean(0))
            given = block(given)
    product = torch.eye(17)
    for matrix in weights:
        product = (0.5 * matrix + 0.5 * torch.eye(17)) @ product
    wanted = functional.interpolate(
        product[0, 1:].view(1, 1, 4, 4), (32, 32), mode="bilinear", align_corners=False
    )[0, 0]
    np.testing.assert_allclose(values(model), wanted.numpy(), rtol=1e-4, atol=1e-7)
    assert product[0, 1:].std() > 1e-3  # no even map


def test_fused_attention_gives_the_map_of_the_same_network_without() -> None:
    model = network(*VIT)
    fused = values(model)
    changed = [block.attn for block in model[1].blocks]
    assert all(attention.fused_attn for attention in changed)
    for attention in changed:
        attention.fused_attn = False
    np.testing.assert_allclose(values(model), fused, rtol=1e-4, atol=1e-7)


def test_torchvisions_attention_is_followed() -> None:
    from mlcv_explore.torchvision_compat import models

    shape = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32, "num_classes": 4}
    vit = seeded(0, lambda: _grown(models.VisionTransformer(32, 8, **shape))).eval().requires_grad_(False)
    weights = []
    with torch.no_grad():
        logits = vit(IMAGE[None])
        given = torch.cat([vit.class_token, vit._process_input(IMAGE[None])], 1) + vit.encoder.pos_embedding
        for block in vit.encoder.layers:
            normalised = block.ln_1(given)
            weights.append(block.self_attention(normalised, normalised, normalised, need_weights=True)[1][0])
            given = block(given)
        with attention_rollout.AttentionWeights():
            assert torch.allclose(vit(IMAGE[None]), logits, atol=1e-5)  # recording changes nothing
    row = attention_rollout.rolled_out(weights)[0, 1:].view(1, 1, 4, 4)
    wanted = functional.interpolate(row, (32, 32), mode="bilinear", align_corners=False)[0, 0]
    np.testing.assert_allclose(values(vit), wanted.numpy(), rtol=1e-4, atol=1e-7)


def test_an_average_of_tokens_is_the_mean_of_their_rows() -> None:
    model = network(VIT[0], VIT[1] | {"global_pool": "avg", "class_token": False, "depth": 1})
    vit = model[1]
    with torch.no_grad():
        given = vit._pos_embed(vit.patch_embed(model[0](IMAGE[None])))
        query, key, _ = (
            vit.blocks[0].attn.qkv(vit.blocks[0].norm1(given)).reshape(16, 3, 3, 8).permute(1, 2, 0, 3)
        )
        matrix = (query @ key.transpose(1, 2) / 8**0.5).softmax(-1).mean(0)
    row = ((matrix + torch.eye(16)) / 2).mean(0).view(1, 1, 4, 4)
    wanted = functional.interpolate(row, (32, 32), mode="bilinear", align_corners=False)[0, 0]
    np.testing.assert_allclose(values(model), wanted.numpy(), rtol=1e-4, atol=1e-7)


def test_networks_it_has_no_meaning_for_are_refused_in_a_sentence() -> None:
    with pytest.raises(SaliencyError, match="attends within windows or changes its tokens"):
        values(network(*SWIN))
    statistics = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)
    for model in (network(*MIXER), residual_classifier(4, 4, *statistics).eval()):
        with pytest.raises(SaliencyError, match="needs attention between tokens, and this network has none"):
            values(model)
    pooled = network(VIT[0], VIT[1] | {"global_pool": "map", "class_token": False})
    with pytest.raises(SaliencyError):
        values(pooled)


def test_a_fused_mask_counts() -> None:
    """Keys that a mask hides, or a bias favours, have the weights of the fused function."""
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 1, 3, 4, generator=generator) for _ in range(2))
    value = torch.eye(3).expand(1, 1, 3, 3)  # its output is then the weights themselves
    hidden = torch.tensor([[True, True, False]]).expand(3, 3)
    bias = torch.randn(3, 3, generator=generator)
    for given in ({"attn_mask": hidden}, {"attn_mask": bias}, {"scale": 2.0}, {"is_causal": True}):
        wanted = functional.scaled_dot_product_attention(query, key, value, **given)
        assert torch.allclose(attention_rollout._fused_weights(query, key, value, **given), wanted, atol=1e-6)
