"""One encoder for two tasks: a classifier, and with it a segmenter or a box head,
trained in any order or jointly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.data.annotated_images import AnnotatedImages
from mlcv_explore.data.dataset import OUTLINE
from mlcv_explore.metrics import overlap
from mlcv_explore.models import classifier_training, classifiers
from mlcv_explore.models.classifier_training import Hyperparameters
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.models.unet import Decoder, backbone_channels, backbone_features
from mlcv_explore.models.updates import shuffled_batches
from mlcv_explore.seeds import seeded, stream

MEAN, STD = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)  # of generated scenes' pixels, over all settings
WIDEST = 16  # channels of the decoder
HIDDEN = 64  # units of the box head
BOX_SCALE = 10.0  # a box's error, in sides, is small beside a cross-entropy
BATCH = 250  # images of one pass in evaluation


@dataclass(frozen=True)
class MultitaskSettings:
    """Network and training."""

    width: int  # channels of the encoder's first convolution
    batch_size: int
    weight: float = 1.0  # of the second task's loss in joint training
    # peak learning rate: of five, the best for a classifier of scenes on validation images
    rate: float = 0.015


@dataclass(frozen=True)
class Phase:
    """Some updates of some tasks."""

    tasks: tuple[str, ...]  # of "classify", "segment", "detect"
    updates: int
    frozen: bool = False  # the encoder, running statistics too


@dataclass(frozen=True, eq=False)
class MultitaskOutput:
    """Outputs of all heads for n images, in one pass of the encoder."""

    logits: torch.Tensor  # (n, classes)
    masks: torch.Tensor | None = None  # (n, h, w) logits of the object
    boxes: torch.Tensor | None = None  # (n, 4), in sides


def schedule(
    tasks: tuple[str, ...], updates: int, mode: str = "in turn", budget: str = "encoder"
) -> tuple[Phase, ...]:
    """The phases of one task, or of two that are trained "jointly", "in turn", or in
    turn with the encoder "frozen" for the second.

    With the budget "encoder" all modes have equal updates of the shared encoder, with
    "task" of every head. Where the encoder is frozen in the second phase, the first has
    all its updates.
    """
    if len(tasks) == 1 or mode == "jointly":
        return (Phase(tasks, updates),)
    frozen, half = mode == "frozen", updates // 2
    first, second = updates, updates
    if budget == "encoder":
        first, second = (updates, half) if frozen else (half, updates - half)
    return Phase(tasks[:1], first), Phase(tasks[1:], second, frozen)


class MultitaskTrainer:
    """Encoder and heads of one seed in training.

    Equal seeds have equal initial weights and batches, whatever the phases; each head's
    weights have a stream of their own. `prefix` names other streams.
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        settings: MultitaskSettings,
        data: AnnotatedImages,
        seed: int,
        prefix: str = "",
    ) -> None:
        self.phases, self.settings, self.data, self.seed, self.prefix = phases, settings, data, seed, prefix
        self.tasks = tuple(dict.fromkeys(task for phase in phases for task in phase.tasks))
        self.updates = sum(phase.updates for phase in phases)
        self.first_scores: dict[str, float] | None = None  # test scores at the end of the first phase
        side, memory = data.images.shape[-1], {"memory_format": torch.channels_last}
        network = seeded(
            seed,
            lambda: classifiers.residual_classifier(settings.width, data.classes, MEAN, STD),
            f"{prefix}classifier",
        )
        self.network = network.to(**memory)
        channels = backbone_channels(self.network, side)
        self.heads = nn.ModuleDict({"classify": self.network.linear})
        if "segment" in self.tasks:
            segmenter = seeded(seed, lambda: Decoder(channels, 1, widest=WIDEST), "segmenter")
            self.heads["segment"] = segmenter.to(**memory)
        if "detect" in self.tasks:
            inputs = channels[-1] * (side // 2 ** (len(channels) - 1)) ** 2
            self.heads["detect"] = seeded(seed, lambda: _box_head(inputs), "box head")

    def train(self, test: AnnotatedImages) -> Iterator[None]:
        """Train, one update a step; the scores of the first of two phases are measured
        at its end.
        """
        order = stream(self.seed, f"{self.prefix}order")
        for index, phase in enumerate(self.phases):
            yield from self._train(phase, order)
            if index + 1 < len(self.phases):
                self.first_scores = self.evaluate(test, phase.tasks)
        self.network.eval()

    def _train(self, phase: Phase, order: torch.Generator) -> Iterator[None]:
        named = self.network.named_parameters()
        encoder = [parameter for name, parameter in named if not name.startswith("linear")]
        trained = [parameter for task in phase.tasks for parameter in self.heads[task].parameters()]
        trained += [] if phase.frozen else encoder
        rates = Hyperparameters(peak_rate=self.settings.rate)
        optimiser = torch.optim.SGD(
            trained,
            lr=rates.peak_rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=rates.weight_decay,
            fused=True,
        )
        chosen = shuffled_batches(len(self.data), self.settings.batch_size, order)
        for parameter in encoder:
            parameter.requires_grad_(not phase.frozen)
        for step in range(phase.updates):
            self.heads.train()
            self.network.train(not phase.frozen)
            for group in optimiser.param_groups:
                group["lr"] = classifier_training.rate(rates, step, phase.updates)
            gradient_step(optimiser, self.loss(next(chosen), phase.tasks))
            yield

    def loss(self, chosen: torch.Tensor, tasks: Sequence[str]) -> torch.Tensor:
        """The classifier's cross-entropy plus the weighted loss of the second task, on
        examples int64 (B,); alone, a task has weight 1.
        """
        images = self.data.images[chosen].contiguous(memory_format=torch.channels_last)
        features, logits = backbone_features(self.network, images)
        weight = self.settings.weight if len(tasks) > 1 else 1.0
        parts = []
        if "classify" in tasks:
            parts.append(functional.cross_entropy(logits, self.data.labels[chosen]))
        if "segment" in tasks:
            truth = self.data.masks[chosen]
            known = truth != OUTLINE
            masks = self.heads["segment"](features)[:, 0]
            parts.append(
                weight * functional.binary_cross_entropy_with_logits(masks[known], truth[known].float())
            )
        if "detect" in tasks:
            boxes = self.heads["detect"](features[-1])
            parts.append(
                weight * BOX_SCALE * functional.smooth_l1_loss(boxes, self.data.boxes[chosen], beta=0.1)
            )
        return sum(parts[1:], parts[0])

    def evaluate(self, data: AnnotatedImages, tasks: Sequence[str]) -> dict[str, float]:
        """Scores of these tasks: "accuracy", "swapped" (without the shortcut); mean
        "iou" of the masks; mean "overlap" of the boxes and the share "found".
        """
        output, scores = self.predict(data.images, tasks), {}
        if "classify" in tasks:
            swapped = output if data.swapped is data.images else self.predict(data.swapped, ("classify",))
            for name, outputs in (("accuracy", output), ("swapped", swapped)):
                scores[name] = float((outputs.logits.argmax(1) == data.labels).float().mean())
        if output.masks is not None:
            truth = data.masks.numpy()
            masks = (
                np.where(truth == OUTLINE, 0, values) for values in (output.masks.numpy() > 0, truth == 1)
            )
            scores["iou"] = float(overlap.intersection_over_union(*masks).mean())
        if output.boxes is not None:
            scores |= overlap.box_scores(output.boxes.numpy(), data.boxes.numpy())
        return scores

    @torch.no_grad()
    def predict(self, images: torch.Tensor, tasks: Sequence[str]) -> MultitaskOutput:
        """Outputs of the heads of these tasks for images (n, 3, h, w)."""
        self.heads.eval()
        self.network.eval()
        columns = zip(*(self._outputs(part, tasks) for part in images.split(BATCH)), strict=True)
        return MultitaskOutput(*(None if parts[0] is None else torch.cat(parts) for parts in columns))

    def _outputs(self, images: torch.Tensor, tasks: Sequence[str]) -> tuple[torch.Tensor | None, ...]:
        features, logits = backbone_features(self.network, images)
        masks = self.heads["segment"](features)[:, 0] if "segment" in tasks else None
        return logits, masks, self.heads["detect"](features[-1]) if "detect" in tasks else None


def _box_head(inputs: int) -> nn.Sequential:
    """The coarsest features (B, channels, h, w) → a box (B, 4) in [0, 1]: top, left,
    bottom, right in sides.
    """
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 4), nn.Sigmoid()
    )
