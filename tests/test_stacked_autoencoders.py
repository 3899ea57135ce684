"""Stacked autoencoders: which loss reaches which block, what linear levels can do, and
that a seed's levels are torch's own layers.
"""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from mlcv_explore import data
from mlcv_explore.models.stacked_autoencoders import (
    Shape,
    StackedAutoencoders,
    gradient_flow,
    losses,
    reconstruction_loss,
    total,
)
from mlcv_explore.seeds import stream

DIGITS, COLOUR = Shape((1, 8, 8), 8, 3), Shape((3, 32, 32), 4, 3, True)
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def batch() -> torch.Tensor:
    """Two seeds' digits, (2, 60, 64), of mean 0 and variance 1."""
    pixels = data.load("digits").train.as_float()[:120].view(2, 60, 64)
    return (pixels - pixels.mean()) / pixels.std()


def noise(*size: int) -> torch.Tensor:
    return torch.randn(*size, generator=stream(0, "a test"))


def test_every_target_starts_from_equal_weights_and_seeds_differ(batch):
    code, pixels = (StackedAutoencoders(DIGITS, SEEDS, target) for target in ("code", "pixels"))
    for one, other in zip((*code.up, *code.way), (*pixels.up, *pixels.way), strict=True):
        assert torch.equal(one, other) and not torch.equal(one[0], one[1])
    assert all(torch.equal(own.own[0], own.way[0]) for own in (code, pixels))
    assert pixels.own[2].shape == (2, 8, 64)
    alone = StackedAutoencoders(DIGITS, (1,))
    assert torch.equal(alone.up[1][0], code.up[1][1])
    torch.testing.assert_close(alone.codes(batch[1:])[-1][0], code.codes(batch)[-1][1])


def reached(objective: str, batch: torch.Tensor, **options: object) -> dict[str, set[str]]:
    terms, blocks, norms = gradient_flow(StackedAutoencoders(DIGITS, SEEDS, **options), batch, objective)
    rows = zip(terms, norms > 0, strict=True)
    return {term: {block for block, one in zip(blocks, row, strict=True) if one} for term, row in rows}


@pytest.mark.parametrize("target", ["code", "pixels"])
def test_a_detached_loss_reaches_its_level_alone_and_a_joint_one_the_encoders_below(target, batch):
    detached, joint = (reached(objective, batch, target=target) for objective in ("greedy", "joint"))
    for level in (1, 2, 3):
        assert detached[f"level{level}"] == {f"encoder {level}", f"own decoder {level}"}
        encoders = {f"encoder {below}" for below in range(1, level + 1)}
        assert joint[f"level{level}"] == {f"own decoder {level}", *encoders}
    assert list(reached("both", batch, target=target)) == ["level1", "level2", "level3", "global"]


@pytest.mark.parametrize("clipped", [False, True])
def test_the_end_to_end_loss_reaches_no_own_decoder(clipped, batch):
    blocks = StackedAutoencoders(DIGITS, SEEDS).blocks()
    assert reached("global", batch, clipped=clipped) == {
        "global": {name for name in blocks if not name.startswith("own")}
    }


def test_gradient_flow_is_the_norm_of_one_backward_pass_and_nan_where_nothing_arrives(batch):
    model = StackedAutoencoders(DIGITS, SEEDS)
    terms, blocks, norms = gradient_flow(model, batch, "greedy")
    assert all(weight.grad is None for weight in model.parameters())
    losses(model, batch, "greedy")[terms[1]].sum().backward()
    norm = torch.cat([model.up[1].grad.flatten(), model.up_bias[1].grad.flatten()]).norm()
    assert norms[1, blocks.index("encoder 2")] == pytest.approx(float(norm), rel=1e-5)
    assert np.isnan(norms[1, blocks.index("encoder 1")])


def test_a_target_is_detached(batch):
    """The loss of level 2 reaches encoder 1 only through the code passed up: where
    encoder 2 has zero weights nothing arrives.
    """
    model = StackedAutoencoders(DIGITS, SEEDS)
    with torch.no_grad():
        model.up[1].zero_()
    losses(model, batch, "joint")["level2"].sum().backward()
    assert model.up[0].grad is None or not model.up[0].grad.any()


def test_own_decoders_that_no_loss_uses_are_a_third_of_the_parameters():
    """3 → 32 → 64 → 128 channels: 93,123 of 279,494."""
    model = StackedAutoencoders(Shape((3, 32, 32), 32, 3, True), (0,), sizes=(3, 32, 64, 128))
    losses(model, noise(1, 2, 3, 32, 32), "global")["global"].sum().backward()
    sizes = [(weight.numel(), weight.grad is None) for weight in model.parameters()]
    assert sum(size for size, unreached in sizes if unreached) == 93_123
    assert sum(size for size, _ in sizes) == 279_494


def test_losses_by_hand():
    output, target = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[[0.0, 2.0], [2.0, 2.0]]])
    assert reconstruction_loss(output, target).tolist() == pytest.approx([(1 + 0 + 1 + 4) / 4])
    assert reconstruction_loss(output, target, relative=True).tolist() == pytest.approx([1.5 / 0.5])
    assert reconstruction_loss(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), relative=True).tolist() == [0.0]
    own = {"level1": torch.tensor([1.0, 2.0]), "level2": torch.tensor([4.0, 0.0])}
    assert total(own, 0.5) == 7 and total(own | {"global": torch.tensor([10.0, 20.0])}, 0.5) == 33.5


@pytest.mark.parametrize("sizes", [(64, 8), (64, 16, 8), (64, 8, 8)])
def test_tied_linear_levels_reach_the_error_of_pca(sizes, batch):
    """Trained greedily. Untied levels need not: a level may scale its code down, and
    the next loses that part.
    """
    pixels = batch[:1] - batch[:1].mean(1, keepdim=True)
    shape = Shape((1, 8, 8), 8, len(sizes) - 1)
    model = StackedAutoencoders(shape, (0,), tied=True, linear=True, sizes=sizes)
    adam = torch.optim.Adam(model.parameters())
    for step in range(300):
        adam.param_groups[0]["lr"] = 0.02 if step < 200 else 0.002
        adam.zero_grad()
        total(losses(model, pixels, "greedy"), 1.0).backward()
        adam.step()
    error = reconstruction_loss(model.reconstruction(len(sizes) - 2, model.codes(pixels)[-1]), pixels).item()
    pca = PCA(8).fit(pixels[0].numpy())
    best = np.square(pixels[0].numpy() - pca.inverse_transform(pca.transform(pixels[0].numpy()))).mean()
    assert best <= error + 1e-6 and error == pytest.approx(best, rel=0.02)


def test_convolutional_levels_hold_equally_many_values_and_a_seed_is_torchs_own_layer():
    assert COLOUR.sizes == (3, 4, 16, 64) and [COLOUR.values(level) for level in range(3)] == [1024] * 3
    pixels = noise(2, 3, 3, 32, 32)
    for target in ("code", "pixels"):
        model = StackedAutoencoders(COLOUR, SEEDS, target)
        codes = model.codes(pixels)
        shapes = [(2, 3, 4, 16, 16), (2, 3, 16, 8, 8), (2, 3, 64, 4, 4)]
        assert [tuple(code.shape) for code in codes] == shapes
        assert model.decode_end_to_end(codes[-1]).shape == pixels.shape
        for level, code in enumerate(codes):
            assert model.reconstruction(level, code).shape == pixels.shape
    alone = StackedAutoencoders(COLOUR, (1,)).codes(pixels[1:])
    torch.testing.assert_close(alone[-1][0], codes[-1][1], rtol=1e-4, atol=1e-5)
    model, pixels = StackedAutoencoders(Shape((3, 8, 8), 4, 1, True), (5,)), noise(1, 2, 3, 8, 8)
    conv, back = torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.ConvTranspose2d(4, 3, 3, 2, 1, 1)
    conv.load_state_dict({"weight": model.up[0][0], "bias": model.up_bias[0][0]})
    back.load_state_dict({"weight": model.way[0][0], "bias": model.way_bias[0][0]})
    (code,) = model.codes(pixels)
    torch.testing.assert_close(code[0], conv(pixels[0]).relu())
    torch.testing.assert_close(model.decode_end_to_end(code)[0], back(conv(pixels[0]).relu()))
