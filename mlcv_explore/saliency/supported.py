"""The maps of several methods of any network: a method that does not apply is refused
with its reason, and the others are computed.

Beside the methods of `attribution` there is attention rollout; ReLU6 is a rectifier of
Guided Backprop; on large images integrated gradients take their steps where the path
bends; and Grad-CAM reads the tokens of a transformer.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from mlcv_explore.saliency import attention_rollout, attribution, methods, tokens
from mlcv_explore.saliency.attribution import METHODS, Map, Method
from mlcv_explore.saliency.methods import Attribution, SaliencyError, SaliencySettings, Target
from mlcv_explore.saliency.rules import UNRECTIFIED, ActivationNames, GuidedRectifier

LARGE = 64  # pixels a side, above which a gradient is dear
# On large images, where nothing else is set: six maps in five seconds of one core; docs/decisions.md
# has the times
QUICK = {"samples": 12, "window": 7, "stride": 4}
# Every method of a page or a command: those that recorded runs compare, and those of some networks
OFFERED = METHODS | {"attention_rollout": Method("Attention rollout", False)}


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
) -> Iterator[Map | Refused]:
    """The maps of these methods as `attribute_all` yields them, the refused ones first.

    Raises SaliencyError where no method could be computed: for an image, a name or a
    class that cannot be used.
    """
    given = (network, image, target)
    # checks what all methods have in common
    attribution.attribute_all(*given, [name for name in names if name not in OFFERED], settings, seed)
    device = next((parameter.device for parameter in network.parameters()), image.device)
    image = image.to(device)
    with torch.no_grad(), ActivationNames() as called:
        methods.score(network(image[None]), target)
    reasons = unsupported(network, image, called.names)
    left, own = [], {}
    for name in names:
        if name == "gradcam":
            try:
                layer = tokens.resolved_layer(network, layer, tuple(image.shape[1:]))
                left.append(name)
            except SaliencyError as error:
                yield Refused(name, str(error))
        elif name in reasons:
            yield Refused(name, reasons[name])
        else:
            left.append(name)
    if "gradcam" in left and layer in tokens.blocks(network):
        own["gradcam"] = lambda: tokens.grad_cam(*given, settings, layer)
    elif "gradcam" in left:
        plain = tokens.without_in_place(network)
        own["gradcam"] = lambda: methods.grad_cam(plain, image, target, settings, layer)
    if "guided_backprop" in left and "relu6" in called.names:
        own["guided_backprop"] = lambda: guided_backprop(*given)
    if "integrated_gradients" in left and max(image.shape[1:]) > LARGE:
        own["integrated_gradients"] = lambda: integrated_gradients(*given, settings)
    own["attention_rollout"] = lambda: attention_rollout.rollout(network, image)
    for group in (("attention_rollout",), *attribution.GROUPS):
        chosen = [name for name in group if name in left]
        try:
            if chosen and chosen[0] in own:
                start = time.perf_counter()
                result = own[chosen[0]]()
                yield _map(chosen[0], target, result, settings, (time.perf_counter() - start) * 1000)
            elif chosen:
                yield from attribution.attribute_all(*given, chosen, settings, seed, layer)
        except SaliencyError as error:
            yield from (Refused(name, str(error)) for name in chosen)
        except (RuntimeError, AssertionError, IndexError) as error:  # of a network from elsewhere
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
            yield from (
                Refused(name, f"{OFFERED[name].label} fails for this network: {reason}.") for name in chosen
            )


def attribute(
    network: nn.Module,
    image: torch.Tensor,
    target: Target,
    names: Sequence[str],
    settings: SaliencySettings,
    seed: int,
    layer: str | None = None,
) -> Iterator[Map]:
    """The same, where each method has to apply. Raises SaliencyError with the reason
    where one does not.
    """
    for result in attribute_each(network, image, target, names, settings, seed, layer):
        if isinstance(result, Refused):
            raise SaliencyError(result.reason)
        yield result


def unsupported(network: nn.Module, image: torch.Tensor, called: set[str]) -> dict[str, str]:
    """Methods that do not apply to a network that calls these activations, each with
    the reason in one sentence; one forward pass.
    """
    reasons = attribution.unsupported_methods(network, image)
    if "relu6" in called:
        reasons.pop("guided_backprop", None)
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
    return reasons


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


def _map(
    name: str, target: Target, made: Attribution, settings: SaliencySettings, milliseconds: float
) -> Map:
    values = made.values.detach().float().cpu().numpy()
    cost = milliseconds, made.forwards, made.backwards
    signed = OFFERED[name].signed or (name == "gradcam" and not settings.cam_positive)
    return Map(name, target, values, signed, *cost, made.checks)
