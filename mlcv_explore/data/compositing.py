"""Copy-paste: an object, or a rectangle, of one image or feature map into another, and
the label of the result.

Source: Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for
Instance Segmentation, 2020, https://arxiv.org/abs/2012.07177
"""

import numpy as np
import torch


def paste(values: torch.Tensor, others: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Images or feature maps (…, C, h, w), replaced by the others where the mask
    (…, 1, h, w) in [0, 1] is; an empty mask changes no bit.
    """
    return torch.where(mask > 0, values + mask * (others - values), values)


def square_masks(areas: torch.Tensor, places: torch.Tensor, side: int) -> torch.Tensor:
    """Squares (B, 1, side, side) of 0 and 1, of about these areas (B,) in pixels, at
    places (B, 2) in [0, 1) from the upper left to the lower right; area 0 gives none.
    """
    length = areas.sqrt().round().clamp(max=side)[:, None]
    start = (places * (side + 1 - length)).floor()  # (B, 2)
    line = torch.arange(side)
    rows, columns = (
        (line >= start[:, axis, None]) & (line < start[:, axis, None] + length) for axis in range(2)
    )
    return (rows[:, None, :, None] & columns[:, None, None, :]).float()


def labels_by_area(own: torch.Tensor, other: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Labels (B, K) weighted by the share of the image that was pasted, as CutMix does."""
    share = mask.mean((1, 2, 3))[:, None]
    return (1 - share) * own + share * other


def labels_by_visibility(
    own: torch.Tensor,
    other: torch.Tensor,
    own_mask: torch.Tensor,
    other_mask: torch.Tensor,
    mask: torch.Tensor,
) -> torch.Tensor:
    """Labels (B, K) weighted by how many pixels of either object are visible after
    pasting through `mask`, all masks (B, 1, h, w); the own label where neither is.
    """
    left = (own_mask * (1 - mask)).sum((1, 2, 3))[:, None]
    pasted = (other_mask * mask).sum((1, 2, 3))[:, None]
    weighted = (left * own + pasted * other) / (left + pasted).clamp_min(1)
    return torch.where(left + pasted > 0, weighted, own)


def estimated_mask(image: np.ndarray) -> np.ndarray:
    """Where the object of an image (C, h, w) probably is, (h, w) float32 of 0 and 1:
    pixels farther from the median of the border than Otsu's threshold; all of a uniform
    image.

    Source: Otsu, A Threshold Selection Method from Gray-Level Histograms, IEEE
    Transactions on Systems, Man, and Cybernetics 9, 1979.
    """
    from skimage.filters import threshold_otsu

    border = np.concatenate([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], axis=1)
    distance = np.linalg.norm(image - np.median(border, axis=1)[:, None, None], axis=0)
    if np.ptp(distance) == 0:
        return np.ones(distance.shape, np.float32)
    return (distance > threshold_otsu(distance)).astype(np.float32)
