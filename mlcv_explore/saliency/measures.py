"""Measures of maps by themselves: do they lie on the true cause, are they moved by the
model's weights, and are they the same when drawn again?

Maps are NumPy arrays (…, h, w). Where `signed` is false (the default) a pixel's
saliency is |map|; where it is true it is the map itself, and evidence against the class
comes last and has no mass. Images are tensors (B, channels, h, w) in [0, 1] on the
network's device.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlcv_explore.statistics import Interval, bootstrap_interval

TOP = 1 / 5  # of the pixels: those whose membership decides whether a rank is stable
ROUNDING = 1e-9


@dataclass(frozen=True)
class Similarity:
    """How alike two maps are, each (…) in [−1, 1]."""

    rank: np.ndarray  # Spearman's correlation of the pixels
    # structural similarity (Wang et al. 2004) of the maps as brightness: 0…largest, or with signs
    # −largest…largest
    structure: np.ndarray


def pixel_saliency(maps: np.ndarray, signed: bool) -> np.ndarray:
    """A pixel's saliency, (…, h, w) float64: |map|, or the map itself where `signed` is
    true. Raises ValueError where a map is not finite.
    """
    values = np.asarray(maps, dtype=float)
    if not np.isfinite(values).all():
        raise ValueError("A map has values that are not finite.")
    return values if signed else np.abs(values)


def pointing(maps: np.ndarray, masks: np.ndarray, signed: bool = False) -> np.ndarray:
    """Does the maximum lie in the mask (…, h, w)? 0 or 1 (…); of several equal maxima,
    the share that does (Zhang et al., 1608.00507).
    """
    values = pixel_saliency(maps, signed)
    top = values == values.max((-2, -1), keepdims=True)
    return (top & (np.asarray(masks) > 0)).sum((-2, -1)) / top.sum((-2, -1))


def mass_in_mask(maps: np.ndarray, masks: np.ndarray, signed: bool = False) -> np.ndarray:
    """The share of the map's mass that lies in the mask (…, h, w): (…) in [0, 1].

    Mass is |map|, or where `signed` is true max(map, 0). A map without any mass is
    taken as an even one, which has the mask's share of the area.
    """
    mass = np.maximum(pixel_saliency(maps, signed), 0.0)
    mass = np.where(mass.sum((-2, -1), keepdims=True) > 0, mass, 1.0)
    return (mass * (np.asarray(masks) > 0)).sum((-2, -1)) / mass.sum((-2, -1))


def mass_on_tag(maps: np.ndarray, boxes: np.ndarray, signed: bool = False) -> np.ndarray:
    """The same for boxes (…, 4) of top, left, bottom, right, half open."""
    height, width = np.shape(maps)[-2:]
    top, left, bottom, right = np.moveaxis(np.asarray(boxes)[..., None, None], -3, 0)
    rows, columns = np.arange(height)[:, None], np.arange(width)
    return mass_in_mask(maps, (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right), signed)


def similarity(maps: np.ndarray, others: np.ndarray, signed: bool = False) -> Similarity:
    """How alike maps (…, h, w) and others of the same shape are; for cascading
    randomisation (Adebayo et al., 1810.03292) with and without signs.

    A map that is the same everywhere ranks no pixel: it correlates 1 with another such
    map and 0 with any other. Raises ValueError on a side below 7.
    """
    from skimage.metrics import structural_similarity

    first, second = np.broadcast_arrays(pixel_saliency(maps, signed), pixel_saliency(others, signed))
    brightness = [_brightness(values, signed).reshape(-1, *values.shape[-2:]) for values in (first, second)]
    structure = [
        structural_similarity(one, other, data_range=1.0) for one, other in zip(*brightness, strict=True)
    ]
    return Similarity(_spearman(first, second), np.reshape(structure, first.shape[:-2]))


def kendall(
    scores: Mapping[str, np.ndarray], level: float = 0.95, seed: int = 0
) -> dict[tuple[str, str], Interval]:
    """For every two properties, Kendall's τ-b of their rankings of the methods: the
    mean over models with its bootstrap interval.

    `scores` holds for each property ("model-dependent", "faithful", …) an array
    (models, methods), more is better. Where a property ranks all methods of a model the
    same, its τ is 0.
    """
    intervals = {}
    for one, other in itertools.combinations(scores, 2):
        agreement = [_tau(first, second) for first, second in zip(scores[one], scores[other], strict=True)]
        intervals[one, other] = bootstrap_interval(agreement, level, seed)
    return intervals


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
        flat = pixel_saliency(values, signed).reshape(*values.shape[:-2], -1)
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
