"""Ways to train whole stacks of networks: with labels, by contrast of two views, or as
autoencoders, the latter with a linear head on features that stay.

Sources: Chen, Kornblith, Norouzi, Hinton, A Simple Framework for Contrastive Learning of
Visual Representations, 2020, https://arxiv.org/abs/2002.05709
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore.data import photograph_views
from mlcv_explore.data.augmentation import add_feature_noise, jitter
from mlcv_explore.data.splits import stratified_parts
from mlcv_explore.models import test_time_adaptation
from mlcv_explore.models.convolutional_networks import ConvolutionalNetworks
from mlcv_explore.models.normalised_networks import NormalisedNetworks, at_once
from mlcv_explore.models.self_supervised import contrastive_loss
from mlcv_explore.models.stacked import StackedDense, gradient_step
from mlcv_explore.seeds import stream_seed

BATCH, RATE = 80, 0.003
PROBE_RATE = 0.01
STORED = 1000  # images, about, whose statistics a trained network keeps
SEARCHES = 6  # for the number of steps that matches an accuracy
SIDE = 8  # pixels to which convolutional autoencoders reconstruct an image
PROBED = ("views", "contrastive", "autoencoder")  # pipelines with a linear head on features that stay
Generators = Sequence[torch.Generator]


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled images, and which of them each network of a stack is trained on."""

    images: torch.Tensor  # (N, …)
    labels: torch.Tensor  # (N,)
    rows: torch.Tensor  # (S, n)

    @classmethod
    def shared(cls, images: torch.Tensor, labels: torch.Tensor, count: int) -> "Examples":
        """All of them for each of `count` networks."""
        return cls(images, labels, torch.arange(len(labels)).expand(count, -1))

    def batch(self, generators: Generators) -> tuple[torch.Tensor, torch.Tensor]:
        """(S, BATCH, …) images, each network's from its own rows, and labels."""
        places = self.rows.gather(1, _drawn(self.rows.shape[1], generators))
        return self.images[places], self.labels[places]


@dataclass(frozen=True)
class Randomness:
    """The number of a stream for every network: equal numbers, equal draws."""

    weights: Sequence[int]
    order: Sequence[int]  # of images, and their views
    head: Sequence[int]  # its initial weights, and the order of its images
    split: Sequence[int]  # which images it is trained on

    @classmethod
    def of(cls, seed: int, count: int, varied: Collection[str]) -> "Randomness":
        """For `count` networks of a seed, of which only what is varied differs."""
        every = {entry.name: entry.name in varied for entry in fields(cls)}
        numbers = {
            name: [stream_seed(seed, f"{name} {own * differs}") for own in range(count)]
            for name, differs in every.items()
        }
        return cls(**numbers)


def own_rows(labels: torch.Tensor, size: int, numbers: Sequence[int]) -> torch.Tensor:
    """(S, size): the images of a pool that each network is trained on, stratified by class."""
    draws = map(np.random.default_rng, numbers)
    return torch.from_numpy(np.stack([stratified_parts(labels.numpy(), (size,), own)[0] for own in draws]))


@dataclass(frozen=True)
class Training:
    """The size of the networks, and how long they are trained."""

    classes: int
    width: int
    steps: int
    noise: float  # of views, in shares of white; of features in standard deviations
    network: str = "dense"  # of two hidden layers; or "convolutional", of three

    def initial(self, image: torch.Tensor, numbers: Randomness) -> NormalisedNetworks:
        """Untrained networks for inputs like this one."""
        streams = numbers.weights, numbers.head
        if self.network == "dense":
            return NormalisedNetworks((image.numel(), self.width, self.width, self.classes), *streams)
        sizes = (len(image), self.width // 4, self.width // 2, self.width, self.classes)
        return ConvolutionalNetworks(sizes, *streams)

    def reconstructed(self, images: torch.Tensor) -> torch.Tensor:
        """What an autoencoder of images (S, B, …) returns (S, B, outputs): themselves, to
        convolutional networks in means over at most 8 × 8 parts.
        """
        if self.network == "dense":
            return images.flatten(2)
        sides = [min(side, SIDE) for side in images.shape[-2:]]
        return functional.adaptive_avg_pool2d(images.flatten(0, 1), sides).view(*images.shape[:2], -1)


def train(
    pipeline: str, training: Training, examples: Examples, numbers: Randomness, steps: int = 0
) -> NormalisedNetworks:
    """Networks of a pipeline: "supervised", "views" (supervised on two views of every image,
    then a new head), "contrastive" or "autoencoder"; below the head for other `steps` than
    the head. They keep the statistics of images, not of views.
    """
    networks = training.initial(examples.images[0], numbers).train()
    order, steps = _generators(numbers.order), steps or training.steps
    if pipeline in ("contrastive", "autoencoder"):
        reconstructed = training.reconstructed(examples.images[None, :1]).shape[2]
        outputs = training.width if pipeline == "contrastive" else reconstructed
        discarded = [stream_seed(number, "discarded") for number in numbers.weights]
        heads = StackedDense((training.width, training.width, outputs), discarded)
        parameters = [*networks.encoder_parameters(), *heads.parameters()]
    else:
        parameters = list(networks.parameters())
    optimiser = torch.optim.Adam(parameters, lr=RATE, fused=True)
    for _ in range(steps):
        images, labels = examples.batch(order)
        if pipeline == "contrastive":
            embedded = heads(networks.features(two_views(images, training.noise, order)))
            loss = contrastive_loss(embedded).sum()
        elif pipeline == "autoencoder":
            error = heads(networks.features(images)) - training.reconstructed(images)
            loss = error.square().sum(2).mean(1).sum()
        else:
            if pipeline == "views":
                images, labels = two_views(images, training.noise, order), torch.cat([labels, labels], 1)
            loss = _cross_entropy(networks(images), labels)
        gradient_step(optimiser, loss)
    some = examples.rows[:, :: max(1, examples.rows.shape[1] // STORED)]
    test_time_adaptation.store_statistics(networks, examples.images[some], axis=1)
    if pipeline in PROBED:
        _probe(networks, training.steps, examples, _generators(numbers.head))
    return networks.eval().requires_grad_(False)


def _probe(networks: NormalisedNetworks, steps: int, examples: Examples, order: Generators) -> None:
    """Train the linear head alone, on features that stay."""
    networks.eval()
    parts = examples.rows.split(at_once(examples.images), 1)
    with torch.no_grad():
        features = torch.cat([networks.features(examples.images[part]) for part in parts], 1)
    labels = examples.labels[examples.rows]
    optimiser = torch.optim.Adam([networks.head, networks.bias], lr=PROBE_RATE, fused=True)
    for _ in range(steps):
        places = _drawn(features.shape[1], order)
        batch = features.gather(1, places[:, :, None].expand(-1, -1, features.shape[2]))
        gradient_step(optimiser, _cross_entropy(networks.classify(batch), labels.gather(1, places)))


def two_views(images: torch.Tensor, noise: float, order: Generators) -> torch.Tensor:
    """(S, B, …) → (S, 2B, …): images shifted by at most a pixel with noise, those in colour as
    `photograph_views` changes them, or features with noise.
    """
    if images.ndim == 3:
        return torch.cat([add_feature_noise(images, noise, order) for _ in range(2)], 1)
    if images.shape[2] == 3:
        return torch.cat([photograph_views.view(images, noise, order) for _ in range(2)], 1)
    return torch.cat([jitter(images, noise, 1, order) for _ in range(2)], 1)


def accuracy(networks: NormalisedNetworks, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean accuracy of all networks."""
    return float((networks.predict(images).argmax(-1) == labels).float().mean())


def matched(
    full: NormalisedNetworks,
    other: NormalisedNetworks,
    retrained: Callable[[int], NormalisedNetworks],
    steps: int,
    validation: tuple[torch.Tensor, torch.Tensor],
) -> NormalisedNetworks:
    """Of `full`, trained for so many steps, and networks `retrained` for fewer, those whose
    accuracy on validation images is nearest to that of `other`: by bisection.
    """
    target, low, high = accuracy(other, *validation), 1, steps
    best, nearest = full, abs(accuracy(full, *validation) - target)
    for _ in range(SEARCHES):
        middle = round((low * high) ** 0.5)
        found = retrained(middle)
        gap = accuracy(found, *validation) - target
        low, high = (low, middle) if gap > 0 else (middle, high)
        if abs(gap) < nearest:
            best, nearest = found, abs(gap)
        if high - low < 2:
            break
    return best


def _generators(numbers: Sequence[int]) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in numbers]


def _drawn(count: int, generators: Generators) -> torch.Tensor:
    """(S, BATCH) of `count` places, with replacement."""
    return torch.stack([torch.randint(count, (BATCH,), generator=own) for own in generators])


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean over a batch, summed over networks, which share no parameter."""
    return functional.cross_entropy(logits.mT, labels, reduction="none").mean(1).sum()
