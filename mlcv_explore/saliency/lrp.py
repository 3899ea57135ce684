"""Layer-wise relevance propagation (Bach et al., 2015) by Captum, of a network as it is
written.

Captum's rules belong to modules. A sum of two branches or a functional pooling has none,
and would double or lose relevance in silence. So the network is traced, such operations
become modules with a rule, and what has no rule is refused by its name.
"""

import operator
from collections.abc import Callable

import torch
from torch import fx, nn
from torch.nn import functional

from mlcv_explore.models.classifiers import Normalise
from mlcv_explore.saliency.methods import SaliencyError, Target

LINEAR = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.MaxPool2d, nn.Flatten)
RECTIFIERS = (nn.ReLU, nn.ReLU6)
INACTIVE = (nn.Identity, nn.Dropout, nn.Dropout2d)  # in evaluation
SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")
# Functions of one tensor that are linear, or choose as maximum pooling does
POOLING = (
    functional.adaptive_avg_pool2d,
    functional.avg_pool2d,
    functional.max_pool2d,
    torch.mean,
    "mean",
)  # fmt: skip
RELUS = (functional.relu, torch.relu, "relu", "relu_")
# They move values and compute none; a dropout in evaluation returns its input
MOVING = (
    *(torch.flatten, torch.reshape, torch.permute, torch.squeeze, torch.cat, torch._assert),
    *("flatten", "reshape", "view", "permute", "squeeze", "unsqueeze", "contiguous", "size", "dim"),
    *(functional.dropout, operator.getitem, getattr, operator.eq),
)


class _Pooling(nn.Module):
    """A linear function of one tensor, or a maximum."""

    def __init__(self, function: Callable[..., torch.Tensor], *arguments: object, **named: object) -> None:
        super().__init__()
        self.function, self.arguments, self.named = function, arguments, named

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Tensor → the function's result."""
        return self.function(values, *self.arguments, **self.named)


class _Tracer(fx.Tracer):
    """Follows a forward pass down to the modules that have a rule."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        """Whether a module is one operation."""
        known = isinstance(module, (*LINEAR, *RECTIFIERS, *INACTIVE, Normalise))
        return known or super().is_leaf_module(module, name)


def relevance(network: nn.Module, images: torch.Tensor, target: Target) -> tuple[torch.Tensor, float]:
    """Relevance (B, 3, h, w) of the pixels for a class, or for the difference of two, and
    the score that it divides; changes `network`.

    By Captum's ε rule; rectifiers pass relevance on, the first layer's normalisation too.
    Biases keep their share of it. Raises SaliencyError naming the operations that have no
    rule.
    """
    from captum import attr

    with torch.no_grad():
        classes = network(images).shape[1]
    # without the global generator's draw
    head = nn.utils.skip_init(nn.Linear, classes, 1, bias=False, device=images.device)
    chosen = target if isinstance(target, tuple) else (target,)
    nn.init.zeros_(head.weight)
    for index, sign in zip(chosen, (1.0, -1.0), strict=False):
        head.weight.data[0, index] = sign
    scored = nn.Sequential(_with_rules(network), head)
    with torch.no_grad():
        total = float(scored(images).sum())
    return attr.LRP(scored).attribute(images, 0), total


def _with_rules(network: nn.Module) -> fx.GraphModule:
    """The network as a graph of modules that Captum has a rule for."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d) and len(list(module.children())):
            network.set_submodule(name, nn.Sequential(_plain(module), *module.children()))  # timm's
    try:
        graph = _Tracer().trace(network)
    except Exception as error:  # of a forward pass from elsewhere that depends on its values
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
        raise SaliencyError(
            f"LRP follows every operation of a network, and this one's cannot be listed: {reason}."
        ) from None
    traced, unruled = fx.GraphModule(network, graph), []
    for number, node in enumerate(list(graph.nodes)):
        operation = traced.get_submodule(node.target) if node.op == "call_module" else node.target
        module = _ruled(operation, node)
        if isinstance(module, str):
            unruled.append(module)
        elif module is not None:
            traced.add_submodule(f"operation{number}", module)
            with graph.inserting_after(node):
                tensors = node.all_input_nodes[: 2 if operation in SUMS else 1]
                other = graph.call_module(f"operation{number}", tuple(tensors))
            node.replace_all_uses_with(other)
            graph.erase_node(node)
    if unruled:
        raise SaliencyError(f"LRP (Captum) has no rule for {_listed(unruled)} in this network.")
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced.eval()


def _ruled(operation: object, node: fx.Node) -> nn.Module | str | None:
    """The module with a rule in a node's place, its name where there is no rule, or None
    where it stays.
    """
    from captum.attr._utils.custom_modules import Addition_Module

    if node.op in ("placeholder", "output", "get_attr"):
        return None
    if isinstance(operation, nn.Module):
        return _with_rule(operation)
    if operation in RELUS:
        return _with_rule(nn.ReLU())
    if operation is functional.relu6:
        return _with_rule(nn.ReLU6())
    if operation in SUMS and len(node.args) == 2 and all(isinstance(part, fx.Node) for part in node.args):
        return Addition_Module()
    if operation in POOLING:
        function = getattr(torch.Tensor, operation) if isinstance(operation, str) else operation
        return _epsilon(_Pooling(function, *node.args[1:], **node.kwargs))
    if operation in MOVING:
        return None
    name = operation if isinstance(operation, str) else getattr(operation, "__name__", str(operation))
    return "a product of activations" if name in ("mul", "mul_", "imul", "matmul") else name


def _with_rule(module: nn.Module) -> nn.Module | str:
    from captum.attr import LRP  # noqa: F401  the rules' package is complete only then
    from captum.attr._utils.lrp_rules import IdentityRule

    if isinstance(module, nn.ReLU6):
        # the module before it keeps the rule of ReLU6 off a value that is also read elsewhere
        inner = nn.ReLU6()
        inner.rule = IdentityRule()
        return nn.Sequential(_epsilon(nn.Identity()), inner)
    if isinstance(module, nn.ReLU):
        return nn.ReLU()  # its own, not in place
    if isinstance(module, Normalise):
        module.rule = IdentityRule()
        return module
    if isinstance(module, INACTIVE):
        return _epsilon(nn.Identity())
    return _epsilon(module) if isinstance(module, LINEAR) else type(module).__name__


def _epsilon(module: nn.Module) -> nn.Module:
    from captum.attr._utils.lrp_rules import EpsilonRule

    module.rule = EpsilonRule()
    return module


def _plain(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    plain = nn.BatchNorm2d(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    plain.load_state_dict(norm.state_dict())
    return plain.eval()


def _listed(names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    *first, last = [*names[:3], *([f"{len(names) - 3} more"] if len(names) > 3 else [])]
    return f"{', '.join(first)} and {last}" if first else last
