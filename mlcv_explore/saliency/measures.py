"""What a map is worth: is it faithful to the model, on the true cause, moved by the
model's weights, and the same when drawn again?

Maps are NumPy arrays (…, h, w). Where `signed` is false (the default) a pixel's
saliency is |map|; where it is true it is the map itself, and evidence against the class
comes last and has no mass. Pictures are tensors (B, channels, h, w) in [0, 1] on the
network's device.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from mlcv_explore.seeds import numpy_stream, stream
from mlcv_explore.statistics import Interval, bootstrap_interval

Fill = Literal["mean", "blur", "noise"]

BLUR = 1 / 8  # deviation of the blur that hides a picture, as a share of its longer side
BATCH = 64  # pictures in one pass: more of them leave the cache
TOP = 1 / 5  # of the pixels: those whose membership says whether a rank is stable
ROUNDING = 1e-9


@dataclass(frozen=True)
class Curve:
    """The probability of the target while more and more of a picture is removed or
    shown.
    """

    shares: np.ndarray  # (T,) of the pixels, 0…1 in equal steps
    probabilities: np.ndarray  # (B, M, T) in [0, 1], for B pictures with M maps each

    @property
    def area(self) -> np.ndarray:
        """(B, M) in [0, 1], by the trapezoid rule: low is good for a deletion, high for
        an insertion.
        """
        return np.trapezoid(self.probabilities, self.shares, axis=-1)


@dataclass(frozen=True)
class Similarity:
    """How alike two maps are, each (…) in [−1, 1]."""

    rank: np.ndarray  # Spearman's correlation of the pixels
    # structural similarity (Wang et al. 2004) of the maps as brightness: 0…largest, or with signs
    # −largest…largest
    structure: np.ndarray


def deletion(
    network: nn.Module,
    pictures: torch.Tensor,
    targets: torch.Tensor,
    maps: np.ndarray,
    fill: Fill = "mean",
    steps: int = 20,
    *,
    signed: bool = False,
    seed: int = 0,
) -> Curve:
    """The curve as the most salient pixels of every picture are replaced by the fill
    (Petsiuk et al., 1806.07421).

    `targets` are int64 (B,), `maps` (B, M, h, w); all maps of a picture share both ends
    to the last bit, its fill and its luck among ties. Raises ValueError on maps of
    another size or not finite, fewer than one step, and an unknown fill.
    """
    return _curve(
        network, pictures, filled(pictures, fill, seed), targets, saliency_ranks(maps, signed, seed), steps
    )


def insertion(
    network: nn.Module,
    pictures: torch.Tensor,
    targets: torch.Tensor,
    maps: np.ndarray,
    fill: Fill = "mean",
    steps: int = 20,
    *,
    signed: bool = False,
    seed: int = 0,
) -> Curve:
    """The curve as the most salient pixels are shown on a picture that is all fill;
    arguments and errors as for `deletion`.
    """
    return _curve(
        network, filled(pictures, fill, seed), pictures, targets, saliency_ranks(maps, signed, seed), steps
    )


def at_share(
    picture: torch.Tensor,
    saliency: np.ndarray,
    share: float,
    fill: Fill = "mean",
    *,
    signed: bool = False,
    seed: int = 0,
    insert: bool = False,
) -> torch.Tensor:
    """One picture (channels, h, w) without this share of its most salient pixels, or
    with only them where `insert` is true.

    The very picture that the curves of that picture alone evaluate. `saliency` is a map
    (h, w). Raises ValueError on a share outside 0…1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"The share of pixels must be between 0 and 1, got {share}.")
    ranks = saliency_ranks(np.asarray(saliency)[None, None], signed, seed)[0, 0]
    first, last = picture, filled(picture[None], fill, seed)[0]
    if insert:
        first, last = last, first
    return torch.where(torch.from_numpy(ranks < round(share * ranks.size)).to(picture.device), last, first)


def filled(pictures: torch.Tensor, fill: Fill, seed: int = 0) -> torch.Tensor:
    """What stands in the place of removed pixels, (B, channels, h, w): every picture's
    mean colour, its blur, or noise.

    Noise is normal with the mean and deviation of each of the picture's channels, cut
    to [0, 1]. Raises ValueError on another fill.
    """
    mean = pictures.mean((2, 3), keepdim=True).expand_as(pictures)
    if fill == "mean":
        return mean
    if fill == "blur":
        deviation = BLUR * max(pictures.shape[-2:])
        blurred = gaussian_filter(
            pictures.detach().cpu().numpy(), (0, 0, deviation, deviation), mode="nearest"
        )
        return torch.from_numpy(blurred).to(pictures)
    if fill == "noise":
        draws = torch.randn(pictures.shape, generator=stream(seed, "noise that fills")).to(pictures)
        return (mean + pictures.std((2, 3), correction=0, keepdim=True) * draws).clamp(0, 1)
    raise ValueError(f"The fill must be one of {', '.join(get_args(Fill))}, got {fill!r}.")


def saliency_ranks(maps: np.ndarray, signed: bool = False, seed: int = 0) -> np.ndarray:
    """Each pixel's place, int64 (B, M, h, w), 0 the most salient: ties in random order,
    the same one for all maps of a picture.

    Raises ValueError where maps are not (B, M, h, w) or not finite.
    """
    values = _saliency(maps, signed)
    if values.ndim != 4:
        raise ValueError(f"Maps must be (pictures, maps, height, width), got shape {values.shape}.")
    flat = values.reshape(*values.shape[:2], -1)
    luck = numpy_stream(seed, "ties").random((len(flat), 1, flat.shape[-1]))
    order = np.lexsort((np.broadcast_to(luck, flat.shape), -flat))
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(flat.shape[-1]), flat.shape), axis=-1)
    return ranks.reshape(values.shape)


def pointing(maps: np.ndarray, masks: np.ndarray, signed: bool = False) -> np.ndarray:
    """Does the maximum lie in the mask (…, h, w)? 0 or 1 (…); of several equal maxima,
    the share that does (Zhang et al., 1608.00507).
    """
    values = _saliency(maps, signed)
    top = values == values.max((-2, -1), keepdims=True)
    return (top & (np.asarray(masks) > 0)).sum((-2, -1)) / top.sum((-2, -1))


def mass_in_mask(maps: np.ndarray, masks: np.ndarray, signed: bool = False) -> np.ndarray:
    """The share of the map's mass that lies in the mask (…, h, w): (…) in [0, 1].

    Mass is |map|, or where `signed` is true max(map, 0). A map without any mass is
    taken as an even one, which has the mask's share of the area.
    """
    mass = np.maximum(_saliency(maps, signed), 0.0)
    mass = np.where(mass.sum((-2, -1), keepdims=True) > 0, mass, 1.0)
    return (mass * (np.asarray(masks) > 0)).sum((-2, -1)) / mass.sum((-2, -1))


def mass_on_tag(maps: np.ndarray, boxes: np.ndarray, signed: bool = False) -> np.ndarray:
    """The same for boxes (…, 4) of top, left, bottom, right, half open."""
    height, width = np.shape(maps)[-2:]
    top, left, bottom, right = np.moveaxis(np.asarray(boxes)[..., None, None], -3, 0)
    rows, columns = np.arange(height)[:, None], np.arange(width)
    return mass_in_mask(maps, (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right), signed)


def gaussian_noise(
    pictures: torch.Tensor, deviation: float, count: int, seed: int, grey: bool = True
) -> torch.Tensor:
    """Perturbations (count, B, 1 or channels, h, w) for `infidelity`; grey ones move
    all channels of a pixel together.
    """
    shape = (count, len(pictures), 1 if grey else pictures.shape[1], *pictures.shape[2:])
    return deviation * torch.randn(shape, generator=stream(seed, "noise of infidelity")).to(pictures)


def uniform_noise(pictures: torch.Tensor, radius: float, count: int, seed: int) -> torch.Tensor:
    """Perturbations (count, B, channels, h, w) for `max_sensitivity`: even in ±radius,
    the ball in which no pixel moves further.
    """
    draws = torch.rand((count, *pictures.shape), generator=stream(seed, "noise of sensitivity"))
    return radius * (2 * draws - 1).to(pictures)


@torch.no_grad()
def infidelity(
    network: nn.Module,
    pictures: torch.Tensor,
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
    changed = (pictures - perturbations).flatten(0, 1)
    logits = _logits(network, torch.cat([pictures, changed]), torch.cat([targets, targets.repeat(count)]))
    seen = logits[:size] - logits[size:].view(count, size)  # (P, B)
    foretold = torch.einsum("bmchw,pbchw->pbm", attributions.to(perturbations), perturbations)
    if normalise:
        scale = (foretold * seen[..., None]).mean(0) / foretold.square().mean(0)
        foretold = foretold * scale.nan_to_num(0.0)  # a map of zeros foretells nothing at any scale
    return (foretold - seen[..., None]).square().mean(0).cpu().numpy()


def max_sensitivity(
    explain: Callable[[torch.Tensor], np.ndarray], pictures: torch.Tensor, perturbations: torch.Tensor
) -> np.ndarray:
    """(B,) the largest ‖Φ(x + I) − Φ(x)‖ / ‖Φ(x)‖ over perturbations I (P, B, channels,
    h, w) (Yeh et al., 1901.09392).

    `explain` gives maps (B, …) of pictures; it is called once for each perturbation, so
    that a method that draws can draw alike. Where Φ(x) is zero the change itself is
    taken.
    """
    own = np.asarray(explain(pictures)).reshape(len(pictures), -1)
    length = np.linalg.norm(own, axis=1)
    changes = [
        np.linalg.norm(np.asarray(explain(pictures + noise)).reshape(own.shape) - own, axis=1)
        for noise in perturbations
    ]
    return np.max(changes, axis=0) / np.where(length > 0, length, 1.0)


def similarity(maps: np.ndarray, others: np.ndarray, signed: bool = False) -> Similarity:
    """How alike maps (…, h, w) and others of the same shape are; for cascading
    randomisation (Adebayo et al., 1810.03292) with and without signs.

    A map that is the same everywhere ranks no pixel: it correlates 1 with another such
    map and 0 with any other. Raises ValueError on a side below 7.
    """
    from skimage.metrics import structural_similarity

    first, second = np.broadcast_arrays(_saliency(maps, signed), _saliency(others, signed))
    brightness = [_brightness(values, signed).reshape(-1, *values.shape[-2:]) for values in (first, second)]
    structure = [
        structural_similarity(one, other, data_range=1.0) for one, other in zip(*brightness, strict=True)
    ]
    return Similarity(_spearman(first, second), np.reshape(structure, first.shape[:-2]))


def completeness_gap(map_sum: np.ndarray | float, logit_difference: np.ndarray | float) -> np.ndarray:
    """|sum of the map − logit difference| / |logit difference|, (…); infinite where there is no difference to explain but the sum is not zero."""
    gap = np.abs(np.subtract(map_sum, logit_difference, dtype=float))
    whole = np.abs(np.broadcast_to(logit_difference, gap.shape).astype(float))
    return np.divide(gap, whole, out=np.where(gap > 0, math.inf, 0.0), where=whole > 0)


def kendall(
    scores: Mapping[str, np.ndarray], level: float = 0.95, seed: int = 0
) -> dict[tuple[str, str], Interval]:
    """For every two properties, Kendall's τ-b of their rankings of the methods: the
    mean over models with its bootstrap interval.

    `scores` holds for each property ("model-dependent", "faithful", …) an array
    (models, methods), more is better. Where a property ranks all methods of a model the
    same, its τ is 0.
    """
    found = {}
    for one, other in itertools.combinations(scores, 2):
        agreement = [_tau(first, second) for first, second in zip(scores[one], scores[other], strict=True)]
        found[one, other] = bootstrap_interval(agreement, level, seed)
    return found


def stable(
    maps: np.ndarray, by: Literal["sign", "rank"], level: float = 0.8, signed: bool = False
) -> np.ndarray:
    """Where at least `level` of the maps (M, …, h, w) agree, bool (…, h, w): over seeds
    of a model, or over draws of a method.

    By sign: minus, zero or plus. By rank: whether the pixel is among the fifth with the
    highest saliency. Raises ValueError on any other.
    """
    values = np.asarray(maps, dtype=float)
    if by == "sign":
        agreed = np.max([(np.sign(values) == sign).mean(0) for sign in (-1, 0, 1)], axis=0)
    elif by == "rank":
        flat = _saliency(values, signed).reshape(*values.shape[:-2], -1)
        within = (_ranks(-flat) <= TOP * flat.shape[-1]).reshape(values.shape).mean(0)
        agreed = np.maximum(within, 1 - within)
    else:
        raise ValueError(f"Maps are stable by sign or by rank, got {by!r}.")
    return agreed >= level - ROUNDING


def mean_map(maps: np.ndarray, equal: bool = False) -> np.ndarray:
    """The mean of maps (M, …, h, w) over the first axis.

    `equal` gives each map the same weight whatever its size, as for maps of several
    models: each is scaled to the mean of their mean absolute values.
    """
    values = np.asarray(maps, dtype=float)
    if not equal:
        return values.mean(0)
    sizes = np.abs(values).mean((-2, -1), keepdims=True)
    return (values / np.where(sizes > 0, sizes, 1.0)).mean(0) * sizes.mean(0)


def _saliency(maps: np.ndarray, signed: bool) -> np.ndarray:
    values = np.asarray(maps, dtype=float)
    if not np.isfinite(values).all():
        raise ValueError("A map has values that are not finite.")
    return values if signed else np.abs(values)


@torch.no_grad()
def _curve(
    network: nn.Module,
    starts: torch.Tensor,
    ends: torch.Tensor,
    targets: torch.Tensor,
    ranks: np.ndarray,
    steps: int,
) -> Curve:
    """From the starts to the ends, pixel after pixel in the order of ranks (B, M, h,
    w).
    """
    if steps < 1:
        raise ValueError(f"A curve needs at least one step, got {steps}.")
    size, count = ranks.shape[:2]
    if len(starts) != size or starts.shape[-2:] != ranks.shape[-2:]:
        raise ValueError(f"Maps of shape {ranks.shape} do not fit pictures of shape {tuple(starts.shape)}.")
    shares = np.linspace(0, 1, steps + 1)
    changed = torch.from_numpy(np.rint(shares[1:-1] * ranks[0, 0].size))[:, None, None].to(starts.device)
    probabilities = np.empty((size, count, steps + 1), dtype=np.float32)
    for end, pictures in ((0, starts), (-1, ends)):
        probabilities[:, :, end] = _probabilities(network, pictures, targets).cpu().numpy()[:, None]
    for index, (start, end, target) in enumerate(zip(starts, ends, targets, strict=True)):
        # (M·(T − 2), 1, h, w)
        masks = (torch.from_numpy(ranks[index]).to(starts.device)[:, None] < changed).flatten(0, 1)[:, None]
        parts = [
            _probabilities(network, torch.where(mask, end, start), target.expand(len(mask)))
            for mask in masks.split(BATCH)
        ]
        if parts:
            probabilities[index, :, 1:-1] = torch.cat(parts).view(count, -1).cpu().numpy()
    return Curve(shares, probabilities)


def _probabilities(network: nn.Module, pictures: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(B,) of each picture's target."""
    return _outputs(network, pictures).softmax(1).gather(1, targets[:, None])[:, 0]


def _logits(network: nn.Module, pictures: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(B,) of each picture's target."""
    return _outputs(network, pictures).gather(1, targets[:, None])[:, 0]


def _outputs(network: nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    """Logits (B, K) in evaluation mode; pictures with the channels last take a third
    less time, whatever the weights' layout.
    """
    network.eval()
    return torch.cat(
        [network(part.contiguous(memory_format=torch.channels_last)) for part in pictures.split(BATCH)]
    )


def _brightness(maps: np.ndarray, signed: bool) -> np.ndarray:
    """In [0, 1], as structural similarity expects: to a mean of either sign, a map and
    its negative would look alike.
    """
    largest = np.abs(maps).max((-2, -1), keepdims=True)
    scaled = maps / np.where(largest > 0, largest, 1.0)
    return (1 + scaled) / 2 if signed else scaled


def _spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(…) of maps (…, h, w)."""
    ranks = [_ranks(values.reshape(*values.shape[:-2], -1)) for values in (first, second)]
    one, other = (values - values.mean(-1, keepdims=True) for values in ranks)
    flat = (np.abs(one).max(-1) == 0) == (np.abs(other).max(-1) == 0)
    product = np.sqrt(np.square(one).sum(-1) * np.square(other).sum(-1))
    return np.divide((one * other).sum(-1), product, out=np.array(flat, dtype=float), where=product > 0)


def _ranks(values: np.ndarray) -> np.ndarray:
    """1…n along the last axis, ties their average."""
    from scipy.stats import rankdata

    return rankdata(values, axis=-1)


def _tau(first: np.ndarray, second: np.ndarray) -> float:
    from scipy.stats import kendalltau

    value = float(kendalltau(first, second).statistic)
    return value if math.isfinite(value) else 0.0
