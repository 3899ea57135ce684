"""Images as small files: the best WebP within a number of bytes."""

import io

import numpy as np

SIDES = (2, 4, 6, 8, 12, 16, 24, 32)  # to which an image is reduced before it is compressed
QUALITIES = (0, 40, 80)


def webp(images: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """WebP files of square images uint8 (n, 3, side, side) of at most `sizes` bytes (n,),
    decoded and enlarged again: float32 (n, 3, side, side) in [0, 1], and their bytes
    int64 (n,).

    Side and quality with the least error; where none is small enough, the smallest.
    """
    pairs = [_webp(image, int(size)) for image, size in zip(images, sizes, strict=True)]
    return np.stack([image for image, _ in pairs]), np.array([size for _, size in pairs])


def _webp(image: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    from PIL import Image

    whole = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    full = image.astype(np.float32) / 255
    smallest, chosen = None, None
    for side in (side for side in SIDES if side <= whole.width):
        small = whole.resize((side, side), Image.Resampling.BOX)
        fitted = False
        for quality in QUALITIES:
            file = io.BytesIO()
            small.save(file, "WEBP", quality=quality, method=0)
            size = file.tell()
            if smallest is not None and size > most:
                break
            decoded = Image.open(file).convert("RGB").resize(whole.size, Image.Resampling.BILINEAR)
            values = np.asarray(decoded, np.float32).transpose(2, 0, 1) / 255
            error = float(np.mean((values - full) ** 2))
            smallest = smallest if smallest is not None and smallest[1] <= size else (values, size)
            if size <= most:
                fitted = True
                chosen = chosen if chosen is not None and chosen[2] <= error else (values, size, error)
        if not fitted:
            break  # larger sides need more bytes
    return chosen[:2] if chosen is not None else smallest
