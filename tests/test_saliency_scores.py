"""Scores of one image's maps: every measure as the measure itself gives it, the truth
of a scene, and the table.
"""

import csv
import io

import numpy as np
import pytest
import torch
from torch import nn

from mlcv_explore.saliency import SaliencySettings, attribute_all, faithfulness
from mlcv_explore.saliency.scores import PERTURBATIONS, Score, Truth, as_csv, scores
from mlcv_explore.seeds import seeded

SETTINGS = SaliencySettings(samples=4, masks=20, steps=8, half_precision=False)
NAMES = ("centre", "edges", "gradient", "input_x_gradient", "smoothgrad")


@pytest.fixture(scope="module")
def linear() -> nn.Module:
    """A linear classifier of 12×12 images: its gradient is known, and foretells every
    change.
    """
    return seeded(0, lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 4))).eval()


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(1))


def measured(
    network: nn.Module, image: torch.Tensor, target: int | tuple[int, int] = 2, truth: Truth | None = None
) -> dict[str, Score]:
    maps = list(attribute_all(network, image, target, NAMES, SETTINGS, 0))
    return {row.method: row for row in scores(network, image, maps, SETTINGS, 0, truth=truth)}


@pytest.mark.parametrize("target", [2, (2, 0)])
def test_the_gradient_of_a_linear_model_predicts_all_and_never_moves_with_the_image(linear, image, target):
    scored = measured(linear, image, target)
    assert scored["gradient"].infidelity < 1e-8 < scored["centre"].infidelity
    assert scored["gradient"].max_sensitivity == pytest.approx(0, abs=1e-5)
    # the same draws on every image nearby
    assert scored["smoothgrad"].max_sensitivity == pytest.approx(0, abs=1e-5)
    assert scored["input_x_gradient"].max_sensitivity > 0.001


def test_only_maps_that_use_the_model_move_with_its_weights(linear, image):
    scored = measured(linear, image)
    assert scored["centre"].moved == pytest.approx(0, abs=1e-9) and scored["edges"].moved == pytest.approx(
        0, abs=1e-9
    )
    assert scored["gradient"].moved > 0.5


def test_each_number_is_that_of_the_measure_itself(linear, image):
    scored = measured(linear, image)
    for attribution in attribute_all(linear, image, 2, NAMES, SETTINGS, 0):
        arguments = (linear, image[None], torch.tensor([2]), attribution.values[None, None])
        row = scored[attribution.method]
        assert (row.lowest, row.highest) == (attribution.values.min(), attribution.values.max())
        assert row.deletion == pytest.approx(float(faithfulness.deletion(*arguments).area[0, 0]), abs=1e-6)
        assert row.insertion == pytest.approx(float(faithfulness.insertion(*arguments).area[0, 0]), abs=1e-6)
        noise = faithfulness.gaussian_noise(image[None], 0.1, PERTURBATIONS, 0)
        infidelity = faithfulness.infidelity(
            linear,
            image[None],
            torch.tensor([2]),
            torch.from_numpy(attribution.values)[None, None, None],
            noise,
            True,
        )
        assert row.infidelity == pytest.approx(float(infidelity[0, 0]), rel=1e-3, abs=1e-9)


def test_the_truth_of_a_scene_is_used_only_where_it_is_known(linear, image):
    mask = np.zeros((12, 12), np.uint8)
    mask[3:9, 3:9] = 1
    known, unknown = (
        measured(linear, image, truth=Truth(mask, np.array([0, 0, 4, 4]))),
        measured(linear, image),
    )
    assert known["centre"].points_at_object == 1 and known["centre"].on_object > 0.5 > known["centre"].on_tag
    assert all(row.on_object is row.on_tag is row.points_at_object is None for row in unknown.values())


def test_the_table_has_a_row_for_every_image_and_method_and_gaps_where_nothing_applies(linear, image):
    rows = list(measured(linear, image).values())
    read = list(csv.DictReader(io.StringIO(as_csv({"cat": rows, "dog, or <b>": rows[:2]}))))
    assert [(row["image"], row["method"]) for row in read][-2:] == [
        ("dog, or <b>", "centre"),
        ("dog, or <b>", "edges"),
    ] and len(read) == 7
    assert float(read[2]["deletion"]) == rows[2].deletion and read[2]["on_object"] == ""
