"""The demo's networks: mask networks of pretrained classifiers, each for a range of area
weights, and a segmenter of scenes.
"""

from functools import partial

import numpy as np

from mlcv_explore import data
from mlcv_explore.data import gallery, scenes, uploads
from mlcv_explore.data.dataset import content_fingerprint
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.learned_salience import photographs
from mlcv_explore.models import segmenter
from mlcv_explore.models.checkpoints import CheckpointSpec
from mlcv_explore.saliency import learned_masks, photograph_masker

SIZES = {"taught": 6000, "tested": 2000}  # scenes of a mask network
SEGMENTER = "scenes_unet"


def _scenes(rho: float, label: str, seed: int) -> data.Dataset:
    """Training and test images of a mask network."""
    config = scenes.ScenesConfig(rho=rho, label=label)
    training, test = (
        scenes.generate(config, count, seed, f"{part} a masker").as_images() for part, count in SIZES.items()
    )
    name = f"scenes, ρ = {rho:g}, {label}"
    return data.Dataset(name, training, test, content_fingerprint(training, test))


def tiles() -> tuple[Tile, ...]:
    """A photograph of the gallery, the mask of its predicted class, and the image with
    the mask kept and removed.
    """
    network, model = learned_masks.load("cifar10/0")
    image = uploads.resized_to_square(gallery.photographs()["cat"].read().pixels, model.side)
    mask = learned_masks.explain(network, model, image, 2.0).mask
    inside, outside = (learned_masks.keep(image, part, "noise") for part in (mask, 1 - mask))
    whole, *parts = (Tile(np.clip(values, 0, 1).transpose(1, 2, 0)) for values in (image, inside, outside))
    return (whole, Tile(mask, "amount"), *parts)


MASK_NETWORKS = {  # its name → the classifier it explains, the images it learns from
    "scenes_masker_honest": ("scenes/0", partial(_scenes, 0.25, "silhouette")),
    "scenes_masker_tagged": ("scenes-tagged/0", partial(_scenes, 1.0, "silhouette")),
    "scenes_masker_texture": ("scenes-texture/0", partial(_scenes, 0.25, "texture")),
    "cifar10_masker": ("cifar10/0", lambda _: data.load("cifar10")),
}
CHECKPOINTS = {
    name: CheckpointSpec(learned_masks.MaskNetworkHyperparameters(), partial(learned_masks.train, *about))
    for name, about in MASK_NETWORKS.items()
}
CHECKPOINTS[SEGMENTER] = CheckpointSpec(segmenter.SegmenterHyperparameters(), segmenter.train_on_scenes)
CHECKPOINTS["imagenet_masker"] = CheckpointSpec(
    photograph_masker.MaskerHyperparameters(),  # learned on objects that no study explains
    lambda *about: photograph_masker.train(photographs.training_objects(), *about),
)
