"""Data sets in memory: arrays of images, labels and class names."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


OUTLINE = 255  # in a mask: pixels that belong neither to the object nor to the background


class DataError(ValueError):
    """Data that cannot be used. The text is one sentence: what is wrong and what to do."""


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images. Raises ValueError when the arrays do not fit together.

    A mask is 1 on the object, 0 on the background and OUTLINE on pixels of neither,
    which training and metrics have to ignore.
    """

    images: np.ndarray  # (n, channels, height, width) uint8, 0–255
    labels: np.ndarray  # (n,) int64, index into classes
    classes: tuple[str, ...]
    masks: np.ndarray | None = None  # (n, height, width) uint8: 0, 1 or OUTLINE

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise ValueError(
                f"images must be uint8 (n, channels, height, width), got {self.images.dtype}"
                f" {self.images.shape}."
            )
        if self.labels.shape != self.images.shape[:1] or self.labels.dtype != np.int64:
            raise ValueError(
                f"labels must be int64 ({len(self.images)},), got {self.labels.dtype} {self.labels.shape}."
            )
        if len(self.labels) and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            raise ValueError(
                f"labels must lie in 0–{len(self.classes) - 1}, got {self.labels.min()}–{self.labels.max()}."
            )
        if self.masks is not None and (
            self.masks.shape != (len(self.images), *self.images.shape[2:]) or self.masks.dtype != np.uint8
        ):
            raise ValueError(
                f"masks must be uint8, one (height, width) an image, got {self.masks.dtype}"
                f" {self.masks.shape} for {self.images.shape}."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> "Images":
        """Copies of the images at these places, in this order."""
        masks = None if self.masks is None else np.asarray(self.masks[indices])
        return Images(np.asarray(self.images[indices]), np.asarray(self.labels[indices]), self.classes, masks)

    def as_float(self) -> "torch.Tensor":
        """The images as torch float32 (n, channels, height, width) in [0, 1]."""
        import torch

        return torch.from_numpy(np.array(self.images)).float().div_(255)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set as published; `test` is its official test part, if it has one."""

    name: str
    train: Images
    test: Images | None
    # of the content: the same images, labels and masks give the same text on every machine
    fingerprint: str


def to_float(images: np.ndarray) -> np.ndarray:
    """uint8 images as float32 in [0, 1]."""
    return images.astype(np.float32) / 255


def to_bytes(images: np.ndarray) -> np.ndarray:
    """float images in [0, 1] as uint8, clipped."""
    return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)


def content_fingerprint(train: Images, test: Images | None) -> str:
    """16 hexadecimal digits of every pixel, label, class name and mask."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (train, test):
        if part is None:
            digest.update(b"no part")
            continue
        digest.update(repr((part.classes, part.images.shape)).encode())
        for array in (part.images, part.labels.astype("<i8", copy=False)):
            digest.update(np.ascontiguousarray(array).data)
        if part.masks is not None:
            digest.update(np.ascontiguousarray(part.masks).data)
    return digest.hexdigest()
