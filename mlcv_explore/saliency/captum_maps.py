"""Captum's attributions of an image beside this package's own: the same settings,
another implementation.

Captum sets hooks on the network's modules and draws from torch's global generator. So a
copy of the network is explained, one thread at a time, and the generator is put back.
RISE and the controls are not in Captum; its GradientShap draws from NumPy's global
generator and is left out.
"""

import copy
import time
import warnings
from collections.abc import Callable, Iterator, Sequence

import torch
from captum import attr
from torch import nn
from torch.nn import functional

from mlcv_explore.saliency import attribution, methods, supported, tokens
from mlcv_explore.saliency.attribution import METHODS, Map
from mlcv_explore.saliency.methods import SaliencyError, SaliencySettings, Target
from mlcv_explore.saliency.supported import Refused
from mlcv_explore.seeds import seeded

AVAILABLE = tuple(
    name for name, about in METHODS.items() if not about.control and name not in ("rise", "gradient_shap")
)
NOISE = {"smoothgrad": "smoothgrad", "smoothgrad_squared": "smoothgrad_sq", "vargrad": "vargrad"}


class _Score(nn.Module):
    """The explained logit, or difference of two, (B, 3, h, w) → (B, 1); counts images."""

    def __init__(self, network: nn.Module, target: Target) -> None:
        super().__init__()
        self.network, self.target, self.count = network, target, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.count += len(images)
        return methods.score(self.network(images), self.target)[:, None]


def attribute_all(
    network: nn.Module,
    image: torch.Tensor,
    target: Target,
    names: Sequence[str],
    settings: SaliencySettings,
    seed: int,
    layer: str | None = None,
) -> Iterator[Map]:
    """The maps of these methods for an image (3, h, w) float32 in [0, 1], as
    `saliency.attribute_all` yields them, and by it those that Captum lacks.

    Differs by design: Grad-CAM reads the convolution before its activation, SmoothGrad
    has other draws, path steps are Gauss–Legendre and never doubled. Raises
    SaliencyError where a method cannot be computed for this network.
    """
    lacking = [name for name in names if name not in AVAILABLE]
    yield from attribution.attribute_all(network, image, target, lacking, settings, seed, layer)
    refused = attribution.unsupported_methods(network, image)
    for name in (name for name in names if name in AVAILABLE):
        if name in refused:
            raise SaliencyError(refused[name])
        score = _Score(copy.deepcopy(network), target).eval()
        batch = image[None].clone().requires_grad_()
        start = time.perf_counter()
        call = _call(name, score, batch, settings, layer)
        try:
            values = seeded(seed, lambda call=call: _quietly(call), f"Captum's {name}").float()
        except (RuntimeError, AssertionError, IndexError) as error:
            text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise SaliencyError(f"Captum's {METHODS[name].label} fails for this network: {text}") from error
        values = values[0, 0] if name in ("gradcam", "occlusion") else values[0].sum(0)
        cost = (time.perf_counter() - start) * 1000, score.count, 0 if name == "occlusion" else score.count
        signed = METHODS[name].signed or (name == "gradcam" and not settings.cam_positive)
        yield Map(name, target, values.numpy(), signed, *cost)


def attribute_each(
    network: nn.Module,
    image: torch.Tensor,
    target: Target,
    names: Sequence[str],
    settings: SaliencySettings,
    seed: int,
    layer: str | None = None,
) -> Iterator[Map | Refused]:
    """The same, method by method: one that cannot be computed is refused with its
    reason, and the others go on.
    """
    lacking = [name for name in names if name not in AVAILABLE]
    if lacking:
        yield from supported.attribute_each(network, image, target, lacking, settings, seed, layer)
    for name in (name for name in names if name in AVAILABLE):
        try:
            yield from attribute_all(network, image, target, [name], settings, seed, layer)
        except SaliencyError as error:
            yield Refused(name, str(error))


def _quietly(call: Callable[[], torch.Tensor]) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it sets hooks
        return call().detach()


def _call(
    name: str, score: _Score, batch: torch.Tensor, settings: SaliencySettings, layer: str | None
) -> Callable[[], torch.Tensor]:
    """Captum's call of a method."""
    image, size, at_once = (
        batch[0].detach(),
        batch.shape[2:],
        max(1, methods.BATCH_PIXELS // batch[0, 0].numel()),
    )
    start = methods.baseline(image, settings.baseline)[None]
    square, stride = (
        (3, *[max(1, round(length * min(size) / 32))] * 2) for length in (settings.window, settings.stride)
    )

    def smooth() -> torch.Tensor:
        return attr.NoiseTunnel(attr.Saliency(score)).attribute(
            batch,
            nt_type=NOISE[name],
            nt_samples=settings.samples,
            nt_samples_batch_size=min(at_once, settings.samples),
            stdevs=settings.noise,
            target=0,
            abs=False,
        )

    def gradcam() -> torch.Tensor:
        read = tokens.resolved_layer(score.network, layer, tuple(size))
        if read in tokens.blocks(score.network):
            raise SaliencyError(
                f"Captum's Grad-CAM averages over the places of a convolution, and {read} has tokens: use"
                " mlcv-explore's."
            )
        module = methods.named_convolution(score.network, read)
        coarse = attr.LayerGradCam(score, module).attribute(batch, 0, relu_attributions=settings.cam_positive)
        return functional.interpolate(coarse, size, mode="bilinear")

    return {
        "gradient": lambda: attr.Saliency(score).attribute(batch, 0, abs=False),
        "input_x_gradient": lambda: attr.InputXGradient(score).attribute(batch, 0),
        "gradcam": gradcam,
        "guided_backprop": lambda: attr.GuidedBackprop(score).attribute(batch, 0),
        "deeplift": lambda: attr.DeepLift(score).attribute(batch, start, target=0),
        **dict.fromkeys(NOISE, smooth),
        "integrated_gradients": lambda: attr.IntegratedGradients(score).attribute(
            batch, start, target=0, n_steps=settings.steps, internal_batch_size=at_once
        ),
        "occlusion": lambda: attr.Occlusion(score).attribute(
            batch, square, stride, start, target=0, perturbations_per_eval=at_once
        ),
    }[name]
