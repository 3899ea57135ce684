"""Segmenter and classifier: learned on true images, what is ignored does not count."""

import numpy as np
import torch

from mlcv_explore.data.dataset import to_float
from mlcv_explore.data.masked_images import Categories, MaskedImages, generate
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.metrics.generated_images import Evaluators


def test_objects_are_found_in_true_images_and_not_in_grey_ones() -> None:
    config = ScenesConfig(label="texture", smallest=0.35, largest=0.5, dependence=1)
    training, test = generate(config, 320, 0, "a"), generate(config, 60, 0, "b")
    evaluators, truths = Evaluators(training, 0), to_float(test.images)
    true, grey = (evaluators.scores(images, test) for images in (truths, np.full_like(truths, 0.5)))
    assert true["iou"] > 0.4 > grey["iou"]
    assert true["accuracy"] > grey["accuracy"]
    few = training.take(slice(16))
    first, again, other = (Evaluators(few, seed).scores(truths, test) for seed in (0, 0, 1))
    assert first == again != other


def test_ignored_pixels_do_not_count() -> None:
    categories = Categories(("background", "pet", "outline"), (1,), (2,), ("a", "b"))
    regions = np.array([[[1, 1], [2, 0]]], np.uint8)
    truths = MaskedImages(categories, np.zeros((1, 3, 2, 2), np.uint8), regions, np.array([1]))
    stub = Evaluators.__new__(Evaluators)
    stub.segmenter = lambda images: torch.tensor([[[[1.0, -1.0], [1.0, -1.0]]]])
    stub.classifier = lambda images: torch.tensor([[0.0, 1.0]])
    assert stub.scores(np.zeros((1, 3, 2, 2), np.float32), truths) == {"iou": 0.5, "accuracy": 1.0}
