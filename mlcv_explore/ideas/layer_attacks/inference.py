"""Home's pictures: a photograph before and under attack, and a late map."""

import numpy as np

from mlcv_explore.data import gallery, uploads
from mlcv_explore.idea import Tile
from mlcv_explore.models import available_models
from mlcv_explore.models.attacked_image import attacked


def tiles() -> tuple[Tile, ...]:
    """A photograph, attacked; a late map, attacked."""
    model = available_models.load("cifar10/0")
    array = uploads.resized_to_square(gallery.photographs()["cat"].read().pixels, model.side)
    first, late = (attacked(model, array, site, 0.15, "l2").maps[:2] for site in (0, 5))
    return (
        *(Tile(np.moveaxis(image, 0, -1)) for image in first),
        *(Tile(image / max(1e-6, float(image.max())), "amount") for image in late),
    )
