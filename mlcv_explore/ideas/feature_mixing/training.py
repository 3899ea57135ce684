"""The experiment: all arms in lock step, all seeds of an arm as one stack; then the
second network on coarse classes, copy-paste and contrastive views.
"""

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore.ideas.feature_mixing.dataset import (
    Batch,
    BatchSampler,
    MixingDataset,
    load,
    sample_partners,
)
from mlcv_explore.ideas.feature_mixing.mixing import (
    mix_features,
    own_share,
    smooth_labels,
    soft_cross_entropy,
    soft_labels,
)
from mlcv_explore.ideas.feature_mixing.networks import Networks, apply_networks, build_heads, build_networks
from mlcv_explore.ideas.feature_mixing.self_supervised import pretrain_encoder
from mlcv_explore.ideas.feature_mixing.settings import (
    ARMS,
    COARSE_ARMS,
    EXAMPLES,
    MEASURES,
    PASTE_ARMS,
    PASTE_MEASURES,
    PROBE_ARMS,
    FeatureMixingConfig,
    Frame,
)
from mlcv_explore.metrics import classification
from mlcv_explore.metrics.linear_probe import principal_components
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import numpy_stream, seeded

# pixels and the first two depths, one of them a batch, as in the code of Verma et al.
MANIFOLD_DEPTHS = 3
MANIFOLD_BETA = 2.0
INPUT_BETA = 1.0  # of input mixup and CutMix


def run(config: FeatureMixingConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train all arms of all experiments of the run. Raises SettingError, DataError, and
    FloatingPointError with a sentence when an arm diverges.
    """
    from mlcv_explore.ideas.feature_mixing import copy_paste, self_supervised

    film = _Film(config, len(seeds))
    if "mixing" in config.stages:
        yield from _mixing(config, list(seeds), film)
    if "paste" in config.stages:
        for values in copy_paste.run(config, seeds):
            film.pasted[:] = values
            yield film.frame("paste")
    if "contrastive" in config.stages:
        for place, values in self_supervised.run_probes(config, list(seeds)):
            film.probes[:, place] = values
            yield film.frame("contrastive")


class _Film:
    """All arrays of a frame, and frames of them."""

    def __init__(self, config: FeatureMixingConfig, count: int) -> None:
        self.steps, self.step = config.frames, 0
        shapes = {
            "measured": (len(ARMS), len(MEASURES)),
            "validation": (len(ARMS),),
            "loss": (len(ARMS),),
            "coarse": (len(COARSE_ARMS), len(MEASURES)),
            "pasted": (len(PASTE_ARMS), len(PASTE_MEASURES)),
            "probes": (len(PROBE_ARMS),),
            "cloud": (EXAMPLES, 5),
        }
        for name, shape in shapes.items():
            setattr(self, name, np.zeros((count, *shape), np.float32))

    def frame(self, stage: str) -> Frame:
        """The next frame; nothing in it changes later."""
        self.step += 1
        arrays = {name: value.copy() for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return Frame(self.step, self.steps, stage, **arrays)


class ArmTrainer:
    """One arm: a network a seed, its optimiser and its loss."""

    def __init__(
        self,
        name: str,
        config: FeatureMixingConfig,
        start: Networks,
        shape: tuple[int, ...],
        seeds: Sequence[int],
    ) -> None:
        self.name, self.config, self.shape, self.seeds = name, config, shape, seeds
        self.networks = copy.deepcopy(start)
        if not config.tuned:
            for parameter in self.networks.encoder_parameters(config.depth):
                parameter.requires_grad_(False)
        trained = [parameter for parameter in self.networks.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.Adam(trained, lr=config.learning_rate, fused=True)
        self.rngs = [numpy_stream(seed, "manifold") for seed in seeds]
        self.steps, self.loss = 0, torch.zeros(len(seeds))

    def step(self, batch: Batch) -> None:
        """One step of the optimiser."""
        loss = self.losses(batch).mean(1)  # (S,)
        gradient_step(self.optimiser, loss.sum())  # seeds share no parameter, so no gradient
        self.loss, self.steps = loss.detach(), self.steps + 1

    def losses(self, batch: Batch) -> torch.Tensor:
        """(S, B) nats."""
        if self.name in ("input_mixup", "cutmix"):
            return soft_cross_entropy(*self._torchvision_mixing(batch))
        if self.name == "manifold":
            return soft_cross_entropy(*self._manifold_mixup(batch))
        weight, depth, alone = self.config.weight, self.config.depth, self.config.images == 1
        features = self.networks.partial_forward(batch.inputs, 0, depth)
        if self.name in ("mixed", "both", "scrambled") and not alone:
            partners = self.networks.partial_forward(batch.partners, 0, depth)
            partners = partners.unflatten(1, (self.config.images - 1, -1)).mean(1)
            features = mix_features(features, partners, weight, self.config.mode)
        loss = soft_cross_entropy(self.networks.partial_forward(features, depth), self.targets(batch))
        if self.name == "separate" and not alone:
            separate = soft_cross_entropy(
                self.networks.partial_forward(batch.partners), batch.partner_labels.flatten(1, 2)
            )
            loss = (loss + weight * separate.unflatten(1, (-1, loss.shape[1])).mean(1)) * own_share(weight)
        return loss

    def targets(self, batch: Batch) -> torch.Tensor:
        """(S, B, K), each summing to 1."""
        if self.name == "smoothing":
            return smooth_labels(batch.labels, self.config.weight)
        if self.name not in ("soft", "both", "scrambled"):
            return batch.labels
        if self.config.images == 1:  # no partner
            return _soft_labels(self.config, batch.labels, batch.labels, 0.0)
        scrambled = self.name == "scrambled"
        partners = batch.unrelated_labels if scrambled else batch.mean_partner_labels
        return _soft_labels(self.config, batch.labels, partners, self.config.weight)

    def _manifold_mixup(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Manifold mixup: at a random depth a batch, λ from a beta distribution.
        Source: Verma et al., 2018, https://arxiv.org/abs/1806.05236.
        """
        depths = [int(rng.integers(MANIFOLD_DEPTHS)) for rng in self.rngs]
        weights = [rng.beta(MANIFOLD_BETA, MANIFOLD_BETA) for rng in self.rngs]
        shares, values, labels = torch.tensor(weights, dtype=torch.float32), batch.inputs, batch.labels
        for depth in range(MANIFOLD_DEPTHS):
            here = torch.tensor([drawn == depth for drawn in depths])
            share = torch.where(here, shares, torch.ones(())).view(-1, *[1] * (values.ndim - 1))
            # the batch is in random order, so its neighbours are random partners
            values = share * values + (1 - share) * values.roll(1, 1)
            values = self.networks.partial_forward(values, depth, depth + 1)
        share = shares[:, None, None]
        logits = self.networks.partial_forward(values, MANIFOLD_DEPTHS)
        return logits, share * labels + (1 - share) * labels.roll(1, 1)

    def _torchvision_mixing(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Input mixup or CutMix by torchvision, which pairs the neighbours of a batch."""
        from mlcv_explore.torchvision_compat import transforms

        kind = transforms.MixUp if self.name == "input_mixup" else transforms.CutMix
        change, flat = kind(alpha=INPUT_BETA, num_classes=batch.labels.shape[-1]), batch.inputs.ndim == 3
        images = batch.inputs.unflatten(2, self.shape) if flat else batch.inputs
        pairs = [
            seeded(seed, lambda own=own, labels=labels: change(own, labels), f"{self.name} {self.steps}")
            for seed, own, labels in zip(self.seeds, images, batch.labels.argmax(-1), strict=True)
        ]
        changed, targets = (torch.stack(part) for part in zip(*pairs, strict=True))
        return self.networks.partial_forward(changed.flatten(2) if flat else changed), targets


def _soft_labels(
    config: FeatureMixingConfig, own: torch.Tensor, partners: torch.Tensor, weight: float
) -> torch.Tensor:
    return soft_labels(own, partners, weight, config.scaling, config.temperature, config.mode)


def _mixing(config: FeatureMixingConfig, seeds: list[int], film: _Film) -> Iterator[Frame]:
    dataset = load(config, seeds)
    start = build_networks(config.network, dataset.shape, config.width, dataset.classes, seeds)
    pretrain_encoder(config, start, dataset.images, seeds)
    arms = {name: ArmTrainer(name, config, start, dataset.shape, seeds) for name in ARMS}
    train = dataset.inputs["train"]
    batches = BatchSampler(config, dataset, seeds, train).batches()
    # the oracle has every label, and as many steps
    everything = np.tile(np.arange(len(train)), (len(seeds), 1))
    labelled = dataclasses.replace(dataset, labelled=everything)
    all_batches = BatchSampler(config.replace(images=1), labelled, seeds, train).batches()
    done = 0
    for until in config.mixing_frames:
        for _ in range(done, until):
            batch = next(batches)
            for name, arm in arms.items():
                arm.step(next(all_batches) if name == "oracle" else batch)
        done = until
        _evaluate(film, arms, dataset, done)
        film.cloud[:] = _cloud(config, arms["both"].networks, dataset, seeds)
        yield film.frame("mixing")
    film.coarse[:] = train_coarse(config, arms["plain"].networks, dataset, seeds)
    yield film.frame("coarser")


def _evaluate(film: _Film, arms: Mapping[str, ArmTrainer], dataset: MixingDataset, step: int) -> None:
    for place, (name, arm) in enumerate(arms.items()):
        count, lost = len(arm.seeds), int((~torch.isfinite(arm.loss)).sum())
        if lost:
            rate, weight = arm.config.learning_rate, arm.config.weight
            raise FloatingPointError(
                f"The {name} arm diverged: its loss was no longer a number at step {step} for {lost} of"
                f" {count} seeds; lower learning_rate ({rate:g}) or weight ({weight:g})."
            )
        logits = {
            part: apply_networks(arm.networks, dataset.inputs[part], count).numpy()
            for part in ("test", "validation")
        }
        film.loss[:, place] = arm.loss
        film.measured[:, place] = measure(logits["test"], dataset.split.test.labels)
        film.validation[:, place] = classification.accuracy(
            logits["validation"], dataset.split.validation.labels
        )


def measure(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Logits (S, n, K) → (S, len(MEASURES))."""
    measures = (
        classification.accuracy,
        classification.negative_log_likelihood,
        classification.calibration_error,
    )
    return np.stack([function(logits, labels) for function in measures], axis=1)


@torch.no_grad()
def _cloud(
    config: FeatureMixingConfig, networks: Networks, dataset: MixingDataset, seeds: Sequence[int]
) -> np.ndarray:
    """Frame.cloud: some labelled images and their mixtures in the plane of the two
    leading components of all labelled images' features.
    """
    inputs, count = dataset.inputs["train"][torch.from_numpy(dataset.labelled)], config.images - 1
    features = networks.partial_forward(inputs, 0, config.depth).flatten(2).numpy()
    cloud = np.zeros((len(seeds), EXAMPLES, 5), np.float32)
    for row, (seed, own, labels) in enumerate(zip(seeds, features, dataset.labels, strict=True)):
        plane = principal_components(own, 2)
        chosen = np.linspace(0, len(own) - 1, EXAMPLES).astype(int)
        partners = chosen[:, None]
        if count:
            partners = sample_partners(config.partners, labels, count, numpy_stream(seed, "cloud"))[chosen]
        mixtures = mix_features(
            torch.from_numpy(own[chosen]),
            torch.from_numpy(own[partners].mean(1)),
            config.weight if count else 0.0,
            config.mode,
        )
        cloud[row] = np.column_stack(
            [plane.transform(own[chosen]), labels[chosen], plane.transform(mixtures.numpy())]
        )
    return cloud


def train_coarse(
    config: FeatureMixingConfig, encoder: Networks, dataset: MixingDataset, seeds: list[int]
) -> np.ndarray:
    """Train a second network on coarse classes, on features of an encoder that stays,
    mixed or not: (S, len(COARSE_ARMS), len(MEASURES)).
    """
    features = {
        name: apply_networks(encoder, inputs, len(seeds), 0, config.depth).flatten(2)
        for name, inputs in dataset.inputs.items()
        if name != "validation"
    }
    coarse = torch.from_numpy(dataset.coarse_classes)
    test_labels = dataset.coarse_classes[dataset.split.test.labels]
    shape = features["test"].shape[2:]
    start = build_heads(tuple(shape), config.width, len(dataset.coarse_names), seeds)
    results = []
    for name in COARSE_ARMS:
        networks, arm = copy.deepcopy(start), name.removeprefix("coarse_")
        optimiser = torch.optim.Adam(networks.parameters(), lr=config.learning_rate, fused=True)
        sampler = BatchSampler(config, dataset, seeds, features["train"].flatten(0, 1))
        first = torch.arange(len(seeds))[:, None] * features["train"].shape[1]
        sampler.labelled = sampler.labelled + first
        classes = coarse[torch.from_numpy(sampler.classes)]
        sampler.labels = functional.one_hot(classes, int(coarse.max()) + 1).float()
        batches = sampler.batches()
        for _ in range(config.steps):
            batch = next(batches)
            values, labels, mixed = batch.inputs, batch.labels, config.images > 1
            if mixed and arm in ("mixed", "both"):
                partners = batch.partners.unflatten(1, (config.images - 1, -1)).mean(1)
                values = mix_features(values, partners, config.weight, config.mode)
            if mixed and arm in ("soft", "both"):
                labels = _soft_labels(config, labels, batch.mean_partner_labels, config.weight)
            gradient_step(optimiser, soft_cross_entropy(networks(values), labels).mean(1).sum())
        with torch.no_grad():
            results.append(measure(networks(features["test"]).numpy(), test_labels))
    return np.stack(results, axis=1)
