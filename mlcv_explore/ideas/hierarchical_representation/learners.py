"""Learners of stacked levels: each begins with all training pictures, takes steps on
batches, encodes, and may decode.

Whatever has these four verbs can take the autoencoder's place; BREAKS says which of the
assumptions behind "any unsupervised learner" it breaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.ideas.hierarchical_representation.levels import Shape, StackedLevels, losses, total
from mlcv_explore.metrics import linear_probe
from mlcv_explore.seeds import seeded, stream, stream_seed

MOST_UNITS = 256  # of a level that is fitted in one piece: probes read 12 components of it
TEMPERATURE = 0.2  # of the contrastive loss
HEAD = 32  # numbers that views are compared in; the layer that makes them of a code is thrown away
ROUNDS = 20  # of Lloyd's algorithm


@dataclass(frozen=True)
class Recipe:
    """What the gradient learners share."""

    shape: Shape
    rate: float
    noise: float  # standard deviation of what is added to a value, in units of the values' own
    weight: float  # of the levels' own losses beside a global one
    tied: bool = False
    linear: bool = False


class Learner(Protocol):
    """One arm of all seeds."""

    updates: np.ndarray  # (L,) int64: how often each level's encoder was updated
    # the losses (S,) of the last step, by term; empty where nothing is descended
    told: dict[str, torch.Tensor]

    def begin(self, pictures: torch.Tensor) -> None:
        """Look at all training pictures (S, n, …) once; learners that are fitted in one
        piece are fitted here.
        """

    def step(self, batch: torch.Tensor, labels: torch.Tensor) -> None:
        """One update on pictures (S, B, …); only the supervised bound reads their
        labels (S, B).
        """

    def encode(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """(S, n, …) → every level's codes, (S, n, d) or (S, n, channels, height,
        width).
        """

    def decode(self, level: int, code: torch.Tensor) -> torch.Tensor | None:
        """A level's codes back to pixels, None where the learner cannot."""


class Descending:
    """What every learner by gradients has: levels, their optimiser, and a count of each
    encoder's updates.
    """

    def __init__(
        self, recipe: Recipe, seeds: Sequence[int], target: str = "code", clipped: bool = False
    ) -> None:
        self.recipe, self.seeds = recipe, tuple(seeds)
        self.levels = StackedLevels(
            recipe.shape, seeds, target, tied=recipe.tied, linear=recipe.linear, clipped=clipped
        )
        self.updates = np.zeros(recipe.shape.count, np.int64)
        self.told: dict[str, torch.Tensor] = {}
        self.optimiser = torch.optim.Adam(self.learned(), lr=recipe.rate, fused=True)

    def learned(self) -> list[nn.Parameter]:
        """The parameters that are descended; those without a gradient stay as they are."""
        return list(self.levels.parameters())

    def begin(self, pictures: torch.Tensor) -> None:
        """Nothing is fitted in one piece."""

    def descend(self, terms: dict[str, torch.Tensor]) -> None:
        """One update of every encoder that some term reaches."""
        self.optimiser.zero_grad(set_to_none=True)
        total(terms, self.recipe.weight).backward()
        self.optimiser.step()
        self.updates += [weight.grad is not None for weight in self.levels.up]
        self.told = {name: value.detach() for name, value in terms.items()}

    @torch.no_grad()
    def encode(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """The code of every level."""
        return self.levels.codes(pictures)

    def decode(self, level: int, code: torch.Tensor) -> torch.Tensor | None:
        """None: nothing here was taught to decode."""
        return None


class Autoencoder(Descending):
    """The author's levels under one wiring. With noise a level answers with the clean
    code below: a denoising autoencoder.
    """

    def __init__(
        self,
        recipe: Recipe,
        seeds: Sequence[int],
        wiring: str,
        target: str = "code",
        *,
        clipped: bool = False,
        denoising: bool = False,
    ) -> None:
        super().__init__(recipe, seeds, target, clipped)
        self.wiring = wiring
        self.streams = [stream(seed, "noise") for seed in seeds] if denoising else []

    def step(self, batch: torch.Tensor, labels: torch.Tensor) -> None:
        """One update; labels are not read."""
        self.descend(losses(self.levels, batch, self.wiring, self._noise if self.streams else None))

    def _noise(self, level: int, values: torch.Tensor) -> torch.Tensor:
        draws = torch.stack(
            [torch.randn(values.shape[1:], generator=generator) for generator in self.streams]
        )
        spread = values.flatten(1).std(1).view(-1, *[1] * (values.ndim - 1))
        return self.recipe.noise * spread * draws

    @torch.no_grad()
    def decode(self, level: int, code: torch.Tensor) -> torch.Tensor | None:
        """By the decoders that were taught: the way down from the top where there is a
        global loss, else the own ones; None where none was.
        """
        whole = self.wiring == "global"
        if whole and level < self.levels.count - 1:
            return None
        return self.levels.reconstruction(
            level, code, whole or (self.wiring == "both" and level == self.levels.count - 1)
        )


class Contrastive(Descending):
    """Every level by itself tells two views of a picture from the views of others
    (InfoNCE; van den Oord et al., 1807.03748); nothing decodes.
    """

    def __init__(self, recipe: Recipe, seeds: Sequence[int]) -> None:
        values = [recipe.shape.values(level) for level in range(recipe.shape.count)]
        self.heads = nn.ParameterList(
            torch.stack(
                [
                    seeded(seed, lambda own=own: nn.Linear(own, HEAD).weight.detach().T, f"head {level}")
                    for seed in seeds
                ]
            )
            for level, own in enumerate(values)
        )
        super().__init__(recipe, seeds)
        self.streams = [stream(seed, "views") for seed in seeds]

    def learned(self) -> list[nn.Parameter]:
        """The heads too."""
        return [*super().learned(), *self.heads]

    def step(self, batch: torch.Tensor, labels: torch.Tensor) -> None:
        """One update of all levels on two views of every picture; labels are not read."""
        below = torch.cat([self._view(batch), self._view(batch)], dim=1)
        terms = {}
        for level, head in enumerate(self.heads):
            below = self.levels.encode(level, below.detach())
            terms[f"level{level + 1}"] = contrast(below.flatten(2) @ head)
        self.descend(terms)

    def _view(self, batch: torch.Tensor) -> torch.Tensor:
        """Each picture moved by up to an eighth of its side, its edge repeated, and
        with noise.
        """
        channels, height, width = self.recipe.shape.picture
        most = max(1, height // 8)
        moves = torch.stack(
            [
                torch.randint(-most, most + 1, (batch.shape[1], 2), generator=generator)
                for generator in self.streams
            ]
        )
        draws = torch.stack([torch.randn(batch.shape[1:], generator=generator) for generator in self.streams])
        rows = (torch.arange(height) + moves[..., :1]).clamp(0, height - 1)  # (S, B, h)
        columns = (torch.arange(width) + moves[..., 1:]).clamp(0, width - 1)
        places = (rows[..., :, None] * width + columns[..., None, :]).flatten(2)  # (S, B, h·w)
        pixels = batch.reshape(*batch.shape[:2], channels, height * width)
        moved = pixels.gather(3, places[:, :, None].expand(-1, -1, channels, -1)).reshape(batch.shape)
        return moved + self.recipe.noise * draws


def contrast(codes: torch.Tensor) -> torch.Tensor:
    """InfoNCE of each seed (S,) for (S, 2B, d) whose first half are views of the same
    pictures as the second: which of B is the other view?
    """
    first, second = functional.normalize(codes, dim=-1).chunk(2, dim=1)
    alike = first @ second.mT / TEMPERATURE
    right = alike.diagonal(dim1=1, dim2=2)
    return ((alike.logsumexp(2) + alike.logsumexp(1)) / 2 - right).mean(1)


class Supervised(Descending):
    """The upper bound: the same levels, taught all training labels through a linear
    layer on top.
    """

    def __init__(self, recipe: Recipe, seeds: Sequence[int], classes: int) -> None:
        features = recipe.shape.values(recipe.shape.count - 1)
        heads = [seeded(seed, lambda: nn.Linear(features, classes), "head") for seed in seeds]
        self.head = nn.Parameter(torch.stack([head.weight.detach().T for head in heads]))
        self.head_bias = nn.Parameter(torch.stack([head.bias.detach()[None] for head in heads]))
        super().__init__(recipe, seeds)

    def learned(self) -> list[nn.Parameter]:
        """The head too."""
        return [*super().learned(), self.head, self.head_bias]

    def step(self, batch: torch.Tensor, labels: torch.Tensor) -> None:
        """One update on pictures and their labels."""
        logits = torch.baddbmm(self.head_bias, self.levels.codes(batch)[-1].flatten(2), self.head)
        errors = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        self.descend({"labels": errors.view(labels.shape).mean(1)})


class Untrained(Descending):
    """The control: the levels as they start."""

    def step(self, batch: torch.Tensor, labels: torch.Tensor) -> None:
        """Nothing is learned."""


class Principal:
    """Principal components of the level below, and of these again: a linear level, so
    the second only turns the first.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.count, self.units = recipe.shape.count, _units(recipe.shape)
        self.updates, self.told = np.zeros(self.count, np.int64), {}
        self.fitted: list[list[linear_probe.PrincipalComponents]] = []  # of each level, one a seed

    def begin(self, pictures: torch.Tensor) -> None:
        """Fit one level after the other."""
        below = pictures.flatten(2).double().numpy()
        for _ in range(self.count):
            self.fitted.append([linear_probe.principal_components(own, self.units) for own in below])
            below = np.stack([one.transform(own) for one, own in zip(self.fitted[-1], below, strict=True)])

    def step(self, batch: torch.Tensor, labels: torch.Tensor) -> None:
        """All was fitted at the start."""

    def encode(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Projections, scaled to a total variance of one."""
        found, below = [], pictures.flatten(2).double().numpy()
        for level in self.fitted:
            below = np.stack([one.transform(own) for one, own in zip(level, below, strict=True)])
            found.append(torch.from_numpy(below))
        return found

    def decode(self, level: int, code: torch.Tensor) -> torch.Tensor | None:
        """The best linear reconstruction."""
        values = code.numpy()
        for own in reversed(self.fitted[: level + 1]):
            values = np.stack(
                [
                    one.mean + each @ one.basis.T / np.square(one.basis[:, 0]).sum()
                    for one, each in zip(own, values, strict=True)
                ]
            )
        return torch.from_numpy(values).float()


class Centroids:
    """k-means of the level below; a code says of each centroid by how much it is nearer
    than the mean one (Coates, Lee, Ng, AISTATS 2011).
    """

    def __init__(self, recipe: Recipe, seeds: Sequence[int]) -> None:
        self.seeds, self.count, self.units = tuple(seeds), recipe.shape.count, _units(recipe.shape)
        self.updates, self.told = np.zeros(self.count, np.int64), {}
        self.centres: list[list[np.ndarray]] = []  # of each level, one (k, d) a seed
        self.typical: list[list[np.ndarray]] = []  # the mean training picture (k, pixels) of each cluster

    def begin(self, pictures: torch.Tensor) -> None:
        """Fit one level after the other."""
        from sklearn.cluster import KMeans

        pixels = pictures.flatten(2).numpy()
        below = pixels
        for level in range(self.count):
            fits = [
                KMeans(
                    min(self.units, len(own)),
                    n_init=1,
                    max_iter=ROUNDS,
                    random_state=stream_seed(seed, f"centroids {level}") % 2**32,
                ).fit(own)
                for seed, own in zip(self.seeds, below, strict=True)
            ]
            self.centres.append([fit.cluster_centers_ for fit in fits])
            self.typical.append(
                [_means(own, fit.labels_, fit.n_clusters) for own, fit in zip(pixels, fits, strict=True)]
            )
            below = self._above(level, below)

    def step(self, batch: torch.Tensor, labels: torch.Tensor) -> None:
        """All was fitted at the start."""

    def encode(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """How much nearer than usual each centroid is."""
        found, below = [], pictures.flatten(2).numpy()
        for level in range(self.count):
            below = self._above(level, below)
            found.append(torch.from_numpy(below))
        return found

    def decode(self, level: int, code: torch.Tensor) -> torch.Tensor | None:
        """The mean training picture of the nearest centroid's cluster: all that a
        cluster remembers.
        """
        return torch.from_numpy(
            np.stack(
                [own[each] for own, each in zip(self.typical[level], code.argmax(-1).numpy(), strict=True)]
            )
        )

    def _above(self, level: int, below: np.ndarray) -> np.ndarray:
        return np.stack(
            [nearness(own, centres) for own, centres in zip(below, self.centres[level], strict=True)]
        )


def nearness(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """max(0, mean distance − distance) of each value (n, d) to every centre (k, d): (n,
    k) float32.
    """
    squared = (values**2).sum(1)[:, None] - 2 * values @ centres.T + (centres**2).sum(1)
    distances = np.sqrt(np.maximum(squared, 0))
    return np.maximum(0, distances.mean(1, keepdims=True) - distances).astype(np.float32)


BREAKS = {  # learner → which assumption behind "any unsupervised learner will do" it breaks
    "autoencoder": "none: it decodes, its code is continuous, and gradients pass through it",
    "denoising": "what it is taught on is not what it is asked about: the noise is gone when it encodes",
    "contrastive": (
        "it has no decoder, so no level can be asked to reconstruct anything, and it must be told which"
        " changes do not matter"
    ),
    "pca": "it is linear: a second level only turns the first, and nothing is gained by stacking",
    "kmeans": (
        "no gradient passes through it, so one loss cannot reach two levels; it decodes to a cluster's mean"
        " picture, not to the picture"
    ),
}


def _means(pixels: np.ndarray, members: np.ndarray, count: int) -> np.ndarray:
    """The mean picture of each cluster, (k, pixels)."""
    sums = np.zeros((count, pixels.shape[1]), np.float32)
    np.add.at(sums, members, pixels)
    return sums / np.maximum(np.bincount(members, minlength=count), 1)[:, None]


def _units(shape: Shape) -> int:
    """As many as a level has values, up to a bound."""
    return min(shape.values(0), MOST_UNITS)
