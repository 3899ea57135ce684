"""Faithfulness of maps to the model: deletion and insertion curves, infidelity, maximal
sensitivity.

Maps are NumPy arrays (…, h, w), images are tensors (B, channels, h, w) in [0, 1] on the
network's device. Where `signed` is false (the default) a pixel's saliency is |map|;
where it is true it is the map itself, and evidence against the class comes last.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from mlcv_explore.saliency.measures import pixel_saliency
from mlcv_explore.seeds import numpy_stream, stream

Fill = Literal["mean", "blur", "noise"]

BLUR = 1 / 8  # deviation of the blur that hides an image, as a share of its longer side
BATCH = 64  # images in one pass: more of them leave the cache


@dataclass(frozen=True)
class PerturbationCurve:
    """The probability of the target while more and more of an image is removed or
    shown.
    """

    shares: np.ndarray  # (T,) of the pixels, 0…1 in equal steps
    probabilities: np.ndarray  # (B, M, T) in [0, 1], for B images with M maps each

    @property
    def area(self) -> np.ndarray:
        """(B, M) in [0, 1], by the trapezoid rule: low is good for a deletion, high for
        an insertion.
        """
        return np.trapezoid(self.probabilities, self.shares, axis=-1)


def deletion(
    network: nn.Module,
    images: torch.Tensor,
    targets: torch.Tensor,
    maps: np.ndarray,
    fill: Fill = "mean",
    steps: int = 20,
    *,
    signed: bool = False,
    seed: int = 0,
) -> PerturbationCurve:
    """The curve as the most salient pixels of every image are replaced by the fill
    (Petsiuk et al., 1806.07421).

    `targets` are int64 (B,), `maps` (B, M, h, w); all maps of an image share both ends
    to the last bit, its fill and its order among ties. Raises ValueError on maps of
    another size or not finite, fewer than one step, and an unknown fill.
    """
    return _curve(
        network, images, filled(images, fill, seed), targets, saliency_ranks(maps, signed, seed), steps
    )


def insertion(
    network: nn.Module,
    images: torch.Tensor,
    targets: torch.Tensor,
    maps: np.ndarray,
    fill: Fill = "mean",
    steps: int = 20,
    *,
    signed: bool = False,
    seed: int = 0,
) -> PerturbationCurve:
    """The curve as the most salient pixels are shown on an image that is all fill;
    arguments and errors as for `deletion`.
    """
    return _curve(
        network, filled(images, fill, seed), images, targets, saliency_ranks(maps, signed, seed), steps
    )


def at_share(
    image: torch.Tensor,
    saliency: np.ndarray,
    share: float,
    fill: Fill = "mean",
    *,
    signed: bool = False,
    seed: int = 0,
    insert: bool = False,
) -> torch.Tensor:
    """One image (channels, h, w) without this share of its most salient pixels, or with
    only them where `insert` is true.

    The very image that the curves of that image alone evaluate. `saliency` is a map (h,
    w). Raises ValueError on a share outside 0…1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"The share of pixels must be between 0 and 1, got {share}.")
    ranks = saliency_ranks(np.asarray(saliency)[None, None], signed, seed)[0, 0]
    first, last = image, filled(image[None], fill, seed)[0]
    if insert:
        first, last = last, first
    return torch.where(torch.from_numpy(ranks < round(share * ranks.size)).to(image.device), last, first)


def filled(images: torch.Tensor, fill: Fill, seed: int = 0) -> torch.Tensor:
    """Replacement of removed pixels, (B, channels, h, w): every image's mean colour,
    its blur, or noise.

    Noise is normal with the mean and deviation of each of the image's channels, cut to
    [0, 1]. Raises ValueError on another fill.
    """
    mean = images.mean((2, 3), keepdim=True).expand_as(images)
    if fill == "mean":
        return mean
    if fill == "blur":
        deviation = BLUR * max(images.shape[-2:])
        blurred = gaussian_filter(images.detach().cpu().numpy(), (0, 0, deviation, deviation), mode="nearest")
        return torch.from_numpy(blurred).to(images)
    if fill == "noise":
        draws = torch.randn(images.shape, generator=stream(seed, "noise that fills")).to(images)
        return (mean + images.std((2, 3), correction=0, keepdim=True) * draws).clamp(0, 1)
    raise ValueError(f"The fill must be one of {', '.join(get_args(Fill))}, got {fill!r}.")


def saliency_ranks(maps: np.ndarray, signed: bool = False, seed: int = 0) -> np.ndarray:
    """Each pixel's rank, int64 (B, M, h, w), 0 the most salient: ties in random order,
    the same one for all maps of an image.

    Raises ValueError where maps are not (B, M, h, w) or not finite.
    """
    values = pixel_saliency(maps, signed)
    if values.ndim != 4:
        raise ValueError(f"Maps must be (images, maps, height, width), got shape {values.shape}.")
    flat = values.reshape(*values.shape[:2], -1)
    tie_break = numpy_stream(seed, "ties").random((len(flat), 1, flat.shape[-1]))
    order = np.lexsort((np.broadcast_to(tie_break, flat.shape), -flat))
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(flat.shape[-1]), flat.shape), axis=-1)
    return ranks.reshape(values.shape)


def gaussian_noise(
    images: torch.Tensor, deviation: float, count: int, seed: int, grey: bool = True
) -> torch.Tensor:
    """Perturbations (count, B, 1 or channels, h, w) for `infidelity`; grey ones move
    all channels of a pixel together.
    """
    shape = (count, len(images), 1 if grey else images.shape[1], *images.shape[2:])
    return deviation * torch.randn(shape, generator=stream(seed, "noise of infidelity")).to(images)


def uniform_noise(images: torch.Tensor, radius: float, count: int, seed: int) -> torch.Tensor:
    """Perturbations (count, B, channels, h, w) for `max_sensitivity`: even in ±radius,
    the ball in which no pixel moves further.
    """
    draws = torch.rand((count, *images.shape), generator=stream(seed, "noise of sensitivity"))
    return radius * (2 * draws - 1).to(images)


@torch.no_grad()
def infidelity(
    network: nn.Module,
    images: torch.Tensor,
    targets: torch.Tensor,
    attributions: torch.Tensor,
    perturbations: torch.Tensor,
    normalise: bool = False,
) -> np.ndarray:
    """(B, M) E[(IᵀΦ − f(x) + f(x − I))²] of the target's logit f over perturbations I
    (Yeh et al., 1901.09392).

    `attributions` Φ are (B, M, c, h, w) and `perturbations` (P, B, c, h, w), where c is
    the number of channels, or 1 for maps summed over channels and grey perturbations.
    All maps share the passes. `normalise` scales each map as is best for it: only the
    direction of Φ counts then.
    """
    count, size = perturbations.shape[:2]
    changed = (images - perturbations).flatten(0, 1)
    logits = _logits(network, torch.cat([images, changed]), torch.cat([targets, targets.repeat(count)]))
    changes = logits[:size] - logits[size:].view(count, size)  # (P, B)
    predicted = torch.einsum("bmchw,pbchw->pbm", attributions.to(perturbations), perturbations)
    if normalise:
        scale = (predicted * changes[..., None]).mean(0) / predicted.square().mean(0)
        predicted = predicted * scale.nan_to_num(0.0)  # a map of zeros predicts no change at any scale
    return (predicted - changes[..., None]).square().mean(0).cpu().numpy()


def max_sensitivity(
    explain: Callable[[torch.Tensor], np.ndarray], images: torch.Tensor, perturbations: torch.Tensor
) -> np.ndarray:
    """(B,) the largest ‖Φ(x + I) − Φ(x)‖ / ‖Φ(x)‖ over perturbations I (P, B, channels,
    h, w) (Yeh et al., 1901.09392).

    `explain` gives maps (B, …) of images; it is called once for each perturbation, so
    that a method that draws can draw alike. Where Φ(x) is zero the change itself is
    taken.
    """
    own = np.asarray(explain(images)).reshape(len(images), -1)
    length = np.linalg.norm(own, axis=1)
    changes = [
        np.linalg.norm(np.asarray(explain(images + noise)).reshape(own.shape) - own, axis=1)
        for noise in perturbations
    ]
    return np.max(changes, axis=0) / np.where(length > 0, length, 1.0)


@torch.no_grad()
def _curve(
    network: nn.Module,
    starts: torch.Tensor,
    ends: torch.Tensor,
    targets: torch.Tensor,
    ranks: np.ndarray,
    steps: int,
) -> PerturbationCurve:
    """From the starts to the ends, pixel after pixel in the order of ranks (B, M, h,
    w).
    """
    if steps < 1:
        raise ValueError(f"A curve needs at least one step, got {steps}.")
    size, count = ranks.shape[:2]
    if len(starts) != size or starts.shape[-2:] != ranks.shape[-2:]:
        raise ValueError(f"Maps of shape {ranks.shape} do not fit images of shape {tuple(starts.shape)}.")
    shares = np.linspace(0, 1, steps + 1)
    changed = torch.from_numpy(np.rint(shares[1:-1] * ranks[0, 0].size))[:, None, None].to(starts.device)
    probabilities = np.empty((size, count, steps + 1), dtype=np.float32)
    for end, images in ((0, starts), (-1, ends)):
        probabilities[:, :, end] = _probabilities(network, images, targets).cpu().numpy()[:, None]
    for index, (start, end, target) in enumerate(zip(starts, ends, targets, strict=True)):
        # (M·(T − 2), 1, h, w)
        masks = (torch.from_numpy(ranks[index]).to(starts.device)[:, None] < changed).flatten(0, 1)[:, None]
        parts = [
            _probabilities(network, torch.where(mask, end, start), target.expand(len(mask)))
            for mask in masks.split(BATCH)
        ]
        if parts:
            probabilities[index, :, 1:-1] = torch.cat(parts).view(count, -1).cpu().numpy()
    return PerturbationCurve(shares, probabilities)


def _probabilities(network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(B,) of each image's target."""
    return _outputs(network, images).softmax(1).gather(1, targets[:, None])[:, 0]


def _logits(network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(B,) of each image's target."""
    return _outputs(network, images).gather(1, targets[:, None])[:, 0]


def _outputs(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logits (B, K) in evaluation mode; images with the channels last take a third less
    time, whatever the weights' layout.
    """
    network.eval()
    return torch.cat(
        [network(part.contiguous(memory_format=torch.channels_last)) for part in images.split(BATCH)]
    )
