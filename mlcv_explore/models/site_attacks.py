"""A network with images to attack at each of its sites: the smallest perturbations that
change a prediction, in five units, and the accuracy under attack.

The units, relative but for the first: "raw", the norm; "whitened" and "unit", the root
mean square (in L∞ the largest) in units of the site's spread, over all directions of the
channels or channel by channel; "distance", the raw norm by the distance to the nearest
activation of another class; "shift", by the shift that one random noise at the input
causes.
"""

import math
from dataclasses import dataclass, replace

import torch

from mlcv_explore.metrics.intrinsic_dimension import two_nearest
from mlcv_explore.models import attacks
from mlcv_explore.models.attacks import Attack
from mlcv_explore.models.layers import Chain
from mlcv_explore.models.robust_training import FLOOR, channel_scale
from mlcv_explore.seeds import stream


@dataclass(frozen=True, eq=False)
class Site:
    """What is at one site: the activations that are attacked, and what those of other
    images say about their spread.
    """

    attacked: torch.Tensor  # (B, C, …)
    scales: dict[str, torch.Tensor]  # "whitened", "unit": (C, C)
    dimension: float  # intrinsic
    others: torch.Tensor  # (B,): distance to the nearest activation of another class


@dataclass(frozen=True, eq=False)
class OpenedNetwork:
    """A network as its sites, the classes of the images attacked, and how they are."""

    chain: Chain
    sites: list[Site]
    labels: torch.Tensor  # (B,)
    search: Attack  # norm, steps and restarts
    reachable: bool = False  # pixels stay in 0 to 1, features below the logits at least 0

    def attack(self, site: int, scale: torch.Tensor | None = None) -> Attack:
        """The search at a site, in units of a scale (C, C)."""
        low = 0.0 if self.reachable and site + 1 < len(self.sites) else -math.inf
        high = 1.0 if self.reachable and not site else math.inf
        return replace(self.search, scale=scale, low=low, high=high)

    def length(self, site: int) -> float:
        """The size of a perturbation by 1 of each of a site's d values: √d, in L∞ 1."""
        return 1.0 if self.search.norm == "linf" else self.sites[site].attacked[0].numel() ** 0.5


def opened(
    chain: Chain,
    references: torch.Tensor,
    reference_labels: torch.Tensor | None,
    images: torch.Tensor,
    labels: torch.Tensor | None,
    search: Attack,
    reachable: bool = False,
) -> OpenedNetwork:
    """A chain with images to attack (B, C, h, w); other images, `references`, describe its
    sites. Without labels the network's own predictions count.
    """
    values, attacked = _activations(chain, references), _activations(chain, images)
    classes = values[-1].argmax(1) if reference_labels is None else reference_labels
    labels = attacked[-1].argmax(1) if labels is None else labels
    sites = []
    for reference, start in zip(values, attacked, strict=True):
        pairs = zip(start, labels, strict=True)
        nearest = [search.sizes(reference[classes != label] - one).min() for one, label in pairs]
        scales = {"whitened": channel_scale(reference, True), "unit": channel_scale(reference, False)}
        sites.append(Site(start, scales, two_nearest(reference.flatten(1).numpy()), torch.stack(nearest)))
    return OpenedNetwork(chain, sites, labels, search, reachable)


@torch.no_grad()
def _activations(chain: Chain, images: torch.Tensor) -> list[torch.Tensor]:
    parts = [chain.activations(part) for part in images.split(50)]
    return [torch.cat(values).contiguous() for values in zip(*parts, strict=True)]


def smallest(network: OpenedNetwork, site: int, seed: int, unit: str) -> torch.Tensor:
    """The smallest perturbation found of every attacked image (B,), searched in one of the
    first three units; 0 where the prediction is wrong already, infinite where none is
    found.
    """
    at = network.sites[site]
    scale, draws = at.scales.get(unit), stream(seed, f"attack {site} {unit}")
    tail, attack = network.chain.tail(site), network.attack(site, scale)
    radii = attacks.smallest(tail, at.attacked, network.labels, attack, draws)
    return radii if scale is None else radii / network.length(site)


def median_size(radii: torch.Tensor) -> torch.Tensor:
    """The median of smallest perturbations over the images that need one. Raises ValueError
    where none does, or where half are not changed by any that is tried.
    """
    right = radii[radii > 0]
    if not len(right):
        raise ValueError("No attacked image is classified correctly, so none has a smallest perturbation.")
    if not (median := right.median()).isfinite():
        raise ValueError("No perturbation that is tried changes half of the predictions: allow more steps.")
    return median


def sizes(network: OpenedNetwork, site: int, seed: int, reference: float) -> dict[str, float]:
    """The median smallest perturbation at a site in every unit, over the images that are
    classified correctly; "noise", the share of their predictions that random noise of the
    raw size changes; and "dimension". `reference` is the size of the noise at the input
    behind "shift": the input's own raw median, 0 at the input itself. Raises ValueError as
    `median_size` does.
    """
    at, attack = network.sites[site], network.attack(site)
    radii = {unit: smallest(network, site, seed, unit) for unit in ("raw", "whitened", "unit")}
    found = {unit: float(median_size(values)) for unit, values in radii.items()}
    raw, start = radii["raw"], network.sites[0].attacked
    noise = network.search.noise(
        start, torch.full((len(start),), reference or found["raw"]), stream(seed, "reference noise")
    )
    noisy = network.attack(0).perturbed(start, noise)
    shift = attack.sizes(network.chain.between(0, site)(noisy) - at.attacked)
    for unit, divisor in (("distance", at.others), ("shift", shift)):
        found[unit] = float((raw / divisor.clamp_min(FLOOR))[raw > 0].median())
    moved = attack.noise(at.attacked, raw.nan_to_num(posinf=0), stream(seed, f"noise {site}"))
    after = attacks.margins(network.chain.tail(site)(attack.perturbed(at.attacked, moved)), network.labels)
    return found | {"noise": float((after[raw > 0] <= 0).float().mean()), "dimension": at.dimension}


def accuracy(network: OpenedNetwork) -> float:
    """The share of attacked images that are classified correctly before."""
    return float((network.sites[-1].attacked.argmax(1) == network.labels).float().mean())


def robust_accuracy(network: OpenedNetwork, site: int, radius: float, seed: int) -> float:
    """The share of images that are classified correctly under every attack tried at a site
    of at most `radius`, a norm in standard deviations of each channel.
    """
    start, attack = network.sites[site].attacked, network.attack(site, network.sites[site].scales["unit"])
    bounds, draws = torch.full((len(start),), radius), stream(seed, f"test {site}")
    lowest, _ = attacks.search(network.chain.tail(site), start, network.labels, bounds, attack, draws)
    return float((lowest > 0).float().mean())
