"""Learners of stacked levels by gradients, all seeds at once: the autoencoder under
every objective, its denoising and contrastive baselines, and the supervised bound.

Source: Vincent, Larochelle, Bengio, Manzagol, Extracting and Composing Robust Features
with Denoising Autoencoders, 2008, https://doi.org/10.1145/1390156.1390294

Source: van den Oord, Li, Vinyals, Representation Learning with Contrastive Predictive
Coding, 2018, https://arxiv.org/abs/1807.03748
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.metrics import ridge_probe
from mlcv_explore.models.stacked_autoencoders import Shape, StackedAutoencoders, losses, total
from mlcv_explore.seeds import seeded, stream

BATCH = 500  # images encoded together
TEMPERATURE = 0.2  # of the contrastive loss
ProbeParts = list[tuple[np.ndarray, ...]]  # of every seed: features of the parts that a probe needs
HEAD = 32  # numbers in which views are compared, by a linear layer that is not part of the code


@dataclass(frozen=True)
class Hyperparameters:
    """What all learners share."""

    shape: Shape
    rate: float  # learning rate
    noise: float  # standard deviation of added noise, in units of the values' own
    weight: float  # of the layer-wise losses beside an end-to-end one
    tied: bool = False
    linear: bool = False


class Learner:
    """The interface of every learner; values are (S, n, …), codes (S, n, d) or (S, n,
    channels, height, width).
    """

    updates: np.ndarray  # (L,) int64: how often each level's encoder was updated
    losses: dict[str, torch.Tensor]  # (S,) each, of the last step; empty without gradient steps

    def fit(self, images: torch.Tensor) -> None:
        """Fit in one piece on all training images, before the first step."""

    def step(self, batch: torch.Tensor, labels: torch.Tensor) -> None:
        """One update on images (S, B, …); only a supervised learner uses labels (S, B)."""

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The codes of every level."""
        raise NotImplementedError

    def decode(self, level: int, code: torch.Tensor) -> torch.Tensor | None:
        """Pixels from a level's codes; None where no decoder was trained."""


class Input(Learner):
    """The baseline without a level: its only code is the input."""

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [images]


def encoded(own: Learner, images: torch.Tensor) -> list[torch.Tensor]:
    """Every level's codes (S, n, …) of images (S, n, …), some at a time."""
    parts = [own.encode(part) for part in images.split(BATCH, dim=1)]
    return [torch.cat(level, dim=1) for level in zip(*parts, strict=True)]


def projected(
    own: Learner, bases: Sequence[Sequence[ridge_probe.Projection]], parts: Sequence[torch.Tensor]
) -> list[ProbeParts]:
    """Codes of every part (S, n, …) on directions of every level and seed, some images
    at a time.
    """
    found = [[[[] for _ in parts] for _ in level] for level in bases]
    for place, part in enumerate(parts):
        for images in part.split(BATCH, dim=1):
            for level, codes in enumerate(own.encode(images)):
                for seed, code in enumerate(codes.flatten(2).numpy()):
                    found[level][seed][place].append(bases[level][seed].transform(code))
    return [[tuple(map(np.concatenate, seed)) for seed in level] for level in found]


class GradientLearner(Learner):
    """Levels with their optimiser, and a count of each encoder's updates. By itself it
    is the control: its weights stay as they were drawn.
    """

    def __init__(
        self, settings: Hyperparameters, seeds: Sequence[int], target: str = "code", clipped: bool = False
    ) -> None:
        self.settings = settings
        self.model = StackedAutoencoders(
            settings.shape, seeds, target, tied=settings.tied, linear=settings.linear, clipped=clipped
        )
        self.updates, self.losses = np.zeros(settings.shape.count, np.int64), {}
        self.optimiser = torch.optim.Adam(self.parameters(), lr=settings.rate, fused=True)

    def parameters(self) -> list[nn.Parameter]:
        """What is optimised; a parameter without a gradient keeps its value."""
        return list(self.model.parameters())

    def minimise(self, terms: dict[str, torch.Tensor]) -> None:
        """One update of every encoder that some loss reaches."""
        self.optimiser.zero_grad(set_to_none=True)
        total(terms, self.settings.weight).backward()
        self.optimiser.step()
        self.updates += [weight.grad is not None for weight in self.model.up]
        self.losses = {name: value.detach() for name, value in terms.items()}

    @torch.no_grad()
    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self.model.codes(images)


class Autoencoder(GradientLearner):
    """Levels that reconstruct under one objective of `losses`; `denoising`: each level reconstructs the
    clean code below from a noisy one.
    """

    def __init__(
        self,
        settings: Hyperparameters,
        seeds: Sequence[int],
        objective: str,
        target: str = "code",
        *,
        clipped: bool = False,
        denoising: bool = False,
    ) -> None:
        super().__init__(settings, seeds, target, clipped)
        self.objective = objective
        self.streams = [stream(seed, "noise") for seed in seeds] if denoising else []

    def step(self, batch: torch.Tensor, labels: torch.Tensor) -> None:
        self.minimise(losses(self.model, batch, self.objective, self._noise if self.streams else None))

    def _noise(self, level: int, values: torch.Tensor) -> torch.Tensor:
        std = values.flatten(1).std(1).view(-1, *[1] * (values.ndim - 1))
        return self.settings.noise * std * normal(self.streams, values)

    @torch.no_grad()
    def decode(self, level: int, code: torch.Tensor) -> torch.Tensor | None:
        """By the decoders that were trained: the end-to-end one from the top where
        there is one, else the own ones.
        """
        top, alone = level == self.model.count - 1, self.objective == "global"
        if alone and not top:
            return None
        return self.model.reconstruction(level, code, alone or (self.objective == "both" and top))


def normal(streams: Sequence[torch.Generator], values: torch.Tensor) -> torch.Tensor:
    """Standard normal draws of the size of values (S, …), each seed's from its stream."""
    return torch.stack([torch.randn(values.shape[1:], generator=generator) for generator in streams])


class Contrastive(GradientLearner):
    """Every level by itself identifies the second view of an image among those of other
    images (InfoNCE); nothing decodes.
    """

    def __init__(self, settings: Hyperparameters, seeds: Sequence[int]) -> None:
        values = [settings.shape.values(level) for level in range(settings.shape.count)]
        self.heads = nn.ParameterList(
            torch.stack(
                [
                    seeded(seed, lambda own=own: nn.Linear(own, HEAD).weight.detach().T, f"head {level}")
                    for seed in seeds
                ]
            )
            for level, own in enumerate(values)
        )
        super().__init__(settings, seeds)
        self.streams = [stream(seed, "views") for seed in seeds]

    def parameters(self) -> list[nn.Parameter]:
        return [*super().parameters(), *self.heads]

    def step(self, batch: torch.Tensor, labels: torch.Tensor) -> None:
        below = torch.cat([self.view(batch), self.view(batch)], dim=1)
        terms = {}
        for level, head in enumerate(self.heads):
            below = self.model.encode(level, below.detach())
            terms[f"level{level + 1}"] = info_nce(below.flatten(2) @ head)
        self.minimise(terms)

    def view(self, batch: torch.Tensor) -> torch.Tensor:
        """Each image shifted by up to an eighth of its side, its edge repeated, and
        with noise; a vector of features, d channels of one pixel, with noise alone.
        """
        channels, height, width = self.settings.shape.image
        most = max(1, height // 8)
        size = batch.shape[1], 2
        shifts = [torch.randint(-most, most + 1, size, generator=generator) for generator in self.streams]
        shifts, draws = torch.stack(shifts), normal(self.streams, batch)
        rows = (torch.arange(height) + shifts[..., :1]).clamp(0, height - 1)  # (S, B, h)
        columns = (torch.arange(width) + shifts[..., 1:]).clamp(0, width - 1)
        places = (rows[..., :, None] * width + columns[..., None, :]).flatten(2)  # (S, B, h·w)
        pixels = batch.reshape(*batch.shape[:2], channels, height * width)
        shifted = pixels.gather(3, places[:, :, None].expand(-1, -1, channels, -1)).reshape(batch.shape)
        return shifted + self.settings.noise * draws


def info_nce(codes: torch.Tensor) -> torch.Tensor:
    """InfoNCE of each seed, (S,), for codes (S, 2B, d) whose first half are views of
    the same images as the second: the cross-entropy of identifying the other view.
    """
    first, second = functional.normalize(codes, dim=-1).chunk(2, dim=1)
    similarity = first @ second.mT / TEMPERATURE
    matching = similarity.diagonal(dim1=1, dim2=2)
    return ((similarity.logsumexp(2) + similarity.logsumexp(1)) / 2 - matching).mean(1)


class Supervised(GradientLearner):
    """The upper bound: the same levels trained with all training labels through a
    linear layer on top.
    """

    def __init__(self, settings: Hyperparameters, seeds: Sequence[int], classes: int) -> None:
        features = settings.shape.values(settings.shape.count - 1)
        heads = [seeded(seed, lambda: nn.Linear(features, classes), "head") for seed in seeds]
        self.head = nn.Parameter(torch.stack([head.weight.detach().T for head in heads]))
        self.head_bias = nn.Parameter(torch.stack([head.bias.detach()[None] for head in heads]))
        super().__init__(settings, seeds)

    def parameters(self) -> list[nn.Parameter]:
        return [*super().parameters(), self.head, self.head_bias]

    def step(self, batch: torch.Tensor, labels: torch.Tensor) -> None:
        logits = torch.baddbmm(self.head_bias, self.model.codes(batch)[-1].flatten(2), self.head)
        errors = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        self.minimise({"labels": errors.view(labels.shape).mean(1)})
