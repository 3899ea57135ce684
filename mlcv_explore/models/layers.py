"""The layers of a network: its convolutions, the sites between its blocks, and copies with
the last layers randomised.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from mlcv_explore.seeds import seeded

# of weights whose module has no initialisation of its own: class tokens, position embeddings, layer scales
INITIAL_STD = 0.02
UNFIT = (
    "{name} is not one chain of blocks whose features are maps or vectors (its blocks pass on tokens, or more"
    " than one value), so it has no sites; use imagenet, cifar10/1 or another convolutional network."
)


@dataclass(frozen=True, eq=False)
class Chain:
    """A network as blocks one after another. Site 0 is the input, site i the output of
    block i − 1; the last are the logits.
    """

    blocks: tuple[Callable[[torch.Tensor], torch.Tensor], ...]
    names: tuple[str, ...]  # of the sites, one more than blocks

    def activations(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        """What is at every site, in one pass: (B, …) each, the input first."""
        values = [inputs]
        for block in self.blocks:
            values.append(block(values[-1]))
        return values

    def between(self, first: int, last: int) -> Callable[[torch.Tensor], torch.Tensor]:
        """From the activations at one site to those at a later one."""

        def part(values: torch.Tensor) -> torch.Tensor:
            for block in self.blocks[first:last]:
                values = block(values)
            return values

        return part

    def tail(self, site: int) -> Callable[[torch.Tensor], torch.Tensor]:
        """From the activations at a site to the logits (B, K)."""
        return self.between(site, len(self.blocks))


def chain(network: nn.Module, name: str = "The network") -> Chain:
    """A classifier as a chain: modules without weights belong to the block before them,
    normalisation of the input to the first block, and the last linear layer stands alone.

    Raises ValueError where its modules in the order of declaration are not the network.
    """
    parts = _flat(network)
    groups: list[list[nn.Module]] = [[]]
    for part in parts:
        weighted = any(True for _ in part.parameters())
        started = any(any(True for _ in module.parameters()) for module in groups[-1])
        if weighted and started:
            groups.append([])
        groups[-1].append(part)
    linear = next((place for place, part in enumerate(groups[-1]) if isinstance(part, nn.Linear)), 0)
    if linear:  # pooling stands before it
        groups[-1:] = [groups[-1][:linear], groups[-1][linear:]]
    blocks = tuple(nn.Sequential(*group) for group in groups)
    names = ("input", *(f"block {number}" for number in range(1, len(blocks))), "logits")
    made = Chain(blocks, names)
    _check(made, network, name)
    return made


def _flat(network: nn.Module) -> list[nn.Module]:
    """Its parts in order: those of a sequence, and of EfficientNet-Lite0 its stages."""
    from mlcv_explore.models.efficientnet_lite import EfficientNetLite0

    if isinstance(network, EfficientNetLite0):
        head = nn.Sequential(network.conv_head, network.bn2, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return [nn.Sequential(network.conv_stem, network.bn1), *network.blocks, head, network.classifier]
    if isinstance(network, nn.Sequential):
        return [part for child in network for part in (_flat(child) if _is_chain(child) else [child])]
    return list(network.children())


def _is_chain(module: nn.Module) -> bool:
    from mlcv_explore.models.efficientnet_lite import EfficientNetLite0

    return isinstance(module, EfficientNetLite0)


@torch.no_grad()
def _check(made: Chain, network: nn.Module, name: str) -> None:
    channels = next((layer.in_channels for layer in convolutions(network).values()), 3)
    probe = torch.linspace(0, 1, channels * 32 * 32).view(1, channels, 32, 32)
    try:
        values = made.activations(probe)
        equal = torch.allclose(values[-1], network(probe), rtol=1e-3, atol=1e-3)
    except (RuntimeError, TypeError, ValueError, AttributeError):
        equal = False
    if not equal or any(value.ndim not in (2, 4) for value in values):
        raise ValueError(UNFIT.format(name=name))


def convolutions(network: nn.Module) -> dict[str, nn.Conv2d]:
    """The two-dimensional convolutions by name, in the order they were declared."""
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}


def layers(network: nn.Module) -> dict[str, tuple[str, ...]]:
    """Layer → its modules with weights, in the order of declaration, input first.

    A layer is a module with a matrix or a kernel; normalisations, which have only
    vectors, belong to the layer before them.
    """
    groups: dict[str, tuple[str, ...]] = {}
    for name, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        if own and (not groups or max(parameter.ndim for parameter in own) > 1):
            groups[name] = (name,)
        elif own:
            last = next(reversed(groups))
            groups[last] += (name,)
    return groups


def randomised(network: nn.Module, layers_from_top: int, seed: int) -> nn.Module:
    """A copy whose last `layers_from_top` layers are re-initialised, weights and
    running statistics (cascading randomisation, Adebayo et al., 1810.03292).

    A layer's new weights depend on seed and layer alone: copies with k and k + 1 layers
    randomised differ in one layer. Raises ValueError when the network has fewer layers.
    """
    names = layers(network)
    if not 0 <= layers_from_top <= len(names):
        raise ValueError(f"layers_from_top must be between 0 and {len(names)}, got {layers_from_top}.")
    other = copy.deepcopy(network)
    for layer in list(names)[len(names) - layers_from_top :]:
        modules = [other.get_submodule(name) for name in names[layer]]
        seeded(
            seed, lambda modules=modules: [_reinitialise(module) for module in modules], f"randomised {layer}"
        )
    return other


@torch.no_grad()
def _reinitialise(module: nn.Module) -> None:
    # the second is attention's
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if reset is not None:
        reset()
        return
    for parameter in module.parameters(recurse=False):
        nn.init.trunc_normal_(parameter, std=INITIAL_STD)
