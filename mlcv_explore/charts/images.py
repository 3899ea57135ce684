"""Small crisp images: grids, maps in the one colour language, PNG.

Every image is uint8 (height, width, 3).
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np

from mlcv_explore.charts.palette import Palette, Role, rgb, shades, signed_shades

STRIP = 1 << 18  # pixels of a map coloured at a time


def grid(
    images: np.ndarray,
    columns: int,
    *,
    scale: int = 1,
    gap: int = 2,
    paper: str = "#FFFFFF",
    low: float = 0.0,
    high: float = 1.0,
) -> np.ndarray:
    """Images row by row, each pixel a square of `scale`, `gap` pixels of paper between
    and around them.

    `images` is (n, h, w) or (n, h, w, 3), uint8, or float in low…high (clipped). Raises
    ValueError on another shape or a scale below 1.
    """
    tiles = np.empty((0, 0, 0, 3), np.uint8)
    if len(images):
        tiles = np.stack([enlarged(image, scale) for image in _as_bytes(images, low, high)])
    if columns < 1:
        raise ValueError(f"A grid needs at least one column, got {columns}.")
    count, height, width = tiles.shape[:3]
    across, down = min(columns, max(count, 1)), -(-count // columns)
    sheet = np.empty((gap + down * (height + gap), gap + across * (width + gap), 3), dtype=np.uint8)
    sheet[:] = rgb(paper)
    for position, tile in enumerate(tiles):
        top, left = gap + position // columns * (height + gap), gap + position % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def enlarged(image: np.ndarray, scale: int) -> np.ndarray:
    """Every pixel as a square of `scale` pixels: (h, w, …) → (h·scale, w·scale, …).

    Raises ValueError on a scale below 1.
    """
    if scale < 1 or int(scale) != scale:
        raise ValueError(f"The scale must be a whole number of at least 1, got {scale}.")
    return np.repeat(np.repeat(image, int(scale), axis=0), int(scale), axis=1)


def signed(values: np.ndarray, palette: Palette, limit: float | None = None) -> np.ndarray:
    """A map (h, w) of signed values in −limit…limit (default: the largest absolute
    value): blue below, orange above, zero and NaN the paper.
    """
    finite = np.abs(values[np.isfinite(values)])
    return signed_shades(values, limit or (float(finite.max()) if len(finite) else 0.0) or 1.0, palette)


def amounts(values: np.ndarray, palette: Palette, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """A map (h, w) of magnitudes in low…high, clipped: more is further from the paper.
    NaN is the paper. Raises ValueError when high ≤ low.
    """
    if not high > low:
        raise ValueError(f"The range of amounts must rise, got {low}…{high}.")
    image = shades((np.asarray(values, dtype=float) - low) / (high - low), palette.amounts)
    image[~np.isfinite(values)] = rgb(palette.background)
    return image


def attribution(
    values: np.ndarray, has_signs: bool, palette: Palette, limit: float | None = None
) -> np.ndarray:
    """A map (h, w) as it is always drawn: signed values around the paper, amounts from
    the paper on; up to `limit`, or its largest absolute value.
    """
    top = limit or float(np.abs(values).max(initial=0.0)) or 1.0
    drawn = np.empty((*values.shape, 3), np.uint8)
    rows = max(1, STRIP // max(1, values.shape[1]))
    for start in range(0, len(values), rows):  # colours are found by 100 bytes a pixel
        strip = values[start : start + rows]
        coloured = signed(strip, palette, top) if has_signs else amounts(np.abs(strip), palette, 0.0, top)
        drawn[start : start + rows] = coloured
    return drawn


def overlaid(
    photograph: np.ndarray, map_image: np.ndarray, strength: np.ndarray, opacity: float
) -> np.ndarray:
    """An image of a map over a photograph turned grey, both uint8 (h, w, 3); at
    opacity 1 the map alone, at 0 the grey photograph.

    `strength` (h, w) in [0, 1] is how far from zero the map is: between the two ends,
    where it is zero the photograph shows through.
    """
    grey = (photograph @ np.array([0.299, 0.587, 0.114]))[..., None]
    share = opacity * np.clip(strength, 0.0, 1.0)[..., None] ** (1 - opacity)
    return np.rint((1 - share) * grey + share * map_image).astype(np.uint8)


def hatched(image: np.ndarray, unsure: np.ndarray, palette: Palette, *, spacing: int = 6) -> np.ndarray:
    """A copy of an image (h, w, 3) with thin diagonals of the text colour where
    `unsure` (h, w) is true. Raises ValueError on other sizes.
    """
    if image.shape[:2] != unsure.shape:
        raise ValueError(f"What is unsure must be {image.shape[:2]} like the image, got {unsure.shape}.")
    rows, columns = np.indices(unsure.shape)
    copy = image.copy()
    copy[unsure & ((rows + columns) % spacing == 0)] = rgb(palette.muted)
    return copy


def boxed(
    image: np.ndarray, boxes: Mapping[Role, Sequence[float]], palette: Palette, *, width: int = 2
) -> np.ndarray:
    """A copy of an image (h, w, 3) with the outlines of boxes in the colours of their
    roles, the last one on top.

    A box is top, left, bottom, right in pixels, the last two exclusive; what is outside
    the image is cut.
    """
    copy = image.copy()
    height, length = image.shape[:2]
    for role, box in boxes.items():
        top, left, bottom, right = (round(float(edge)) for edge in box)
        top, bottom, left, right = max(top, 0), min(bottom, height), max(left, 0), min(right, length)
        for rows, columns in (
            (slice(top, min(top + width, bottom)), slice(left, right)),
            (slice(max(bottom - width, top), bottom), slice(left, right)),
            (slice(top, bottom), slice(left, min(left + width, right))),
            (slice(top, bottom), slice(max(right - width, left), right)),
        ):
            copy[rows, columns] = rgb(palette.roles[role].colour)
    return copy


def target_bars(
    targets: np.ndarray,
    truth: np.ndarray,
    palette: Palette,
    *,
    columns: int = 6,
    limit: float = 2.0,
    bar: int = 7,
    height: int = 40,
) -> np.ndarray:
    """Target vectors (n, K) as one small bar chart each: above the zero line orange,
    below blue, the true class (n,) marked under its bar.

    Bars end at ±limit, `height` pixels from zero; longer ones are cut there and end in
    a row of text colour.
    """
    pairs = zip(np.asarray(targets, dtype=float), truth, strict=True)
    panels = np.stack([_bars(target, int(label), palette, limit, bar, height) for target, label in pairs])
    return grid(panels, columns, gap=10, paper=palette.background)


def png(image: np.ndarray) -> bytes:
    """An image as PNG: a few kilobytes and two milliseconds at the sizes a page shows."""
    from PIL import Image

    file = io.BytesIO()
    # level 3 saves 3 to 6 % and takes half as much time again
    Image.fromarray(np.ascontiguousarray(image)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def jpeg(image: np.ndarray) -> bytes:
    """An image (h, w, 3) uint8 as JPEG of quality 90: of a photograph a tenth of PNG's
    bytes.
    """
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=90)
    return file.getvalue()


def _as_bytes(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """uint8 (n, h, w, 3)."""
    images = np.asarray(images)
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] != 3):
        raise ValueError(f"Images must be (n, h, w) or (n, h, w, 3), got shape {images.shape}.")
    if images.dtype != np.uint8:
        share = np.nan_to_num((images.astype(float) - low) / (high - low))
        images = np.rint(255 * np.clip(share, 0.0, 1.0)).astype(np.uint8)
    return images if images.ndim == 4 else np.repeat(images[..., None], 3, axis=-1)


def _bars(
    target: np.ndarray, truth: int, palette: Palette, limit: float, bar: int, height: int
) -> np.ndarray:
    """One panel: K bars of `bar` pixels, one apart, around a zero line in the middle."""
    step = bar + 1
    panel = np.empty((2 * height + 1 + step, len(target) * step + 1, 3), dtype=np.uint8)
    panel[:] = rgb(palette.background)
    above, below = rgb(palette.signed[7]), rgb(palette.signed[2])
    for position, value in enumerate(target):
        left = 1 + position * step
        length = round(min(abs(value), limit) / limit * height)
        if value >= 0:
            panel[height - length : height, left : left + bar] = above
        else:
            panel[height + 1 : height + 1 + length, left : left + bar] = below
        if abs(value) > limit:
            panel[0 if value > 0 else 2 * height, left : left + bar] = rgb(palette.text)
    panel[height] = rgb(palette.muted)
    side = (bar - 1) // 2
    for row in range(side + 1):  # a small triangle that points at the true class
        middle = 1 + truth * step + bar // 2
        panel[2 * height + 3 + row, middle - row : middle + row + 1] = rgb(palette.text)
    return panel


def tile(values: np.ndarray, kind: str, palette: Palette, side: int = 224) -> np.ndarray:
    """A square image of numbers: "image" (h, w) or (h, w, 3) in [0, 1], a "signed" or
    an "amount" map (h, w); small ones enlarged without smoothing to about `side`
    pixels.
    """
    if kind == "signed":
        drawn = signed(np.asarray(values, dtype=float), palette)
    elif kind == "amount":
        values = np.asarray(values, dtype=float)
        drawn = amounts(values, palette, 0.0, float(values.max()) or 1.0)
    else:
        drawn = _as_bytes(np.asarray(values)[None], 0.0, 1.0)[0]
    if drawn.ndim == 2:
        drawn = np.repeat(drawn[..., None], 3, axis=2)
    return enlarged(drawn, max(1, side // max(drawn.shape[:2])))


def card(tiles: Sequence[np.ndarray], palette: Palette, width: int = 640, height: int = 320) -> np.ndarray:
    """Tiles side by side on paper, (height, width, 3) uint8."""
    from PIL import Image

    sheet = Image.new("RGB", (width, height), palette.background)
    gap = 12
    side = min(height - 2 * gap, (width - gap) // len(tiles) - gap)
    left = (width - len(tiles) * (side + gap) + gap) // 2
    for place, image in enumerate(tiles):
        scale = side / max(image.shape[:2])
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        small = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
        sheet.paste(small, (left + place * (side + gap) + (side - size[0]) // 2, (height - size[1]) // 2))
    return np.asarray(sheet)


def webp(image: np.ndarray) -> bytes:
    """An image (h, w, 3) uint8 as WebP of quality 82."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "WEBP", quality=82, method=6)
    return file.getvalue()
