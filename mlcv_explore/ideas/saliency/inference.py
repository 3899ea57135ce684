"""What the idea shows of itself on home: a photograph and maps of its prediction."""

import numpy as np
import torch

from mlcv_explore.data import gallery, uploads
from mlcv_explore.idea import Tile
from mlcv_explore.models import checkpoints
from mlcv_explore.saliency import SaliencySettings, attribute_all

SHOWN = ("gradcam", "guided_backprop", "integrated_gradients")
SIDE = 192  # pixels to which photograph and maps are resized, as on the page


def tiles(photograph: str = "cat", classifier: str = "cifar10/0") -> tuple[Tile, ...]:
    """A photograph of the gallery, and the maps of its predicted class."""
    pixels, model = gallery.photographs()[photograph].read().pixels, checkpoints.load(classifier)
    given = torch.from_numpy(uploads.resized_to_square(pixels, model.side))
    with torch.no_grad():
        target = int(model.network(given[None]).argmax())
    computed = attribute_all(model.network, given, target, SHOWN, SaliencySettings(), 0)
    maps = {item.method: item for item in computed}
    kinds = {True: "signed", False: "amount"}
    return (
        Tile(uploads.resized(pixels, (SIDE, SIDE)) / 255),
        *(
            Tile(uploads.upsampled(np.asarray(maps[name].values), (SIDE, SIDE)), kinds[maps[name].signed])
            for name in SHOWN
        ),
    )
