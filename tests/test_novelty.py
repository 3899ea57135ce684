"""An image of none of a model's classes is reported; one like its test data is not."""

import dataclasses
import json

import numpy as np
import pytest

from mlcv_explore.command import main
from mlcv_explore.data import gallery, scenes
from mlcv_explore.data.model_input import of_card
from mlcv_explore.models import available_models, checkpoints, novelty

COFFEE = gallery.photographs()["coffee"]


def of_photograph(name: str) -> novelty.Novelty | None:
    model = available_models.load(name)
    return novelty.of_input(model, of_card(model.card).array(COFFEE.read().pixels))


def test_scores_by_hand() -> None:
    highest, energy = novelty.scores(np.array([[0.0, 0.0], [np.log(3), 0.0]]))
    assert highest == pytest.approx([0.5, 0.75]) and energy == pytest.approx([np.log(2), np.log(4)])


def test_a_coffee_cup_is_none_of_cifar10s_classes_and_a_cat_is_one() -> None:
    coffee, model = of_photograph("cifar10"), available_models.load("cifar10")
    assert coffee.unusual and min(coffee.probability, coffee.energy) < novelty.UNUSUAL
    cat = of_card(model.card).array(gallery.photographs()["cat"].read().pixels)
    assert not novelty.of_input(model, cat).unusual
    assert "Perhaps none of its classes" in coffee.text() and "10,000 cifar10 test images" in coffee.text()


def test_new_images_of_the_same_data_are_unusual_as_often_as_nominal() -> None:
    model = available_models.load("scenes/0")
    new = scenes.generate(scenes.ScenesConfig(rho=0.25), 400, 7, "not among the test images").as_images()
    rows = [novelty.of_input(model, image.astype(np.float32) / 255) for image in new.images]
    low = np.mean([row.probability < novelty.UNUSUAL for row in rows])
    assert low == pytest.approx(0.05, abs=0.03)  # three binomial standard deviations
    assert np.mean([row.energy < novelty.UNUSUAL for row in rows]) == pytest.approx(0.05, abs=0.03)
    assert np.median([row.probability for row in rows]) == pytest.approx(50, abs=10)


def test_nothing_is_claimed_of_a_model_whose_test_data_are_not_known() -> None:
    assert of_photograph("imagenet") is None
    model = available_models.load("scenes/0")
    other = dataclasses.replace(model, card=model.card | {"sha256": "of other weights"})
    assert novelty.of_input(other, np.zeros((3, 32, 32), np.float32)) is None


def test_every_shipped_classifier_is_measured_with_its_present_weights() -> None:
    blank = np.zeros((3, 32, 32), np.float32)
    for name in checkpoints.names():
        assert novelty.of_input(checkpoints.load(name), blank) is not None, name


def test_predict_reports_it_beside_the_prediction(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(COFFEE.path), "--model", "cifar10"]) == 0
    assert "Perhaps none of its classes: the " in capsys.readouterr().out
    assert main(["predict", str(COFFEE.path), "--model", "cifar10", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["images"]
    assert row["novelty"]["unusual"] and row["novelty"]["sentence"].startswith("Perhaps none")
