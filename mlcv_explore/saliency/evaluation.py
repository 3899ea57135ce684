"""Measures of several maps of every image, as means over many images of one classifier:
faithfulness by insertion and deletion, localisation, size.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn

from mlcv_explore.data.annotated_images import AnnotatedImages
from mlcv_explore.saliency import faithfulness, measures, methods
from mlcv_explore.seeds import stream_seed

CURVE_STEPS = 10
FILL = "mean"  # of hidden pixels
SECOND_FILL = "noise"  # of the measure "noisy"


def grad_cam_maps(classifier: nn.Module, images: torch.Tensor) -> np.ndarray:
    """Grad-CAM of the last convolution for the predicted class, (n, h, w)."""
    with torch.no_grad():
        targets = torch.cat([classifier(part).argmax(1) for part in images.split(250)]).tolist()
    settings = methods.SaliencySettings()
    return np.stack(
        [
            methods.grad_cam(classifier, image, target, settings).values.numpy()
            for image, target in zip(images, targets, strict=True)
        ]
    )


def evaluate(
    classifier: nn.Module, maps: Mapping[str, np.ndarray], given: AnnotatedImages, count: int, seed: int
) -> Iterator[dict[str, dict[str, float]]]:
    """Every measure of maps (n, h, w) ≥ 0 of the classes predicted, by name, as means
    over the images so far, in `count` parts of the images: {name: {measure: mean}}.

    "insertion" and "deletion" areas; "faithful", their difference; the same filled with
    noise, "noisy"; share of the "mass" on the object and on the "tag" (of scenes);
    "pointing"; "area", the map's mean.
    """
    stacked = np.stack(list(maps.values()), axis=1)  # (n, M, h, w)
    with torch.no_grad():
        targets = classifier(given.images).argmax(1)
    known: dict[str, list[np.ndarray]] = {}
    for part in np.array_split(np.arange(len(given)), count):
        about = given.images[part], targets[part], stacked[part]
        ties = stream_seed(seed, f"ties from picture {part[0]} on")
        truth = (given.masks[part].numpy() == 1)[:, None]
        insertion, deletion = areas(classifier, *about, FILL, ties)
        values = {"insertion": insertion, "deletion": deletion, "faithful": insertion - deletion}
        insertion, deletion = areas(classifier, *about, SECOND_FILL, ties)
        values["noisy"] = insertion - deletion
        values["mass"] = measures.mass_in_mask(stacked[part], truth)
        values["pointing"] = measures.pointing(stacked[part], truth)
        if given.tag_boxes is not None:
            values["tag"] = measures.mass_on_tag(stacked[part], given.tag_boxes[part][:, None])
        values["area"] = stacked[part].mean((2, 3))
        for name, new in values.items():
            known.setdefault(name, []).append(new)
        means = {name: np.concatenate(parts).mean(0) for name, parts in known.items()}
        yield {
            arm: {name: float(mean[index]) for name, mean in means.items()} for index, arm in enumerate(maps)
        }


def areas(
    network: nn.Module,
    images: torch.Tensor,
    targets: torch.Tensor,
    maps: np.ndarray,
    fill: faithfulness.Fill,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Areas (n, M) under the target's probability as the most salient pixels are
    inserted first, and as they are deleted first.
    """
    given = (network, images, targets, maps, fill, CURVE_STEPS)
    return faithfulness.insertion(*given, seed=seed).area, faithfulness.deletion(*given, seed=seed).area
