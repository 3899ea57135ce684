"""One encoder for two tasks: a classifier, and beside it a segmenter or a box head,
learned in any order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.data.dataset import OUTLINE
from mlcv_explore.ideas.learned_salience import LearnedSalienceConfig
from mlcv_explore.ideas.learned_salience.masker import batches
from mlcv_explore.metrics import overlap
from mlcv_explore.models import classifier_training, classifiers
from mlcv_explore.models.classifier_training import Hyperparameters
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.models.unet import Decoder, backbone_channels, backbone_features
from mlcv_explore.seeds import seeded, stream

MEAN, STD = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)  # of the scenes' pixels, over all settings
# of the peak: of five that were tried, the one with which the plain classifier is best on
# validation scenes
RATE = 0.015
WIDEST = 16  # channels of the decoder
HIDDEN = 64  # units of the box head
BOX_SCALE = 10.0  # a box's error, in sides, is small beside a cross-entropy


@dataclass(frozen=True, eq=False)
class Material:
    """Pictures with all answers, as tensors."""

    pictures: torch.Tensor  # (n, 3, h, w) float32 in [0, 1]
    # the same with backgrounds that tell nothing, or with tags that tell nothing; the pictures
    # themselves where there are none
    swapped: torch.Tensor
    labels: torch.Tensor  # (n,) int64
    masks: torch.Tensor  # (n, h, w) uint8: 1 on the object, OUTLINE where nobody knows
    boxes: torch.Tensor  # (n, 4) float32 in [0, 1]: top, left, bottom, right in sides


@dataclass(frozen=True)
class Phase:
    """Some updates of some tasks."""

    tasks: tuple[str, ...]  # of "classify", "segment", "detect"
    updates: int
    frozen: bool = False  # the encoder, running statistics too


class BoxHead(nn.Module):
    """The coarsest features → a box (B, 4) in [0, 1]: top, left, bottom, right in
    sides. It reads them place by place.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 4))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, channels, h, w) → (B, 4)."""
        return self.layers(features).sigmoid()


def schedule(arm: str, config: LearnedSalienceConfig) -> tuple[Phase, ...]:
    """What an arm learns and when. With the budget "encoder" the shared encoder is
    updated equally often in all arms, with "task" every head.

    Where the encoder is frozen in the second phase, the first has all of its updates.
    """
    second = (
        "segment"
        if "segment" in arm or arm in ("classify_first", "classify_first_frozen", "parallel")
        else "detect"
    )
    if arm.endswith("_only"):
        return (Phase((arm.removesuffix("_only"),), config.updates),)
    if arm in ("parallel", "classify_and_detect"):
        return (Phase(("classify", second), config.updates),)
    order = ("classify", second) if arm.startswith("classify") else (second, "classify")
    frozen, half = arm.endswith("_frozen"), config.updates // 2
    counts = {("encoder", False): (half, config.updates - half), ("encoder", True): (config.updates, half)}
    first, last = counts.get((config.budget, frozen), (config.updates, config.updates))
    return Phase((order[0],), first), Phase((order[1],), last, frozen)


class Learner:
    """One arm of one seed: encoder and heads, and how far they have come.

    Equal seeds start from equal weights and meet equal batches, whatever the arm; each
    head's weights have a stream of their own.
    """

    def __init__(
        self,
        config: LearnedSalienceConfig,
        arm: str,
        material: Material,
        classes: int,
        seed: int,
        purpose: str = "",
    ) -> None:
        self.config, self.arm, self.material, self.seed, self.purpose = config, arm, material, seed, purpose
        side = material.pictures.shape[-1]
        build = lambda: classifiers.residual_classifier(config.width, classes, MEAN, STD)  # noqa: E731
        self.network = seeded(seed, build, f"{purpose}classifier").to(memory_format=torch.channels_last)
        channels = backbone_channels(self.network.eval(), side)
        self.heads = nn.ModuleDict({
            "classify": self.network.linear,
            "segment": seeded(seed, lambda: Decoder(channels, 1, widest=WIDEST), "segmenter").to(memory_format=torch.channels_last),
            "detect": seeded(seed, lambda: BoxHead(channels[-1] * (side // 2 ** (len(channels) - 1)) ** 2), "box head"),
        })  # fmt: skip
        self.phases = schedule(arm, config)
        # what the first phase had come to at its end, on the pictures it is tested with
        self.first: dict[str, float] | None = None

    def lessons(self, tested: Material) -> Iterator[None]:
        """One update a step. Between two phases what the first has learned is measured
        on the pictures it is to be tested with.
        """
        order = stream(self.seed, f"{self.purpose}order")
        for place, phase in enumerate(self.phases):
            yield from self._phase(phase, order)
            if place + 1 < len(self.phases):
                self.first = self.measured(tested, phase.tasks)
        self.network.eval()

    def _phase(self, phase: Phase, order: torch.Generator) -> Iterator[None]:
        encoder = [
            parameter for name, parameter in self.network.named_parameters() if not name.startswith("linear")
        ]
        learned = [parameter for task in phase.tasks for parameter in self.heads[task].parameters()]
        learned += [] if phase.frozen else encoder
        recipe = Hyperparameters(peak_rate=RATE)
        optimiser = torch.optim.SGD(
            learned, lr=RATE, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay, fused=True
        )
        chosen = batches(len(self.material.labels), self.config.batch_size, order)
        for step in range(phase.updates):
            self.network.train(not phase.frozen)
            self.heads.train()
            for parameter in encoder:
                parameter.requires_grad_(not phase.frozen)
            for group in optimiser.param_groups:
                group["lr"] = classifier_training.rate(recipe, step, phase.updates)
            gradient_step(optimiser, self._loss(next(chosen), phase.tasks))
            yield

    def _loss(self, chosen: torch.Tensor, tasks: Sequence[str]) -> torch.Tensor:
        """The classifier's cross-entropy plus the weighted loss of the second task;
        alone, a task has weight 1.
        """
        features, logits = backbone_features(
            self.network, self.material.pictures[chosen].contiguous(memory_format=torch.channels_last)
        )
        weight = self.config.weight if len(tasks) > 1 else 1.0
        parts = []
        if "classify" in tasks:
            parts.append(functional.cross_entropy(logits, self.material.labels[chosen]))
        if "segment" in tasks:
            wanted = self.material.masks[chosen]
            known = wanted != OUTLINE
            found = self.heads["segment"](features)[:, 0]
            parts.append(
                weight * functional.binary_cross_entropy_with_logits(found[known], wanted[known].float())
            )
        if "detect" in tasks:
            found = self.heads["detect"](features[-1])
            parts.append(
                weight * BOX_SCALE * functional.smooth_l1_loss(found, self.material.boxes[chosen], beta=0.1)
            )
        return sum(parts[1:], parts[0])

    def measured(self, tested: Material, tasks: Sequence[str]) -> dict[str, float]:
        """Of these tasks: accuracy, that on swapped backgrounds, mean IoU of the masks,
        mean overlap of the boxes and how many are found.
        """
        found: dict[str, float] = {}
        if "classify" in tasks:
            found |= {
                "accuracy": self._accuracy(tested.pictures, tested.labels),
                "swapped": self._accuracy(tested.swapped, tested.labels),
            }
        if "segment" in tasks:
            unknown = tested.masks.numpy() == OUTLINE
            pair = (
                np.where(unknown, 0, each)
                for each in (self.predicted(tested.pictures) > 0, tested.masks.numpy() == 1)
            )
            found["iou"] = float(overlap.intersection_over_union(*pair).mean())
        if "detect" in tasks:
            covered = overlap.box_overlap(self.boxes(tested.pictures), tested.boxes.numpy())
            found |= {
                "overlap": float(covered.mean()),
                "found": float((covered >= overlap.DETECTION_IOU).mean()),
            }
        return found

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task it learns."""
        return tuple(dict.fromkeys(task for phase in self.phases for task in phase.tasks))

    @torch.no_grad()
    def predicted(self, pictures: torch.Tensor) -> np.ndarray:
        """The segmenter's logits (n, h, w)."""
        self._evaluating()
        return torch.cat(
            [
                self.heads["segment"](backbone_features(self.network, part)[0])[:, 0]
                for part in pictures.split(250)
            ]
        ).numpy()

    @torch.no_grad()
    def boxes(self, pictures: torch.Tensor) -> np.ndarray:
        """The box head's boxes (n, 4), in sides."""
        self._evaluating()
        return torch.cat(
            [
                self.heads["detect"](backbone_features(self.network, part)[0][-1])
                for part in pictures.split(250)
            ]
        ).numpy()

    @torch.no_grad()
    def _accuracy(self, pictures: torch.Tensor, labels: torch.Tensor) -> float:
        self._evaluating()
        right = [
            self.network(part).argmax(1) == wanted
            for part, wanted in zip(pictures.split(250), labels.split(250), strict=True)
        ]
        return float(torch.cat(right).float().mean())

    def _evaluating(self) -> None:
        self.network.eval()
        self.heads.eval()


def ticks(lessons: Iterator[None], updates: int, count: int) -> Iterator[None]:
    """The lessons in `count` parts that are as equal as can be; a step when a part is
    done.
    """
    done = 0
    for tick in range(1, count + 1):
        while done < updates * tick // count:
            next(lessons)
            done += 1
        if tick == count:
            for _ in lessons:
                pass
        yield
