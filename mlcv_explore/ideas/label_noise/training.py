"""The experiment: three arms in lock step, all seeds of an arm as one stacked model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.data.label_corruption import corrupt_labels
from mlcv_explore.ideas.label_noise import ARMS, LAST, Frame, LabelNoiseConfig, part_sizes
from mlcv_explore.ideas.label_noise.noise import FIXED, noisy_targets
from mlcv_explore.metrics import subsets
from mlcv_explore.models.losses import logit_gradient, soft_cross_entropy
from mlcv_explore.models.resnet import small_resnet
from mlcv_explore.models.stacked import SeparateModels, StackedDense, evaluate, gradient_step
from mlcv_explore.seeds import numpy_stream, stream

MOST_FRAMES = 200
MOMENTUM = 0.9


@dataclass(frozen=True)
class Task:
    """One seed's share of the data. With a fixed split the images of all seeds are
    the same tensors.
    """

    train: torch.Tensor  # (n, …) float32, images in [0, 1] or features
    validation: torch.Tensor
    test: torch.Tensor
    true: torch.Tensor  # (n,) int64
    given: torch.Tensor  # (n,) int64, labels of the training set, a share of them wrong
    # corrupted at the same rate: a real validation set is no cleaner than its training set
    validation_given: torch.Tensor
    test_true: torch.Tensor


def tasks(config: LabelNoiseConfig, seeds: Sequence[int]) -> list[Task]:
    """The data of every seed: one split for all, or one a seed; wrong labels are drawn
    anew for every seed.
    """
    dataset, sizes = data.load(config.dataset), part_sizes(config)
    splits = {
        seed: data.split_own(dataset, *sizes, seed) for seed in (seeds if config.split == "redrawn" else [0])
    }
    images = {
        seed: [_inputs(part, config) for part in (split.train, split.validation, split.test)]
        for seed, split in splits.items()
    }
    return [
        _task(config, seed, splits.get(seed, splits.get(0)), images.get(seed, images.get(0)))
        for seed in seeds
    ]


def _inputs(part: data.Images | data.Features, config: LabelNoiseConfig) -> torch.Tensor:
    images = part.as_float()
    return images.flatten(1) if config.network == "mlp" else images


def _task(config: LabelNoiseConfig, seed: int, split: data.Split, images: list[torch.Tensor]) -> Task:
    classes = len(split.train.classes)
    given, validation_given = (
        corrupt_labels(
            part.labels, config.corruption, config.kind, classes, numpy_stream(seed, f"wrong {name} labels")
        )
        for name, part in (("training", split.train), ("validation", split.validation))
    )
    labels = (split.train.labels, given, validation_given, split.test.labels)
    return Task(*images, *map(torch.from_numpy, labels))


def equal_trace_scale(probability: torch.Tensor) -> torch.Tensor:
    """What zero-sum noise must be multiplied by, (…, 1), so that its gradient noise has
    the trace of independent noise of the same σ.
    """
    classes = probability.shape[-1]
    return ((classes - 2 + classes * probability.square().sum(-1, keepdim=True)) / (classes - 1)).sqrt()


def run(config: LabelNoiseConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Frames at fixed epochs. Raises FloatingPointError when an arm diverges."""
    every = tasks(config, seeds)
    arms = {arm: _Arm(config, seeds, len(every[0].train[0].flatten())) for arm in ARMS}
    order_streams = [stream(seed, "batches") for seed in seeds]
    noise_streams = [numpy_stream(seed, "label noise") for seed in seeds]
    classes, count = _classes(config), len(every[0].train)
    shown, kept = frame_epochs(config.epochs), None
    for epoch in range(1, config.epochs + 1):
        # (S, n)
        order = torch.stack([torch.randperm(count, generator=generator) for generator in order_streams])
        draws = np.stack([rng.standard_normal((count, classes), dtype=np.float32) for rng in noise_streams])
        if config.shape == FIXED:  # the first epoch's draws belong to the images
            kept = draws if kept is None else kept
            draws = np.take_along_axis(kept, order.numpy()[..., None], axis=1)
        targets = {
            arm: torch.from_numpy(value)
            for arm, value in epoch_targets(config, every, order.numpy(), draws).items()
        }
        for start in range(0, count, config.batch_size):
            chosen = order[:, start : start + config.batch_size]
            batch = torch.stack([task.train[index] for task, index in zip(every, chosen, strict=True)])
            for arm, learner in arms.items():
                target = {
                    name: targets[name][:, start : start + config.batch_size] for name in (arm, "plain")
                }
                scaled = arm == "noisy" and config.shape == "zero_sum_equal_trace"
                learner.step(batch, target[arm], target["plain"] if scaled else None)
        if epoch in shown:
            yield _frame(config, epoch, every, order, arms)
        for learner in arms.values():
            learner.passed.clear()


def epoch_targets(
    config: LabelNoiseConfig, every: Sequence[Task], order: np.ndarray, draws: np.ndarray
) -> dict[str, np.ndarray]:
    """Each arm's targets for one epoch in the order of its batches, (S, n, K) float32.
    Only "noisy" uses the draws.
    """
    classes = draws.shape[-1]
    one_hot = np.eye(classes, dtype=np.float32)
    given = np.stack([task.given.numpy()[index] for task, index in zip(every, order, strict=True)])
    true = np.stack([task.true.numpy()[index] for task, index in zip(every, order, strict=True)])
    return {
        "plain": one_hot[given],
        "noisy": noisy_targets(config.shape, config.sigma, given, draws),
        "clean": one_hot[true],
    }


def frame_epochs(epochs: int) -> set[int]:
    """Epochs that become frames: at most 200, evenly spread, and the last ten."""
    even = np.linspace(1, epochs, min(epochs, MOST_FRAMES - LAST)).round().astype(int)
    return set(even.tolist()) | set(range(max(1, epochs - LAST + 1), epochs + 1))


class _Arm:
    """One arm: its stack of networks, their optimiser, and the predictions of this
    epoch's batches as they passed, each before its step.
    """

    def __init__(self, config: LabelNoiseConfig, seeds: Sequence[int], inputs: int) -> None:
        classes = _classes(config)
        self.passed: list[torch.Tensor] = []  # (S, B, K) each
        if config.network == "mlp":
            self.stack = StackedDense((inputs, config.width, config.width, classes), seeds)
        else:
            channels = data.entry(config.dataset).shape[0]
            self.stack = SeparateModels(lambda: small_resnet(channels, config.width, classes), seeds)
        if config.optimiser == "adam":
            self.optimiser = torch.optim.Adam(self.stack.parameters(), lr=config.rate, fused=True)
        else:
            self.optimiser = torch.optim.SGD(
                self.stack.parameters(), lr=config.rate, momentum=MOMENTUM, fused=True
            )

    def step(self, batch: torch.Tensor, target: torch.Tensor, one_hot: torch.Tensor | None) -> None:
        """One step. With `one_hot` the target's noise is scaled to equal trace first."""
        logits = self.stack(batch)
        seen = logits.detach()
        # softmax along a short axis takes three times as long
        probability = (seen - seen.logsumexp(-1, keepdim=True)).exp()
        if one_hot is not None:
            target = one_hot + (target - one_hot) * equal_trace_scale(probability)
        # no seed feels another's gradient
        gradient_step(self.optimiser, logits, logit_gradient(probability, target) / batch.shape[1])
        self.last = seen, target
        self.passed.append(probability)

    @property
    def loss(self) -> torch.Tensor:
        """Mean loss (S,) of the last batch, before its step."""
        return soft_cross_entropy(*self.last).mean(1)


def _classes(config: LabelNoiseConfig) -> int:
    return len(data.entry(config.dataset).classes)


def _frame(
    config: LabelNoiseConfig, epoch: int, every: Sequence[Task], order: torch.Tensor, arms: dict[str, _Arm]
) -> Frame:
    columns = [_measured(config, learner, every, order) for learner in arms.values()]
    for arm, column in zip(arms, columns, strict=True):
        lost = int(column.pop("lost").sum())
        if lost:
            raise FloatingPointError(
                f"The {arm} arm diverged: its loss was no longer a number at epoch {epoch} for {lost} of"
                f" {len(every)} seeds; lower learning_rate ({config.rate:g}) or sigma"
                f" ({config.sigma:g}), or use optimiser adam."
            )
    return Frame(
        epoch,
        config.epochs,
        **{name: np.stack([column[name] for column in columns], axis=1) for name in columns[0]},
    )


def _measured(
    config: LabelNoiseConfig, learner: _Arm, every: Sequence[Task], order: torch.Tensor
) -> dict[str, np.ndarray]:
    """Measurements of one arm at this epoch, (S, …) float32; the training images as
    they passed in it.
    """
    shared = config.split == "fixed"
    logits = {
        name: evaluate(learner.stack, [getattr(task, name) for task in every], shared)
        for name in ("validation", "test")
    }
    given, true = (
        torch.stack([getattr(task, name)[index] for task, index in zip(every, order, strict=True)])
        for name in ("given", "true")
    )
    top, predicted = torch.cat(learner.passed, dim=1).max(-1)
    wrong, loss = given != true, learner.loss
    return {
        "accuracy": subsets.share(
            logits["test"].argmax(-1) == torch.stack([task.test_true for task in every])
        ),
        "validation": subsets.share(
            logits["validation"].argmax(-1) == torch.stack([task.validation_given for task in every])
        ),
        "memorised": subsets.share(predicted == given, wrong),
        "recovered": subsets.share(predicted == true, wrong),
        "clean_part": subsets.share(predicted == true, ~wrong),
        "confidence": np.stack([subsets.histograms(top, ~wrong), subsets.histograms(top, wrong)], axis=1),
        "loss": loss.numpy(),
        "lost": ~(torch.isfinite(loss) & torch.isfinite(logits["test"]).flatten(1).all(1)).numpy(),
    }
