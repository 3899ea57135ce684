"""What part of an image a model reads, at which size; and a map of that part at its place
in the whole image.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcv_explore.data import uploads


@dataclass(frozen=True)
class Crop:
    """A rectangle of an image, its edges as shares of width and height."""

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0

    @property
    def whole(self) -> bool:
        """Whether it is the whole image."""
        return self == WHOLE

    def pixels(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in an image of `size` (width, height), the last two
        exclusive; at least one pixel.
        """
        width, height = size
        left, top = min(round(self.left * width), width - 1), min(round(self.top * height), height - 1)
        return (
            left,
            top,
            max(left + 1, round(self.right * width)),
            max(top + 1, round(self.bottom * height)),
        )

    def placed(self, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A map (h, w) of the crop as float32 (height, width) over the whole image of
        `size` (width, height): upsampled, and zero outside the crop.
        """
        if self.whole:
            return uploads.upsampled(values, size)
        left, top, right, bottom = self.pixels(size)
        whole = np.zeros((size[1], size[0]), np.float32)
        whole[top:bottom, left:right] = uploads.upsampled(values, (right - left, bottom - top))
        return whole


WHOLE = Crop()


@dataclass(frozen=True)
class ModelInput:
    """How an image becomes a model's square: the whole of it, or a centre crop."""

    side: int
    share: float | None = None  # of the shorter side that the crop has; None: the whole image
    bicubic: bool = False

    def crop(self, size: tuple[int, int]) -> Crop:
        """The part of an image of `size` (width, height) that is read.

        The published evaluation of EfficientNet: a square of whole pixels at the
        centre, a half pixel further right and down where the margin is odd.
        """
        if self.share is None:
            return WHOLE
        width, height = size
        side = max(1, int(self.share * min(size)))
        left, top = (width - side + 1) // 2, (height - side + 1) // 2
        return Crop(left / width, top / height, (left + side) / width, (top + side) / height)

    def array(self, pixels: np.ndarray) -> np.ndarray:
        """The input float32 (3, side, side) in [0, 1] of an image uint8 (h, w, 3)."""
        if self.share is None:
            return uploads.resized_to_square(pixels, self.side)
        from PIL import Image

        size = pixels.shape[1], pixels.shape[0]
        part = Image.fromarray(np.ascontiguousarray(pixels)).crop(self.crop(size).pixels(size))
        kind = Image.Resampling.BICUBIC if self.bicubic else Image.Resampling.BILINEAR
        square = np.asarray(part.resize((self.side, self.side), kind), dtype=np.float32)
        return np.ascontiguousarray(square.transpose(2, 0, 1)) / np.float32(255)

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """A mask (h, w) of an image over its input, bool (side, side): where more than half
        of a pixel is on it; nowhere, where the part that is read has none of it.
        """
        pixels = np.where(mask[:, :, None] > 0, np.uint8(255), np.uint8(0)).repeat(3, axis=2)
        return self.array(pixels)[0] > 0.5

    def box(self, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A box (4,) of top, left, bottom, right, half open, of an image of `size` (width,
        height), in whole pixels of the input, int64; empty where nothing of it is read.
        """
        left, top, right, bottom = self.crop(size).pixels(size)
        scale = self.side / np.array([bottom - top, right - left] * 2)
        edges = np.rint((np.asarray(box) - [top, left, top, left]) * scale)
        return edges.clip(0, self.side).astype(np.int64)

    def text(self, size: tuple[int, int]) -> str:
        """What is read of an image of `size`, in words."""
        width, height = size
        crop = self.crop(size)
        if crop.whole:
            return f"whole image of {width} × {height} pixels, resized to {self.side} × {self.side}"
        left, top, right, bottom = crop.pixels(size)
        return (
            f"centre crop of {right - left} × {bottom - top} from {width} × {height} pixels, resized to"
            f" {self.side} × {self.side}"
        )


def of_card(card: Mapping[str, Any], whole: bool = False) -> ModelInput:
    """The input of a model by its card: cropped where the card states `input.crop`, unless
    the `whole` image is chosen.
    """
    stated = card["input"]
    if whole or "crop" not in stated:
        return ModelInput(int(stated["size"]))
    return ModelInput(int(stated["size"]), float(stated["crop"]), stated.get("resampling") == "bicubic")


def crops(card: Mapping[str, Any]) -> bool:
    """Whether a model reads a centre crop by default."""
    return "crop" in card["input"]
