"""Corruptions of images by severity, the same on every machine for a seed.

Kinds and severities 1 to 5 follow CIFAR-10-C (D. Hendrycks and T. Dietterich, 2019,
https://arxiv.org/abs/1903.12261), whose images have 32 pixels a side; widths scale with the
side. Rotations are not among them.
"""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mlcv_explore.seeds import numpy_stream

if TYPE_CHECKING:
    from PIL import Image

SEVERITIES = {  # of each kind, weakest first
    "noise": (0.04, 0.06, 0.08, 0.09, 0.10),  # standard deviation, pixels in [0, 1]
    "blur": (0.4, 0.6, 0.7, 0.8, 1.0),  # standard deviation of the kernel at 32 pixels
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),  # of the differences from the image's mean
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),  # of the side, before it is enlarged again
    "jpeg": (80, 65, 58, 50, 40),  # quality
    "rotation": (10, 20, 30, 45, 60),  # degrees, either way
    "fog": (0.2, 0.5, 0.75, 1.0, 1.5),  # brightest mist, in shares of white
}
KINDS = tuple(SEVERITIES)
SIDE = 32  # pixels, of the images whose severities these are
ROUGHNESS = 2.0  # by which mist gets fainter from one scale to the next, half as wide


def corrupted(images: np.ndarray, kind: str, severity: int, seed: int = 0) -> np.ndarray:
    """Images (n, C, h, w) uint8, C one or three, corrupted; severity 0 leaves them as they
    are. The draws are one stream a kind: a higher severity has the same noise, only more.

    Raises ValueError, one sentence, for another kind or severity.
    """
    if kind not in SEVERITIES:
        raise ValueError(f"corruption must be one of {', '.join(KINDS)}, got {kind!r}.")
    if not 0 <= severity <= 5:
        raise ValueError(f"severity must be between 0 and 5, got {severity}.")
    if not severity or not len(images):
        return images.copy()
    amount, draws = SEVERITIES[kind][severity - 1], numpy_stream(seed, f"corruption {kind}")
    return _WAYS[kind](images, amount, draws)


def _noise(images: np.ndarray, amount: float, draws: np.random.Generator) -> np.ndarray:
    return _rounded(images / 255 + amount * draws.standard_normal(images.shape))


def _blur(images: np.ndarray, amount: float, _: np.random.Generator) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    width = amount * max(images.shape[-1] / SIDE, 0.5)  # narrower ones change nothing
    return _rounded(gaussian_filter(images / 255, (0, 0, width, width), mode="nearest"))


def _contrast(images: np.ndarray, amount: float, _: np.random.Generator) -> np.ndarray:
    values = images / 255
    mean = values.mean((2, 3), keepdims=True)
    return _rounded(mean + amount * (values - mean))


def _pixelate(images: np.ndarray, amount: float, _: np.random.Generator) -> np.ndarray:
    from PIL import Image

    height, width = images.shape[2:]
    small = max(1, int(width * amount)), max(1, int(height * amount))
    box, nearest = Image.Resampling.BOX, Image.Resampling.NEAREST
    return _by_pillow(images, lambda image: image.resize(small, box).resize((width, height), nearest))


def _jpeg(images: np.ndarray, amount: int, _: np.random.Generator) -> np.ndarray:
    from PIL import Image

    def compressed(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=amount)
        return Image.open(buffer)

    return _by_pillow(images, compressed)


def _rotation(images: np.ndarray, amount: int, draws: np.random.Generator) -> np.ndarray:
    from scipy.ndimage import rotate

    ways = np.where(draws.random(len(images)) < 0.5, -amount, amount)
    turned = [
        rotate(image / 255, angle, (1, 2), reshape=False, order=1, mode="nearest")
        for image, angle in zip(images, ways, strict=True)
    ]
    return _rounded(np.stack(turned))


def _fog(images: np.ndarray, amount: float, draws: np.random.Generator) -> np.ndarray:
    """Mist over the image, as bright afterwards as before: its brightest stays at its own."""
    values = images / 255
    mist = amount * _mist(len(images), *images.shape[2:], draws)[:, None]
    top = values.max((1, 2, 3), keepdims=True)
    return _rounded((values + mist) * top / (top + amount).clip(1e-6))


def _mist(count: int, height: int, width: int, draws: np.random.Generator) -> np.ndarray:
    """(count, h, w) in [0, 1]: noise of every scale, half as wide and fainter from each to
    the next.
    """
    from scipy.ndimage import zoom

    total, cells, weight = np.zeros((count, height, width)), 2, 1.0
    while cells <= 2 * max(height, width):
        coarse = draws.random((count, cells, cells))
        scale = 1, height / cells, width / cells
        spread = zoom(coarse, scale, order=1, mode="nearest", grid_mode=True)
        total += weight * spread[:, :height, :width]
        cells, weight = 2 * cells, weight / ROUGHNESS
    low, high = (edge((1, 2), keepdims=True) for edge in (total.min, total.max))
    return (total - low) / (high - low)


def _by_pillow(images: np.ndarray, change: "Callable[[Image.Image], Image.Image]") -> np.ndarray:
    """Images changed one by one as Pillow's."""
    from PIL import Image

    changed = []
    for image in images:
        pixels = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
        values = np.asarray(change(Image.fromarray(np.ascontiguousarray(pixels))))
        changed.append(values[None] if len(image) == 1 else np.moveaxis(values, -1, 0))
    return np.stack(changed)


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.rint(values.clip(0, 1) * 255).astype(np.uint8)


_WAYS = {
    "noise": _noise,
    "blur": _blur,
    "contrast": _contrast,
    "pixelate": _pixelate,
    "jpeg": _jpeg,
    "rotation": _rotation,
    "fog": _fog,
}
