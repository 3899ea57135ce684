"""Dense networks with batch normalisation, many of one size as one module.

Features are (S, B, d), the network axis first. The normalisation is PyTorch's own, over
S · d channels, so what works on its layers works on a stack. Networks of other layers
differ in `layer`, `norm` and `features` alone.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import nn

from mlcv_explore.seeds import seeded

AT_ONCE = 2**20  # numbers of a network's inputs; of more images those are predicted in parts


class NormalisedNetworks(nn.Module):
    """S networks: hidden layers with batch normalisation and ReLU, and a linear head.

    Network s starts from the weights that stream `seeds[s]` draws, its head from stream
    `heads[s]`: networks with equal numbers are equal.
    """

    norm: type[nn.Module] = nn.BatchNorm1d

    def __init__(self, sizes: Sequence[int], seeds: Sequence[int], heads: Sequence[int] = ()) -> None:
        super().__init__()
        self.sizes, self.count = tuple(sizes), len(seeds)
        *hidden, last = itertools.pairwise(sizes)
        layers = [seeded(seed, lambda: [self.layer(*pair) for pair in hidden]) for seed in seeds]
        ends = [seeded(seed, lambda: nn.Linear(*last), "head") for seed in heads or seeds]
        levels = zip(*layers, strict=True)
        self.weights = nn.ParameterList(  # (S, out, in, …)
            torch.stack([layer.weight.detach() for layer in level]) for level in levels
        )
        self.norms = nn.ModuleList(self.norm(self.count * outputs) for _, outputs in hidden)
        self.head = nn.Parameter(torch.stack([end.weight.detach() for end in ends]))
        self.bias = nn.Parameter(torch.stack([end.bias.detach()[:, None] for end in ends]))  # (S, K, 1)

    @staticmethod
    def layer(inputs: int, outputs: int) -> nn.Module:
        """One hidden layer of one network, weights (out, in)."""
        return nn.Linear(inputs, outputs, bias=False)

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        """(S, B, …) → (S, B, d), after the last hidden layer."""
        values = inputs.flatten(2).mT  # (S, in, B)
        for weight, norm in zip(self.weights, self.norms, strict=True):
            values = weight @ values
            values = norm(values.reshape(1, -1, values.shape[-1])).view_as(values).relu()
        return values.mT

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """(S, B, d) → logits (S, B, K)."""
        return torch.baddbmm(self.bias, self.head, features.mT).mT

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(S, B, …) → logits (S, B, K)."""
        return self.classify(self.features(inputs))

    def encoder_parameters(self) -> list[nn.Parameter]:
        """All but those of the head."""
        return [*self.weights, *self.norms.parameters()]

    @torch.no_grad()
    def predict(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (S, n, K) of all networks on the same inputs (n, …), with the stored
        statistics.
        """
        self.eval()
        parts = inputs.split(at_once(inputs))
        return torch.cat([self(part.expand(self.count, *part.shape)) for part in parts], 1)


def at_once(images: torch.Tensor) -> int:
    """How many of images (n, …) a network reads at once, at least one."""
    return max(1, AT_ONCE // images[0].numel())


def repeated(networks: NormalisedNetworks, which: int, count: int) -> NormalisedNetworks:
    """`count` copies of one network of a stack, as a stack."""
    copies = type(networks)(networks.sizes, [0] * count)
    own = {}
    for name, value in networks.state_dict().items():
        if value.ndim:
            parts = value.reshape(networks.count, -1)[which].repeat(count, 1)
            own[name] = parts.reshape(count * value.shape[0] // networks.count, *value.shape[1:])
        else:
            own[name] = value  # the number of batches that statistics were taken over
    copies.load_state_dict(own)
    return copies.eval()


def joined(stacks: Sequence[NormalisedNetworks]) -> NormalisedNetworks:
    """Several stacks of networks of one size as one."""
    whole = type(stacks[0])(stacks[0].sizes, [0] * sum(stack.count for stack in stacks))
    states = [stack.state_dict() for stack in stacks]
    own = {
        name: torch.cat([state[name] for state in states]) if value.ndim else value
        for name, value in states[0].items()
    }
    whole.load_state_dict(own)
    return whole.eval()
