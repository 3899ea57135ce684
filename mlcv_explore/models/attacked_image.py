"""One image, a network opened at a layer, and a perturbation there, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from mlcv_explore.data import gallery, uploads
from mlcv_explore.models import layers
from mlcv_explore.models.attacks import STEP, Attack, Tail, margins
from mlcv_explore.models.checkpoints import Classifier
from mlcv_explore.seeds import stream

STEPS = 10


@dataclass(frozen=True, eq=False)
class Attacked:
    """An image before, under attack at one layer, and with random noise of the same size."""

    probabilities: tuple[np.ndarray, ...]  # (K,) before, attacked, with noise
    confidence: np.ndarray  # (STEPS + 1,) of the first class, step by step
    maps: tuple[np.ndarray, ...]  # before, attacked, change: (h, w), or (3, h, w) of an image
    size: float  # of the perturbation, norm

    @property
    def first(self) -> int:
        """The class that is predicted before."""
        return int(self.probabilities[0].argmax())

    @property
    def of_first(self) -> tuple[float, ...]:
        """Its probability before, attacked, with noise."""
        return tuple(float(each[self.first]) for each in self.probabilities)

    def predictions(self, classes: Sequence[str]) -> list[str]:
        """ "cat 90%": before, attacked, with noise."""
        return [f"{classes[int(each.argmax())]} {each.max():.0%}" for each in self.probabilities]


@lru_cache(maxsize=4)
def opened(model: Classifier) -> layers.Chain:
    """A classifier as a chain of blocks. Raises ValueError where it is none."""
    return layers.chain(model.network, model.name)


@torch.no_grad()
def attacked(model: Classifier, array: np.ndarray, site: int, share: float, norm: str) -> Attacked:
    """Ten gradient steps at a site from an input (3, side, side), of at most `share` of
    the spread that the image's own activations have there about their channels' means, of
    a vector about its own mean. Raises ValueError where the network is no chain.
    """
    chain = opened(model)
    start, tail = chain.between(0, site)(torch.from_numpy(array)[None]).contiguous(), chain.tail(site)
    attack = Attack(norm, STEPS, 1, None, *((-np.inf, np.inf) if site else (0.0, 1.0)))
    means = start.mean(tuple(range(2, start.ndim)) or 1, keepdim=True)
    radius = share * attack.sizes(start - means)
    units, confidence = _steps(tail, start, radius, attack)
    noise = attack.noise(start, radius, stream(0, "demo noise"))
    moved = [attack.perturbed(start, each) for each in (torch.zeros_like(start), units, noise)]
    probabilities = tuple(tail(values).softmax(1)[0].numpy() for values in moved)
    before, after = moved[:2]
    maps = tuple(_shown(values[0]) for values in (before, after, after - before))
    return Attacked(probabilities, np.array(confidence), maps, float(attack.sizes(after - before)))


@torch.enable_grad()
def _steps(
    tail: Tail, start: torch.Tensor, radius: torch.Tensor, attack: Attack
) -> tuple[torch.Tensor, list[float]]:
    """Units of the lowest margin, and the first class's probability after every step."""
    units, shares = torch.zeros_like(start), []
    best, lowest, label = units, np.inf, None
    for step in range(STEPS + 1):
        units = units.detach().requires_grad_(step < STEPS)
        logits = tail(attack.perturbed(start, units))
        label = logits.argmax(1).detach() if label is None else label
        margin = margins(logits, label)
        shares.append(float(logits.detach().softmax(1)[0, label]))
        if margin.item() < lowest:
            best, lowest = units.detach(), margin.item()
        if step < STEPS:
            (gradient,) = torch.autograd.grad(margin.sum(), units)
            length = float(radius) * (STEP / STEPS if step else 1.0)
            units = attack.projected(units - attack.steepest(gradient) * length, radius)
    return best, shares


def nearest_photograph(model: Classifier, values: np.ndarray, site: int) -> str:
    """The title of the gallery's photograph whose map at a site is nearest to this one,
    one of `Attacked.maps`.
    """
    titles, maps = _gallery_maps(model, site)
    return titles[int(np.linalg.norm((maps - values).reshape(len(maps), -1), axis=1).argmin())]


@lru_cache(maxsize=32)
@torch.no_grad()
def _gallery_maps(model: Classifier, site: int) -> tuple[tuple[str, ...], np.ndarray]:
    photographs = gallery.photographs()
    arrays = [uploads.resized_to_square(each.read().pixels, model.side) for each in photographs.values()]
    values = opened(model).between(0, site)(torch.from_numpy(np.stack(arrays)))
    return tuple(each.title for each in photographs.values()), np.stack([_shown(each) for each in values])


def _shown(values: torch.Tensor) -> np.ndarray:
    """An image as it is (3, h, w); the mean over channels (h, w); a vector as one row."""
    if values.ndim == 1:
        return values[None].numpy()
    return values.numpy() if len(values) == 3 else values.mean(0).numpy()
