"""The maps of several methods of any network: a method that does not apply is refused
with its reason, and the others are computed.

Beside the methods of `attribution` there is attention rollout; ReLU6 is a rectifier of
Guided Backprop; on large images integrated gradients take their steps where the path
bends; and Grad-CAM reads the tokens of a transformer. Methods whose names begin with
"captum:" are computed by that library.
"""

import difflib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from mlcv_explore.saliency import attention_rollout, attribution, captum_maps, methods, tokens
from mlcv_explore.saliency.attribution import GROUPS, METHODS, AttributionRequest, Map, Method
from mlcv_explore.saliency.captum_calls import Progress
from mlcv_explore.saliency.captum_maps import PREFIX
from mlcv_explore.saliency.methods import Attribution, SaliencyError, SaliencySettings, Target
from mlcv_explore.saliency.rules import UNRECTIFIED, ActivationNames, GuidedRectifier

LARGE = 64  # pixels a side, above which a gradient is dear
# On large images, where nothing else is set: six maps in five seconds of one core; docs/decisions.md
# has the times
QUICK = {"samples": 12, "window": 7, "stride": 4}
# Every method of a page or a command: those that recorded runs compare, and those of some networks
OWN = METHODS | {"attention_rollout": Method("Attention rollout", False)}  # computed by this package
OFFERED = OWN | captum_maps.METHODS


@dataclass(frozen=True)
class Refused:
    """A method that does not apply to a network, and why, in one sentence."""

    method: str
    reason: str


def quick(settings: SaliencySettings) -> SaliencySettings:
    """Settings for a first look at a large image: those at their defaults have the
    values of `QUICK`, and steps are not doubled until a map is complete.
    """
    changes = {name: value for name, value in QUICK.items() if name not in settings.changed()}
    return settings.replace(**changes, complete=False)


def attribute_each(
    network: nn.Module,
    image: torch.Tensor,
    target: Target,
    names: Sequence[str],
    settings: SaliencySettings,
    seed: int,
    layer: str | None = None,
    progress: Progress | None = None,
) -> Iterator[Map | Refused]:
    """The maps of these methods of `OFFERED` for an image (3, h, w) float32 in [0, 1], or
    why there is none, the cheapest first and Captum's last; `layer` is what Grad-CAM and
    Captum's methods of a layer read.

    `progress(evaluations, total)` is called again and again while Captum computes; what it
    raises ends the computation. Raises SaliencyError where no method could be computed: for
    an image, a name or a class that cannot be used.
    """
    _check_names(names)
    attribution.attribute_all(network, image, target, (), settings, seed)  # checks image and network
    device = next((parameter.device for parameter in network.parameters()), image.device)
    request = AttributionRequest(network, image.to(device), target, settings, seed, layer)
    with torch.no_grad(), ActivationNames() as called:
        methods.score(network(request.image[None]), target)
    reasons = unsupported(network, request.image, called.names)
    for group, compute in _ways(request, called.names, progress).items():
        chosen = [name for name in group if name in names]
        if chosen and chosen[0] in reasons:
            yield Refused(chosen[0], reasons[chosen[0]])
        elif chosen:
            yield from _attempt(request, group, chosen, compute)


def attribute(
    network: nn.Module,
    image: torch.Tensor,
    target: Target,
    names: Sequence[str],
    settings: SaliencySettings,
    seed: int,
    layer: str | None = None,
    progress: Progress | None = None,
) -> Iterator[Map]:
    """The same, where each method has to apply. Raises SaliencyError with the reason
    where one does not.
    """
    for result in attribute_each(network, image, target, names, settings, seed, layer, progress):
        if isinstance(result, Refused):
            raise SaliencyError(result.reason)
        yield result


def unsupported(network: nn.Module, image: torch.Tensor, called: set[str]) -> dict[str, str]:
    """Methods that do not apply to a network that calls these activations, each with
    the reason in one sentence; one forward pass.
    """
    reasons = attribution.unsupported_methods(network, image)
    reasons.pop("gradcam", None)  # it states itself what it can read
    if other := [word for name, word in UNRECTIFIED.items() if name in called]:
        reasons["guided_backprop"] = (
            "Guided Backprop has a rule for ReLU and ReLU6 alone, and this network has"
            f" {' and '.join(other)}."
        )
    if "attention" in called:
        reasons["deeplift"] = (
            "DeepLift has no rule for attention, a product of activations, and this network has it: its map"
            " would not add up."
        )
    reasons |= {PREFIX + name: reason for name, reason in reasons.items()}
    if "relu6" in called and not other:
        reasons.pop("guided_backprop", None)
        reasons.setdefault(
            f"{PREFIX}guided_backprop",
            "Guided Backprop (Captum) has a rule for ReLU alone, and this network has ReLU6.",
        )
    return reasons


Way = Callable[[], tuple[Attribution, ...]]


def _ways(
    request: AttributionRequest, called: set[str], progress: Progress | None
) -> dict[tuple[str, ...], Way]:
    """How each method is computed for this network, those that share passes together."""
    given = request.arguments
    ways: dict[tuple[str, ...], Way] = {
        ("attention_rollout",): lambda: (attention_rollout.rollout(request.network, request.image),)
    }
    ways |= {group: partial(compute, request) for group, compute in GROUPS.items()}
    ways["gradcam",] = lambda: (_grad_cam(request),)
    if "relu6" in called:
        ways["guided_backprop",] = lambda: (guided_backprop(*given),)
    if max(request.image.shape[1:]) > LARGE:
        ways["integrated_gradients",] = lambda: (integrated_gradients(*given, request.settings),)
    for name in captum_maps.METHODS:
        ways[name,] = lambda name=name: (captum_maps.attribute(request, name, progress),)
    return ways


def _attempt(
    request: AttributionRequest, group: tuple[str, ...], names: Sequence[str], compute: Way
) -> Iterator[Map | Refused]:
    """Those `names` of a group as maps, or why they do not exist."""
    start = time.perf_counter()
    try:
        computed = dict(zip(group, compute(), strict=True))
    except SaliencyError as error:
        yield from (Refused(name, str(error)) for name in names)
        return
    except (RuntimeError, AssertionError, IndexError) as error:  # of a network from elsewhere
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
        yield from (
            Refused(name, f"{OFFERED[name].label} fails for this network: {reason}.") for name in names
        )
        return
    milliseconds = (time.perf_counter() - start) * 1000
    for name in names:
        made = computed[name]
        values = made.values.detach().float().cpu().numpy()
        signed = OFFERED[name].signed or (name.endswith("gradcam") and not request.settings.cam_positive)
        cost = milliseconds, made.forwards, made.backwards
        yield Map(name, request.target, values, signed, *cost, made.checks)


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if name not in OFFERED:
            near = difflib.get_close_matches(name, OFFERED, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(OFFERED)}."
            raise SaliencyError(f"There is no method {name!r}; {hint}")


def _grad_cam(request: AttributionRequest) -> Attribution:
    """Grad-CAM of a convolution or of a block of tokens."""
    network, settings = request.network, request.settings
    layer = tokens.resolved_layer(network, request.layer, tuple(request.image.shape[1:]))
    if layer in tokens.blocks(network):
        return tokens.grad_cam(*request.arguments, settings, layer)
    plain = replace(request, network=tokens.without_in_place(network))
    return methods.grad_cam(*plain.arguments, settings, layer)


def guided_backprop(network: nn.Module, image: torch.Tensor, target: Target) -> Attribution:
    """The gradient in which every ReLU and ReLU6 propagates positive values only."""
    with GuidedRectifier():
        (gradient,) = methods.gradients(network, image, [target])
    return Attribution(gradient.sum(0), 1, 1)


def integrated_gradients(
    network: nn.Module, image: torch.Tensor, target: Target, settings: SaliencySettings
) -> Attribution:
    """Integrated gradients with steps that crowd near the baseline, where a network's
    output bends most: α = u³ at the midpoints u of equal steps, each weighted by 3u².

    Doubled until the map is complete, if so set. docs/ideas/saliency.md has the errors.
    """
    start = methods.baseline(image, settings.baseline)
    ends = methods.scores_without_gradients(network, [torch.stack([image, start])], target)
    change, steps, passes = float(ends[0] - ends[1]), settings.steps, 0
    while True:
        total = torch.zeros_like(image)
        for step in range(steps):
            share = (step + 0.5) / steps
            (gradient,) = methods.gradients(network, torch.lerp(start, image, share**3), [target])
            total += 3 * share**2 / steps * gradient
        values, passes = (total * (image - start)).sum(0), passes + steps
        gap = methods.completeness_gap(values, change)
        if gap <= methods.MAX_GAP or 2 * steps > methods.MAX_STEPS or not settings.complete:
            return Attribution(values, passes + 2, passes, {"completeness_gap": gap, "steps": steps})
        steps *= 2
