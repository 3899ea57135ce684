"""The run: many networks of every pipeline, tested on corrupted images as they are and
adapted.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.data.augmentation import add_feature_noise, jitter
from mlcv_explore.data.corruptions import KINDS, corrupted
from mlcv_explore.data.splits import stratified_parts
from mlcv_explore.ideas.underspecification import (
    ARMS,
    MEASURES,
    PHOTOGRAPHS,
    VALIDATION,
    Frame,
    UnderspecificationConfig,
    arms_of,
)
from mlcv_explore.ideas.underspecification.claims import ADAPTATIONS, ORDERS, PIPELINES, TRAINED
from mlcv_explore.metrics import between_networks
from mlcv_explore.models import corrupted_features, test_time_adaptation
from mlcv_explore.models.normalised_networks import NormalisedNetworks, repeated
from mlcv_explore.models.self_supervised import contrastive_loss
from mlcv_explore.models.stacked import StackedDense, gradient_step
from mlcv_explore.seeds import numpy_stream, stream, stream_seed

BATCH, RATE = 80, 0.003  # of training
PROBE_RATE = 0.01
STORED = 1000  # images, about, whose statistics a trained network keeps
SEARCHES = 6  # for the number of steps that matches an accuracy
CLEAN = "clean"
Measured = dict[tuple[str, str], float]
Generators = Sequence[torch.Generator]
Predictions = dict[str, np.ndarray]  # "clean" or kind of corruption → classes (S, n)


@dataclass(frozen=True, eq=False)
class Parts:
    """The images of one replicate: those of training, and those of the test by corruption."""

    pool: torch.Tensor  # (N, …)
    labels: torch.Tensor  # (N,)
    rows: torch.Tensor  # (S, n) of the pool, a network
    validation: tuple[torch.Tensor, torch.Tensor]
    tests: Mapping[str, torch.Tensor]  # "clean" first, then every kind
    truth: np.ndarray  # (n,)
    known: tuple[torch.Tensor, torch.Tensor]  # corrupted images with labels, none of the test

    def batch(self, generators: Generators) -> tuple[torch.Tensor, torch.Tensor]:
        """(S, BATCH, …) training images, each network's from its own rows, and labels."""
        drawn = [torch.randint(self.rows.shape[1], (BATCH,), generator=own) for own in generators]
        places = self.rows.gather(1, torch.stack(drawn))
        return self.pool[places], self.labels[places]


def run(config: UnderspecificationConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """A frame a pipeline and adaptation, of all replicates."""
    measured = np.zeros((len(seeds), len(ARMS), len(MEASURES)), np.float32)
    replicates = [_replicate(config, seed) for seed in seeds]
    steps = 1 + len(arms_of(config))
    for step in range(1, steps + 1):
        for rows, replicate in zip(measured, replicates, strict=True):
            for (arm, name), value in next(replicate).items():
                rows[ARMS.index(arm), MEASURES.index(name)] = value
        yield Frame(step, steps, measured.copy())


def _replicate(config: UnderspecificationConfig, seed: int) -> Iterator[Measured]:
    """The measures of every arm, one or more at a time."""
    yield {}  # a first frame at once
    parts, wanted = prepare(config, seed), arms_of(config)
    networks = {}
    for pipeline in (arm for arm in TRAINED if arm in wanted):
        networks[pipeline] = trained(pipeline, config, parts, seed)
        yield rated(pipeline, as_is(networks[pipeline], parts), parts)
    if "matched" not in wanted:
        return
    networks["matched"] = matched(networks["augmented"], networks["contrastive"], config, parts, seed)
    yield rated("matched", as_is(networks["matched"], parts), parts)
    for pipeline in PIPELINES:
        for adaptation in ADAPTATIONS:
            found = adapted(adaptation, networks[pipeline], parts, config, seed)
            yield rated(f"{pipeline}_{adaptation}", found, parts)
    yield rated("oracle", as_is(trained("oracle", config, parts, seed), parts), parts)
    still = config.replace(updates=0)
    yield rated("noop", adapted("tent", networks["supervised"], parts, still, seed), parts)
    for arm, (pipeline, adaptation) in ORDERS.items():
        clones = repeated(networks[pipeline], 0, config.networks)
        yield rated(arm, adapted(adaptation, clones, parts, config, seed, own_orders=True), parts)


def numbers(config: UnderspecificationConfig, seed: int, purpose: str) -> list[int]:
    """One number a network for its stream of a purpose: equal where it does not vary."""
    varied = config.varied == purpose or (config.varied == "all" and purpose != "split")
    return [stream_seed(seed, f"{purpose} {own if varied else 0}") for own in range(config.networks)]


def _further(config: UnderspecificationConfig, seed: int) -> list[int]:
    """Numbers for initial weights of a head or decoder that is thrown away."""
    return [stream_seed(number, "discarded") for number in numbers(config, seed, "weights")]


def generators_of(config: UnderspecificationConfig, seed: int, purpose: str) -> list[torch.Generator]:
    """One generator a network."""
    return [torch.Generator().manual_seed(number) for number in numbers(config, seed, purpose)]


def prepare(config: UnderspecificationConfig, seed: int) -> Parts:
    """The images of a replicate. Where splits vary, every network has its own training
    images out of a pool twice as large.
    """
    size = config.train_size * (2 if config.varied == "split" else 1)
    if config.dataset == PHOTOGRAPHS:
        return _photographs(config, seed, size)
    whole = data.load(config.dataset)
    split = data.split(whole, size, VALIDATION, config.test_size, seed)
    draws = stream_seed(seed, "corruptions")
    tests = {kind: corrupted(split.test.images, kind, config.severity, draws) for kind in KINDS}
    source = split.train.images[: config.train_size]
    known = [corrupted(source, kind, config.severity, stream_seed(seed, "known")) for kind in KINDS]
    labels = torch.from_numpy(split.train.labels)
    return Parts(
        split.train.as_float(),
        labels,
        _rows(config, seed, split.train.labels),
        (split.validation.as_float(), torch.from_numpy(split.validation.labels)),
        {CLEAN: split.test.as_float()} | {kind: _as_float(images) for kind, images in tests.items()},
        split.test.labels,
        (_as_float(np.concatenate(known)), labels[: config.train_size].repeat(len(KINDS))),
    )


def _photographs(config: UnderspecificationConfig, seed: int, size: int) -> Parts:
    """Photographs' features; the corrupted ones that the oracle knows are not tested."""
    whole = data.load(corrupted_features.SOURCE)
    train, validation = stratified_parts(whole.train.labels, (size, VALIDATION), numpy_stream(seed, "split"))
    labels = whole.test.labels
    draws = numpy_stream(seed, "split test")
    test, known = stratified_parts(labels, (config.test_size, len(labels) - config.test_size), draws)
    changed = corrupted_features.load(config.severity)
    pool = whole.train.take(train)
    own, held_out = pool.as_float(), whole.train.take(validation)
    return Parts(
        own,
        torch.from_numpy(pool.labels),
        _rows(config, seed, pool.labels),
        (held_out.as_float(), torch.from_numpy(held_out.labels)),
        {CLEAN: whole.test.take(test).as_float()} | {kind: each[test] for kind, each in changed.items()},
        labels[test],
        (
            torch.cat([each[known] for each in changed.values()]),
            torch.from_numpy(labels[known]).repeat(len(KINDS)),
        ),
    )


def _rows(config: UnderspecificationConfig, seed: int, labels: np.ndarray) -> torch.Tensor:
    """(S, n): the rows of the pool that each network is trained on."""
    if config.varied != "split":
        return torch.arange(len(labels)).expand(config.networks, -1)
    draws = [np.random.default_rng(number) for number in numbers(config, seed, "split")]
    chosen = [stratified_parts(labels, (config.train_size,), own)[0] for own in draws]
    return torch.from_numpy(np.stack(chosen))


def _as_float(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).float() / 255


def validated(networks: NormalisedNetworks, parts: Parts) -> float:
    """Mean accuracy on validation images."""
    images, labels = parts.validation
    return float((networks.predict(images).argmax(-1) == labels).float().mean())


def matched(
    full: NormalisedNetworks,
    other: NormalisedNetworks,
    config: UnderspecificationConfig,
    parts: Parts,
    seed: int,
) -> NormalisedNetworks:
    """Of networks trained on views for fewer steps than `full`, and of these, those whose
    accuracy on validation images is nearest to that of `other`: by bisection.
    """
    target, low, high = validated(other, parts), 1, config.steps
    best, nearest = full, abs(validated(full, parts) - target)
    for _ in range(SEARCHES):
        steps = round((low * high) ** 0.5)
        found = trained("augmented", config, parts, seed, steps)
        gap = validated(found, parts) - target
        low, high = (low, steps) if gap > 0 else (steps, high)
        if abs(gap) < nearest:
            best, nearest = found, abs(gap)
        if high - low < 2:
            break
    return best


def trained(
    pipeline: str, config: UnderspecificationConfig, parts: Parts, seed: int, steps: int = 0
) -> NormalisedNetworks:
    """The networks of a pipeline, trained, below the head for other `steps` than the
    config's; "oracle" is the supervised one that knows labelled corrupted images as well.
    """
    steps = steps or config.steps
    if pipeline == "oracle":
        pool, labels = (torch.cat(pair) for pair in zip((parts.pool, parts.labels), parts.known, strict=True))
        rows = torch.arange(len(pool)).expand(config.networks, -1)
        parts = Parts(pool, labels, rows, parts.validation, parts.tests, parts.truth, parts.known)
    sizes = (parts.pool[0].numel(), config.width, config.width, 10)
    networks = NormalisedNetworks(
        sizes, numbers(config, seed, "weights"), numbers(config, seed, "head")
    ).train()
    order = generators_of(config, seed, "order")
    if pipeline == "contrastive":
        _contrast(networks, config, parts, order, seed)
    elif pipeline == "autoencoder":
        _reconstruct(networks, config, parts, order, seed)
    else:
        _supervise(networks, config, parts, order, steps, pipeline == "augmented")
    some = parts.rows[:, :: max(1, parts.rows.shape[1] // STORED)]
    test_time_adaptation.store_statistics(networks, parts.pool[some], axis=1)  # of images, not views
    if pipeline in ("augmented", "contrastive", "autoencoder"):
        _probe(networks, config, parts, generators_of(config, seed, "head"))
    return networks.eval().requires_grad_(False)


def _supervise(
    networks: NormalisedNetworks,
    config: UnderspecificationConfig,
    parts: Parts,
    order: Generators,
    steps: int,
    views: bool,
) -> None:
    """Cross-entropy on the images, or on two views of each."""
    optimiser = torch.optim.Adam(networks.parameters(), lr=RATE, fused=True)
    for _ in range(steps):
        images, labels = parts.batch(order)
        if views:
            images, labels = two_views(images, config, order), torch.cat([labels, labels], 1)
        gradient_step(optimiser, _cross_entropy(networks(images), labels))


def _contrast(
    networks: NormalisedNetworks, config: UnderspecificationConfig, parts: Parts, order: Generators, seed: int
) -> None:
    """Two views of an image are brought nearer than those of others (SimCLR)."""
    width = config.width
    heads = StackedDense((width, width, width), _further(config, seed))
    trained_too = [*networks.encoder_parameters(), *heads.parameters()]
    optimiser = torch.optim.Adam(trained_too, lr=RATE, fused=True)
    for _ in range(config.steps):
        images, _ = parts.batch(order)
        embedded = heads(networks.features(two_views(images, config, order)))
        gradient_step(optimiser, contrastive_loss(embedded).sum())


def _reconstruct(
    networks: NormalisedNetworks, config: UnderspecificationConfig, parts: Parts, order: Generators, seed: int
) -> None:
    """The image is reconstructed from its features."""
    width = config.width
    decoders = StackedDense((width, width, parts.pool[0].numel()), _further(config, seed))
    trained_too = [*networks.encoder_parameters(), *decoders.parameters()]
    optimiser = torch.optim.Adam(trained_too, lr=RATE, fused=True)
    for _ in range(config.steps):
        images, _ = parts.batch(order)
        error = decoders(networks.features(images)) - images.flatten(2)
        gradient_step(optimiser, error.square().sum(2).mean(1).sum())


def _probe(
    networks: NormalisedNetworks, config: UnderspecificationConfig, parts: Parts, order: Generators
) -> None:
    """The linear head alone, on features that stay."""
    networks.eval()
    with torch.no_grad():
        features, labels = networks.features(parts.pool[parts.rows]), parts.labels[parts.rows]
    optimiser = torch.optim.Adam([networks.head, networks.bias], lr=PROBE_RATE, fused=True)
    for _ in range(config.steps):
        drawn = [torch.randint(features.shape[1], (BATCH,), generator=own) for own in order]
        places = torch.stack(drawn)
        batch = features.gather(1, places[:, :, None].expand(-1, -1, features.shape[2]))
        gradient_step(optimiser, _cross_entropy(networks.classify(batch), labels.gather(1, places)))


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean over a batch, summed over networks, which share no parameter."""
    return functional.cross_entropy(logits.mT, labels, reduction="none").mean(1).sum()


def two_views(images: torch.Tensor, config: UnderspecificationConfig, order: Generators) -> torch.Tensor:
    """(S, B, …) → (S, 2B, …): images shifted by at most a pixel with noise, or features with
    noise.
    """
    if images.ndim == 3:
        return torch.cat([add_feature_noise(images, config.noise, order) for _ in range(2)], 1)
    return torch.cat([jitter(images, config.noise, 1, order) for _ in range(2)], 1)


def as_is(networks: NormalisedNetworks, parts: Parts) -> Predictions:
    """Predictions with the stored statistics."""
    return {name: networks.predict(inputs).argmax(-1).numpy() for name, inputs in parts.tests.items()}


def adapted(
    method: str,
    networks: NormalisedNetworks,
    parts: Parts,
    config: UnderspecificationConfig,
    seed: int,
    own_orders: bool = False,
) -> Predictions:
    """Predictions of copies that are adapted to each kind of test images, without labels, in
    batches of one order, or of orders of their own; without updates those of the source.
    """
    streams = [stream(seed, f"test order {own if own_orders else 0}") for own in range(config.networks)]
    orders = torch.stack([torch.randperm(len(parts.truth), generator=own) for own in streams])
    found = {}
    for name, inputs in parts.tests.items():
        batches = [inputs[part] for part in orders.split(config.batch, 1)]
        logits = _adapted_logits(method, networks, batches, parts, config, seed)
        classes = torch.empty_like(orders).scatter_(1, orders, logits.argmax(-1))
        found[name] = classes.numpy()
    return found


def _adapted_logits(
    method: str,
    networks: NormalisedNetworks,
    batches: Sequence[torch.Tensor],
    parts: Parts,
    config: UnderspecificationConfig,
    seed: int,
) -> torch.Tensor:
    if not config.updates or method == "none":
        with torch.no_grad():
            return torch.cat([networks(batch) for batch in batches], 1)
    own = copy.deepcopy(networks)
    draws = [stream(seed, "source batches") for _ in range(config.networks)]  # the same for all

    def target(step: int) -> torch.Tensor:
        return batches[step % len(batches)]

    adapt: dict[str, Callable[[], None]] = {
        "bn": lambda: None,
        "tent": lambda: test_time_adaptation.tent(own, target, config.updates, axis=1),
        "coral": lambda: test_time_adaptation.coral(
            own, lambda _: parts.batch(draws), target, config.updates, axis=1
        ),
        "mme": lambda: test_time_adaptation.mme(
            own, lambda _: parts.batch(draws), target, config.updates, axis=1
        ),
    }
    adapt[method]()
    return test_time_adaptation.reestimated(own, batches, axis=1)


def rated(arm: str, found: Predictions, parts: Parts) -> Measured:
    """How accurate an arm's networks are, and how differently they behave."""
    correct = {name: classes == parts.truth for name, classes in found.items()}
    variances = {name: between_networks.excess_variance(each) for name, each in correct.items()}
    accuracy = {name: float(each.mean()) for name, each in correct.items()}
    roots = {name: between_networks.signed_root(each) for name, each in variances.items()}
    logits = [between_networks.on_logit_scale(roots[kind], accuracy[kind]) for kind in KINDS]
    values = {
        "clean": accuracy[CLEAN],
        "corrupted": np.mean([accuracy[kind] for kind in KINDS]),
        "iid": roots[CLEAN],
        "excess": between_networks.signed_root(np.mean([variances[kind] for kind in KINDS])),
        "logit": between_networks.signed_root(np.mean([value * abs(value) for value in logits])),
        "disagreement": np.mean([between_networks.disagreement(found[kind]) for kind in KINDS]),
        "line": np.mean([between_networks.agreement_line(found[CLEAN], found[kind]) for kind in KINDS]),
        **{kind: roots[kind] for kind in KINDS},
    }
    return {(arm, name): float(value) for name, value in values.items()}
