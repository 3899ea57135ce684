"""Evaluation of saliency maps of a frozen classifier: learned masks, their baselines
and controls; faithfulness, localisation, leak, and bounding boxes.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from mlcv_explore.data.scenes import Scenes
from mlcv_explore.ideas.learned_salience import (
    INDEPENDENT,
    MASKERS,
    LearnedSalienceConfig,
    frames_per_stage,
    measures_of,
)
from mlcv_explore.ideas.learned_salience import dataset as datasets
from mlcv_explore.ideas.learned_salience.dataset import AnnotatedImages
from mlcv_explore.ideas.learned_salience.leak import leak
from mlcv_explore.ideas.learned_salience.mask_network import (
    MaskNetwork,
    MaskSettings,
    optimise_masks,
    predict,
)
from mlcv_explore.metrics.overlap import DETECTION_IOU, box_overlap, largest_box
from mlcv_explore.saliency import controls, faithfulness, measures, methods
from mlcv_explore.seeds import stream, stream_seed

BOXED = 200  # test images at most whose maps give boxes
CURVE_STEPS = 10
OPTIMISATION_STEPS = 100  # of the optimised mask
FILL = "mean"  # not among the fills of training
SECOND_FILL = "noise"  # nor is this one, but it is nearer to them


def mask_settings(config: LearnedSalienceConfig, arm: str) -> MaskSettings:
    """The mask network of an arm. It has half the classifier's updates, since each
    takes three passes through the classifier.
    """
    updates = max(frames_per_stage(config), config.updates // 2)
    area = config.area
    return MaskSettings(*MASKERS[arm], area, area, config.smoothness, updates, config.batch_size)


def maps_of(
    config: LearnedSalienceConfig,
    classifier: nn.Sequential,
    networks: Mapping[str, MaskNetwork],
    given: AnnotatedImages,
    arms: Sequence[str],
    seed: int,
) -> dict[str, np.ndarray]:
    """Maps (n, h, w) float64 ≥ 0 of the class predicted for every image, by arm."""
    maps: dict[str, np.ndarray] = {"truth": (given.masks.numpy() == 1).astype(float)}
    for arm, network in networks.items():
        output = predict(network, classifier, given.images, config.area)
        maps[arm] = output.masks.numpy()
        if arm == "gated":
            maps["gates"] = output.gates.numpy()
    if "optimised" in arms:
        settings, steps = mask_settings(config, "gated"), min(OPTIMISATION_STEPS, config.updates)
        parts = [optimise_masks(classifier, part, settings, seed, steps) for part in given.images.split(50)]
        maps["optimised"] = torch.cat(parts).numpy()
    if "gradcam" in arms:
        maps["gradcam"] = gradcam_maps(classifier, given.images)
    if "centre" in arms:
        maps["centre"] = np.stack([controls.centre(image).numpy() for image in given.images])
    if "random" in arms:
        generator = stream(seed, "random maps")
        maps["random"] = np.stack(
            [torch.rand(image.shape[1:], generator=generator).numpy() for image in given.images]
        )
    return {arm: maps[arm].astype(np.float64) for arm in arms}


def gradcam_maps(classifier: nn.Sequential, images: torch.Tensor) -> np.ndarray:
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
    classifier: nn.Sequential,
    second: nn.Sequential,
    maps: Mapping[str, np.ndarray],
    given: AnnotatedImages,
    scenes: Scenes | None,
    count: int,
    seed: int,
) -> Iterator[dict[str, dict[str, float]]]:
    """Every measure of every arm's maps, as means over the images so far, in `count`
    parts of the images: {arm: {measure: mean}}.
    """
    stacked = np.stack(list(maps.values()), axis=1)  # (n, M, h, w)
    with torch.no_grad():
        targets = classifier(given.images).argmax(1)
    known: dict[str, list[np.ndarray]] = {}
    for part in np.array_split(np.arange(len(given)), count):
        about = given.images[part], targets[part], stacked[part]
        ties = stream_seed(seed, f"ties from picture {part[0]} on")
        truth = (given.masks[part].numpy() == 1)[:, None]
        insertion, deletion = _areas(classifier, *about, FILL, ties)
        values = {"insertion": insertion, "deletion": deletion, "faithful": insertion - deletion}
        for name, network, fill in (("noisy", classifier, SECOND_FILL), ("transfer", second, FILL)):
            insertion, deletion = _areas(network, *about, fill, ties)
            values[name] = insertion - deletion
        values["mass"] = measures.mass_in_mask(stacked[part], truth)
        values["pointing"] = measures.pointing(stacked[part], truth)
        if scenes is not None:
            values["tag"] = measures.mass_on_tag(stacked[part], scenes.tag_boxes[part][:, None])
        values["area"] = stacked[part].mean((2, 3))
        for name, new in values.items():
            known.setdefault(name, []).append(new)
        means = {name: np.concatenate(parts).mean(0) for name, parts in known.items()}
        yield {
            arm: {name: float(mean[index]) for name, mean in means.items()} for index, arm in enumerate(maps)
        }


def _areas(
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


def leaks(
    config: LearnedSalienceConfig,
    classifier: nn.Sequential,
    networks: Mapping[str, MaskNetwork],
    arms: Sequence[str],
    seed: int,
) -> dict[str, float]:
    """Accuracy above chance of the class decoded from maps alone, of fresh scenes with
    uninformative tags.
    """
    fresh, _ = datasets.with_tags(config, INDEPENDENT, config.tested, seed, "masks to decode")
    asked = [arm for arm in arms if "leak" in measures_of(config, arm)]
    maps = maps_of(config, classifier, networks, fresh, asked, seed)
    return {arm: leak(torch.from_numpy(values), fresh.labels, 4, seed) for arm, values in maps.items()}


def boxes_of_maps(
    config: LearnedSalienceConfig,
    classifier: nn.Sequential,
    network: MaskNetwork,
    training: AnnotatedImages,
    test: AnnotatedImages,
    seed: int,
) -> dict[str, tuple[np.ndarray, dict[str, float]]]:
    """Bounding boxes of the largest component of maps of the first test images, and the
    mean box of the training images: {arm: (first box (4,) in sides, scores)}.
    """
    names = ("images", "swapped", "labels", "masks", "boxes")
    first = AnnotatedImages(*(getattr(test, name)[:BOXED] for name in names))
    maps = maps_of(config, classifier, {"gated": network}, first, ("gated", "gradcam", "truth"), seed)
    side = first.images.shape[-1]
    boxes = {
        f"{'learned' if arm == 'gated' else arm}_box": np.stack([largest_box(each) for each in values]) / side
        for arm, values in maps.items()
    }
    boxes["centre_box"] = np.broadcast_to(training.boxes.mean(0).numpy(), (len(first), 4))
    results = {}
    for arm, values in boxes.items():
        shares = box_overlap(values, first.boxes.numpy())
        scores = {"overlap": float(shares.mean()), "found": float((shares >= DETECTION_IOU).mean())}
        results[arm] = values[0], scores
    return results
