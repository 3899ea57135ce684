"""The calls of Captum, method by method: each on a copy of the network, with its evaluations
counted and reported.
"""

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.saliency import methods, tokens
from mlcv_explore.saliency.attribution import AttributionRequest
from mlcv_explore.saliency.lrp import relevance
from mlcv_explore.saliency.methods import Attribution, SaliencyError, Target
from mlcv_explore.saliency.superpixels import superpixels
from mlcv_explore.seeds import seeded, stream

NOISE = {"smoothgrad": "smoothgrad", "smoothgrad_squared": "smoothgrad_sq", "vargrad": "vargrad"}
WITHOUT_GRADIENTS = ("occlusion", "feature_ablation", "kernel_shap")
POINTS_AT_ONCE = 4  # along a path at a layer: neighbouring batches share a point, and gradients start late
FINER = 4  # steps of layer conductance for one of the path: it takes differences between them

Progress = Callable[[int, int], None]  # evaluations of the network so far, and about how many there will be


class ScoreNetwork(nn.Module):
    """The explained logit, or difference of two, as a network's only output."""

    def __init__(self, network: nn.Module, target: Target) -> None:
        super().__init__()
        self.network, self.target = network, target

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) → (B, 1)."""
        return methods.score(self.network(images), self.target)[:, None]


class _Counted(ScoreNetwork):
    """Counts and reports the images it evaluates."""

    def __init__(self, network: nn.Module, target: Target, report: Progress) -> None:
        super().__init__(network, target)
        self.report, self.count, self.total, self.from_layer = report, 0, 1, False

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) → (B, 1)."""
        self.report(min(self.count, self.total), self.total)
        self.count += len(images)
        images = images.detach() if self.from_layer else images  # its gradients need no graph before it
        return super().forward(images.contiguous(memory_format=torch.channels_last))


class Call:
    """One call of Captum: the copied network, the image as its batch, and the baseline."""

    def __init__(self, request: AttributionRequest, label: str, name: str, report: Progress) -> None:
        from captum import attr  # it brings matplotlib

        self.attr, self.label, self.name, self.report = attr, label, name, report
        self.request, self.settings = request, request.settings
        self.score = _Counted(copy.deepcopy(request.network), request.target, report).eval()
        self.batch = request.image[None].clone().requires_grad_()
        self.start = methods.baseline(request.image, self.settings.baseline)[None]
        self.size = tuple(request.image.shape[1:])
        self.at_once = max(1, methods.BATCH_PIXELS // request.image[0].numel())

    def change(self) -> float:
        """The score of the image minus that of the baseline."""
        ends = [self.batch.detach(), self.start]
        scores = methods.scores_without_gradients(self.score.network, ends, self.request.target)
        return float(scores[0] - scores[1])

    def made(self, values: torch.Tensor, total: float | None = None) -> Attribution:
        """The map (h, w) with its cost, and how far its sum is from `total`."""
        values, count = values.detach().float(), self.score.count
        checks = {} if total is None else {"completeness_gap": methods.completeness_gap(values, total)}
        return Attribution(values, count, 0 if self.name in WITHOUT_GRADIENTS else count, checks)

    def layer(self) -> nn.Module:
        """The convolution that is read; raises SaliencyError where the layer has tokens."""
        read = tokens.resolved_layer(self.score.network, self.request.layer, self.size)
        if read in tokens.blocks(self.score.network):
            other = ": use mlcv-explore's" if self.name == "gradcam" else ""
            raise SaliencyError(
                f"{self.label} averages over the places of a convolution, and {read} has tokens{other}."
            )
        return methods.named_convolution(self.score.network, read)

    def upsampled(self, coarse: torch.Tensor) -> torch.Tensor:
        """A layer's map (1, 1, rows, columns) as one of the image (h, w)."""
        return functional.interpolate(coarse, self.size, mode="bilinear", align_corners=False)[0, 0]


def _gradient(given: Call) -> Attribution:
    return given.made(given.attr.Saliency(given.score).attribute(given.batch, 0, abs=False)[0].sum(0))


def _input_x_gradient(given: Call) -> Attribution:
    return given.made(given.attr.InputXGradient(given.score).attribute(given.batch, 0)[0].sum(0))


def _grad_cam(given: Call) -> Attribution:
    positive = given.settings.cam_positive
    cam = given.attr.LayerGradCam(given.score, given.layer()).attribute(
        given.batch, 0, relu_attributions=positive
    )
    return given.made(given.upsampled(cam))


def _guided_backprop(given: Call) -> Attribution:
    return given.made(given.attr.GuidedBackprop(given.score).attribute(given.batch, 0)[0].sum(0))


def _deeplift(given: Call) -> Attribution:
    return given.made(
        given.attr.DeepLift(given.score).attribute(given.batch, given.start, target=0)[0].sum(0)
    )


def _smooth(given: Call) -> Attribution:
    samples = given.score.total = given.settings.samples
    tunnel = given.attr.NoiseTunnel(given.attr.Saliency(given.score))
    generator = stream(given.request.seed, f"Captum's {given.name}")

    def noisy(image: torch.Tensor, deviation: float, count: int) -> torch.Tensor:
        noise = torch.normal(0.0, torch.full((count, *image.shape[1:]), deviation), generator=generator)
        return image.repeat_interleave(count, 0) + noise.to(image.device)

    # Captum's draw is from the global generator, which others would wait for while the network computes
    tunnel._add_noise_to_input = noisy
    values = tunnel.attribute(
        given.batch,
        nt_type=NOISE[given.name],
        nt_samples=samples,
        nt_samples_batch_size=min(given.at_once, samples),
        stdevs=given.settings.noise,
        target=0,
        abs=False,
    )
    return given.made(values[0].sum(0))


def _integrated_gradients(given: Call) -> Attribution:
    steps = given.score.total = given.settings.steps
    values = given.attr.IntegratedGradients(given.score).attribute(
        given.batch, given.start, target=0, n_steps=steps, internal_batch_size=given.at_once
    )
    return given.made(values[0].sum(0), given.change())


def _occlusion(given: Call) -> Attribution:
    window, stride = (
        max(1, round(length * min(given.size) / 32))
        for length in (given.settings.window, given.settings.stride)
    )
    given.score.total = 1 + prod(-(-(length - min(length, window)) // stride) + 1 for length in given.size)
    values = given.attr.Occlusion(given.score).attribute(
        given.batch,
        (3, window, window),
        (3, stride, stride),
        given.start,
        target=0,
        perturbations_per_eval=given.at_once,
    )
    return given.made(values[0, 0])


def _layer_conductance(given: Call) -> Attribution:
    """The change of the score along the path that passes through each place of the layer,
    divided among the pixels of the place.

    All of it, unless branches lead past the layer or the steps are too few: the check.
    """
    conductance = given.attr.LayerConductance(given.score, given.layer())
    steps = FINER * given.settings.steps
    at_once = max(POINTS_AT_ONCE, given.at_once)
    given.score.from_layer = True
    given.score.total = steps + 1 + steps // (at_once - 1)
    values = conductance.attribute(
        given.batch, given.start, target=0, n_steps=steps, internal_batch_size=at_once
    )
    coarse = values.detach().sum(1, keepdim=True)
    share = coarse[0, 0].numel() / given.batch[0, 0].numel()
    change = given.change()
    checks = {"share_through_layer": float(coarse.sum()) / change} if change else {}
    return replace(given.made(given.upsampled(coarse) * share), checks=checks)


def _internal_influence(given: Call) -> Attribution:
    """The mean gradient at the layer along the path, summed over its channels."""
    influence = given.attr.InternalInfluence(given.score, given.layer())
    given.score.from_layer = True
    steps = given.score.total = given.settings.steps
    at_once = max(POINTS_AT_ONCE, given.at_once)
    values = influence.attribute(
        given.batch, given.start, target=0, n_steps=steps, internal_batch_size=at_once
    )
    return given.made(given.upsampled(values.detach().sum(1, keepdim=True)))


def _feature_ablation(given: Call) -> Attribution:
    """How much the score falls when a superpixel is replaced by the baseline, divided by
    its pixels.
    """
    regions, count = _regions(given)
    given.score.total = count + 1
    values = given.attr.FeatureAblation(given.score).attribute(
        given.batch.detach(),
        given.start,
        target=0,
        feature_mask=regions[None, None],
        perturbations_per_eval=given.at_once,
    )
    return given.made(_per_pixel(values[0, 0], regions))


def _kernel_shap(given: Call) -> Attribution:
    """Shapley values of superpixels, estimated by a regression on random coalitions and
    divided by their pixels; together they are the change of the score.
    """
    regions, count = _regions(given)
    if count < 2:
        raise SaliencyError(f"{given.label} needs two superpixels, and this image has one.")
    shap, samples = given.attr.KernelShap(given.score), given.settings.coalitions
    given.score.total = samples
    drawn = _drawn(shap, given.request.seed, count, samples)

    def coalitions(original: torch.Tensor, **about: object) -> Iterator[torch.Tensor]:
        yield from drawn

    fit, seed = shap.interpretable_model.fit, given.request.seed
    # the global generator is lent for the draw, and for a loader's seed, and not while the network computes
    shap.perturb_func = coalitions
    shap.interpretable_model.fit = lambda loader: seeded(seed, lambda: fit(loader), "loader of coalitions")
    values = shap.attribute(
        given.batch.detach(),
        given.start,
        target=0,
        feature_mask=regions[None, None],
        n_samples=samples,
        perturbations_per_eval=given.at_once,
    )
    return given.made(_per_pixel(values[0, 0], regions), given.change())


def _drawn(shap: object, seed: int, count: int, samples: int) -> list[torch.Tensor]:
    """Captum's own draw of coalitions, (1, count) each: all, none, then random sizes."""
    sizes = torch.arange(1, count, dtype=torch.float32)
    weights = torch.cat([torch.zeros(1), (count - 1) / (sizes * (count - sizes))])
    about = {
        "num_interp_features": count,
        "num_select_distribution": torch.distributions.Categorical(weights),
    }
    draw = shap.kernel_shap_perturb_generator(torch.zeros(1), **about)
    return seeded(seed, lambda: list(itertools.islice(draw, samples)), "coalitions of superpixels")


def _regions(given: Call) -> tuple[torch.Tensor, int]:
    regions = superpixels(given.request.image, given.settings.superpixels)
    return regions, int(regions.max()) + 1


def _per_pixel(values: torch.Tensor, regions: torch.Tensor) -> torch.Tensor:
    """A value of every superpixel, shared out over its pixels."""
    return values / torch.bincount(regions.flatten())[regions]


def _lrp(given: Call) -> Attribution:
    given.report(0, 2)
    values, total = relevance(given.score.network, given.batch, given.request.target)
    pixels = values[0].sum(0).detach().float()
    checks = {"share_of_logit": float(pixels.sum()) / total} if total else {}
    return Attribution(pixels, 2, 1, checks)


CALLS: dict[str, Callable[[Call], Attribution]] = {
    "gradient": _gradient,
    "input_x_gradient": _input_x_gradient,
    "gradcam": _grad_cam,
    "guided_backprop": _guided_backprop,
    "deeplift": _deeplift,
    **dict.fromkeys(NOISE, _smooth),
    "integrated_gradients": _integrated_gradients,
    "occlusion": _occlusion,
    "layer_conductance": _layer_conductance,
    "internal_influence": _internal_influence,
    "feature_ablation": _feature_ablation,
    "kernel_shap": _kernel_shap,
    "lrp": _lrp,
}
