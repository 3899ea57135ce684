"""Measures of many maps as means over images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mlcv_explore.data import annotated_images, scenes
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.models import checkpoints
from mlcv_explore.saliency import SaliencySettings, evaluation, faithfulness, methods
from mlcv_explore.seeds import numpy_stream


class Bright(nn.Module):
    """Class 0 the more probable, the brighter the image."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bright = 8 * (images.mean((1, 2, 3)) - 0.2)
        return torch.stack([bright, -bright], dim=1)


GIVEN = annotated_images.of_scenes(scenes.generate(ScenesConfig(), 8, 0, "scenes to evaluate"))
MAPS = {
    "bright": GIVEN.images.mean(1).numpy().astype(float),
    "object": (GIVEN.masks.numpy() == 1).astype(float),
    "tag": np.zeros((8, 32, 32)),
}
for _index, (_top, _left, _bottom, _right) in enumerate(GIVEN.tag_boxes):
    MAPS["tag"][_index, _top:_bottom, _left:_right] = 1


def test_maps_are_measured_as_means_over_the_images_so_far() -> None:
    parts = list(evaluation.evaluate(Bright(), MAPS, GIVEN, 4, 0))
    assert len(parts) == 4 and all([*part] == [*MAPS] for part in parts)
    measured = {name: np.array([part["object"][name] for part in parts]) for name in parts[0]["object"]}
    assert (measured["mass"] == 1).all() and (measured["pointing"] == 1).all() and not measured["tag"].any()
    by_two = MAPS["object"].mean((1, 2)).reshape(4, 2).mean(1)
    assert np.diff(measured["area"] * np.arange(1, 5), prepend=0) == pytest.approx(by_two, abs=1e-9)
    assert parts[-1]["tag"]["tag"] == 1 and parts[-1]["tag"]["mass"] == 0
    last = parts[-1]
    for row in last.values():
        assert row["faithful"] == pytest.approx(row["insertion"] - row["deletion"])
    assert last["bright"]["faithful"] > last["object"]["faithful"] and last["bright"]["faithful"] > 0.02
    assert last["bright"]["noisy"] > 0.02
    pets = next(evaluation.evaluate(Bright(), MAPS, replace(GIVEN, tag_boxes=None), 1, 0))
    assert {*last["object"]} - {*pets["object"]} == {"tag"}


def test_areas_are_those_of_the_curves_with_the_same_fill_steps_and_ties() -> None:
    maps, targets = np.stack([*MAPS.values()], axis=1), torch.zeros(8, dtype=torch.int64)
    insertion, deletion = evaluation.areas(Bright(), GIVEN.images, targets, maps, "noise", 3)
    for curve, area in ((faithfulness.insertion, insertion), (faithfulness.deletion, deletion)):
        expected = curve(Bright(), GIVEN.images, targets, maps, "noise", 10, seed=3).area
        np.testing.assert_array_equal(area, expected)


def test_grad_cam_of_many_images_is_that_of_each_for_its_predicted_class() -> None:
    network = checkpoints.load("scenes/0").network
    maps = evaluation.grad_cam_maps(network, GIVEN.images)
    for image, values in zip(GIVEN.images, maps, strict=True):
        target = int(network(image[None]).argmax())
        expected = methods.grad_cam(network, image, target, SaliencySettings()).values
        np.testing.assert_array_equal(values, expected.numpy())


def test_a_random_map_is_neither_faithful_nor_unfaithful_where_the_object_is() -> None:
    network = checkpoints.load("scenes/0").network
    maps = {"random": numpy_stream(0, "random maps").random((8, 32, 32)), "object": MAPS["object"]}
    *_, last = evaluation.evaluate(network, maps, GIVEN, 1, 0)
    assert abs(last["random"]["faithful"]) < 0.2 < last["object"]["faithful"]
