"""Stochastic label noise: the formulas by hand and by simulation, the traps of the
brief, and the arms' promises.
"""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.data import Dataset, Images
from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.table import Table
from mlcv_explore.ideas.label_noise import (
    ARMS,
    BINS,
    LAST,
    Frame,
    LabelNoiseConfig,
    idea,
    metrics,
    noise,
    run,
    tables,
    training,
)
from mlcv_explore.seeds import numpy_stream

CLASSES = 10
DRAWS = 200_000
EQUAL_VARIANCE = ("gaussian", "laplace", "uniform", "rademacher", "student_t")
QUICK = {"epochs": 3, "train_size": 120, "width": 16, "batch_size": 32}


@pytest.fixture(scope="module")
def draws() -> np.ndarray:
    return numpy_stream(0, "a test").standard_normal((DRAWS, CLASSES), dtype=np.float32)


def predictions(count: int = 4) -> list[np.ndarray]:
    """Predictions from uniform to all but certain."""
    return [
        np.full(CLASSES, 0.1),
        *(noise.prediction(confidence) for confidence in np.linspace(0.3, 0.999, count - 1)),
    ]


@pytest.mark.parametrize("shape", EQUAL_VARIANCE)
def test_shapes_of_equal_variance_have_mean_zero_and_variance_one_and_keep_the_order(shape, draws):
    pushed = noise.standard_noise(shape, draws)
    assert pushed.mean() == pytest.approx(0, abs=0.01) and pushed.var() == pytest.approx(1, abs=0.02)
    order = np.argsort(draws[:2000, 0])
    assert (np.diff(pushed[:2000, 0][order]) >= 0).all()
    assert noise.standard_noise(shape, -draws[:100]) == pytest.approx(-pushed[:100], abs=1e-5)


def test_quantiles_by_hand():
    third = np.full((1, CLASSES), 0.6744898, dtype=np.float32)  # the upper quartile of a Gaussian
    assert noise.standard_noise("uniform", third)[0, 0] == pytest.approx(np.sqrt(3) / 2, abs=1e-4)
    assert noise.standard_noise("laplace", third)[0, 0] == pytest.approx(np.log(2) / np.sqrt(2), abs=1e-4)
    assert noise.standard_noise("student_t", third)[0, 0] == pytest.approx(
        0.7266868 * np.sqrt(3 / 5), abs=1e-4
    )
    assert noise.standard_noise("rademacher", third)[0, 0] == 1


@pytest.mark.parametrize(
    ("shape", "law"),
    [
        ("laplace", stats.laplace(scale=1 / np.sqrt(2))),
        ("uniform", stats.uniform(-np.sqrt(3), 2 * np.sqrt(3))),
        ("student_t", stats.t(noise.FREEDOM, scale=np.sqrt(1 - 2 / noise.FREEDOM))),
    ],
    ids=["laplace", "uniform", "student_t"],
)
def test_quantiles_are_the_librarys_out_to_five_standard_deviations(shape, law):
    lower = np.linspace(-5, 0, 1001)[:, None]
    expected = law.ppf(stats.norm.cdf(lower))
    assert noise.standard_noise(shape, lower) == pytest.approx(expected, abs=1e-4, rel=1e-4)
    assert noise.standard_noise(shape, -lower) == pytest.approx(-expected, abs=1e-4, rel=1e-4)
    assert law.var() == pytest.approx(1)


@pytest.mark.parametrize("shape", ["zero_sum", "zero_sum_equal_trace"])
def test_zero_sum_noise_sums_to_zero(shape, draws):
    pushed = noise.standard_noise(shape, draws[:1000])
    assert pushed.sum(-1) == pytest.approx(0, abs=1e-5)
    assert noise.standard_noise(shape, draws).var() == pytest.approx(1 - 1 / CLASSES, abs=0.01)


@pytest.mark.parametrize("shape", noise.MIXING)
@pytest.mark.parametrize("sigma", [0.1, 1.0, 1.9, 2.0])
def test_mixing_shapes_share_the_mean_of_label_smoothing(shape, sigma, draws):
    labels = np.full(DRAWS, 3)
    targets, epsilon = noise.noisy_targets(shape, sigma, labels, draws), sigma / 2
    expected = (1 - epsilon) * np.eye(CLASSES)[3] + epsilon / CLASSES
    assert targets.mean(0) == pytest.approx(expected, abs=0.01)
    assert targets.sum(-1) == pytest.approx(1, abs=1e-5) and targets.min() >= 0


def test_a_concentrated_dirichlet_would_be_static_and_fresh_smoothing_has_its_equivalent_noise(draws):
    targets = noise.noisy_targets("fresh_smoothing", 1.0, np.zeros(DRAWS, dtype=int), draws)
    covariance = np.cov(targets.T)
    sigma = noise.equivalent_sigma(0.5, CLASSES)
    assert covariance == pytest.approx(sigma**2 * (np.eye(CLASSES) - 1 / CLASSES), abs=1e-4)
    assert noise.equivalent_sigma(0.5, CLASSES, concentration=1e9) == pytest.approx(0, abs=1e-4)
    assert noise.equivalent_sigma(1.0, CLASSES, concentration=0.0) == pytest.approx(0.3162, abs=1e-4)


@pytest.mark.parametrize("shape", noise.SHAPES)
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
    for probability in predictions():
        logits = torch.log(torch.tensor(probability, dtype=torch.float32)).repeat(DRAWS, 1).requires_grad_()
        training.soft_cross_entropy(logits, targets).sum().backward()
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
    assert probability.max() > 0.6
    assert float(added.square().sum(-1).mean()) == pytest.approx(
        float(noise.gradient_trace(sigma, probability.numpy())), rel=0.02
    )
    assert added.sum(-1).abs().max() < 1e-4
    ratio = added / (targets - one_hot)[0]
    assert torch.allclose(ratio, ratio[:1, :1].expand_as(ratio), rtol=1e-2)


def test_the_loss_is_the_librarys_also_with_negative_targets_and_its_gradient_is_written_out_rightly():
    rng = torch.Generator().manual_seed(0)
    logits, targets = (
        torch.randn(50, CLASSES, generator=rng, requires_grad=True),
        torch.randn(50, CLASSES, generator=rng),
    )
    assert (targets < 0).any()
    loss = training.soft_cross_entropy(logits, targets)
    assert torch.allclose(loss, functional.cross_entropy(logits, targets, reduction="none"), atol=1e-5)
    loss.sum().backward()
    assert torch.allclose(
        logits.grad, training.logit_gradient(logits.detach().softmax(-1), targets), atol=1e-5
    )


@pytest.mark.parametrize("shape", noise.SHAPES)
def test_the_mean_loss_is_plain_cross_entropy_or_that_of_label_smoothing(shape, draws):
    logits = torch.randn(CLASSES, generator=torch.Generator().manual_seed(1)).repeat(DRAWS, 1)
    losses = training.soft_cross_entropy(
        logits, torch.from_numpy(noise.noisy_targets(shape, 1.0, np.zeros(DRAWS, dtype=int), draws))
    ).double()
    smoothing = 0.5 if shape in noise.MIXING else 0.0
    expected = functional.cross_entropy(
        logits[:1], torch.zeros(1, dtype=torch.long), label_smoothing=smoothing
    )
    assert float(losses.mean()) == pytest.approx(
        float(expected), abs=1e-4 + 4 * float(losses.std()) / np.sqrt(DRAWS)
    )


@pytest.mark.parametrize("kind", ["symmetric", "pair"])
def test_wrong_labels_are_exact_never_right_and_nested(kind):
    labels = np.arange(1003) % CLASSES
    before = np.zeros(len(labels), dtype=bool)
    for corruption in (0.0, 0.1, 0.4, 0.8):
        given = training.corrupted(labels, corruption, kind, CLASSES, numpy_stream(5, "wrong"))
        wrong = given != labels
        assert wrong.sum() == round(corruption * len(labels)) and (wrong | ~before).all()
        if kind == "pair":
            assert (given[wrong] == (labels[wrong] + 1) % CLASSES).all()
        before = wrong
    if kind == "symmetric":
        shifts = np.bincount((given[wrong] - labels[wrong]) % CLASSES, minlength=CLASSES)
        assert shifts[0] == 0 and shifts[1:].min() > 50


def test_validation_is_corrupted_alike_and_test_never():
    config = LabelNoiseConfig(corruption=0.4)
    (task,) = training.tasks(config, [3])
    (clean,) = training.tasks(config.replace(corruption=0), [3])
    assert (task.given != task.true).sum() == 400
    assert (task.validation_given != clean.validation_given).sum() == round(0.4 * 297)
    assert torch.equal(task.test_true, clean.test_true) and torch.equal(task.true, clean.given)
    assert len(task.test_true) == 500 and len(task.train) == 1000


def test_wrong_labels_stay_while_noise_and_order_are_fresh(monkeypatch):
    """What the arms are really asked for, epoch by epoch, put back into the order of
    the pictures.
    """
    seen = []

    def kept(config, every, order, draws):
        targets = made(config, every, order, draws)
        back = np.argsort(order, axis=1)[..., None]
        # every seed has noise of its own
        assert abs(np.corrcoef(draws[0].ravel(), draws[1].ravel())[0, 1]) < 0.15
        seen.append((order, {arm: np.take_along_axis(value, back, axis=1) for arm, value in targets.items()}))
        return targets

    made = training.epoch_targets
    monkeypatch.setattr(training, "epoch_targets", kept)
    list(run(LabelNoiseConfig(**QUICK), [0, 1]))
    (first_order, first), *later = seen
    # 40 % of 120
    assert len(later) == 2 and (first["plain"] != first["clean"]).any(-1).sum(1).tolist() == [48, 48]
    assert not np.array_equal(first["plain"][0], first["plain"][1]) and np.array_equal(
        first["clean"][0], first["clean"][1]
    )
    for order, targets in later:
        assert np.array_equal(targets["plain"], first["plain"]) and np.array_equal(
            targets["clean"], first["clean"]
        )
        assert not np.array_equal(order, first_order)
        assert (
            np.abs(
                np.corrcoef(
                    (targets["noisy"] - targets["plain"]).ravel(), (first["noisy"] - first["plain"]).ravel()
                )[0, 1]
            )
            < 0.1
        )


def test_a_redrawn_split_is_another_for_every_seed():
    first, second = training.tasks(LabelNoiseConfig(split="redrawn", **QUICK), [0, 1])
    assert not torch.equal(first.test, second.test)
    assert (
        idea.split_sizes(LabelNoiseConfig(split="redrawn")).test == 500
        and idea.split_sizes(LabelNoiseConfig()) is None
    )


@pytest.mark.parametrize("shape", noise.SHAPES)
def test_strength_zero_reproduces_plain_training_bit_for_bit(shape):
    film = list(run(LabelNoiseConfig(sigma=0, shape=shape, **QUICK), [0, 1]))
    for item in dataclasses.fields(Frame)[2:]:
        values = series(film, item.name)
        assert np.array_equal(values[:, :, ARMS.index("noisy")], values[:, :, ARMS.index("plain")]), item.name


@pytest.mark.parametrize("shape", [shape for shape in noise.SHAPES if shape != "gaussian"])
def test_every_shape_is_another_run_and_leaves_the_other_arms_alone(shape):
    film, gaussian = (list(run(LabelNoiseConfig(shape=name, **QUICK), [0])) for name in (shape, "gaussian"))
    losses, reference = series(film, "loss"), series(gaussian, "loss")
    assert not np.array_equal(losses[:, :, 1], reference[:, :, 1])
    assert np.array_equal(losses[:, :, [0, 2]], reference[:, :, [0, 2]])


def test_seeds_in_a_stack_are_the_seeds_alone():
    config = LabelNoiseConfig(epochs=8, train_size=200, width=32)
    together = metrics(config, list(run(config, [0, 1, 2])))
    for index, seed in enumerate((0, 1, 2)):
        alone = metrics(config, list(run(config, [seed])))
        for name, values in alone.items():
            assert values[0] == pytest.approx(together[name][index], abs=1e-9), name


def test_early_stopping_looks_at_noisy_validation_labels_and_never_at_test():
    accuracy, validation = np.zeros((2, 20, 3), dtype=np.float32), np.zeros((2, 20, 3), dtype=np.float32)
    validation[0, 4, 0] = validation[0, 9, 0] = 0.5  # the first best epoch counts
    validation[1, 7, 0] = 0.6
    accuracy[0, 4, 0], accuracy[0, 9, 0], accuracy[1, 7, 0], accuracy[1, 19, 0] = 0.9, 0.95, 0.8, 0.99
    blank = np.zeros((2, 3), dtype=np.float32)
    film = [
        Frame(
            epoch + 1,
            20,
            accuracy[:, epoch],
            validation[:, epoch],
            blank,
            blank,
            blank,
            np.zeros((2, 3, 2, BINS), dtype=np.float32),
            blank,
        )
        for epoch in range(20)
    ]
    found = metrics(LabelNoiseConfig(epochs=20), film)
    assert found["early_stopped_accuracy"] == pytest.approx([0.9, 0.8])
    assert found["plain_accuracy"] == pytest.approx([0.0, 0.099])  # the mean of the last ten


def test_test_labels_change_nothing_but_the_accuracy_told(monkeypatch):
    def turned(config, seeds):
        return [
            dataclasses.replace(task, test_true=(task.test_true + 1) % CLASSES)
            for task in made(config, seeds)
        ]

    config, made = LabelNoiseConfig(**QUICK), training.tasks
    film = list(run(config, [0, 1]))
    monkeypatch.setattr(training, "tasks", turned)
    other = list(run(config, [0, 1]))
    assert not np.array_equal(series(film, "accuracy"), series(other, "accuracy"))
    for item in dataclasses.fields(Frame):
        if item.name != "accuracy":
            assert np.array_equal(series(film, item.name), series(other, item.name)), item.name


@pytest.mark.parametrize("shape", ["fresh_smoothing", "zero_sum_equal_trace"])
def test_runs_of_two_shapes_that_take_turns_are_the_runs_alone(shape):
    configs = [LabelNoiseConfig(shape=name, **QUICK) for name in ("gaussian", shape)]
    alone = [list(run(config, [0])) for config in configs]
    turns = zip(*zip(*(run(config, [0]) for config in configs), strict=True), strict=True)
    for frames, expected in zip(turns, alone, strict=True):
        for item in dataclasses.fields(Frame):
            assert np.array_equal(series(frames, item.name), series(expected, item.name)), item.name


def test_frames_are_at_most_two_hundred_and_hold_the_last_ten():
    for epochs in range(1, 401):
        shown = training.frame_epochs(epochs)
        assert len(shown) <= 200 and max(shown) == epochs and min(shown) == 1
        assert set(range(max(1, epochs - LAST + 1), epochs + 1)) <= shown
        assert len(shown) == epochs or epochs > 190


def test_without_wrong_labels_nothing_can_be_memorised():
    config = LabelNoiseConfig(corruption=0, **QUICK)
    film = list(run(config, [0]))
    assert np.isnan(series(film, "memorised")).all() and not [
        name for name in metrics(config, film) if name.endswith("memorised")
    ]


def test_all_arms_take_the_same_steps(monkeypatch):
    steps = []
    step = training._Arm.step

    def counted(arm, batch, target, one_hot):
        steps.append(id(arm))
        step(arm, batch, target, one_hot)

    monkeypatch.setattr(training._Arm, "step", counted)
    list(run(LabelNoiseConfig(**QUICK), [0]))
    counts = {steps.count(arm) for arm in set(steps)}
    assert len(set(steps)) == 3 and counts == {3 * 4}  # epochs × batches


def test_a_loss_that_is_no_number_ends_the_run_in_a_sentence(monkeypatch):
    monkeypatch.setattr(
        training,
        "noisy_targets",
        lambda shape, sigma, labels, draws: np.full(draws.shape, np.inf, dtype=np.float32),
    )
    with pytest.raises(
        FloatingPointError,
        match=r"The noisy arm diverged.*for 2 of 2 seeds; lower learning_rate \(0.003\) or sigma",
    ):
        list(run(LabelNoiseConfig(**QUICK), [0, 1]))


def test_a_network_that_is_lost_in_the_last_step_of_an_epoch_is_told():
    """The loss was still a number then: the predictions on the test pictures are asked
    too, and the seeds that are well are not counted.
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


def test_a_run_that_truly_diverges_says_at_which_settings():
    """Plain descent at rate 1 on a wide network; smaller rates fall to chance with
    finite numbers, which is a result and no error.
    """
    config = LabelNoiseConfig(
        optimiser="sgd", learning_rate=1, sigma=2, width=512, batch_size=8, epochs=20, train_size=200
    )
    with pytest.raises(
        FloatingPointError,
        match=(
            r"The noisy arm diverged.* at epoch 1 for 2 of 2 seeds; lower learning_rate \(1\) or sigma \(2\)"
        ),
    ):
        list(run(config, [0, 1]))
    chance = metrics(config, list(run(config.replace(width=16, learning_rate=0.5, epochs=6), [0, 1])))[
        "noisy_accuracy"
    ]
    assert chance == pytest.approx(0.1, abs=0.05)


def test_a_convolutional_network_trains_on_colour_images(monkeypatch):
    """Generated images in place of photographs: only whether they pass through."""
    rng = np.random.default_rng(0)

    def part(count: int) -> Images:
        pixels = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        return Images(pixels, np.arange(count) % 10, data.entry("cifar10").classes)

    monkeypatch.setattr(data, "load", lambda name: Dataset(name, part(1100), part(60), "generated"))
    monkeypatch.setattr(training, "held_out", lambda name: (40, 50))
    config = LabelNoiseConfig(
        dataset="cifar10", network="resnet", train_size=60, width=4, epochs=2, batch_size=30
    )
    film = list(run(config, [0, 1]))
    assert len(film) == 2 and np.isfinite(series(film, "accuracy")).all()


def rows(claim: str, values: dict[str, np.ndarray], **settings: str) -> list[dict]:
    """One row a seed and arm."""
    return [
        {"claim": claim, "arm": arm, **settings, "seed": seed, "measure": "accuracy", "value": float(value)}
        for arm, column in values.items()
        for seed, value in enumerate(column)
    ]


def near(centre: float, spread: float = 0.001) -> np.ndarray:
    """Eight values around a centre, with that mean exactly."""
    return centre + spread * (np.arange(8) - 3.5)


def test_late_memorisation_is_the_share_that_stopping_takes_away():
    arms = {"plain": near(0.6), "noisy": near(0.8), "early_stopped": near(0.75)}
    arms["noisy_early_stopped"] = near(0.80)
    assert tables.late_memorisation(Table(rows("gain", arms))).mean == pytest.approx(1 - 0.05 / 0.2)
    better = arms | {"early_stopped": near(0.82, 0.002)}
    share = tables.late_memorisation(Table(rows("gain", better)))
    assert share.mean == pytest.approx(1.1) and share.low < share.mean < share.high


def test_the_sweep_starts_with_plain_training():
    known = {"corruption": "0.4"}
    table = rows("map", {"plain": near(0.5), "noisy": near(0.7)}, sigma="0.5", **known)
    table += rows("map", {"plain": near(0.5), "noisy": near(0.8)}, sigma="1.0", **known)
    sigmas, accuracy = tables.sigma_curve(Table(table))
    assert sigmas.tolist() == [0.0, 0.5, 1.0]
    assert accuracy.mean(0) == pytest.approx([0.5, 0.7, 0.8])
    assert tables.PUBLISHED_ACCURACY[tables.PUBLISHED_SIGMAS == 1.0] == 0.80
