"""Underspecification: what varies and what stays, controls that must come out, and the demo."""

import functools

import numpy as np
import pytest
import torch

from mlcv_explore.config import SettingError
from mlcv_explore.ideas.underspecification import (
    ARMS,
    MEASURES,
    SOURCES,
    UnderspecificationConfig,
    arms_of,
    claims,
    idea,
    inference,
    pretrain,
    training,
)
from mlcv_explore.metrics import between_networks
from mlcv_explore.models import pipelines, test_time_adaptation
from mlcv_explore.models.convolutional_networks import ConvolutionalNetworks
from mlcv_explore.models.pipelines import Examples
from tests.calls import recorded

SHORT = UnderspecificationConfig(
    networks=4, updates=3, batch=50, train_size=200, test_size=100, steps=30, width=16
)


@functools.cache
def replicate(varied: str = "all") -> training.Replicate:
    """One split for all tests; none changes it."""
    return training.Replicate(SHORT.replace(varied=varied), 0)


@functools.cache
def trained(arm: str) -> training.NormalisedNetworks:
    """Networks trained once for all tests; none changes them."""
    return replicate().trained(arm)


@functools.cache
def measured() -> dict[str, float]:
    """All numbers of one split."""
    return {
        name: float(values[0]) for name, values in idea.metrics(SHORT, list(idea.run(SHORT, (0,)))).items()
    }


def test_the_names_of_arms_and_measures_are_those_of_their_tables() -> None:
    assert {arm.name for arm in claims.ARM_TABLE} == {*ARMS} and len(claims.ARM_TABLE) == len(ARMS)
    assert tuple(measure.name for measure in claims.MEASURE_TABLE) == MEASURES


def test_a_run_computes_its_arms_in_their_order_and_one_source_of_randomness_those_as_trained() -> None:
    arms = [arm for arm, *_ in training.predictions(SHORT, 0)]
    assert len(arms) == len({*arms}) == len(ARMS) and {*arms} == {*arms_of(SHORT)}
    for source in SOURCES[:1]:
        config = SHORT.replace(varied=source)
        assert tuple(arm for arm, *_ in training.predictions(config, 0)) == claims.LEARNED == arms_of(config)


def test_no_steps_are_the_source_and_one_network_in_many_orders_has_no_spread() -> None:
    """The arm that changes nothing, and the control that must fail."""
    found = measured()
    assert all(found[f"noop_{name}"] == found[f"supervised_{name}"] for name in MEASURES)
    differences = ("iid", "excess", "logit", "disagreement", "line", *MEASURES[7:])
    assert [found[f"order_{name}"] for name in differences] == [0.0] * len(differences)
    assert found["supervised_orders_disagreement"] > 0  # once adapted, orders count
    still = SHORT.replace(updates=0)
    arms = {arm: classes for arm, classes, _ in training.predictions(still, 0)}
    for pipeline in claims.PIPELINES:
        for adaptation in claims.ADAPTATIONS:
            for kind, classes in arms[pipeline].items():
                assert np.array_equal(arms[f"{pipeline}_{adaptation}"][kind], classes)


def test_adapted_networks_have_one_order_and_one_source_unless_orders_are_the_question() -> None:
    """Copies of one network stay copies: nothing but what is meant to differs between them."""
    own = replicate()
    clones = training.repeated(trained("supervised"), 1, 4)
    for adaptation in claims.ADAPTATIONS:
        for classes in own.adapted(adaptation, clones, 3).values():
            assert between_networks.disagreement(classes) == 0
    orders = own.adapted("tent", clones, 3, own_orders=True)
    assert any(between_networks.disagreement(classes) > 0 for classes in orders.values())


def test_networks_differ_by_what_is_varied_alone() -> None:
    for source in SOURCES:
        numbers = replicate(source).numbers
        assert [name for name in SOURCES if len({*getattr(numbers, name)}) > 1] == [source]
    assert [name for name in SOURCES if len({*getattr(replicate().numbers, name)}) > 1] == [*SOURCES[:3]]
    one, other = (replicate(source).examples for source in ("split", "head"))
    assert len(one.images) == 2 * len(other.images) == 400 and one.rows.shape == other.rows.shape == (4, 200)
    assert not torch.equal(one.rows[0], one.rows[1]) and torch.equal(other.rows[0], other.rows[1])
    encoders = replicate("head").trained("autoencoder")
    assert torch.equal(encoders.weights[0][0], encoders.weights[0][1])
    assert not torch.equal(encoders.head[0], encoders.head[1])


def test_a_choice_is_made_by_validation_images_and_never_by_test_images(monkeypatch) -> None:
    asked = recorded(monkeypatch, pipelines, "accuracy")
    replicate().matched(trained("augmented"), trained("contrastive"))
    validation = replicate().split.validation
    assert asked and all(images is validation[0] and labels is validation[1] for _, images, labels in asked)


def test_all_pipelines_take_as_many_steps_and_the_rival_sees_the_same_views(monkeypatch) -> None:
    batches = recorded(monkeypatch, Examples, "batch")
    views = recorded(monkeypatch, pipelines, "two_views")
    counts = {}
    for arm in claims.TRAINED:
        batches.clear(), views.clear()
        replicate().trained(arm)
        counts[arm] = len(batches), len(views)
    steps = SHORT.steps
    assert counts == {
        "supervised": (steps, 0), "augmented": (steps, steps), "contrastive": (steps, steps),
        "autoencoder": (steps, 0),
    }  # fmt: skip
    views.clear()
    replicate().trained("augmented", 2), replicate().trained("contrastive", 2)
    assert torch.equal(views[0][0], views[2][0])


def test_adaptation_never_sees_a_label_of_the_test(monkeypatch) -> None:
    own, given = replicate(), recorded(monkeypatch, test_time_adaptation, "predictions")
    own.adapted("mme", trained("supervised"), 2)
    tests = list(own.split.tests.values())
    for (method, _, inputs, orders, batch, source, updates), test in zip(given, tests, strict=True):
        assert (method, batch, updates) == ("mme", SHORT.batch, 2) and inputs is test
        assert torch.equal(orders[0], orders[3]) and orders.shape == (4, 100)
        images, labels = source(0)
        train, truth = own.split.train
        distance = (images[0, 0] - train).abs().flatten(1).sum(1)
        assert distance.min() == 0 and labels[0, 0] == truth[distance.argmin()]
        assert torch.equal(images[0], images[1])


def test_corruption_costs_accuracy_and_the_oracle_and_batch_statistics_give_some_back() -> None:
    found = measured()
    assert found["supervised_clean"] > found["supervised_corrupted"] + 0.1
    assert found["oracle_corrupted"] > found["supervised_corrupted"]
    assert found["supervised_bn_corrupted"] > found["supervised_corrupted"] + 0.05


def test_convolutional_networks_run_every_arm_and_two_runs_that_take_turns_are_those_alone() -> None:
    config = SHORT.replace(network="convolutional", networks=2, updates=1, test_size=50, steps=2)
    assert isinstance(training.Replicate(config, 0).trained("supervised"), ConvolutionalNetworks)
    alone = {seed: list(training.predictions(config, seed)) for seed in (0, 1)}
    for pair in zip(*(training.predictions(config, seed) for seed in (0, 1)), strict=True):
        for seed, (arm, found, truth) in enumerate(pair):
            own, expected, labels = alone[seed].pop(0)
            assert own == arm and np.array_equal(truth, labels)
            assert all(np.array_equal(found[kind], expected[kind]) for kind in expected)
    assert not any(alone.values())


def test_claims_on_photographs_read_features_and_convolutional_networks_have_rows_of_their_own() -> None:
    study = next(study for study in idea.studies if study.name == "photographs")
    *others, last = study.cells
    assert all(cell.config.dataset == "photographs" and cell.config.network == "dense" for cell in others)
    assert last.claim == "convolutional" and last.claim not in {claim.name for claim in claims.CLAIMS}
    assert last.config.dataset == "cifar10" and {*last.arms} == {*ARMS} and last.config.networks >= 6


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"networks": 1}, "networks must be at least two for a spread between them, got 1"),
        ({"batch": 1}, "batch 1 leaves one of test_size 300 images alone"),
        ({"batch": 23}, "batch 23 leaves one of test_size 300 images alone"),
        ({"severity": 6}, "severity must be a whole number between 1 and 5, got 6"),
        ({"dataset": "photographs", "severity": 3}, "severity must be 5 on photographs"),
        ({"dataset": "photographs", "network": "convolutional"}, "network must be dense on photographs"),
        ({"network": "deep"}, "network must be one of dense, convolutional, got 'deep'"),
        ({"train_size": 1300}, "train_size must be at most 1,197 on digits"),
        ({"varied": "split", "train_size": 700}, "train_size must be at most 1,197 on digits"),
    ],
)
def test_settings_that_cannot_be_run_are_refused_in_a_sentence(changes: dict, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        UnderspecificationConfig(**changes)
    assert UnderspecificationConfig(batch=1, updates=0).batch == 1


@pytest.mark.parametrize("name", ["digits", "photographs"])
def test_the_networks_that_ship_agree_on_clean_images_and_differ_on_corrupted_ones(name: str) -> None:
    demo = inference.load(name)
    assert (
        demo.groups == ("matched", "contrastive", "autoencoder") and demo.networks.count == 3 * pretrain.EACH
    )
    clean, changed = (demo.spreads("contrast", severity) for severity in (0, 5))
    assert np.ptp([each.accuracy for each in clean]) < 0.05
    for one, other in zip(clean, changed, strict=True):
        assert other.disagreement > one.disagreement + 0.1 and other.accuracy < one.accuracy
    if name == "digits":
        fan = demo.fan(inference.example("7"), "fog")
        assert (fan[:, 0].argmax(1) == 7).all() and len({*fan[:12, 4].argmax(1)}) > 2
