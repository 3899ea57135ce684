"""The experiment: all arms in lock step, all seeds of an arm as one stack; then the
second network on coarse classes, copy-paste and contrastive views.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore.data import few_labels
from mlcv_explore.data.coarse import coarse
from mlcv_explore.data.few_labels import FewLabels
from mlcv_explore.data.partners import Batch, partner_batches, sample_partners
from mlcv_explore.data.scene_tensors import generate
from mlcv_explore.ideas.feature_mixing import settings as names
from mlcv_explore.ideas.feature_mixing.settings import ARMS, COARSE_ARMS, Frame
from mlcv_explore.ideas.feature_mixing.settings import FeatureMixingConfig as Experiment
from mlcv_explore.metrics import classification
from mlcv_explore.metrics.few_label_probe import few_label_accuracy
from mlcv_explore.metrics.linear_probe import principal_components
from mlcv_explore.models import mixing
from mlcv_explore.models.contrastive_views import codes
from mlcv_explore.models.encoders import Networks, apply_networks, build_heads, build_networks
from mlcv_explore.models.losses import soft_cross_entropy
from mlcv_explore.models.mixing import mix_features
from mlcv_explore.models.mixup import manifold_mixup, mixed_inputs
from mlcv_explore.models.scene_pasting import SceneTrainer
from mlcv_explore.models.self_supervised import pretrain_encoder
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import numpy_stream

ARRAYS = {  # of a frame, without the seed axis
    "measured": (len(ARMS), len(names.MEASURES)),
    "validation": (len(ARMS),),
    "scaled": (len(ARMS),),
    "loss": (len(ARMS),),
    "coarse": (len(COARSE_ARMS), len(names.MEASURES)),
    "pasted": (len(names.PASTE_ARMS), len(names.PASTE_MEASURES)),
    "probes": (len(names.PROBE_ARMS),),
    "cloud": (names.EXAMPLES, 5),
}
Arrays = dict[str, np.ndarray]


def run(config: Experiment, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train all arms. Raises SettingError, DataError, and FloatingPointError."""
    arrays = {name: np.zeros((len(seeds), *shape), np.float32) for name, shape in ARRAYS.items()}
    for step, stage in enumerate(_stages(config, list(seeds), arrays), start=1):
        yield Frame(step, config.frames, stage, **{name: values.copy() for name, values in arrays.items()})


def _stages(config: Experiment, seeds: list[int], arrays: Arrays) -> Iterator[str]:
    """Fill in the arrays; the stage of every frame."""
    dataset = None if config.experiment == "paste" else load(config, seeds)
    if "mixing" in config.stages:
        yield from _mixing(config, dataset, seeds, arrays)
    if "paste" in config.stages:
        for values in paste_scenes(config, seeds):
            arrays["pasted"][:] = values
            yield "paste"
    if "contrastive" in config.stages:
        for place, values in enumerate(probe_views(config, dataset, seeds)):
            arrays["probes"][:, place] = values
            yield "contrastive"


def load(config: Experiment, seeds: Sequence[int]) -> FewLabels:
    """The images, and which of them are labelled. Raises DataError and SettingError."""
    return few_labels.load(config.dataset, names.split_sizes(config.dataset), config.labels, seeds)


def paste_scenes(config: Experiment, seeds: Sequence[int]) -> Iterator[np.ndarray]:
    """After every part: (S, len(PASTE_ARMS), len(PASTE_MEASURES)) on test scenes."""
    trainers = [[SceneTrainer(arm, config, seed) for arm in names.PASTE_ARMS] for seed in seeds]
    tests = [generate(config.test_scenes, seed, "tested") for seed in seeds]
    for until in config.frame_steps("paste"):
        for trainer in (trainer for own in trainers for trainer in own):
            trainer.train_to(until)
        yield np.stack(
            [[trainer.evaluate(test) for trainer in own] for own, test in zip(trainers, tests, strict=True)]
        )


def probe_views(config: Experiment, dataset: FewLabels, seeds: list[int]) -> Iterator[np.ndarray]:
    """Arm after arm of PROBE_ARMS: the probes' test accuracy (S,)."""
    for arm in names.PROBE_ARMS:
        yield few_label_accuracy(dataset, *codes(arm, config, dataset, seeds))


class ArmTrainer:
    """One arm: a network a seed, its optimiser and its loss."""

    def __init__(self, name: str, config: Experiment, start: Networks, seeds: Sequence[int]) -> None:
        self.name, self.config, self.seeds = name, config, seeds
        self.networks = copy.deepcopy(start)
        if not config.tuned:
            for parameter in self.networks.encoder_parameters(config.depth):
                parameter.requires_grad_(False)
        trained = [parameter for parameter in self.networks.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.Adam(trained, lr=config.rate, fused=True)
        self.rngs = [numpy_stream(seed, "manifold") for seed in seeds]
        self.steps, self.loss = 0, torch.zeros(len(seeds))

    def step(self, batch: Batch) -> None:
        """One step of the optimiser."""
        loss = self.losses(batch).mean(1)  # (S,)
        gradient_step(self.optimiser, loss.sum())  # seeds share no parameter, so no gradient
        self.loss, self.steps = loss.detach(), self.steps + 1

    def losses(self, batch: Batch) -> torch.Tensor:
        """(S, B) nats."""
        run, config = self.networks.partial_forward, self.config
        if self.name in ("input_mixup", "cutmix"):
            images, targets = mixed_inputs(self.name, batch.inputs, batch.labels, self.seeds, self.steps)
            return soft_cross_entropy(run(images), targets)
        if self.name == "manifold":
            return soft_cross_entropy(*manifold_mixup(self.networks, batch.inputs, batch.labels, self.rngs))
        features, mixed = run(batch.inputs, 0, config.depth), config.images > 1
        if mixed and self.name in ("mixed", "both", "scrambled"):
            features = mix_with_partners(config, features, run(batch.partners, 0, config.depth))
        loss = soft_cross_entropy(run(features, config.depth), self.targets(batch))
        if mixed and self.name == "separate":
            separate = soft_cross_entropy(run(batch.partners), batch.partner_labels.flatten(1, 2))
            separate = separate.unflatten(1, (-1, loss.shape[1])).mean(1)
            loss = (loss + config.weight * separate) * mixing.own_share(config.weight)
        return loss

    def targets(self, batch: Batch) -> torch.Tensor:
        """(S, B, K), each summing to 1."""
        if self.name in names.SMOOTHED:
            matched = 1 - mixing.own_share(self.config.weight)
            strength = matched if self.name == "matched" else self.config.smoothing
            return mixing.smooth_labels(batch.labels, strength)
        if self.name not in ("soft", "both", "scrambled"):
            return batch.labels
        partners = batch.partner_labels.mean(1) if self.name != "scrambled" else batch.unrelated_labels
        return soften(self.config, batch.labels, partners)


def mix_with_partners(config: Experiment, features: torch.Tensor, partners: torch.Tensor) -> torch.Tensor:
    """Features (S, B, …) mixed with the mean of their partners' (S, (m − 1)·B, …)."""
    partners = partners.unflatten(1, (config.images - 1, -1)).mean(1)
    return mix_features(features, partners, config.weight, config.mode)


def soften(config: Experiment, labels: torch.Tensor, partners: torch.Tensor) -> torch.Tensor:
    """Labels (S, B, K) softened by their partners' mean; λ is 0 without a partner."""
    alone = config.images == 1
    partners, weight = (labels, 0.0) if alone else (partners, config.weight)
    return mixing.soft_labels(labels, partners, weight, config.scaling, config.temperature, config.mode)


def _mixing(config: Experiment, dataset: FewLabels, seeds: list[int], arrays: Arrays) -> Iterator[str]:
    train = dataset.images["train"]
    start = build_networks(config.network, train.shape[1:], config.width, dataset.classes, seeds)
    about = config.pretraining, config.pixel_noise, config.pixel_shift
    pretrain_encoder(config.encoder, start, config.depth, train, seeds, *about)
    arms = {name: ArmTrainer(name, config, start, seeds) for name in config.arms}
    few = dataset.batches(seeds, config.batch_size, config.images - 1, config.partners)
    all_labels = dataset.all_labelled().batches(seeds, config.batch_size)
    done = 0
    for until in config.frame_steps("mixing"):
        for _ in range(done, until):
            batch = next(few)
            for name, arm in arms.items():  # the oracle has every label, and as many steps
                arm.step(next(all_labels) if name == "oracle" else batch)
        done = until
        evaluate(arrays, arms, dataset, done)
        arrays["cloud"][:] = _cloud(config, arms["both"].networks, dataset, seeds)
        yield "mixing"
    if config.baselines:
        arrays["coarse"][:] = train_coarse(config, arms["plain"].networks, dataset, seeds)
        yield "coarser"


def evaluate(arrays: Arrays, arms: Mapping[str, ArmTrainer], dataset: FewLabels, step: int) -> None:
    """Fill in losses and measures. Raises FloatingPointError naming a diverged arm."""
    for name, arm in arms.items():
        place, count, lost = ARMS.index(name), len(arm.seeds), int((~torch.isfinite(arm.loss)).sum())
        if lost:
            rate, weight = arm.config.rate, arm.config.weight
            raise FloatingPointError(
                f"The {name} arm diverged: its loss was no longer a number at step {step} for {lost} of"
                f" {count} seeds; lower learning_rate ({rate:g}) or weight ({weight:g})."
            )
        test, validation = (
            apply_networks(arm.networks, dataset.images[part], count) for part in ("test", "validation")
        )
        arrays["loss"][:, place] = arm.loss
        arrays["measured"][:, place] = measure(test, dataset.split.test.labels)
        given = dataset.split.validation.labels
        arrays["validation"][:, place] = classification.accuracy(validation.numpy(), given)
        if step == arm.config.steps:
            scale = classification.inverse_temperature(validation.numpy(), given)[:, None, None]
            scaled = classification.negative_log_likelihood(scale * test.numpy(), dataset.split.test.labels)
            arrays["scaled"][:, place] = scaled


def measure(logits: torch.Tensor, labels: np.ndarray) -> np.ndarray:
    """Logits (S, n, K) → (S, len(MEASURES))."""
    measures = (
        classification.accuracy,
        classification.negative_log_likelihood,
        classification.calibration_error,
    )
    return np.stack([measured(logits.numpy(), labels) for measured in measures], axis=1)


@torch.no_grad()
def _cloud(config: Experiment, encoder: Networks, dataset: FewLabels, seeds: list[int]) -> np.ndarray:
    """Frame.cloud, in the plane of the labelled features' two leading components."""
    inputs, count = dataset.images["train"][torch.from_numpy(dataset.labelled)], config.images - 1
    features = encoder.partial_forward(inputs, 0, config.depth).flatten(2).numpy()
    cloud = np.zeros((len(seeds), *ARRAYS["cloud"]), np.float32)
    for row, (seed, own, labels) in enumerate(zip(seeds, features, dataset.labels, strict=True)):
        plane = principal_components(own, 2)
        chosen = np.linspace(0, len(own) - 1, names.EXAMPLES).astype(int)
        mixtures = torch.from_numpy(own[chosen])
        if count:
            partners = sample_partners(config.partners, labels, count, numpy_stream(seed, "cloud"))[chosen]
            mixtures = mix_features(
                mixtures, torch.from_numpy(own[partners].mean(1)), config.weight, config.mode
            )
        cloud[row] = np.column_stack(
            [plane.transform(own[chosen]), labels[chosen], plane.transform(mixtures.numpy())]
        )
    return cloud


def train_coarse(config: Experiment, encoder: Networks, dataset: FewLabels, seeds: list[int]) -> np.ndarray:
    """Second networks on fixed features: (S, len(COARSE_ARMS), len(MEASURES))."""
    train, test = (
        apply_networks(encoder, dataset.images[part], len(seeds), 0, config.depth).flatten(2)
        for part in ("train", "test")
    )
    groups, kinds = coarse(names.FEATURES.get(config.dataset, config.dataset))
    start = build_heads(tuple(test.shape[2:]), config.width, len(groups), seeds)
    indices = dataset.labelled + np.arange(len(seeds))[:, None] * train.shape[1]  # in all seeds' features
    labels = functional.one_hot(torch.from_numpy(kinds[dataset.labels]), len(groups)).float()
    about = config.batch_size, config.images - 1, config.partners
    results = []
    for name in COARSE_ARMS:
        heads, arm = copy.deepcopy(start), name.removeprefix("coarse_")
        optimiser = torch.optim.Adam(heads.parameters(), lr=config.rate, fused=True)
        few = partner_batches(train.flatten(0, 1), indices, dataset.labels, labels, seeds, *about)
        for _, batch in zip(range(config.steps), few, strict=False):
            values, targets = batch.inputs, batch.labels
            if config.images > 1 and arm in ("mixed", "both"):
                values = mix_with_partners(config, values, batch.partners)
            if config.images > 1 and arm in ("soft", "both"):
                targets = soften(config, targets, batch.partner_labels.mean(1))
            gradient_step(optimiser, soft_cross_entropy(heads(values), targets).mean(1).sum())
        with torch.no_grad():
            results.append(measure(heads(test), kinds[dataset.split.test.labels]))
    return np.stack(results, axis=1)
