"""Stacked seeds: they start, step and end as the same networks one by one."""

import itertools

import pytest
import torch
from torch import nn

from mlcv_explore.models.resnet import small_resnet
from mlcv_explore.models.stacked import SeparateModels, StackedDense, evaluate, gradient_step
from mlcv_explore.seeds import seeded, stream

SIZES = (6, 12, 8, 4)
SEEDS = (3, 5, 8)


def alone(seed: int) -> nn.Sequential:
    """The network whose copy a stack holds for this seed."""
    layers = seeded(seed, lambda: [nn.Linear(6, 12), nn.Linear(12, 8), nn.Linear(8, 4)])
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


def batches(count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    rng = stream(0, "a test")
    return [
        (torch.randn(len(SEEDS), 16, 6, generator=rng), torch.randint(0, 4, (len(SEEDS), 16), generator=rng))
        for _ in range(count)
    ]


def test_a_stack_starts_as_its_networks_alone():
    """Weights bit for bit, logits to rounding; the ReLU in place spares the inputs."""
    (inputs, _), *_ = batches(1)
    stack, original = StackedDense(SIZES, SEEDS), inputs.clone()
    logits = stack(inputs)
    for index, seed in enumerate(SEEDS):
        for weight, bias, linear in zip(stack.weights, stack.biases, alone(seed)[::2], strict=True):
            assert torch.equal(weight[index], linear.weight) and torch.equal(bias[index, :, 0], linear.bias)
        assert torch.allclose(logits[index], alone(seed)(inputs[index]), atol=1e-6)
    assert torch.equal(inputs, original)


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    StackedDense(SIZES, SEEDS)
    SeparateModels(lambda: nn.Linear(6, 4), SEEDS)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_stack_steps_as_its_networks_alone():
    stack, singles = StackedDense(SIZES, SEEDS), [alone(seed) for seed in SEEDS]
    together = torch.optim.Adam(stack.parameters(), lr=0.01, fused=True)
    optimisers = [torch.optim.Adam(single.parameters(), lr=0.01, fused=True) for single in singles]
    for inputs, labels in batches(20):
        losses = nn.functional.cross_entropy(stack(inputs).flatten(0, 1), labels.flatten(), reduction="none")
        gradient_step(together, losses.view(len(SEEDS), -1).mean(1).sum())
        for index, (single, optimiser) in enumerate(zip(singles, optimisers, strict=True)):
            gradient_step(optimiser, nn.functional.cross_entropy(single(inputs[index]), labels[index]))
    (inputs, _), *_ = batches(1)
    for index, single in enumerate(singles):
        assert torch.allclose(stack(inputs)[index], single(inputs[index]), atol=1e-3)


def test_a_seed_of_a_stack_does_not_feel_the_others():
    (inputs, labels), *_ = batches(1)
    stack = StackedDense(SIZES, SEEDS)
    before = stack(inputs).detach()
    nn.functional.cross_entropy(stack(inputs)[1], labels[1]).backward()
    for parameter in stack.parameters():
        assert parameter.grad[1].abs().sum() > 0 and parameter.grad[[0, 2]].abs().sum() == 0
    gradient_step(
        torch.optim.SGD(stack.parameters(), lr=1.0), nn.functional.cross_entropy(stack(inputs)[1], labels[1])
    )
    after = stack(inputs).detach()
    assert torch.equal(before[[0, 2]], after[[0, 2]]) and not torch.equal(before[1], after[1])


def test_a_gradient_that_is_given_is_the_one_that_is_found():
    (inputs, _), *_ = batches(1)
    computed, given = StackedDense(SIZES, SEEDS), StackedDense(SIZES, SEEDS)
    output = computed(inputs)
    gradient_step(torch.optim.SGD(computed.parameters(), lr=0.1), output.square().sum())
    output = given(inputs)
    gradient_step(torch.optim.SGD(given.parameters(), lr=0.1), output, 2 * output.detach())
    for one, other in zip(computed.parameters(), given.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("shared", [True, False])
def test_evaluation_is_the_forward_pass_in_parts(shared):
    stack, rng = StackedDense(SIZES, SEEDS), stream(1, "a test")
    parts = (
        [torch.randn(23, 6, generator=rng)] * 3
        if shared
        else [torch.randn(23, 6, generator=rng) for _ in SEEDS]
    )
    logits = evaluate(stack, parts, shared, batch=7)
    assert logits.shape == (3, 23, 4) and not logits.requires_grad and stack.training
    assert torch.allclose(logits, stack(torch.stack(parts)), atol=1e-6)


def test_one_by_one_keeps_batch_statistics_of_training_out_of_evaluation():
    stack = SeparateModels(lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)), SEEDS)
    (inputs, _), *_ = batches(1)
    assert stack(inputs).shape == (3, 16, 4)
    before = [buffer.clone() for buffer in stack.buffers()]
    evaluate(stack, list(inputs), False)
    assert all(torch.equal(one, other) for one, other in zip(before, stack.buffers(), strict=True))
    assert not torch.equal(stack.networks[0][0].weight, stack.networks[1][0].weight)


def test_a_image_is_evaluated_by_itself():
    """Batch normalisation uses its running statistics: the images beside one do not
    matter.
    """
    stack, images = (
        SeparateModels(lambda: small_resnet(3, 4, 10), (0,)),
        torch.randn(12, 3, 8, 8, generator=stream(2, "a test")),
    )
    stack(images[None])  # running statistics away from their start
    together, single = (evaluate(stack, [part], shared=True) for part in (images, images[:1]))
    assert torch.allclose(together[:, :1], single, atol=1e-5)
    assert not torch.allclose(together, stack(images[None]), atol=0.01)


def test_the_residual_network_halves_twice_and_learns_with_every_layer():
    network, images = (
        seeded(0, lambda: small_resnet(1, 4, 3)),
        torch.randn(6, 1, 16, 16, generator=stream(3, "a test")),
    )
    passed = itertools.accumulate(network[:4], lambda values, layer: layer(values), initial=images)
    assert [tuple(values.shape[1:]) for values in passed] == [
        (1, 16, 16),
        (4, 16, 16),
        (4, 16, 16),
        (8, 8, 8),
        (16, 4, 4),
    ]
    nn.functional.cross_entropy(network(images), torch.arange(6) % 3).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in network.parameters())
