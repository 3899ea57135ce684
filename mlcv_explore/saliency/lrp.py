"""Layer-wise relevance propagation (Bach et al., 2015) by Captum, of a network as it is
written.

Captum's rules belong to modules. A sum of two branches or a functional pooling has none,
and would double or lose relevance in silence. So every operation of a forward pass is
listed, those become modules with a rule, and what has no rule is refused by its name.
Operations are seen by a `TorchFunctionMode` of this thread: tracing by torch.fx replaces
the call of every module in the process meanwhile, also in other threads.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mlcv_explore.models.classifiers import Normalise
from mlcv_explore.saliency.methods import SaliencyError, Target
from mlcv_explore.saliency.rules import UNRECTIFIED, activation_kind

LINEAR = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.MaxPool2d, nn.Flatten)
INACTIVE = (nn.Identity, nn.Dropout, nn.Dropout2d)  # in evaluation
SUMS = ("add", "iadd", "radd")
# Functions of one tensor that are linear, or choose as maximum pooling does
POOLING = ("adaptive_avg_pool2d", "avg_pool2d", "max_pool2d", "mean")
WORDS = UNRECTIFIED | {
    "layer_norm": "layer normalisation",
    **dict.fromkeys(("mul", "imul", "rmul", "matmul", "bmm"), "a product of activations"),
    **dict.fromkeys(("scaled_dot_product_attention", "multi_head_attention_forward"), "attention"),
}
# They move values and compute none, or read what is no value; a dropout in evaluation returns its input
MOVING = (
    *("flatten", "reshape", "view", "permute", "transpose", "squeeze", "unsqueeze", "contiguous", "cat"),
    *("getitem", "get", "size", "dim", "chunk", "split", "to", "dropout", "clone", "detach", "assert"),
)


def relevance(network: nn.Module, images: torch.Tensor, target: Target) -> tuple[torch.Tensor, float]:
    """Relevance (B, 3, h, w) of the pixels for a class, or for the difference of two, and
    the score that it divides; changes `network`.

    By Captum's ε rule; rectifiers pass relevance on, the first layer's normalisation too.
    Biases keep their share of it. Raises SaliencyError naming the operations that have no
    rule.
    """
    from captum import attr

    ruled = _Ruled(network, images)
    with torch.no_grad():
        logits = ruled(images)
    # without the global generator's draw
    head = nn.utils.skip_init(nn.Linear, logits.shape[1], 1, bias=False, device=images.device)
    chosen = target if isinstance(target, tuple) else (target,)
    nn.init.zeros_(head.weight)
    for index, sign in zip(chosen, (1.0, -1.0), strict=False):
        head.weight.data[0, index] = sign
    total = float((logits @ head.weight.detach().T).sum())
    return attr.LRP(nn.Sequential(ruled, head)).attribute(images, 0), total


class _Ruled(nn.Module):
    """A network whose operations are modules with a rule: its children, and only they."""

    def __init__(self, network: nn.Module, images: torch.Tensor) -> None:
        super().__init__()
        self.hidden = (_with_rules(nn.Sequential(network)),)  # no child: Captum asks all of them for a rule
        self.inside, self.called = 0, []
        for module in _leaves(self.hidden[0]):
            module.register_forward_pre_hook(self._enter)
            module.register_forward_hook(self._leave)
        operations = _Operations(self)
        with torch.no_grad(), operations:
            self.hidden[0](images)
        if operations.unruled:
            missing = _listed(operations.unruled)
            raise SaliencyError(f"LRP (Captum) has no rule for {missing} in this network.")
        self.operations = operations.modules
        self.parts = nn.ModuleList([*dict.fromkeys(self.called), *self.operations])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) → (B, classes)."""
        with _Operations(self, self.operations):
            return self.hidden[0](images)

    def _enter(self, module: nn.Module, *_: object) -> None:
        self.inside += 1
        self.called.append(module)

    def _leave(self, *_: object) -> None:
        self.inside -= 1


class _Operations(TorchFunctionMode):
    """Puts modules with a rule in the place of the operations between a network's modules,
    and collects the names of those that have none.
    """

    def __init__(self, ruled: _Ruled, known: list[nn.Module] | None = None) -> None:
        super().__init__()
        self.ruled, self.known, self.modules, self.unruled = ruled, known, [], []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = "max_pool2d" if func is functional.max_pool2d else getattr(func, "__name__", "").strip("_")
        if self.ruled.inside or name in MOVING:
            return func(*args, **kwargs)
        module = _operation(func, name, args, kwargs)
        if module is None:
            self.unruled.append(name)
            return func(*args, **kwargs)
        if self.known is not None:
            module = self.known[len(self.modules)]
        self.modules.append(module)
        return module(*args[: 2 if name in SUMS else 1])


def _operation(func: Callable[..., torch.Tensor], name: str, args: Any, kwargs: Any) -> nn.Module | None:
    """The module with a rule for an operation; None where there is none."""
    from captum.attr._utils.custom_modules import Addition_Module

    tensors = [part for part in args[:2] if isinstance(part, torch.Tensor)]
    if name in SUMS and len(tensors) == 2 and not any(isinstance(part, nn.Parameter) for part in tensors):
        return Addition_Module()
    if name in POOLING and tensors:
        return _epsilon(_Pooling(func, *args[1:], **kwargs))
    kind = activation_kind(func, args, kwargs)
    return _with_rule({"relu": nn.ReLU, "relu6": nn.ReLU6}[kind]()) if kind in ("relu", "relu6") else None


class _Pooling(nn.Module):
    """A function of one tensor."""

    def __init__(self, function: Callable[..., torch.Tensor], *arguments: object, **named: object) -> None:
        super().__init__()
        self.function, self.arguments, self.named = function, arguments, named

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Tensor → the function's result."""
        return self.function(values, *self.arguments, **self.named)


def _with_rules(network: nn.Module) -> nn.Module:
    """The network with a rule on every module that has one, its own for each place."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d) and len(list(module.children())):  # timm's
            network.set_submodule(name, nn.Sequential(_plain(module), *module.children()))
    for name, module in list(network.named_modules(remove_duplicate=False)):
        if name and (ruled := _with_rule(module)) is not None:
            network.set_submodule(name, ruled)
    return network.eval()


def _leaves(network: nn.Module) -> Iterator[nn.Module]:
    for module in network.modules():
        if hasattr(module, "rule") or isinstance(module, nn.ReLU):
            yield module


def _with_rule(module: nn.Module) -> nn.Module | None:
    """A module that does the same, with a rule; None where there is none."""
    from captum import attr  # noqa: F401  the rules alone import each other in a circle
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
    return _epsilon(module) if isinstance(module, LINEAR) else None


def _epsilon(module: nn.Module) -> nn.Module:
    from captum.attr._utils.lrp_rules import EpsilonRule

    module.rule = EpsilonRule()
    return module


def _plain(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    plain = nn.BatchNorm2d(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    plain.load_state_dict({name: value for name, value in norm.state_dict().items() if "." not in name})
    return plain.eval()


def _listed(names: list[str]) -> str:
    """The operations in words; those that have none only where no other has one."""
    words = [WORDS[name] for name in names if name in WORDS] or names
    *first, last = dict.fromkeys(words)
    return f"{', '.join(first)} and {last}" if first else last
