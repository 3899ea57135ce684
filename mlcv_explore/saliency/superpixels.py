"""Superpixels of an image: connected regions of similar colour."""

import numpy as np
import torch

COMPACTNESS = 10.0  # scikit-image's own: colour and place weigh about the same


def superpixels(image: torch.Tensor, count: int) -> torch.Tensor:
    """About `count` regions of an image (3, h, w) in [0, 1], by SLIC (Achanta et al., 2012):
    (h, w) int64, numbered from 0 without gaps.
    """
    from skimage.segmentation import slic

    pixels = image.detach().permute(1, 2, 0).double().cpu().numpy()
    labels = slic(pixels, count, COMPACTNESS, start_label=0, channel_axis=-1)
    _, numbered = np.unique(labels, return_inverse=True)
    return torch.from_numpy(numbered.reshape(labels.shape)).to(image.device)
