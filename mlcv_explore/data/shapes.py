"""Square boxes and the masks of silhouettes within them."""

import numpy as np


def pick(draws: np.ndarray, count: int | np.ndarray) -> np.ndarray:
    """Uniform draws as whole numbers below count."""
    return (draws * count).astype(np.int64)


def _square_boxes(tops: np.ndarray, lefts: np.ndarray, sizes: np.ndarray | int) -> np.ndarray:
    return np.stack([tops, lefts, tops + sizes, lefts + sizes], axis=1)


def corner_boxes(corners: np.ndarray, size: int, side: int) -> np.ndarray:
    """Square boxes in the corners 0…3 of an image of this side, row by row."""
    far = side - size
    return _square_boxes(corners // 2 * far, corners % 2 * far, size)


def place_boxes(draws: np.ndarray, sizes: np.ndarray, side: int, *avoided: np.ndarray) -> np.ndarray:
    """Square boxes of these sizes, uniform over the places where they are a pixel or
    more clear of all the avoided boxes.
    """
    first = np.arange(side)
    last = first + sizes[:, None]  # (n, side), exclusive
    free = (last <= side)[:, :, None] & (last <= side)[:, None, :]  # (n, top, left)
    for box in avoided:
        top, left, bottom, right = (edge[:, None] for edge in box.T)
        free &= ~(
            ((first <= bottom) & (last >= top))[:, :, None] & ((first <= right) & (last >= left))[:, None, :]
        )
    passed = np.cumsum(free.reshape(len(sizes), -1), axis=1, dtype=np.int16)
    places = np.argmax(passed > pick(draws, passed[:, -1])[:, None], axis=1)
    return _square_boxes(places // side, places % side, sizes)


def fill_boxes(boxes: np.ndarray, side: int) -> np.ndarray:
    """bool (n, side, side), true inside the boxes."""
    pixel = np.arange(side)
    top, left, bottom, right = (edge[:, None] for edge in boxes.T)
    return ((pixel >= top) & (pixel < bottom))[:, :, None] & ((pixel >= left) & (pixel < right))[:, None, :]


def centred_coordinates(boxes: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (n, side, 1), columns (n, 1, side) and sizes (n, 1, 1) of boxes in half
    pixels from their middle: whole numbers, ±size at the edges.
    """
    pixel = 2 * np.arange(side, dtype=np.int32) + 1
    top, left, bottom, right = boxes.T.astype(np.int32)
    return (
        (pixel - (top + bottom)[:, None])[:, :, None],
        (pixel - (left + right)[:, None])[:, None, :],
        (bottom - top)[:, None, None],
    )


def silhouette_masks(silhouettes: np.ndarray, boxes: np.ndarray, side: int) -> np.ndarray:
    """bool (n, side, side); every silhouette touches all four edges of its box."""
    row, column, size = centred_coordinates(boxes, side)
    circle = row**2 + column**2 <= size**2
    square = np.ones_like(circle)
    triangle = 2 * np.abs(column) <= row + size + 1
    cross = (3 * np.abs(row) <= size) | (3 * np.abs(column) <= size)
    return np.choose(silhouettes[:, None, None], [circle, square, triangle, cross]) & fill_boxes(boxes, side)


def ring_masks(boxes: np.ndarray, side: int) -> np.ndarray:
    """bool (n, side, side), true on the ring that touches the edges of its box."""
    row, column, size = centred_coordinates(boxes, side)
    squared = row**2 + column**2
    return (squared <= size**2) & (4 * squared >= size**2)
