"""Copy-paste in feature space: the object of one scene through its mask into the
feature map of another; a classifier and a detection head are trained and tested.

Source: Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for
Instance Segmentation, 2020, https://arxiv.org/abs/2012.07177
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.data import scenes
from mlcv_explore.data.compositing import labels_by_area, labels_by_visibility, paste, square_masks
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.ideas.feature_mixing.mixing import soft_cross_entropy
from mlcv_explore.ideas.feature_mixing.networks import ConvolutionalNetwork
from mlcv_explore.ideas.feature_mixing.settings import PASTE_ARMS, FeatureMixingConfig
from mlcv_explore.metrics.overlap import DETECTION_IOU
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import numpy_stream, seeded, stream

# smaller objects are at chance for so small a network and so few scenes
SCENES = ScenesConfig(smallest=0.35, largest=0.5)
CLASSES = len(SCENES.classes)
SIDE = 32
CELL = 4  # pixels of the detector's cells
CELLS = SIDE // CELL
SCALE = 16.0  # pixels per unit of a predicted box side
ORACLE = 8  # times as many scenes
WIDTH = 12
BATCH = 32
RATE = 0.003
OBJECT_WEIGHT = 3.0  # of a cell with an object: one in ten has one


class SceneNetwork(nn.Module):
    """A classifier and a detection head on one feature map: (B, 3, 32, 32) → logits
    (B, K), cells (B, K + 1 + 4, 8, 8).

    A cell predicts its class, the last one for none, and how far its box reaches from
    its middle: up, left, down, right, in units of SCALE pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = ConvolutionalNetwork(3, SIDE, WIDTH, CLASSES)
        channels = self.body.shapes[2][0]
        self.detector = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1), nn.ReLU(), nn.Conv2d(channels, CLASSES + 5, 1)
        )

    def heads(self, features: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and cells of feature maps at a depth of at most 2."""
        features = self.body.partial_forward(features, depth, 2)
        return self.body.partial_forward(features, 2), self.detector(features)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and cells of images in [0, 1]."""
        return self.heads(standardised(images), 0)


def standardised(images: torch.Tensor) -> torch.Tensor:
    """Images in [0, 1] about zero, with a standard deviation near one."""
    return (images - 0.45) * 4


@dataclass(frozen=True, eq=False)
class SceneTensors:
    """Scenes with masks, classes and boxes."""

    images: torch.Tensor  # (n, 3, 32, 32) in [0, 1]
    masks: torch.Tensor  # (n, 1, 32, 32) of 0 and 1
    labels: torch.Tensor  # (n,)
    boxes: torch.Tensor  # (n, 4) top, left, bottom, right in pixels


def generate(count: int, seed: int, purpose: str) -> SceneTensors:
    """`count` scenes of a seed; a smaller count gives the first of them."""
    generated = scenes.generate(SCENES, count, seed, purpose)
    images = torch.from_numpy(generated.images).float() / 255
    return SceneTensors(
        images.contiguous(memory_format=torch.channels_last),  # two thirds of the time on a processor
        torch.from_numpy(generated.masks).float()[:, None],
        torch.from_numpy(generated.labels),
        torch.from_numpy(generated.boxes).float(),
    )


def paste_mask(
    arm: str, partner: torch.Tensor, unrelated: torch.Tensor, places: torch.Tensor, shares: torch.Tensor
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
    return square_masks(areas, places, SIDE)


def detection_targets(
    labels: Sequence[torch.Tensor], masks: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The class of every cell (B, 8, 8), K for none, and its box (B, 4, 8, 8), of the
    own and the pasted object where they are visible.
    """
    kinds, reach = torch.full((len(labels[0]), CELLS, CELLS), CLASSES), encode_boxes(boxes[0])
    for label, mask, box in zip(labels, masks, boxes, strict=True):
        inside = functional.avg_pool2d(mask, CELL)[:, 0] >= 0.5
        kinds = torch.where(inside, label[:, None, None], kinds)
        reach = torch.where(inside[:, None], encode_boxes(box), reach)
    return kinds, reach


def encode_boxes(boxes: torch.Tensor) -> torch.Tensor:
    """Boxes (B, 4) as seen from every cell, (B, 4, 8, 8): how far up, left, down, right
    they reach, in SCALE pixels.
    """
    down, right = _middles()[:, None].expand(CELLS, CELLS), _middles()[None, :].expand(CELLS, CELLS)
    top, left, bottom, far = (boxes[:, side, None, None] for side in range(4))
    return torch.stack([down - top, right - left, bottom - down, far - right], dim=1) / SCALE


def decode_boxes(cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Class (B,) and box (B, 4) in pixels of the most confident cell."""
    best = cells[:, : CLASSES + 1].softmax(1)[:, :CLASSES].flatten(1).argmax(1)
    cell = best % CELLS**2
    reach = cells[:, CLASSES + 1 :].flatten(2)[torch.arange(len(cells)), :, cell] * SCALE
    down, right = _middles()[cell // CELLS], _middles()[cell % CELLS]
    sides = [down - reach[:, 0], right - reach[:, 1], down + reach[:, 2], right + reach[:, 3]]
    return best // CELLS**2, torch.stack(sides, dim=1)


def box_iou(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Intersection over union (B,) of boxes (B, 4), float32 as the evidence was made."""
    corners = torch.minimum(boxes[:, 2:], others[:, 2:]), torch.maximum(boxes[:, :2], others[:, :2])
    inner = (corners[0] - corners[1]).clamp_min(0).prod(1)
    areas = [(each[:, 2:] - each[:, :2]).clamp_min(0).prod(1) for each in (boxes, others)]
    return inner / (areas[0] + areas[1] - inner).clamp_min(1e-6)


def _middles() -> torch.Tensor:
    """(8,) pixels, of the cells along an edge."""
    return (torch.arange(CELLS) + 0.5) * CELL


def detection_loss(cells: torch.Tensor, kinds: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the cells' classes, OBJECT_WEIGHT times as heavy on objects,
    plus smooth L1 of the boxes of cells on objects.
    """
    weights = torch.tensor([OBJECT_WEIGHT] * CLASSES + [1.0])
    inside = (kinds < CLASSES).float()[:, None]
    distance = functional.smooth_l1_loss(cells[:, CLASSES + 1 :], reach, reduction="none", beta=0.1)
    box_loss = (distance * inside).sum() / (4 * inside.sum()).clamp_min(1)
    return functional.cross_entropy(cells[:, : CLASSES + 1], kinds, weight=weights) + box_loss


def run(config: FeatureMixingConfig, seeds: Sequence[int]) -> Iterator[np.ndarray]:
    """After every part of the training: (S, len(PASTE_ARMS), len(PASTE_MEASURES)) on
    test scenes.
    """
    trainers = [[SceneTrainer(arm, config, seed) for arm in PASTE_ARMS] for seed in seeds]
    tests = [generate(config.tested_scenes, seed, "tested") for seed in seeds]
    for until in config.paste_frames:
        for trainer in (trainer for own in trainers for trainer in own):
            trainer.train_to(until)
        yield np.stack(
            [[trainer.evaluate(test) for trainer in own] for own, test in zip(trainers, tests, strict=True)]
        )


class SceneTrainer:
    """One arm of one seed. All arms of a seed share initial weights and order of
    scenes.
    """

    def __init__(self, arm: str, config: FeatureMixingConfig, seed: int) -> None:
        self.arm, self.config, self.steps = arm, config, 0
        self.depth = 0 if arm == "paste_image" else config.paste_depth
        self.scenes = generate(config.scenes * (ORACLE if arm == "paste_oracle" else 1), seed, "taught")
        self.network = seeded(seed, SceneNetwork).to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=RATE, fused=True)
        self.order, self.draws = numpy_stream(seed, "batches"), stream(seed, "paste")
        self.waiting: list[torch.Tensor] = []

    def train_to(self, step: int) -> None:
        """Train until so many steps are done. Raises FloatingPointError when the loss
        is no longer a number.
        """
        while self.steps < step:
            loss = self._step()
            self.steps += 1
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"The {self.arm} arm diverged at step {self.steps}: its loss was no longer a number."
            )

    @torch.no_grad()
    def evaluate(self, test: SceneTensors) -> list[float]:
        """Accuracy, and share of scenes whose most confident box has the right class
        and an IoU of at least 0.5, in the order of PASTE_MEASURES.
        """
        outputs = [self.network(part) for part in test.images.split(250)]
        logits, cells = (torch.cat(part) for part in zip(*outputs, strict=True))
        kind, boxes = decode_boxes(cells)
        detected = (kind == test.labels) & (box_iou(boxes, test.boxes) >= DETECTION_IOU)
        correct = logits.argmax(1) == test.labels, detected
        return [float(part.float().mean()) for part in correct]

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
        places, shares = torch.rand(BATCH, 2, generator=draws), torch.rand(BATCH, generator=draws)
        mask = pasting * paste_mask(self.arm, masks[partner], masks[unrelated], places, shares)
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
        kinds, reach = detection_targets(labels, visible, boxes)
        loss = soft_cross_entropy(logits, targets).mean() + detection_loss(cells, kinds, reach)
        gradient_step(self.optimiser, loss)
        return loss.detach()

    def _features(self, places: torch.Tensor) -> torch.Tensor:
        return self.network.body.partial_forward(standardised(self.scenes.images[places]), 0, self.depth)
