"""Copy-paste on generated scenes, in pixels or in feature space: the object of one scene
through its mask into the image or feature map of another; a classifier and a detection
head are trained and tested.

Source: Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for
Instance Segmentation, 2020, https://arxiv.org/abs/2012.07177
"""

from typing import Protocol

import torch
from torch.nn import functional

from mlcv_explore.data.compositing import labels_by_area, labels_by_visibility, paste, square_masks
from mlcv_explore.data.scene_tensors import LARGE_OBJECTS, SceneTensors, generate
from mlcv_explore.metrics.overlap import DETECTION_IOU, box_overlap
from mlcv_explore.models import detection
from mlcv_explore.models.mixing import soft_cross_entropy
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import numpy_stream, seeded, stream

CLASSES = len(LARGE_OBJECTS.classes)
SIDE = 32
ORACLE = 8  # times as many scenes
WIDTH = 12
BATCH = 32
RATE = 0.003


class PasteSettings(Protocol):
    """What a trainer reads of an idea's settings."""

    scenes: int  # for training
    paste_share: float  # of scenes that are pasted into, in [0, 1]
    paste_depth: int  # 0 (pixels) to 2


def paste_mask(
    arm: str, partner: torch.Tensor, unrelated: torch.Tensor, positions: torch.Tensor, shares: torch.Tensor
) -> torch.Tensor:
    """Where the partner is pasted, (B, 1, 32, 32) of 0 and 1: its own mask, a square of
    its area, a square of any area (CutMix), or the mask of an unrelated scene.

    Places (B, 2) and shares (B,) of squares are in [0, 1).
    """
    if arm in ("paste_none", "paste_oracle"):
        return torch.zeros_like(partner)
    if arm in ("paste_object", "paste_image"):
        return partner
    if arm == "paste_scrambled":
        return unrelated
    areas = partner.sum((1, 2, 3)) if arm == "paste_rectangle" else shares * SIDE**2
    return square_masks(areas, positions, SIDE)


class SceneTrainer:
    """One arm of one seed; all of a seed share initial weights and order of scenes."""

    def __init__(self, arm: str, config: "PasteSettings", seed: int) -> None:
        self.arm, self.config, self.steps = arm, config, 0
        self.depth = 0 if arm == "paste_image" else config.paste_depth
        self.scenes = generate(config.scenes * (ORACLE if arm == "paste_oracle" else 1), seed, "taught")
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

    def next_batch(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Places (B,) of the scenes of a step, of their partners and of unrelated ones."""
        if not self.waiting:
            order = torch.from_numpy(self.order.permutation(len(self.scenes.labels)))
            steps = 1 + torch.randperm(len(order) - 1, generator=self.draws)[:2]
            rings = [order, *(order.roll(-int(step)) for step in steps)]
            self.waiting = list(torch.stack(rings, dim=1)[: len(order) // BATCH * BATCH].split(BATCH))
        return self.waiting.pop().unbind(1)

    def _step(self) -> torch.Tensor:
        own, partner, unrelated = self.next_batch()
        draws, depth, masks = self.draws, self.depth, self.scenes.masks
        pasting = (torch.rand(BATCH, generator=draws) < self.config.paste_share).float()[:, None, None, None]
        positions, shares = torch.rand(BATCH, 2, generator=draws), torch.rand(BATCH, generator=draws)
        mask = pasting * paste_mask(self.arm, masks[partner], masks[unrelated], positions, shares)
        features = self._features(own)
        if self.arm not in ("paste_none", "paste_oracle"):
            features = paste(features, self._features(partner), functional.avg_pool2d(mask, 2**depth))
        labels, boxes = ([values[own], values[partner]] for values in (self.scenes.labels, self.scenes.boxes))
        one_hot = [functional.one_hot(label, CLASSES).float() for label in labels]
        if self.arm == "paste_patch":  # CutMix does not know the objects
            targets = labels_by_area(*one_hot, mask)
        else:
            targets = labels_by_visibility(*one_hot, masks[own], masks[partner], mask)
        logits, cells = self.network.heads(features, depth)
        visible = masks[own] * (1 - mask), masks[partner] * mask
        kinds, extents = detection.detection_targets(labels, visible, boxes, CLASSES)
        loss = soft_cross_entropy(logits, targets).mean() + detection.detection_loss(cells, kinds, extents)
        gradient_step(self.optimiser, loss)
        return loss.detach()

    def _features(self, indices: torch.Tensor) -> torch.Tensor:
        return self.network.body.partial_forward(
            detection.standardised(self.scenes.images[indices]), 0, self.depth
        )
