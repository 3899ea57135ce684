"""All maps against Captum called method by method, and Grad-CAM against
Captum, its alternatives and the forward pass alone.

`python -m bench.saliency`. The gallery's first photograph as `cifar10/0` sees it,
32×32, and the class it names; one thread: 50 steps, 25 noisy images, squares of 5
every 2 pixels, 300 masks; Captum as it comes (one image at a time where it perturbs)
and with 64 perturbations a batch, its noise and masks alike. Both get the same network,
once in torch's own layout, which is what a caller has, and once with channels last,
which is what makes half of our lead. RISE is not in Captum: there it is the loop over
masks in batches of 64 in single precision, or one by one. Then ten targets at once, and
Grad-CAM of a 224-px image on ResNet-18 (`grad-cam` and `torchcam` too where they are
installed). All take turns; printed are medians of the thread's own time.
"""

import importlib.util
import os
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from captum import attr
from torch import nn
from torch.nn import functional

from mlcv_explore import saliency
from mlcv_explore.data import uploads
from mlcv_explore.data.gallery import photographs
from mlcv_explore.models import checkpoints
from mlcv_explore.saliency import methods, perturbation
from mlcv_explore.seeds import seeded, stream
from mlcv_explore.torchvision_compat import models

TURNS, TARGET = 5, 3
SETTINGS = saliency.SaliencySettings()
MAPS = tuple(name for name, method in saliency.METHODS.items() if not method.control)
CHEAP = (
    "gradient",
    "input_x_gradient",
    "gradcam",
    "guided_backprop",
    "deeplift",
    "smoothgrad",
    "smoothgrad_squared",
    "vargrad",
)

Way = Callable[[], object]


def captums(
    network: nn.Module, image: torch.Tensor, target: int, at_once: int, last: nn.Module
) -> dict[str, Way]:
    """Captum's call of every method, Grad-CAM at the module `last`, with `at_once`
    perturbed images in a batch.
    """
    batch = image[None].clone().requires_grad_()
    noisy = {"nt_samples": SETTINGS.samples, "stdevs": SETTINGS.noise, "target": target, "abs": False}
    starts = torch.stack([methods.baseline(image, kind) for kind in ("zero", "blur", "mean")])
    masks = list(perturbation.random_masks(image, SETTINGS, stream(0, "masks")))
    square, stride = (
        (3, *[round(size * image.shape[1] / 32)] * 2) for size in (SETTINGS.window, SETTINGS.stride)
    )

    def smooth(kind: str) -> Way:
        return lambda: attr.NoiseTunnel(attr.Saliency(network)).attribute(batch, nt_type=kind, **noisy)

    def cam() -> torch.Tensor:
        gradcam = attr.LayerGradCam(network, last).attribute(batch, target, relu_attributions=True)
        return attr.LayerAttribution.interpolate(gradcam, image.shape[1:], "bilinear")

    @torch.no_grad()
    def masked() -> torch.Tensor:
        parts = [torch.stack(masks[start : start + at_once]) for start in range(0, len(masks), at_once)]
        scores = torch.cat([network(image * part)[:, target] for part in parts])
        return torch.einsum("n,nhw->hw", scores, torch.cat(masks)) / (len(masks) * SETTINGS.mask_share)

    return {
        "gradient": lambda: attr.Saliency(network).attribute(batch, target, abs=False),
        "input_x_gradient": lambda: attr.InputXGradient(network).attribute(batch, target),
        "gradcam": cam,
        "guided_backprop": lambda: attr.GuidedBackprop(network).attribute(batch, target),
        "deeplift": lambda: attr.DeepLift(network).attribute(batch, target=target),
        "smoothgrad": smooth("smoothgrad"),
        "smoothgrad_squared": smooth("smoothgrad_sq"),
        "vargrad": smooth("vargrad"),
        "gradient_shap": (
            lambda: attr.GradientShap(network).attribute(batch, starts, SETTINGS.shap_samples, target=target)
        ),
        "integrated_gradients": (
            lambda: attr.IntegratedGradients(network).attribute(batch, target=target, n_steps=SETTINGS.steps)
        ),
        "rise": masked,
        "occlusion": (
            lambda: attr.Occlusion(network).attribute(
                batch, square, stride, target=target, perturbations_per_eval=at_once
            )
        ),
    }


def medians(ways: dict[str, Way], turns: int = TURNS) -> dict[str, float]:
    """Milliseconds of every way, taking turns; the first turn warms up and does not
    count.

    Of this thread, which does all the work: on an idle machine those of the clock, on a
    busy one not those of the others too.
    """
    timings: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns + 1):
        for name, way in ways.items():
            start = time.thread_time()
            way()
            timings[name].append((time.thread_time() - start) * 1000)
    return {name: statistics.median(values[1:]) for name, values in timings.items()}


def example(layout: torch.memory_format = torch.contiguous_format) -> tuple[nn.Module, torch.Tensor, int]:
    """The flagship classifier, a photograph as it sees it, and its prediction."""
    model = checkpoints.load("cifar10/0")
    pixels = next(iter(photographs().values())).read().pixels
    image = torch.from_numpy(uploads.resized_to_square(pixels, model.side))
    return model.network.to(memory_format=layout), image, int(model.network(image[None]).argmax())


def maps_against_captum(layout: torch.memory_format) -> None:
    """Method by method, and the sums the targets are about."""
    network, image, target = example(layout)
    # 50 steps for both: what doubling them costs is not the question here
    methods.MAX_GAP = float("inf")
    ways: dict[str, Way] = {
        "all": lambda: list(saliency.attribute_all(network, image, target, MAPS, SETTINGS, 0))
    }
    ways["cheap"] = lambda: list(saliency.attribute_all(network, image, target, CHEAP, SETTINGS, 0))
    for name in MAPS:
        ways[name] = lambda name=name: list(
            saliency.attribute_all(network, image, target, [name], SETTINGS, 0)
        )
    block, _ = list(saliency.convolutions(network))[-1].rsplit(".", 1)
    last = network.get_submodule(f"{block}.2")  # the ReLU behind the last convolution
    for label, at_once in (("defaults", 1), ("fast", 64)):
        ways |= {
            f"{label} {name}": way
            for name, way in captums(network, image, target, at_once, last).items()
            if at_once == 1 or name in ("rise", "occlusion")
        }
    timings = medians(ways)
    print(f"{'ms':22s} {'ours alone':>11} {'Captum':>9} {'Captum fast':>12}")
    sums = {"defaults": 0.0, "fast": 0.0}
    for name in MAPS:
        theirs = timings[f"defaults {name}"], timings.get(f"fast {name}", timings[f"defaults {name}"])
        sums["defaults"] += theirs[0]
        sums["fast"] += theirs[1]
        print(f"{name:22s} {timings[name]:11.1f} {theirs[0]:9.1f} {theirs[1]:12.1f}")
    print(f"{'all':22s} {timings['all']:11.1f} {sums['defaults']:9.1f} {sums['fast']:12.1f}")
    verdict("cheap maps", timings["cheap"], 300, "ms")
    verdict("all twelve", timings["all"], 1200, "ms")
    verdict("against Captum's defaults", timings["all"] / sums["defaults"], 0.45, "×")
    verdict("against Captum's fast settings", timings["all"] / sums["fast"], 0.6, "×")


def ten_targets() -> None:
    """The gradient of every class."""
    network, image, _ = example()
    batch = image[None].clone().requires_grad_()
    timings = medians(
        {
            "ours": lambda: saliency.gradients(network, image, range(10)),
            "captum": lambda: [
                attr.Saliency(network).attribute(batch, class_index, abs=False) for class_index in range(10)
            ],
        },
        3 * TURNS,
    )
    verdict(
        f"ten targets, {timings['ours']:.1f} against {timings['captum']:.1f} ms",
        timings["ours"] / timings["captum"],
        0.7,
        "×",
    )


def grad_cam_at_224() -> None:
    """End to end: image to upsampled map."""
    network = seeded(0, models.resnet18).eval()
    image = torch.rand(3, 224, 224, generator=stream(0, "a large picture"))
    batch = image[None].clone().requires_grad_()

    @torch.no_grad()
    def forward() -> torch.Tensor:
        return network(image[None])

    def captum() -> torch.Tensor:
        gradcam = attr.LayerGradCam(network, network.layer4).attribute(batch, TARGET, relu_attributions=True)
        return attr.LayerAttribution.interpolate(gradcam, (224, 224), "bilinear")

    ways: dict[str, Way] = {
        "ours": lambda: methods.grad_cam(network, image, TARGET, SETTINGS),
        "forward": forward,
        "captum": captum,
    }
    if importlib.util.find_spec("pytorch_grad_cam"):
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        explainer = GradCAM(network, [network.layer4])
        ways["grad-cam"] = lambda: explainer(image[None], [ClassifierOutputTarget(TARGET)])
    if importlib.util.find_spec("torchcam"):
        from torchcam.methods import GradCAM as TorchCam

        def torchcam() -> torch.Tensor:
            with TorchCam(network, "layer4") as extractor:
                (gradcam,) = extractor(TARGET, network(batch))
            return functional.interpolate(gradcam[None], (224, 224), mode="bilinear")

        ways["torchcam"] = torchcam
    missing = [name for name in ("grad-cam", "torchcam") if name not in ways]
    timings = medians(ways, 3 * TURNS)
    print("Grad-CAM of 224 px, ms: " + ", ".join(f"{name} {value:.1f}" for name, value in timings.items()))
    if missing:
        print(f"not installed, so not measured: {', '.join(missing)}")
    alternatives = min(value for name, value in timings.items() if name not in ("ours", "forward"))
    verdict("against the fastest alternative here", timings["ours"] / alternatives, 1.0, "×")
    verdict("against the forward pass", timings["ours"] / timings["forward"], 1.05, "×")


def verdict(what: str, value: float, target: float, unit: str) -> None:
    """One line: value, target, met or missed."""
    print(
        f"{what}: {value:.{0 if unit == 'ms' else 2}f} {unit}, target {target:g} {unit}:"
        f" {'met' if value <= target else 'MISSED'}"
    )


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")  # Captum warns of every hook it sets
    torch.set_num_threads(1)
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} thread, load {os.getloadavg()[0]:.1f} on"
        f" {os.cpu_count()} cores"
    )
    for layout in (torch.channels_last, torch.contiguous_format):
        print(f"\nThe network in {layout}")
        maps_against_captum(layout)
    ten_targets()
    grad_cam_at_224()
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
