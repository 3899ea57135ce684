"""Generated or reconstructed images against the true ones: arrays in, numbers out.

Images are float (n, 3, h, w) in [0, 1].
"""

import numpy as np
from scipy import ndimage

WINDOW = 7  # pixels a side of the windows of structural similarity
LEAST_ERROR = (1 / 255) ** 2 / 12  # of rounding to whole grey levels


def explained_variance(outputs: np.ndarray, truths: np.ndarray, where: np.ndarray) -> float:
    """Explained variance of the pixels `where` (n, h, w), pooled over images and
    channels.

    R²: 1 at the truth, 0 at the mean of these pixels over all channels, negative below
    that.
    """
    expected, given = (values.transpose(0, 2, 3, 1)[where].astype(np.float64) for values in (truths, outputs))
    return float(1 - np.mean((expected - given) ** 2) / np.var(expected))


def psnr(outputs: np.ndarray, truths: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, mean over images; at most 58.9, the error of
    rounding.
    """
    errors = np.maximum(((outputs - truths) ** 2).mean(axis=(1, 2, 3)), LEAST_ERROR)
    return float(np.mean(-10 * np.log10(errors)))


def ssim(outputs: np.ndarray, truths: np.ndarray) -> float:
    """Structural similarity (Wang et al., 2004), mean over images and channels, as
    `skimage.metrics.structural_similarity` computes it.
    """
    size = (0, 0, WINDOW, WINDOW)
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    one, other = outputs.astype(np.float64), truths.astype(np.float64)
    mean_one, mean_other = ndimage.uniform_filter(one, size), ndimage.uniform_filter(other, size)
    pairs = ((one, one, mean_one, mean_one), (other, other, mean_other, mean_other))
    variances = [
        unbiased * (ndimage.uniform_filter(a * b, size) - c * d)
        for a, b, c, d in (*pairs, (one, other, mean_one, mean_other))
    ]
    first, second = 0.01**2, 0.03**2
    above = (2 * mean_one * mean_other + first) * (2 * variances[2] + second)
    below = (mean_one**2 + mean_other**2 + first) * (variances[0] + variances[1] + second)
    edge = (WINDOW - 1) // 2
    return float((above / below)[..., edge:-edge, edge:-edge].mean())


def gradient_energy(outputs: np.ndarray, truths: np.ndarray) -> float:
    """Gradient energy as a share of the truth's: below 1 is blur."""
    one, other = (
        sum(float(np.mean(np.diff(images.astype(np.float64), axis=axis) ** 2)) for axis in (2, 3))
        for images in (outputs, truths)
    )
    return one / other
