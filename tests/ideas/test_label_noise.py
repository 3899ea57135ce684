"""Stochastic label noise: its formulas by hand and by simulation, what each arm is
trained on, and what early stopping may use.
"""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.data import Dataset, Images
from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.table import Table
from mlcv_explore.ideas.label_noise import (
    ARMS,
    LAST,
    TUNED,
    Frame,
    LabelNoiseConfig,
    claims,
    idea,
    metrics,
    noise,
    run,
    tables,
    training,
)
from mlcv_explore.models.losses import soft_cross_entropy
from mlcv_explore.seeds import numpy_stream

CLASSES = 10
DRAWS = 200_000
QUICK = {"epochs": 3, "train_size": 120, "width": 16, "batch_size": 32, "dataset": "digits"}
FIELDS = [field.name for field in dataclasses.fields(Frame)][2:]
every_shape = pytest.mark.parametrize("shape", noise.SHAPES)


@pytest.fixture(scope="module")
def draws() -> np.ndarray:
    return numpy_stream(0, "a test").standard_normal((DRAWS, CLASSES), dtype=np.float32)


@pytest.fixture(scope="module")
def film() -> list[Frame]:
    return list(run(LabelNoiseConfig(**QUICK), [0, 1]))


@pytest.mark.parametrize("shape", noise.MIXING)
@pytest.mark.parametrize("sigma", [0.1, 1.0, 1.9, 2.0])
def test_mixing_shapes_share_the_mean_of_label_smoothing(shape, sigma, draws):
    targets, epsilon = noise.noisy_targets(shape, sigma, np.full(DRAWS, 3), draws), sigma / 2
    expected = (1 - epsilon) * np.eye(CLASSES)[3] + epsilon / CLASSES
    assert targets.mean(0) == pytest.approx(expected, abs=0.01)
    assert targets.sum(-1) == pytest.approx(1, abs=1e-5) and targets.min() >= 0


def test_resampled_smoothing_has_the_covariance_of_zero_sum_noise(draws):
    """Of σ = ε/√(K(K + 1)): the Dirichlet distribution is uniform on the simplex."""
    covariance = np.cov(noise.noisy_targets("fresh_smoothing", 1.0, np.zeros(DRAWS, dtype=int), draws).T)
    variance = 0.5**2 / (CLASSES * (CLASSES + 1))
    assert covariance == pytest.approx(variance * (np.eye(CLASSES) - 1 / CLASSES), abs=1e-4)


@every_shape
def test_at_strength_zero_the_target_is_the_label_bit_for_bit(shape, draws):
    labels = np.arange(1000) % CLASSES
    targets = noise.noisy_targets(shape, 0.0, labels, draws[:1000])
    assert targets.dtype == np.float32 and np.array_equal(targets, np.eye(CLASSES, dtype=np.float32)[labels])


@pytest.mark.parametrize("shape", noise.ADDITIVE[:-1])
def test_the_gradients_covariance_is_the_formulas(shape, draws):
    """From autograd, not from the derivation: all independent shapes alike, zero-sum
    whatever the prediction.
    """
    sigma = 0.7
    targets = torch.from_numpy(noise.noisy_targets(shape, sigma, np.full(DRAWS, 2), draws))
    for probability in noise.prediction(np.array([0.1, 0.3, 0.65, 0.999])):  # uniform to all but certain
        logits = torch.log(torch.tensor(probability, dtype=torch.float32)).repeat(DRAWS, 1).requires_grad_()
        soft_cross_entropy(logits, targets).sum().backward()
        measured = np.cov(logits.grad.numpy().T)
        expected = noise.gradient_covariance(sigma, probability, zero_sum=shape == "zero_sum")
        assert measured == pytest.approx(expected, abs=0.03 * sigma**2)
        assert np.trace(measured) == pytest.approx(np.trace(expected), rel=0.02)


def test_zero_sum_noise_at_equal_trace_is_scaled_in_the_step_itself(draws):
    """The gradient noise of one step has the Gaussian's trace for this network's own
    predictions, and the direction of zero-sum noise.
    """
    sigma, count = 1.5, 20_000
    config = LabelNoiseConfig(shape="zero_sum_equal_trace", sigma=sigma, width=16)
    arm = training._Arm(config, [0], 64)
    with torch.no_grad():
        arm.stack.biases[-1][0, 3] = 3.0  # a confident network
    labels = np.full(count, 3)
    one_hot = torch.eye(CLASSES)[labels][None]
    targets = torch.from_numpy(noise.noisy_targets(config.shape, sigma, labels, draws[:count]))[None]
    arm.step(torch.full((1, count, 64), 0.5), targets, one_hot)
    probability, added = arm.passed[0][0, 0], (arm.last[1] - one_hot)[0]
    assert probability.max() > 0.6 and added.sum(-1).abs().max() < 1e-4
    trace = float(noise.gradient_trace(sigma, probability.numpy()))
    assert float(added.square().sum(-1).mean()) == pytest.approx(trace, rel=0.02)
    ratio = added / (targets - one_hot)[0]
    assert torch.allclose(ratio, ratio[:1, :1].expand_as(ratio), rtol=1e-2)


@every_shape
def test_the_mean_loss_is_plain_cross_entropy_or_that_of_label_smoothing(shape, draws):
    logits = torch.randn(CLASSES, generator=torch.Generator().manual_seed(1)).repeat(DRAWS, 1)
    targets = torch.from_numpy(noise.noisy_targets(shape, 1.0, np.zeros(DRAWS, dtype=int), draws))
    losses = soft_cross_entropy(logits, targets).double()
    smoothing = 0.5 if shape in noise.MIXING else 0.0
    expected = functional.cross_entropy(logits[0], torch.tensor(0), label_smoothing=smoothing)
    error = 1e-4 + 4 * float(losses.std()) / np.sqrt(DRAWS)
    assert float(losses.mean()) == pytest.approx(float(expected), abs=error)


def test_validation_is_corrupted_alike_and_test_never():
    config = LabelNoiseConfig(corruption=0.4, dataset="digits")
    (task,) = training.tasks(config, [3])
    (clean,) = training.tasks(config.replace(corruption=0), [3])
    assert (task.given != task.true).sum() == 400
    assert (task.validation_given != clean.validation_given).sum() == round(0.4 * 297)
    assert torch.equal(task.test_true, clean.test_true) and torch.equal(task.true, clean.given)
    assert len(task.test_true) == 500 and len(task.train) == 1000


def test_features_of_photographs_are_trained_on_as_they_are_stored():
    """64 numbers a photograph, the official test part, and not divided by 255."""
    config = LabelNoiseConfig(train_size=500)
    (task,) = training.tasks(config, [3])
    assert config.dataset == "cifar10_features"
    assert [len(part) for part in (task.train, task.validation, task.test)] == [500, 1000, 2000]
    assert task.train.shape == (500, 64) and 0.8 < float(task.train.var(0).mean()) < 1.2
    assert (task.given != task.true).sum() == 200
    official = {row.tobytes() for row in data.load("cifar10_features").test.as_float().numpy()}
    assert all(row.tobytes() in official for row in task.test.numpy())


def test_both_studies_train_the_same_tuned_arms_each_with_its_own_settings():
    """Both optimisers, and in one claim only what is tuned differs between its arms."""
    free = {"optimiser", "learning_rate", "sigma", "shape"}
    for study, dataset in zip(idea.studies, ("digits", "cifar10_features"), strict=True):
        assert len(study.seeds) == 20 and {cell.config.dataset for cell in study.cells} == {dataset}
        for claim in claims.CLAIMS:
            cells = [cell for cell in study.cells if cell.claim == claim.name]
            cells = {arm: cell.config for cell in cells for arm in cell.arms}
            assert set(cells) >= set(claim.arms)
            if claim.when == claims.SETTING:
                used = {arm: (config.learning_rate, config.sigma) for arm, config in cells.items()}
                assert used == {arm: TUNED[dataset][arm] for arm in cells}
                assert all(arm.startswith(config.optimiser) for arm, config in cells.items())
                assert all(config.changed().keys() <= free | {"dataset"} for config in cells.values())


def test_the_learning_rate_is_the_datas_own_where_none_is_set(film):
    """Digits are trained at 0.003 as before, to the last bit, features at a tenth."""
    assert LabelNoiseConfig().rate == 0.0003 and LabelNoiseConfig(dataset="mnist").rate == 0.003
    assert LabelNoiseConfig(learning_rate=0.02).rate == 0.02
    stated = list(run(LabelNoiseConfig(learning_rate=0.003, **QUICK), [0, 1]))
    for name in FIELDS:
        assert np.array_equal(series(film, name), series(stated, name)), name


@pytest.mark.parametrize("shape", ["gaussian", "fixed_gaussian"])
def test_wrong_labels_stay_while_noise_and_order_are_fresh(monkeypatch, shape):
    """What the arms are trained on, put back into the order of the images; an image keeps
    fixed noise.
    """
    seen, made = [], training.epoch_targets

    def recorded(config, every, order, draws):
        targets, back = made(config, every, order, draws), np.argsort(order, axis=1)[..., None]
        seen.append((order, {arm: np.take_along_axis(value, back, axis=1) for arm, value in targets.items()}))
        assert correlation(*draws) < 0.15  # every seed has noise of its own
        return targets

    def correlation(one, other):
        return abs(np.corrcoef(one.ravel(), other.ravel())[0, 1])

    monkeypatch.setattr(training, "epoch_targets", recorded)
    list(run(LabelNoiseConfig(shape=shape, **QUICK), [0, 1]))
    (first_order, first), *later = seen
    assert (first["plain"] != first["clean"]).any(-1).sum(1).tolist() == [48, 48]  # 40 % of 120
    assert not np.array_equal(*first["plain"]) and np.array_equal(*first["clean"]) and len(later) == 2
    for order, targets in later:
        assert all(np.array_equal(targets[arm], first[arm]) for arm in ("plain", "clean"))
        assert not np.array_equal(order, first_order)
        same = correlation(*(epoch["noisy"] - epoch["plain"] for epoch in (targets, first)))
        assert same < 0.1 if shape == "gaussian" else np.array_equal(targets["noisy"], first["noisy"])


def test_a_redrawn_split_is_another_for_every_seed():
    config = LabelNoiseConfig(split="redrawn", **QUICK)
    first, second = training.tasks(config, [0, 1])
    assert not torch.equal(first.test, second.test)
    assert idea.split_sizes(config).test == 500 and idea.split_sizes(LabelNoiseConfig()) is None
    assert idea.split_sizes(LabelNoiseConfig(split="redrawn")).test == 2000


@every_shape
def test_a_shape_is_another_run_beside_the_same_arms_and_plain_training_at_strength_zero(shape, film):
    """Bit for bit, while two runs take turns."""
    config = LabelNoiseConfig(shape=shape, **QUICK)
    other, zero = zip(
        *zip(run(config, [0, 1]), run(config.replace(sigma=0), [0, 1]), strict=True), strict=True
    )
    for name in FIELDS:
        values, gaussian, silent = (series(frames, name) for frames in (other, film, zero))
        assert np.array_equal(values[:, :, [0, 2]], gaussian[:, :, [0, 2]]), name
        assert np.array_equal(silent[:, :, 1], silent[:, :, 0]), name
    for losses in zip(*(series(frames, "loss")[:, :, 1] for frames in (other, film)), strict=True):
        assert np.array_equal(*losses) == (shape == "gaussian")


@pytest.mark.parametrize("shape", ["fresh_smoothing", "zero_sum_equal_trace"])
def test_runs_of_two_shapes_that_take_turns_are_the_runs_alone(shape, film):
    configs = [LabelNoiseConfig(shape=name, **QUICK) for name in ("gaussian", shape)]
    turns = zip(*zip(*(run(config, [0, 1]) for config in configs), strict=True), strict=True)
    for frames, alone in zip(turns, (film, list(run(configs[1], [0, 1]))), strict=True):
        for name in FIELDS:
            assert np.array_equal(series(frames, name), series(alone, name)), name


@pytest.mark.parametrize("dataset", ["digits", "cifar10_features"])
def test_seeds_in_a_stack_are_the_seeds_alone(dataset):
    config = LabelNoiseConfig(epochs=8, train_size=200, width=32, dataset=dataset)
    together = metrics(config, list(run(config, [0, 1, 2])))
    for index in range(3):
        for name, (value,) in metrics(config, list(run(config, [index]))).items():
            assert value == pytest.approx(together[name][index], abs=1e-9), name


def test_early_stopping_uses_noisy_validation_labels_and_never_test_labels(film):
    accuracy, validation = np.zeros((2, 20, 3)), np.zeros((2, 20, 3))
    validation[0, 4, 0] = validation[0, 9, 0] = 0.5  # the first best epoch counts
    validation[1, 7, 0] = 0.6
    accuracy[0, 4, 0], accuracy[0, 9, 0], accuracy[1, 7, 0], accuracy[1, 19, 0] = 0.9, 0.95, 0.8, 0.99
    frames = [
        dataclasses.replace(film[0], accuracy=accuracy[:, epoch], validation=validation[:, epoch])
        for epoch in range(20)
    ]
    columns = metrics(LabelNoiseConfig(epochs=20), frames)
    assert columns["early_stopped_accuracy"] == pytest.approx([0.9, 0.8])
    assert columns["plain_accuracy"] == pytest.approx([0.0, 0.099])  # the mean of the last ten
    assert columns["early_stopped_validation"] == pytest.approx([0.5, 0.6])
    assert columns["plain_validation"] == pytest.approx([0.0, 0.0])


def test_test_labels_change_nothing_but_the_reported_accuracy(monkeypatch, film):
    made = training.tasks

    def turned(*given):
        return [dataclasses.replace(task, test_true=(task.test_true + 1) % CLASSES) for task in made(*given)]

    monkeypatch.setattr(training, "tasks", turned)
    other = list(run(LabelNoiseConfig(**QUICK), [0, 1]))
    for name in FIELDS:
        assert np.array_equal(series(film, name), series(other, name)) == (name != "accuracy"), name


def test_frames_are_at_most_two_hundred_and_hold_the_last_ten():
    for epochs in range(1, 401):
        shown = training.frame_epochs(epochs)
        assert len(shown) <= 200 and max(shown) == epochs and min(shown) == 1
        assert set(range(max(1, epochs - LAST + 1), epochs + 1)) <= shown
        assert len(shown) == epochs or epochs > 190


def test_without_wrong_labels_nothing_can_be_memorised():
    config = LabelNoiseConfig(corruption=0, **QUICK)
    frames = list(run(config, [0]))
    assert np.isnan(series(frames, "memorised")).all()
    assert not [name for name in metrics(config, frames) if name.endswith("memorised")]


def test_all_arms_take_the_same_steps(monkeypatch):
    steps, step = [], training._Arm.step

    def counted(arm, *given):
        steps.append(id(arm))
        step(arm, *given)

    monkeypatch.setattr(training._Arm, "step", counted)
    list(run(LabelNoiseConfig(**QUICK), [0]))
    assert sorted(steps.count(arm) for arm in set(steps)) == [3 * 4] * 3  # epochs × batches


def test_a_loss_that_is_no_number_ends_the_run_in_a_sentence(monkeypatch):
    monkeypatch.setattr(training, "noisy_targets", lambda *given: np.full_like(given[-1], np.inf))
    sentence = r"The noisy arm diverged.*for 2 of 2 seeds; lower learning_rate \(0.003\) or sigma"
    with pytest.raises(FloatingPointError, match=sentence):
        list(run(LabelNoiseConfig(**QUICK), [0, 1]))


def test_a_network_that_is_lost_in_the_last_step_of_an_epoch_is_reported():
    """The loss was still a number then: the predictions on test images are checked too,
    and the other seeds are not counted.
    """
    config = LabelNoiseConfig(**QUICK)
    every = training.tasks(config, [0, 1])
    arms = {name: training._Arm(config, [0, 1], 64) for name in ARMS}
    for arm in arms.values():
        arm.step(torch.stack([task.train for task in every]), torch.full((2, 120, CLASSES), 0.1), None)
    order = torch.arange(120).repeat(2, 1)
    assert training._frame(config, 7, every, order, arms).step == 7
    with torch.no_grad():
        arms["clean"].stack.weights[-1][1] = torch.nan
    assert torch.isfinite(arms["clean"].loss).all()
    with pytest.raises(FloatingPointError, match=r"The clean arm diverged.*at epoch 7 for 1 of 2 seeds"):
        training._frame(config, 7, every, order, arms)


def test_a_run_that_diverges_reports_its_settings():
    """SGD at rate 1 on a wide network; smaller rates fall to chance with finite
    numbers, which is a result and no error.
    """
    steep = {"optimiser": "sgd", "learning_rate": 1, "sigma": 2, "width": 512, "batch_size": 8}
    config = LabelNoiseConfig(**steep, epochs=20, train_size=200, dataset="digits")
    sentence = (
        r"The noisy arm diverged.* at epoch 1 for 2 of 2 seeds; lower learning_rate \(1\) or sigma \(2\)"
    )
    with pytest.raises(FloatingPointError, match=sentence):
        list(run(config, [0, 1]))
    config = config.replace(width=16, learning_rate=0.5, epochs=6)
    chance = metrics(config, list(run(config, [0, 1])))["noisy_accuracy"]
    assert chance == pytest.approx(0.1, abs=0.05)


def test_a_convolutional_network_trains_on_colour_images(monkeypatch):
    """Generated images in place of photographs: only whether they pass through."""

    def part(count: int) -> Images:
        pixels = np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        return Images(pixels, np.arange(count) % 10, data.entry("cifar10").classes)

    monkeypatch.setattr(data, "load", lambda name: Dataset(name, part(1100), part(60), "generated"))
    monkeypatch.setattr(training, "part_sizes", lambda config: (config.train_size, 40, 50))
    small = {"train_size": 60, "width": 4, "epochs": 2, "batch_size": 30}
    frames = list(run(LabelNoiseConfig(dataset="cifar10", network="resnet", **small), [0, 1]))
    assert len(frames) == 2 and np.isfinite(series(frames, "accuracy")).all()


def rows(claim: str, values: dict[str, float], **settings: str) -> list[dict]:
    """Eight seeds an arm, around these means exactly."""
    return [
        {"claim": claim, "arm": arm, **settings, "seed": seed, "measure": "accuracy", "value": value}
        for arm, mean in values.items()
        for seed, value in enumerate(mean + 0.001 * (np.arange(8) - 3.5))
    ]


def test_tuned_arms_stand_with_what_was_chosen_for_them():
    """A strength only where there is one, and a dash where nothing was trained longer."""
    kept = rows("beats_smoothing", {"adam_early_stopped": 0.9, "adam_noisy": 0.8}, epochs="100")
    for epochs, accuracy in (("100", 0.8), ("200", 0.7)):
        kept += rows("epochs", {"adam_noisy": accuracy}, epochs=epochs)
    chosen = {"adam_early_stopped": (0.01, 1.0), "adam_noisy": (0.003, 0.25)}
    rate, strength, accuracy, later = tables.tuned_arms(Table(kept), chosen).values()
    assert (rate, strength) == (["0.01", "0.003"], ["–", "σ = 0.25"])
    assert [cell.mean for cell in accuracy] == pytest.approx([0.9, 0.8])
    assert later[0] == "–" and later[1].mean == pytest.approx(0.7)


def test_the_sweep_starts_with_plain_training():
    known = {"corruption": "0.4"}
    table = rows("map", {"plain": 0.5, "noisy": 0.7}, sigma="0.5", **known)
    table += rows("map", {"plain": 0.5, "noisy": 0.8}, sigma="1.0", **known)
    sigmas, accuracy = tables.sigma_curve(Table(table))
    assert sigmas.tolist() == [0.0, 0.5, 1.0]
    assert accuracy.mean(0) == pytest.approx([0.5, 0.7, 0.8])
    assert tables.PUBLISHED_ACCURACY[tables.PUBLISHED_SIGMAS == 1.0] == 0.80
