"""Maps of a photograph at 224 pixels by the ImageNet network against Captum, Grad-CAM
against the packages for it, and features of photographs against a loop with timm.

    python -m bench.photographs [--turns 3]

One thread, the gallery's cup of coffee and the class predicted for it. All twelve maps
with equal evaluations: 50 steps, 25 noisy images, 225 squares, 300 masks. Captum gets
the same network, as it comes (one image at a time where it perturbs, a whole path in
one batch) and with FAST images in every batch; for each method the faster of both counts
as its fast settings. RISE is not in Captum: there it is the loop over masks in single precision.
All take turns; printed are medians of the thread's own time.
"""

import argparse
import os
import warnings
from functools import partial

import numpy as np
import torch
from captum import attr
from torch import nn
from torch.nn import functional

from bench.saliency import MAPS, SETTINGS, Way, captums, medians, verdict
from mlcv_explore.data.gallery import photographs
from mlcv_explore.data.model_input import of_card
from mlcv_explore.models import imagenet, photograph_features
from mlcv_explore.saliency import large_images, methods, supported
from mlcv_explore.seeds import numpy_stream

# isort: split
# which imports torchvision, made to work by bench.saliency's import of it
import timm

FAST = 4  # images in a batch
SHOWN = ("gradcam", "integrated_gradients", "smoothgrad", "guided_backprop", "occlusion", "edges")
COUNT = 200  # photographs of 32 pixels whose features are computed


def example() -> tuple[nn.Module, torch.Tensor, int]:
    """The network, a photograph as it sees it, and its prediction."""
    model = imagenet.load()
    pixels = photographs()["coffee"].read().pixels
    image = torch.from_numpy(of_card(model.card).array(pixels))
    return model.network, image, int(model.network(image[None]).argmax())


def maps_against_captum(turns: int) -> None:
    """Method by method, and their sums."""
    network, image, target = example()
    equal = SETTINGS.replace(complete=False)
    ways: dict[str, Way] = {name: partial(_maps, network, image, target, (name,), equal) for name in MAPS}
    ways["all"] = partial(_maps, network, image, target, MAPS, equal)
    last = network[1].bn2  # the ReLU6 behind the last convolution
    defaults = captums(network, image, target, 1, last)
    ways |= {f"default {name}": way for name, way in defaults.items()}
    batched = captums(network, image, target, FAST, last)
    fast = {name: batched[name] for name in ("rise", "occlusion")} | _fast_paths(network, image, target)
    ways |= {f"fast {name}": way for name, way in fast.items()}
    timings = medians(ways, turns)
    print(f"{'ms':22s} {'ours alone':>11} {'Captum':>9} {'Captum fast':>12}")
    sums = {"default": 0.0, "fast": 0.0}
    for name in MAPS:
        theirs = timings[f"default {name}"], timings.get(f"fast {name}", timings[f"default {name}"])
        sums["default"] += theirs[0]
        sums["fast"] += min(theirs)
        print(f"{name:22s} {timings[name]:11.0f} {theirs[0]:9.0f} {theirs[1]:12.0f}")
    print(f"{'all':22s} {timings['all']:11.0f} {sums['default']:9.0f} {sums['fast']:12.0f}")
    verdict("against Captum's defaults", timings["all"] / sums["default"], 0.6, "×")
    verdict("against Captum's fast settings", timings["all"] / sums["fast"], 0.6, "×")
    six = medians({"six": partial(_maps, network, image, target, SHOWN, supported.quick(SETTINGS))}, turns)
    verdict("the six maps a page opens with", six["six"], 4000, "ms")


def grad_cam(turns: int) -> None:
    """Image to upsampled map, against Captum, grad-cam and torchcam."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    from torchcam.methods import GradCAM as TorchCam

    network, image, target = example()
    last, batch = network[1].bn2, image[None].clone().requires_grad_()
    explainer = GradCAM(network, [last])

    def captum() -> torch.Tensor:
        coarse = attr.LayerGradCam(network, last).attribute(batch, target, relu_attributions=True)
        return attr.LayerAttribution.interpolate(coarse, image.shape[1:], "bilinear")

    def torchcam() -> torch.Tensor:
        with TorchCam(network, last) as extractor:
            (coarse,) = extractor(target, network(batch))
        return functional.interpolate(coarse[None], image.shape[1:], mode="bilinear")

    @torch.no_grad()
    def forward() -> torch.Tensor:
        return network(image[None])

    ways: dict[str, Way] = {
        "ours": lambda: methods.grad_cam(network, image, target, SETTINGS),
        "forward": forward,
        "captum": captum,
        "grad-cam": lambda: explainer(batch, [ClassifierOutputTarget(target)]),
        "torchcam": torchcam,
    }
    timings = medians(ways, 5 * turns)
    print("Grad-CAM, ms: " + ", ".join(f"{name} {value:.1f}" for name, value in timings.items()))
    fastest = min(timings[name] for name in ("captum", "grad-cam", "torchcam"))
    verdict("against the fastest of the three", timings["ours"] / fastest, 1.0, "×")


def features(turns: int) -> None:
    """Features a second, against timm as its users call it: one photograph after another
    would be slower still, so in batches of the same size.
    """
    images = numpy_stream(0, "photographs").integers(0, 256, (COUNT, 3, 32, 32), dtype=np.uint8)
    with torch.random.fork_rng(devices=[]):
        plain = timm.create_model(imagenet.ARCHITECTURE, num_classes=0).eval()

    @torch.inference_mode()
    def with_timm() -> list[torch.Tensor]:
        made = []
        for start in range(0, COUNT, photograph_features.BATCH):
            batch = torch.from_numpy(images[start : start + photograph_features.BATCH]).float()
            large = functional.interpolate(batch, (photograph_features.SIDE,) * 2, mode="bicubic")
            made.append(plain((large - 127) / 128))
        return made

    ways: dict[str, Way] = {"ours": lambda: photograph_features.penultimate(images), "timm": with_timm}
    timings = medians(ways, turns)
    rates = {name: COUNT / value * 1000 for name, value in timings.items()}
    print("features a second: " + ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()))
    verdict("time of a feature against timm's loop", timings["ours"] / timings["timm"], 1.0, "×")


def _maps(
    network: nn.Module,
    image: torch.Tensor,
    target: int,
    names: tuple[str, ...],
    settings: methods.SaliencySettings,
) -> list[object]:
    return list(large_images.attribute_each(network, image, target, names, settings, 0))


def _fast_paths(network: nn.Module, image: torch.Tensor, target: int) -> dict[str, Way]:
    """Captum's methods that average gradients, FAST images in a batch."""
    batch = image[None].clone().requires_grad_()
    about = {"nt_samples": SETTINGS.samples, "nt_samples_batch_size": FAST, "stdevs": SETTINGS.noise}

    def smooth(kind: str) -> Way:
        tunnel = attr.NoiseTunnel(attr.Saliency(network))
        return lambda: tunnel.attribute(batch, nt_type=kind, target=target, abs=False, **about)

    return {
        "smoothgrad": smooth("smoothgrad"),
        "smoothgrad_squared": smooth("smoothgrad_sq"),
        "vargrad": smooth("vargrad"),
        "integrated_gradients": lambda: attr.IntegratedGradients(network).attribute(
            batch, target=target, n_steps=SETTINGS.steps, internal_batch_size=FAST
        ),
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=3)
    turns = parser.parse_args().turns
    warnings.simplefilter("ignore")  # Captum warns of every hook it sets
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    maps_against_captum(turns)
    grad_cam(turns)
    features(turns)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
