"""Gradient-based attribution maps of one image, for a logit or the difference of two
logits.

Logits and not probabilities: a saturated softmax has no gradient. Every function takes
a network in evaluation mode that maps images (B, 3, h, w) to logits (B, classes), one
image (3, h, w) in [0, 1], and a target. None changes the network, none holds a lock:
threads may share it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.config import Config, setting
from mlcv_explore.models.layers import convolutions
from mlcv_explore.saliency.rules import ConvolutionOutput, GuidedReLU, RescaleRule
from mlcv_explore.seeds import stream

Target = int | tuple[int, int]  # a class, or (a, b) for logit a minus logit b

BATCH_PIXELS = 2**15  # in one batch: 32 images of 32×32; more are no faster on a CPU, and memory grows
MAX_STEPS = 1024  # along a path
MAX_GAP = 0.02  # of completeness, at which the steps are enough
# standard deviation of the blurred baseline, in sides: shapes are gone, light and colour stay
BLUR_STD = 0.15


class SaliencyError(ValueError):
    """A map that cannot be computed. The text is one sentence with the reason."""


class SaliencySettings(Config):
    """Settings of the methods, at their customary values except where those mislead."""

    baseline: Literal["zero", "blur", "mean"] = setting(
        "zero",
        "Baseline",
        choices=("zero", "blur", "mean"),
        help="Reference without evidence: black, the blurred image, or its mean colour.",
    )
    steps: int = setting(
        50,
        "Steps of the path",
        low=1,
        high=512,
        help="Doubled up to 1,024 until the map's sum is the logit's change within 2 %.",
    )
    complete: bool = setting(True, "Double the steps until complete", more=True)
    samples: int = setting(25, "Noisy images", low=2, high=500)
    # Smilkov et al. advise 10 to 20 % of the range; Captum's 1.0 leaves nothing of an image in [0,
    # 1]
    noise: float = setting(
        0.1,
        "Noise σ",
        low=0,
        high=1,
        step=0.01,
        help="Standard deviation of the noise; pixels range from 0 to 1.",
    )
    shap_samples: int = setting(25, "Points of GradientShap", low=2, high=500)
    cam_positive: bool = setting(
        True, "Positive Grad-CAM only", help="The published ReLU, which Captum leaves out."
    )
    cam_rectified: bool = setting(
        True,
        "Grad-CAM reads rectified features",
        help="After the activation, as the next layers do.",
        more=True,
    )
    window: int = setting(5, "Occluding square", low=1, high=16, unit="1/32 of the side")
    stride: int = setting(2, "Stride of the square", low=1, high=16, unit="1/32 of the side")
    masks: int = setting(300, "Masks of RISE", low=2, high=8000)
    mask_cells: int = setting(
        8, "Cells of a mask", low=2, high=16, help="A side; each is visible or hidden.", more=True
    )
    mask_share: float = setting(0.5, "Visible share", low=0.1, high=0.9, more=True)
    half_precision: bool = setting(
        True, "RISE in half precision", help="Products in bfloat16, where the processor has them.", more=True
    )


@dataclass(frozen=True, eq=False)
class Attribution:
    """A map and what it cost."""

    values: torch.Tensor  # (h, w) float32
    forwards: int  # images passed through the network
    backwards: int  # and back, whole or in part
    checks: dict[str, float] = field(default_factory=dict)


def score(logits: torch.Tensor, target: Target) -> torch.Tensor:
    """What is explained, (B, classes) → (B,). Raises SaliencyError for a class that
    does not exist or a difference of a class with itself.
    """
    chosen = target if isinstance(target, tuple) else (target,)
    for index in chosen:
        if not 0 <= index < logits.shape[1]:
            raise SaliencyError(
                f"The target must be between 0 and {logits.shape[1] - 1}, the classes of this network; got"
                f" {index}."
            )
    if len(set(chosen)) < len(chosen):
        raise SaliencyError(f"A difference needs two classes, got {target[0]} twice.")
    return logits[:, chosen[0]] - logits[:, chosen[1]] if len(chosen) > 1 else logits[:, chosen[0]]


def gradients(network: nn.Module, image: torch.Tensor, targets: Sequence[Target]) -> torch.Tensor:
    """The gradients of several targets, (len(targets), 3, h, w), each batch of them in
    one backward pass.
    """
    gradients_of, size = [], _batch_size(image)
    for start in range(0, len(targets), size):
        part = targets[start : start + size]
        points = _points(image.expand(len(part), *image.shape))
        with torch.enable_grad():
            logits = network(points)
            total = torch.stack(
                [score(row[None], target) for row, target in zip(logits, part, strict=True)]
            ).sum()
        gradients_of.append(torch.autograd.grad(total, points)[0])
    return torch.cat(gradients_of)


def gradient_maps(network: nn.Module, image: torch.Tensor, target: Target) -> tuple[Attribution, Attribution]:
    """Gradient, and input × gradient, from one pass; the channels are summed with their
    signs.
    """
    (gradient,) = gradients(network, image, [target])
    return Attribution(gradient.sum(0), 1, 1), Attribution((gradient * image).sum(0), 1, 1)


def noise_maps(
    network: nn.Module, image: torch.Tensor, target: Target, settings: SaliencySettings, seed: int
) -> tuple[Attribution, Attribution, Attribution]:
    """SmoothGrad (Smilkov et al., 1706.03825), SmoothGrad² and VarGrad from the same
    noisy images: mean, mean square and variance of the gradient.

    The last two are never negative.
    """
    generator = stream(seed, "noise of the picture")
    images = (
        image + settings.noise * torch.randn(image.shape, generator=generator).to(image.device)
        for _ in range(settings.samples)
    )
    total, squares = (
        torch.zeros_like(image, dtype=torch.float64),
        torch.zeros_like(image, dtype=torch.float64),
    )
    for gradient in _gradients_along(network, images, target):
        total += gradient.sum(0)
        squares += gradient.square().sum(0)
    mean, square = total / settings.samples, squares / settings.samples
    values = (mean, square, (square - mean.square()).clamp(min=0))
    return tuple(Attribution(value.sum(0).float(), settings.samples, settings.samples) for value in values)


def guided_backprop(network: nn.Module, image: torch.Tensor, target: Target) -> Attribution:
    """The gradient in which every ReLU propagates positive values only."""
    with GuidedReLU():
        (gradient,) = gradients(network, image, [target])
    return Attribution(gradient.sum(0), 1, 1)


def deeplift(
    network: nn.Module, image: torch.Tensor, target: Target, settings: SaliencySettings
) -> Attribution:
    """DeepLift by its rescale rule. The completeness gap is rounding, unless the
    network has functions no rule is known for (softmax, products).
    """
    start = baseline(image, settings.baseline)
    points = _points(torch.stack([image, start]))
    with torch.enable_grad(), RescaleRule():
        scores = score(network(points), target)
        multipliers = torch.autograd.grad(scores[0], points)[0][0]
    values = (multipliers * (image - start)).sum(0)
    scores = scores.detach()
    return Attribution(
        values, 2, 1, {"completeness_gap": completeness_gap(values, float(scores[0] - scores[1]))}
    )


def integrated_gradients(
    network: nn.Module, image: torch.Tensor, target: Target, settings: SaliencySettings
) -> Attribution:
    """Integrated gradients (Sundararajan et al., 1703.01365): midpoints of equal steps,
    doubled until the map is complete, if so set.

    Midpoints, because at the baseline itself the gradient is arbitrary: on a flat image
    every maximum is a tie.
    """
    start = baseline(image, settings.baseline)
    ends = scores_without_gradients(network, [torch.stack([image, start])], target)
    change = float(ends[0] - ends[1])
    steps, passes = settings.steps, 0
    while True:
        points = (torch.lerp(start, image, (step + 0.5) / steps) for step in range(steps))
        mean = sum(gradient.sum(0) for gradient in _gradients_along(network, points, target)) / steps
        values, passes = (mean * (image - start)).sum(0), passes + steps
        gap = completeness_gap(values, change)
        if gap <= MAX_GAP or 2 * steps > MAX_STEPS or not settings.complete:
            return Attribution(values, passes + 2, passes, {"completeness_gap": gap, "steps": steps})
        steps *= 2


def gradient_shap(
    network: nn.Module, image: torch.Tensor, target: Target, settings: SaliencySettings, seed: int
) -> Attribution:
    """Expected gradients (Erion et al., 1906.10670): each point lies somewhere between
    the image and one of its three baselines.
    """
    generator = stream(seed, "points of GradientShap")
    starts = torch.stack([baseline(image, kind) for kind in ("zero", "blur", "mean")])
    chosen = torch.randint(len(starts), (settings.shap_samples,), generator=generator).to(image.device)
    shares = torch.rand(settings.shap_samples, generator=generator).to(image.device)
    points = (torch.lerp(starts[index], image, share) for index, share in zip(chosen, shares, strict=True))
    values, done = torch.zeros_like(image), 0
    for gradient in _gradients_along(network, points, target):
        values += (gradient * (image - starts[chosen[done : done + len(gradient)]])).sum(0)
        done += len(gradient)
    return Attribution(values.sum(0) / settings.shap_samples, settings.shap_samples, settings.shap_samples)


def grad_cam(
    network: nn.Module,
    image: torch.Tensor,
    target: Target,
    settings: SaliencySettings,
    layer: str | None = None,
) -> Attribution:
    """Grad-CAM (Selvaraju et al., 1610.02391) at a convolution, the last one by
    default; never negative with `cam_positive`.

    Gradients are tracked from that layer on only, so a late layer costs little more
    than the forward pass. Raises SaliencyError for an unknown layer.
    """
    features = ConvolutionOutput(named_convolution(network, layer), settings.cam_rectified)
    with torch.no_grad(), features:
        total = score(network(image[None]), target).sum()
    if features.values is None:
        raise SaliencyError(
            f"The image does not pass through the convolution {layer or 'named last'}, so Grad-CAM has"
            " nothing to show."
        )
    (gradient,) = torch.autograd.grad(total, features.values)
    with torch.no_grad():
        values = (gradient.mean((2, 3), keepdim=True) * features.values).sum(1, keepdim=True)
        values = values.relu() if settings.cam_positive else values
        values = functional.interpolate(values, image.shape[1:], mode="bilinear", align_corners=False)
    return Attribution(values[0, 0], 1, 1)


def named_convolution(network: nn.Module, layer: str | None) -> nn.Conv2d:
    """The convolution of that name, or the last one; raises SaliencyError where there
    is none.
    """
    named = convolutions(network)
    if not named:
        raise SaliencyError("Grad-CAM needs a convolution, and this network has none.")
    if layer is not None and layer not in named:
        raise SaliencyError(
            f"The layer must be a convolution of this network ({', '.join(named)}), got {layer!r}."
        )
    return named[layer] if layer is not None else next(reversed(named.values()))


def baseline(image: torch.Tensor, kind: str) -> torch.Tensor:
    """The reference image (3, h, w): black, blurred until no shape is left, or the mean
    colour.
    """
    if kind == "zero":
        return torch.zeros_like(image)
    if kind == "mean":
        return image.mean((1, 2), keepdim=True).expand_as(image)
    blurred = image
    for axis in (1, 2):
        places = torch.arange(image.shape[axis], device=image.device, dtype=torch.float32)
        weights = torch.exp(-((places[:, None] - places) ** 2) / (2 * (BLUR_STD * len(places)) ** 2))
        blurred = torch.movedim(
            torch.movedim(blurred, axis, -1) @ (weights / weights.sum(1, keepdim=True)).T, -1, axis
        )
    return blurred


def completeness_gap(values: torch.Tensor, change: float) -> float:
    """|sum of the map − change of the score| / |change of the score|; infinite where
    the score does not change but the map is not empty.
    """
    missing = abs(float(values.sum(dtype=torch.float64)) - change)
    return missing / abs(change) if change else (float("inf") if missing else 0.0)


def _gradients_along(
    network: nn.Module, images: Iterable[torch.Tensor], target: Target
) -> Iterator[torch.Tensor]:
    """Gradients (n, 3, h, w) of batches of images."""
    for batch in batches(images):
        points = _points(batch)
        with torch.enable_grad():
            total = score(network(points), target).sum()
        yield torch.autograd.grad(total, points)[0]


def scores_without_gradients(
    network: nn.Module, batches: Iterable[torch.Tensor], target: Target, half: bool = False
) -> torch.Tensor:
    """Scores (n,) float32, without gradients."""
    scores = []
    for batch in batches:
        with torch.no_grad(), torch.autocast(batch.device.type, torch.bfloat16, enabled=half):
            scores.append(score(network(batch.contiguous(memory_format=torch.channels_last)).float(), target))
    return torch.cat(scores)


def batches(images: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Batches of a size that fits the cache."""
    batch: list[torch.Tensor] = []
    for image in images:
        batch.append(image)
        if len(batch) == _batch_size(image):
            yield torch.stack(batch)
            batch = []
    if batch:
        yield torch.stack(batch)


def _batch_size(image: torch.Tensor) -> int:
    return max(1, BATCH_PIXELS // image[0].numel())


def _points(batch: torch.Tensor) -> torch.Tensor:
    """A leaf to differentiate at; channels last, which is what convolutions on a CPU
    are fastest with.
    """
    return batch.detach().clone(memory_format=torch.channels_last).requires_grad_()
