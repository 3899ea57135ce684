"""One-stage detection on a small feature map: a network with a classifier and a
detection head, boxes as its cells encode them, targets and loss.

A cell predicts its class, the last one for none, and how far its box reaches from its
middle: up, left, down, right (as FCOS does: Tian et al., 2019,
https://arxiv.org/abs/1904.01355).
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.models.encoders import ConvolutionalNetwork

CELL = 4  # pixels of a cell: the side is halved twice before the detector
SCALE = 16.0  # pixels per unit of a predicted box side
OBJECT_WEIGHT = 3.0  # of a cell with an object, beside many without


class DetectionNetwork(nn.Module):
    """A classifier and a detection head on one feature map: RGB images (B, 3, side,
    side) in [0, 1] → logits (B, K), cells (B, K + 1 + 4, side / 4, side / 4).
    """

    def __init__(self, side: int, width: int, classes: int) -> None:
        super().__init__()
        self.body = ConvolutionalNetwork(3, side, width, classes)
        channels = self.body.shapes[2][0]
        self.detector = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1), nn.ReLU(), nn.Conv2d(channels, classes + 5, 1)
        )

    def heads(self, features: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and cells of feature maps at a depth of at most 2."""
        features = self.body.partial_forward(features, depth, 2)
        return self.body.partial_forward(features, 2), self.detector(features)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and cells of images."""
        return self.heads(standardised(images), 0)


def standardised(images: torch.Tensor) -> torch.Tensor:
    """Images in [0, 1] about zero, with a standard deviation near one."""
    return (images - 0.45) * 4


def encode_boxes(boxes: torch.Tensor, cells: int) -> torch.Tensor:
    """Boxes (B, 4) of top, left, bottom, right in pixels as seen from every cell, (B,
    4, cells, cells): how far up, left, down, right they reach, in SCALE pixels.
    """
    middles = _middles(cells)
    down, right = middles[:, None].expand(cells, cells), middles[None, :].expand(cells, cells)
    top, left, bottom, far = (boxes[:, side, None, None] for side in range(4))
    return torch.stack([down - top, right - left, bottom - down, far - right], dim=1) / SCALE


def decode_boxes(outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Class (B,) and box (B, 4) in pixels of the most confident cell of (B, K + 1 + 4,
    cells, cells).
    """
    classes, cells = outputs.shape[1] - 5, outputs.shape[-1]
    best = outputs[:, : classes + 1].softmax(1)[:, :classes].flatten(1).argmax(1)
    cell, middles = best % cells**2, _middles(cells)
    distances = outputs[:, classes + 1 :].flatten(2)[torch.arange(len(outputs)), :, cell] * SCALE
    down, right = middles[cell // cells], middles[cell % cells]
    sides = [down - distances[:, 0], right - distances[:, 1], down + distances[:, 2], right + distances[:, 3]]
    return best // cells**2, torch.stack(sides, dim=1)


def _middles(cells: int) -> torch.Tensor:
    """(cells,) pixels, of the cells along an edge."""
    return (torch.arange(cells) + 0.5) * CELL


def detection_targets(
    labels: Sequence[torch.Tensor], masks: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor], classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The class of every cell (B, cells, cells), `classes` for none, and its box (B, 4,
    cells, cells), of objects with labels (B,), visible masks (B, 1, side, side) and
    boxes (B, 4); later objects cover earlier ones.
    """
    cells = masks[0].shape[-1] // CELL
    kinds, distances = torch.full((len(labels[0]), cells, cells), classes), encode_boxes(boxes[0], cells)
    for label, mask, box in zip(labels, masks, boxes, strict=True):
        inside = functional.avg_pool2d(mask, CELL)[:, 0] >= 0.5
        kinds = torch.where(inside, label[:, None, None], kinds)
        distances = torch.where(inside[:, None], encode_boxes(box, cells), distances)
    return kinds, distances


def detection_loss(
    outputs: torch.Tensor, kinds: torch.Tensor, distances: torch.Tensor, shares: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross-entropy of the cells' classes, OBJECT_WEIGHT times as heavy on objects,
    plus smooth L1 of the boxes of cells on objects; images weighted by shares (B,).

    An image mixed of two has a loss for the objects of each, weighted by its share:
    Zhang et al., Bag of Freebies for Training Object Detection Neural Networks, 2019,
    https://arxiv.org/abs/1902.04103
    """
    classes, inside = outputs.shape[1] - 5, kinds < outputs.shape[1] - 5
    weights = torch.where(inside, OBJECT_WEIGHT, 1.0)
    class_loss = weights * functional.cross_entropy(outputs[:, : classes + 1], kinds, reduction="none")
    box_loss = functional.smooth_l1_loss(outputs[:, classes + 1 :], distances, reduction="none", beta=0.1)
    box_loss = box_loss.mean(1) * inside
    if shares is not None:
        class_loss, box_loss = (shares[:, None, None] * loss for loss in (class_loss, box_loss))
    return class_loss.sum() / weights.sum() + box_loss.sum() / inside.sum().clamp_min(1)
