"""The experiment: all arms in lock step, all seeds of an arm as one stack; then the
second network, the pasted objects and the contrast.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore.ideas.feature_mixing import (
    ARMS,
    COARSE_ARMS,
    EXAMPLES,
    MEASURES,
    PASTE_ARMS,
    PASTE_MEASURES,
    PROBE_ARMS,
    FeatureMixingConfig,
    Frame,
    frame_count,
    mixing_steps,
    stages,
)
from mlcv_explore.ideas.feature_mixing.material import Material, material
from mlcv_explore.ideas.feature_mixing.mixing import (
    mixed,
    own_share,
    smoothed,
    soft_cross_entropy,
    soft_labels,
)
from mlcv_explore.ideas.feature_mixing.networks import Network, heads, networks
from mlcv_explore.ideas.feature_mixing.partners import partners
from mlcv_explore.ideas.feature_mixing.pretraining import flat, pretrain
from mlcv_explore.metrics import classification
from mlcv_explore.models.stacked import StackedDense, gradient_step
from mlcv_explore.seeds import numpy_stream, seeded

# the picture and the first two depths, one of them a batch, as in the code of Verma et al.
MANIFOLD_DEPTHS = 3
MANIFOLD_BETA = 2.0
INPUT_BETA = 1.0  # of input mixup and CutMix


def run(config: FeatureMixingConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train all arms of all stages that are asked for. Raises SettingError, DataError,
    FloatingPointError with a sentence when an arm diverges.
    """
    from mlcv_explore.ideas.feature_mixing import jitter, pasting

    film = _Film(config, len(seeds))
    if "mixing" in stages(config):
        yield from _mixing(config, list(seeds), film)
    if "paste" in stages(config):
        for values in pasting.course(config, seeds):
            film.pasted[:] = values
            yield film.frame("paste")
    if "contrastive" in stages(config):
        for place, values in jitter.course(config, seeds):
            film.probes[:, place] = values
            yield film.frame("contrastive")


class _Film:
    """What is known so far, and its frames."""

    def __init__(self, config: FeatureMixingConfig, count: int) -> None:
        self.config = config
        self.step = 0
        self.measured = np.zeros((count, len(ARMS), len(MEASURES)), np.float32)
        self.validation = np.zeros((count, len(ARMS)), np.float32)
        self.loss = np.zeros((count, len(ARMS)), np.float32)
        self.coarse = np.zeros((count, len(COARSE_ARMS), len(MEASURES)), np.float32)
        self.pasted = np.zeros((count, len(PASTE_ARMS), len(PASTE_MEASURES)), np.float32)
        self.probes = np.zeros((count, len(PROBE_ARMS)), np.float32)
        self.cloud = np.zeros((count, EXAMPLES, 5), np.float32)

    def frame(self, stage: str) -> Frame:
        """The next frame; nothing in it changes later."""
        self.step += 1
        arrays = {name: value.copy() for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return Frame(self.step, frame_count(self.config), stage, **arrays)


@dataclass(frozen=True)
class Batch:
    """What all arms of a step see. Pictures are flat for dense networks."""

    pictures: torch.Tensor  # (S, B, …)
    labels: torch.Tensor  # (S, B, K) one-hot
    partners: torch.Tensor  # (S, (m−1)·B, …), partner after partner
    partner_labels: torch.Tensor  # (S, m−1, B, K) one-hot
    scrambled: torch.Tensor  # (S, B, K) mean label of another picture's partners

    @property
    def others(self) -> torch.Tensor:
        """(S, B, K) mean label of the partners."""
        return self.partner_labels.mean(1)


class Deck:
    """Deals the batches of every epoch: order and partners from streams of their own,
    whatever the arms do with them.
    """

    def __init__(
        self, config: FeatureMixingConfig, stuff: Material, seeds: Sequence[int], pictures: torch.Tensor
    ) -> None:
        self.config, self.pictures, self.labelled = config, pictures, torch.from_numpy(stuff.labelled)
        own = stuff.own_labels()
        self.own = own
        self.labels = torch.nn.functional.one_hot(torch.from_numpy(own), stuff.classes).float()  # (S, n, K)
        self.orders = [numpy_stream(seed, "batches") for seed in seeds]
        self.pairs = [numpy_stream(seed, "partners") for seed in seeds]
        self.batch = min(config.batch_size, own.shape[1])

    def batches(self) -> Iterator[Batch]:
        """Without end; what does not fill a batch at an epoch's end is left for the
        next.
        """
        count, places = self.config.images - 1, np.arange(len(self.own))[:, None]
        while True:
            order = np.stack([rng.permutation(self.own.shape[1]) for rng in self.orders])
            table = [
                partners(self.config.partners, labels, count, rng)
                for labels, rng in zip(self.own, self.pairs, strict=True)
            ]
            table = np.stack(table) if count else np.zeros((*self.own.shape, 0), np.int64)  # (S, n, m−1)
            for start in range(0, self.own.shape[1] - self.batch + 1, self.batch):
                chosen = order[:, start : start + self.batch]
                mates = table[places, chosen].transpose(0, 2, 1)  # (S, m−1, B)
                # (S, B, m−1)
                strangers = table[
                    places, order[:, (np.arange(start, start + self.batch) + 1) % self.own.shape[1]]
                ]
                rows = torch.arange(len(self.own))[:, None]
                flat_mates = torch.from_numpy(mates.reshape(len(mates), -1))
                yield Batch(
                    self.pictures[self.labelled[rows, torch.from_numpy(chosen)]],
                    self.labels[rows, torch.from_numpy(chosen)],
                    self.pictures[self.labelled[rows, flat_mates]],
                    (
                        self.labels[rows, flat_mates].unflatten(1, mates.shape[1:])
                        if count
                        else self.labels[:, :0, None]
                    ),
                    (
                        self.labels[rows[..., None], torch.from_numpy(strangers)].mean(2)
                        if count
                        else self.labels[:, :0]
                    ),
                )


class Arm:
    """One arm: a network a seed, its optimiser, and how its loss is made."""

    def __init__(
        self,
        name: str,
        config: FeatureMixingConfig,
        start: Network,
        shape: tuple[int, ...],
        seeds: Sequence[int],
    ) -> None:
        self.name, self.config, self.shape = name, config, shape
        self.network = copy.deepcopy(start)
        if not config.tuned:
            for parameter in self.network.encoder(config.depth):
                parameter.requires_grad_(False)
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.Adam(trained, lr=config.learning_rate, fused=True)
        self.seeds = seeds
        self.rngs = [numpy_stream(seed, "manifold") for seed in seeds]
        self.steps = 0
        self.loss = torch.zeros(len(seeds))

    def step(self, batch: Batch) -> None:
        """One step of the optimiser."""
        loss = self.losses(batch).mean(1)  # (S,)
        gradient_step(self.optimiser, loss.sum())  # no seed feels another's gradient
        self.loss, self.steps = loss.detach(), self.steps + 1

    def losses(self, batch: Batch) -> torch.Tensor:
        """(S, B) nats."""
        if self.name in ("input_mixup", "cutmix"):
            return soft_cross_entropy(*self._by_torchvision(batch))
        if self.name == "manifold":
            return soft_cross_entropy(*self._manifold(batch))
        weight, depth, alone = self.config.weight, self.config.depth, self.config.images == 1
        features = self.network.through(batch.pictures, 0, depth)
        if self.name in ("mixed", "both", "scrambled") and not alone:
            features = mixed(features, self._mates(batch, depth), weight, self.config.mode)
        loss = soft_cross_entropy(self.network.through(features, depth), self.targets(batch))
        if self.name == "separate" and not alone:
            theirs = soft_cross_entropy(
                self.network.through(batch.partners), batch.partner_labels.flatten(1, 2)
            ).unflatten(1, (-1, loss.shape[1]))
            loss = (loss + weight * theirs.mean(1)) * own_share(weight)
        return loss

    def targets(self, batch: Batch) -> torch.Tensor:
        """(S, B, K), each summing to 1."""
        if self.name == "smoothing":
            return smoothed(batch.labels, self.config.weight)
        others = {"soft": batch.others, "both": batch.others, "scrambled": batch.scrambled}.get(self.name)
        if others is None:
            return batch.labels
        if self.config.images == 1:
            others, weight = batch.labels, 0.0  # nobody to share with
        else:
            weight = self.config.weight
        return soft_labels(
            batch.labels, others, weight, self.config.scaling, self.config.temperature, self.config.mode
        )

    def _mates(self, batch: Batch, depth: int) -> torch.Tensor:
        """Mean features (S, B, …) of the partners."""
        found = self.network.through(batch.partners, 0, depth)
        return found.unflatten(1, (self.config.images - 1, -1)).mean(1)

    def _manifold(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Manifold mixup: at a random depth a batch, λ from a beta distribution.
        Source: Verma et al., 2018, https://arxiv.org/abs/1806.05236.
        """
        depths = [int(rng.integers(MANIFOLD_DEPTHS)) for rng in self.rngs]
        shares = torch.tensor(
            [rng.beta(MANIFOLD_BETA, MANIFOLD_BETA) for rng in self.rngs], dtype=torch.float32
        )
        values, labels = batch.pictures, batch.labels
        for depth in range(MANIFOLD_DEPTHS):
            here = torch.tensor([place == depth for place in depths])
            share = torch.where(here, shares, torch.ones(())).view(-1, *[1] * (values.ndim - 1))
            # the batch is in random order, so neighbours are strangers
            values = share * values + (1 - share) * values.roll(1, 1)
            values = self.network.through(values, depth, depth + 1)
        share = shares[:, None, None]
        return self.network.through(values, MANIFOLD_DEPTHS), share * labels + (1 - share) * labels.roll(1, 1)

    def _by_torchvision(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Input mixup or CutMix by torchvision, which pairs neighbours of a batch: it
        is in random order.
        """
        from mlcv_explore.torchvision_compat import transforms

        kind = transforms.MixUp if self.name == "input_mixup" else transforms.CutMix
        change = kind(alpha=INPUT_BETA, num_classes=batch.labels.shape[-1])
        pictures = batch.pictures.unflatten(2, self.shape) if batch.pictures.ndim == 3 else batch.pictures
        pairs = [
            seeded(seed, lambda own=own, labels=labels: change(own, labels), f"{self.name} {self.steps}")
            for seed, own, labels in zip(self.seeds, pictures, batch.labels.argmax(-1), strict=True)
        ]
        changed, targets = (torch.stack(each) for each in zip(*pairs, strict=True))
        return self.network.through(changed.flatten(2) if batch.pictures.ndim == 3 else changed), targets


def _mixing(config: FeatureMixingConfig, seeds: list[int], film: _Film) -> Iterator[Frame]:
    stuff = material(config, seeds)
    flattened = config.network == "dense"
    shape = tuple(stuff.pictures.shape[1:])
    start = networks(config.network, shape, config.width, stuff.classes, seeds)
    pretrain(config, start, stuff.pictures, seeds)
    seen = {name: flat(part[None])[0] if flattened else part for name, part in _parts(stuff).items()}
    arms = {name: Arm(name, config, start, shape, seeds) for name in ARMS}
    dealt = Deck(config, stuff, seeds, seen["pictures"]).batches()
    everyone = Material(
        stuff.split, np.tile(np.arange(len(stuff.pictures)), (len(seeds), 1)), stuff.groups, stuff.group
    )
    # the oracle has every label, and as many steps
    oracle = Deck(config.replace(images=1), everyone, seeds, seen["pictures"]).batches()
    done = 0
    for until in mixing_steps(config):
        for _ in range(done, until):
            batch = next(dealt)
            for name, arm in arms.items():
                arm.step(next(oracle) if name == "oracle" else batch)
        done = until
        _examine(film, arms, stuff, seen, done)
        film.cloud[:] = _cloud(config, arms["both"], stuff, seen["pictures"], seeds)
        yield film.frame("mixing")
    film.coarse[:] = _coarser(config, arms["plain"].network, stuff, seen, seeds)
    yield film.frame("coarser")


def _parts(stuff: Material) -> dict[str, torch.Tensor]:
    return {"pictures": stuff.pictures, "validated": stuff.validated, "tested": stuff.tested}


@torch.no_grad()
def _examine(
    film: _Film, arms: dict[str, Arm], stuff: Material, seen: dict[str, torch.Tensor], step: int
) -> None:
    for place, (name, arm) in enumerate(arms.items()):
        lost = int((~torch.isfinite(arm.loss)).sum())
        if lost:
            rate, weight = arm.config.learning_rate, arm.config.weight
            raise FloatingPointError(
                f"The {name} arm diverged: its loss was no longer a number at step {step} for {lost} of"
                f" {len(arm.seeds)} seeds; lower learning_rate ({rate:g}) or weight ({weight:g})."
            )
        film.loss[:, place] = arm.loss
        film.measured[:, place] = measured(
            logits(arm.network, seen["tested"], len(arm.seeds)), stuff.split.test.labels
        )
        film.validation[:, place] = classification.accuracy(
            logits(arm.network, seen["validated"], len(arm.seeds)), stuff.split.validation.labels
        )


def measured(found: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Logits (S, n, K) → (S, len(MEASURES))."""
    each = (classification.accuracy, classification.negative_log_likelihood, classification.calibration_error)
    return np.stack([measure(found, labels) for measure in each], axis=1)


@torch.no_grad()
def logits(
    network: Network,
    pictures: torch.Tensor,
    count: int,
    first: int = 0,
    last: int | None = None,
    batch: int = 500,
) -> np.ndarray:
    """What `count` networks say of the same pictures (n, …): (S, n, …)."""
    return torch.cat(
        [network.through(part.expand(count, *part.shape), first, last) for part in pictures.split(batch)],
        dim=1,
    ).numpy()


@torch.no_grad()
def _cloud(
    config: FeatureMixingConfig, arm: Arm, stuff: Material, pictures: torch.Tensor, seeds: Sequence[int]
) -> np.ndarray:
    """Some labelled pictures and their mixtures in the plane of the two leading
    components of all labelled ones: (S, EXAMPLES, 5) x, y, label of the picture, x, y
    of its mixture.
    """
    from mlcv_explore.metrics.linear_probe import principal_components

    rows = torch.arange(len(seeds))[:, None]
    labelled = torch.from_numpy(stuff.labelled)
    features = flat(
        arm.network.through(pictures[labelled[rows, torch.arange(labelled.shape[1])]], 0, config.depth)
    ).numpy()
    found = np.zeros((len(seeds), EXAMPLES, 5), np.float32)
    for row, own in enumerate(features):
        plane = principal_components(own, 2)
        chosen = np.linspace(0, len(own) - 1, EXAMPLES).astype(int)
        count = config.images - 1
        mates = (
            partners(config.partners, stuff.own_labels()[row], count, numpy_stream(seeds[row], "cloud"))[
                chosen
            ]
            if count
            else chosen[:, None]
        )
        changed = mixed(
            torch.from_numpy(own[chosen]),
            torch.from_numpy(own[mates].mean(1)),
            config.weight if count else 0.0,
            config.mode,
        )
        found[row] = np.column_stack(
            [plane.transform(own[chosen]), stuff.own_labels()[row][chosen], plane.transform(changed.numpy())]
        )
    return found


def _coarser(
    config: FeatureMixingConfig,
    encoder: Network,
    stuff: Material,
    seen: dict[str, torch.Tensor],
    seeds: list[int],
) -> np.ndarray:
    """A second network for the coarse classes, taught on the features of the plainly
    trained one, mixed or not: (S, 4, len(MEASURES)).
    """
    count = len(seeds)
    features = {
        name: torch.from_numpy(logits(encoder, part, count, 0, config.depth)).flatten(2)
        for name, part in seen.items()
    }
    coarse = torch.from_numpy(stuff.group)
    fresh = heads(config.network, tuple(features["tested"].shape[2:]), config.width, len(stuff.groups), seeds)
    found = []
    for name in COARSE_ARMS:
        network, arm = copy.deepcopy(fresh), name.removeprefix("coarse_")
        optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate, fused=True)
        dealt = _OfFeatures(config, stuff, seeds, features["pictures"], coarse).batches()
        for _ in range(config.steps):
            gradient_step(optimiser, _second_loss(config, network, next(dealt), arm).mean(1).sum())
        with torch.no_grad():
            found.append(measured(network(features["tested"]).numpy(), stuff.group[stuff.split.test.labels]))
    return np.stack(found, axis=1)


class _OfFeatures(Deck):
    """The same batches of features that are there already, (S, N, d), with coarse
    labels.
    """

    def __init__(
        self,
        config: FeatureMixingConfig,
        stuff: Material,
        seeds: Sequence[int],
        features: torch.Tensor,
        coarse: torch.Tensor,
    ) -> None:
        super().__init__(config, stuff, seeds, features.flatten(0, 1))
        self.labelled = self.labelled + torch.arange(len(seeds))[:, None] * features.shape[1]
        self.labels = torch.nn.functional.one_hot(
            coarse[torch.from_numpy(self.own)], int(coarse.max()) + 1
        ).float()


def _second_loss(config: FeatureMixingConfig, network: StackedDense, batch: Batch, arm: str) -> torch.Tensor:
    features, labels = batch.pictures, batch.labels
    if config.images > 1 and arm in ("mixed", "both"):
        features = mixed(
            features, batch.partners.unflatten(1, (config.images - 1, -1)).mean(1), config.weight, config.mode
        )
    if config.images > 1 and arm in ("soft", "both"):
        labels = soft_labels(
            labels, batch.others, config.weight, config.scaling, config.temperature, config.mode
        )
    return soft_cross_entropy(network(features), labels)
