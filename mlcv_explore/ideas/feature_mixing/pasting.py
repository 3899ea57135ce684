"""Copy-paste in feature space: the object of one scene through its mask into the
feature map of another, judged by a classifier and a detector.

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
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.ideas.feature_mixing import PASTE_ARMS, PASTE_MEASURES, FeatureMixingConfig, paste_steps
from mlcv_explore.ideas.feature_mixing.mixing import pasted, soft_cross_entropy
from mlcv_explore.ideas.feature_mixing.networks import Blocks
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import numpy_stream, seeded, stream

# smaller objects are at chance for so small a network and so few scenes
SCENES = ScenesConfig(smallest=0.35, largest=0.5)
SIDE = 32
CELL = 4  # pixels of the detector's cells
SCALE = 16.0  # pixels that a box's distance of one stands for
ORACLE = 8  # times as many scenes
WIDTH = 12
BATCH = 32
RATE = 0.003
OVERLAP = 0.5  # of a box with the true one, to be right
RARE = 3.0  # weight of a cell with an object: one in ten has one


class Judge(nn.Module):
    """A classifier and a detection head on the same feature map: (B, 3, 32, 32) →
    logits (B, K), cells (B, K + 1 + 4, 8, 8).

    A cell says its class, the last one for none, and how far its box reaches from its
    middle: up, left, down, right, in units of SCALE pixels.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = Blocks(3, SIDE, WIDTH, classes)
        channels = self.body.shapes[2][0]
        self.detector = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1), nn.ReLU(), nn.Conv2d(channels, classes + 5, 1)
        )

    def answers(self, features: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and cells of feature maps at a depth of at most 2."""
        features = self.body.through(features, depth, 2)
        return self.body.through(features, 2), self.detector(features)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of pictures in [0, 1]."""
        return self.answers(normalised(pictures), 0)


def normalised(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures in [0, 1] about zero, with a standard deviation near one."""
    return (pictures - 0.45) * 4


@dataclass(frozen=True, eq=False)
class Material:
    """Scenes with all that is known of them."""

    pictures: torch.Tensor  # (n, 3, 32, 32) in [0, 1]
    masks: torch.Tensor  # (n, 1, 32, 32) of 0 and 1
    labels: torch.Tensor  # (n,)
    boxes: torch.Tensor  # (n, 4) top, left, bottom, right in pixels


def material(count: int, seed: int, purpose: str) -> Material:
    """`count` scenes of a seed; those of a smaller count are the first of a larger."""
    found = scenes.generate(SCENES, count, seed, purpose)
    pictures = torch.from_numpy(found.images).float() / 255
    pictures = pictures.contiguous(memory_format=torch.channels_last)  # two thirds of the time on a processor
    return Material(
        pictures,
        torch.from_numpy(found.masks).float()[:, None],
        torch.from_numpy(found.labels),
        torch.from_numpy(found.boxes).float(),
    )


def paste_mask(
    arm: str, partner: torch.Tensor, stranger: torch.Tensor, places: torch.Tensor, shares: torch.Tensor
) -> torch.Tensor:
    """Where the partner is pasted, (B, 1, 32, 32) of 0 and 1, from masks of the same
    shape, and places (B, 2) and shares (B,) in [0, 1).

    Of the object: its mask. A rectangle has the object's area and lies anywhere; a
    patch has any area, as CutMix; scrambled is the mask of a third.
    """
    if arm in ("paste_none", "paste_oracle"):
        return torch.zeros_like(partner)
    if arm in ("paste_object", "paste_image"):
        return partner
    if arm == "paste_scrambled":
        return stranger
    areas = partner.sum((1, 2, 3)) if arm == "paste_rectangle" else shares * SIDE**2
    return rectangles(areas, places)


def rectangles(areas: torch.Tensor, places: torch.Tensor, side: int = SIDE) -> torch.Tensor:
    """Squares (B, 1, side, side) of about these areas (B,) in pixels, wholly inside; of
    area 0 there is nothing.
    """
    length = areas.sqrt().round().clamp(max=side)[:, None]
    start = (places * (side + 1 - length)).floor()  # (B, 2)
    line = torch.arange(side)
    rows, columns = (
        (line >= start[:, axis, None]) & (line < start[:, axis, None] + length) for axis in range(2)
    )
    return (rows[:, None, :, None] & columns[:, None, None, :]).float()


def visible_labels(
    own: torch.Tensor,
    other: torch.Tensor,
    own_mask: torch.Tensor,
    other_mask: torch.Tensor,
    mask: torch.Tensor,
) -> torch.Tensor:
    """Labels (B, K) by how much of either object is to be seen after pasting; where
    neither is, the scene's own label.
    """
    left = (own_mask * (1 - mask)).sum((1, 2, 3))[:, None]
    came = (other_mask * mask).sum((1, 2, 3))[:, None]
    return torch.where(left + came > 0, (left * own + came * other) / (left + came).clamp_min(1), own)


def detection_targets(
    labels: tuple[torch.Tensor, torch.Tensor],
    masks: tuple[torch.Tensor, torch.Tensor],
    boxes: tuple[torch.Tensor, torch.Tensor],
    classes: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What every cell is to say: its class (B, 8, 8), `classes` for none, and its box
    (B, 4, 8, 8), of the own and the pasted object as visible.
    """
    kinds = torch.full((len(labels[0]), SIDE // CELL, SIDE // CELL), classes)
    reach = distances(boxes[0])
    for label, mask, box in zip(labels, masks, boxes, strict=True):
        inside = functional.avg_pool2d(mask, CELL)[:, 0] >= 0.5
        kinds = torch.where(inside, label[:, None, None], kinds)
        reach = torch.where(inside[:, None], distances(box), reach)
    return kinds, reach


def middles() -> torch.Tensor:
    """(8,) pixels, of the cells along an edge."""
    return (torch.arange(SIDE // CELL) + 0.5) * CELL


def distances(boxes: torch.Tensor) -> torch.Tensor:
    """Boxes (B, 4) as seen from every cell, (B, 4, 8, 8): how far up, left, down, right
    they reach, in SCALE pixels.
    """
    count = SIDE // CELL
    down, right = middles()[:, None].expand(count, count), middles()[None, :].expand(count, count)
    top, left, bottom, far = (boxes[:, side, None, None] for side in range(4))
    return torch.stack([down - top, right - left, bottom - down, far - right], dim=1) / SCALE


def found_boxes(cells: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The surest cell's class (B,) and box (B, 4) in pixels."""
    sure = cells[:, : classes + 1].softmax(1)[:, :classes].flatten(1).argmax(1)
    count = SIDE // CELL
    cell = sure % count**2
    reach = cells[:, classes + 1 :].flatten(2)[torch.arange(len(cells)), :, cell] * SCALE
    down, right = middles()[cell // count], middles()[cell % count]
    return sure // count**2, torch.stack(
        [down - reach[:, 0], right - reach[:, 1], down + reach[:, 2], right + reach[:, 3]], dim=1
    )


def overlap(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Intersection over union (B,) of boxes (B, 4)."""
    inner = (
        (torch.minimum(boxes[:, 2:], others[:, 2:]) - torch.maximum(boxes[:, :2], others[:, :2]))
        .clamp_min(0)
        .prod(1)
    )
    areas = [(each[:, 2:] - each[:, :2]).clamp_min(0).prod(1) for each in (boxes, others)]
    return inner / (areas[0] + areas[1] - inner).clamp_min(1e-6)


def course(config: FeatureMixingConfig, seeds: Sequence[int]) -> Iterator[np.ndarray]:
    """After every part of the training: (S, len(PASTE_ARMS), len(PASTE_MEASURES)) of
    all arms on test scenes.
    """
    students = [[Student(arm, config, seed) for arm in PASTE_ARMS] for seed in seeds]
    tested = [material(config.tested_scenes, seed, "tested") for seed in seeds]
    for until in paste_steps(config):
        for own in students:
            for student in own:
                student.train_to(until)
        yield np.stack(
            [[student.examine(test) for student in own] for own, test in zip(students, tested, strict=True)]
        )


class Student:
    """One arm of one seed. All arms of a seed start alike and see the same scenes in
    the same order.
    """

    def __init__(self, arm: str, config: FeatureMixingConfig, seed: int) -> None:
        self.arm, self.config = arm, config
        self.depth = 0 if arm == "paste_image" else config.paste_depth
        self.taught = material(config.scenes * (ORACLE if arm == "paste_oracle" else 1), seed, "taught")
        self.classes = len(SCENES.classes)
        self.network = seeded(seed, lambda: Judge(self.classes)).to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=RATE, fused=True)
        self.order, self.draws = numpy_stream(seed, "batches"), stream(seed, "paste")
        self.waiting: list[torch.Tensor] = []
        self.done = 0

    def train_to(self, step: int) -> None:
        """Train until so many steps are done. Raises FloatingPointError when the loss
        is no longer a number.
        """
        while self.done < step:
            loss = self._step()
            self.done += 1
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"The {self.arm} arm diverged at step {self.done}: its loss was no longer a number."
            )

    @torch.no_grad()
    def examine(self, tested: Material) -> list[float]:
        """Share of the scenes classified right, and of those whose surest box has the
        right class and an overlap of half, in the order of PASTE_MEASURES.
        """
        said = [self.network(part) for part in tested.pictures.split(250)]
        found, cells = (torch.cat(each) for each in zip(*said, strict=True))
        kind, boxes = found_boxes(cells, self.classes)
        right = (kind == tested.labels) & (overlap(boxes, tested.boxes) >= OVERLAP)
        values = {
            "accuracy": (found.argmax(1) == tested.labels).float().mean(),
            "boxes": right.float().mean(),
        }
        return [float(values[name]) for name in PASTE_MEASURES]

    def _step(self) -> torch.Tensor:
        own, partner, stranger = self._dealt()
        taught, depth = self.taught, self.depth
        pasting = (torch.rand(BATCH, generator=self.draws) < self.config.paste_share).float()[
            :, None, None, None
        ]
        places, shares = torch.rand(BATCH, 2, generator=self.draws), torch.rand(BATCH, generator=self.draws)
        mask = pasting * paste_mask(self.arm, taught.masks[partner], taught.masks[stranger], places, shares)
        features = self._features(own, depth)
        if self.arm not in ("paste_none", "paste_oracle"):
            features = pasted(features, self._features(partner, depth), functional.avg_pool2d(mask, 2**depth))
        own_label, other_label = (
            functional.one_hot(taught.labels[each], self.classes).float() for each in (own, partner)
        )
        if self.arm == "paste_patch":  # by the area of the picture, as CutMix does, which knows no objects
            share = mask.mean((1, 2, 3))[:, None]
            targets = (1 - share) * own_label + share * other_label
        else:
            targets = visible_labels(own_label, other_label, taught.masks[own], taught.masks[partner], mask)
        logits, cells = self.network.answers(features, depth)
        seen = taught.masks[own] * (1 - mask), taught.masks[partner] * mask
        kinds, reach = detection_targets(
            (taught.labels[own], taught.labels[partner]),
            seen,
            (taught.boxes[own], taught.boxes[partner]),
            self.classes,
        )
        loss = soft_cross_entropy(logits, targets).mean() + detection_loss(cells, kinds, reach, self.classes)
        gradient_step(self.optimiser, loss)
        return loss.detach()

    def _features(self, places: torch.Tensor, depth: int) -> torch.Tensor:
        return self.network.body.through(normalised(self.taught.pictures[places]), 0, depth)

    def _dealt(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The scenes of a step, their partners, and third ones."""
        if not self.waiting:
            order = torch.from_numpy(self.order.permutation(len(self.taught.labels)))
            steps = 1 + torch.randperm(len(order) - 1, generator=self.draws)[:2]
            rings = [order, *(order.roll(-int(step)) for step in steps)]
            self.waiting = list(torch.stack(rings, dim=1)[: len(order) // BATCH * BATCH].split(BATCH))
        return self.waiting.pop().unbind(1)


def detection_loss(
    cells: torch.Tensor, kinds: torch.Tensor, reach: torch.Tensor, classes: int
) -> torch.Tensor:
    """Cross-entropy of what a cell is, with RARE times the weight where there is an
    object, and smooth L1 of the boxes of cells on objects.
    """
    weights = torch.tensor([RARE] * classes + [1.0])
    inside = (kinds < classes).float()[:, None]
    apart = functional.smooth_l1_loss(cells[:, classes + 1 :], reach, reduction="none", beta=0.1)
    return functional.cross_entropy(cells[:, : classes + 1], kinds, weight=weights) + (
        apart * inside
    ).sum() / (4 * inside.sum()).clamp_min(1)
