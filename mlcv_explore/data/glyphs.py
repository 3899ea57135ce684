"""Glyphs: generated characters that follow a known grammar of parts.

A part is two or three strokes in a window, a glyph three or four parts, one in a corner
each. Every seed has a grammar of its own, so what a method finds can be compared with
the truth.
"""

from dataclasses import dataclass

import numpy as np

from mlcv_explore.data.strokes import KINDS, stroke
from mlcv_explore.data.vectors import Vectors
from mlcv_explore.seeds import numpy_stream

SIDE = 16  # pixels of an image
CLASSES = tuple("ABCDEFGHIJ")
PARTS = 12  # of a grammar
WINDOW = 8  # pixels a side of a part
CORNERS = ((0, 0), (0, 8), (8, 0), (8, 8))  # where the parts of a glyph stand


@dataclass(frozen=True, eq=False)
class Grammar:
    """Strokes make parts, parts make glyphs."""

    # of each part its strokes: kind, row, column in the window
    parts: tuple[tuple[tuple[int, float, float], ...], ...]
    glyphs: np.ndarray  # int64 (10, 4): the part at each corner, −1 for none

    def image_of(self, part: int) -> np.ndarray:
        """A part in the middle of its window, (WINDOW, WINDOW), brightest pixel 1."""
        whole = sum(stroke(kind, row, column, WINDOW) for kind, row, column in self.parts[part])
        return whole / whole.max()

    def unit_parts(self) -> np.ndarray:
        """The parts as unit rows, float32 (PARTS, WINDOW²)."""
        images = np.stack([self.image_of(part).ravel() for part in range(PARTS)])
        return (images / np.linalg.norm(images, axis=1, keepdims=True)).astype(np.float32)


def grammar(seed: int) -> Grammar:
    """The twelve parts and ten glyphs of a seed."""
    draw = numpy_stream(seed, "grammar")
    parts = []
    for _ in range(PARTS):
        kinds = draw.choice(KINDS, size=draw.integers(2, 4), replace=False)
        parts.append(tuple((int(kind), *draw.uniform(2.0, 5.0, size=2)) for kind in kinds))
    glyphs = np.full((len(CLASSES), len(CORNERS)), -1)
    for row in glyphs:
        corners = draw.choice(len(CORNERS), size=draw.integers(3, 5), replace=False)
        row[corners] = draw.choice(PARTS, size=len(corners), replace=False)
    return Grammar(tuple(parts), glyphs)


def generate(rules: Grammar, count: int, seed: int, purpose: str) -> Vectors:
    """New glyphs, (count, SIDE²) in 0…1: every part up to a pixel off its corner and
    fainter by up to a third, one stray stroke, a little noise. `purpose` names the
    stream of the draws.
    """
    draw = numpy_stream(seed, f"glyphs {purpose}")
    labels = draw.permutation(np.arange(count) % len(CLASSES))
    images = np.zeros((count, SIDE, SIDE))
    drawn = [rules.image_of(part) for part in range(PARTS)]
    for image, label in zip(images, labels, strict=True):
        for (top, left), part in zip(CORNERS, rules.glyphs[label], strict=True):
            if part >= 0:
                row, column = np.clip(np.array([top, left]) + draw.integers(-1, 2, size=2), 0, SIDE - WINDOW)
                image[row : row + WINDOW, column : column + WINDOW] += draw.uniform(2 / 3, 1) * drawn[part]
        stray = stroke(draw.integers(KINDS), *draw.uniform(2, SIDE - 2, size=2), SIDE)
        image += 0.5 * stray / stray.max()
    images += 0.03 * draw.standard_normal(images.shape)
    return Vectors(np.clip(images, 0, 1).reshape(count, -1).astype(np.float32), labels.astype(np.int64))
