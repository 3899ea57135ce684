"""Scenes mixed or pasted into each other, in pixels or in feature space: the object of
one through its mask into the image or feature map of another, or both wholly mixed. A
classifier and a detection head are trained and tested.

Sources: Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for
Instance Segmentation, 2020, https://arxiv.org/abs/2012.07177; Zhang et al., Bag of
Freebies for Training Object Detection Neural Networks, 2019,
https://arxiv.org/abs/1902.04103
"""

from typing import Protocol

import torch
from torch.nn import functional

from mlcv_explore.data.compositing import labels_by_visibility, paste
from mlcv_explore.data.scene_tensors import LARGE_OBJECTS, SceneTensors, generate
from mlcv_explore.metrics.overlap import DETECTION_IOU, box_overlap
from mlcv_explore.models import detection
from mlcv_explore.models.losses import soft_cross_entropy
from mlcv_explore.models.mixing import mix_features, own_share, soft_labels
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import numpy_stream, seeded, stream

CLASSES = len(LARGE_OBJECTS.classes)
SIDE = 32
WIDTH = 12
BATCH = 32
RATE = 0.003


class PasteSettings(Protocol):
    """What a trainer reads of an idea's settings."""

    scenes: int  # for training
    weight: float  # λ of the second of two mixed scenes
    paste_share: float  # of scenes that are pasted into or mixed, in [0, 1]
    paste_depth: int  # 0 (pixels) to 2


class SceneTrainer:
    """One arm of one seed; all of a seed share initial weights and order of scenes."""

    def __init__(self, arm: str, config: "PasteSettings", seed: int) -> None:
        self.arm, self.config, self.steps = arm, config, 0
        self.depth = 0 if arm in ("paste_image", "paste_blended") else config.paste_depth
        self.scenes = generate(config.scenes, seed, "taught")
        network = seeded(seed, lambda: detection.DetectionNetwork(SIDE, WIDTH, CLASSES))
        self.network = network.to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=RATE, fused=True)
        self.order, self.draws = numpy_stream(seed, "batches"), stream(seed, "paste")
        self.waiting: list[torch.Tensor] = []

    def train_to(self, step: int) -> None:
        """Train until this step. Raises FloatingPointError when the arm diverges."""
        while self.steps < step:
            loss = self._step()
            self.steps += 1
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"The {self.arm} arm diverged at step {self.steps}: its loss was no longer a number."
            )

    @torch.no_grad()
    def evaluate(self, test: SceneTensors) -> list[float]:
        """Accuracy, and share of scenes whose most confident box is correct."""
        outputs = [self.network(part) for part in test.images.split(250)]
        logits, cells = (torch.cat(part) for part in zip(*outputs, strict=True))
        kinds, boxes = detection.decode_boxes(cells)
        overlapping = box_overlap(boxes.numpy(), test.boxes.numpy()) >= DETECTION_IOU
        detected = (kinds == test.labels).numpy() & overlapping
        return [float((logits.argmax(1) == test.labels).float().mean()), float(detected.mean())]

    def next_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Places (B,) of the scenes of a step, and of their partners."""
        if not self.waiting:
            order = torch.from_numpy(self.order.permutation(len(self.scenes.labels)))
            ahead = 1 + int(torch.randint(len(order) - 1, (), generator=self.draws))
            pairs = torch.stack([order, order.roll(-ahead)], dim=1)
            self.waiting = list(pairs[: len(order) // BATCH * BATCH].split(BATCH))
        return self.waiting.pop().unbind(1)

    def _step(self) -> torch.Tensor:
        own, partner = self.next_batch()
        changed = torch.rand(BATCH, generator=self.draws) < self.config.paste_share
        if self.arm in ("paste_mixed", "paste_blended"):
            loss = self._mixed_loss(own, partner, changed)
        else:
            loss = self._pasted_loss(own, partner, changed)
        gradient_step(self.optimiser, loss)
        return loss.detach()

    def _mixed_loss(self, own: torch.Tensor, partner: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
        """The objects of both scenes lie in a mixture, each with the share of its scene."""
        features, weight = self._features(own), self.config.weight
        mixed = mix_features(features, self._features(partner), weight, "convex")
        features = torch.where(changed[:, None, None, None], mixed, features)
        logits, cells = self.network.heads(features, self.depth)
        shares = changed * (1 - own_share(weight))
        first, second = self._one_hot(own), self._one_hot(partner)
        targets = torch.where(changed[:, None], soft_labels(first, second, weight, "sum_to_one"), first)
        loss = soft_cross_entropy(logits, targets).mean()
        for places, share in ((own, 1 - shares), (partner, shares)):
            objects = (
                [values[places]] for values in (self.scenes.labels, self.scenes.masks, self.scenes.boxes)
            )
            aims = detection.detection_targets(*objects, CLASSES)
            loss = loss + detection.detection_loss(cells, *aims, share)
        return loss

    def _pasted_loss(self, own: torch.Tensor, partner: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
        """The partner's object is pasted through its mask; what is visible of both counts."""
        features, masks = self._features(own), self.scenes.masks
        mask = masks[partner] * (changed[:, None, None, None] & (self.arm != "paste_none"))
        if self.arm != "paste_none":
            features = paste(features, self._features(partner), functional.avg_pool2d(mask, 2**self.depth))
        logits, cells = self.network.heads(features, self.depth)
        about = self._one_hot(own), self._one_hot(partner), masks[own], masks[partner], mask
        loss = soft_cross_entropy(logits, labels_by_visibility(*about)).mean()
        labels, boxes = ([values[own], values[partner]] for values in (self.scenes.labels, self.scenes.boxes))
        visible = masks[own] * (1 - mask), masks[partner] * mask
        aims = detection.detection_targets(labels, visible, boxes, CLASSES)
        return loss + detection.detection_loss(cells, *aims)

    def _one_hot(self, places: torch.Tensor) -> torch.Tensor:
        return functional.one_hot(self.scenes.labels[places], CLASSES).float()

    def _features(self, indices: torch.Tensor) -> torch.Tensor:
        return self.network.body.partial_forward(
            detection.standardised(self.scenes.images[indices]), 0, self.depth
        )
