"""The run: many networks of every pipeline in every split, tested on corrupted images as they
are and adapted.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch

from mlcv_explore.ideas.underspecification import ARMS, MEASURES, Frame, UnderspecificationConfig, arms_of
from mlcv_explore.ideas.underspecification.claims import ADAPTATIONS, ORDERS, PIPELINES, TRAINED
from mlcv_explore.metrics import between_networks
from mlcv_explore.models import corrupted_splits, pipelines, test_time_adaptation
from mlcv_explore.models.normalised_networks import NormalisedNetworks, repeated
from mlcv_explore.models.pipelines import Examples, Randomness, Training
from mlcv_explore.seeds import stream

NAMES = {"augmented": "views", "untrained": "views", "oracle": "supervised"}  # arm → pipeline
Predictions = dict[str, np.ndarray]  # "clean" or kind of corruption → classes (S, n)


def run(config: UnderspecificationConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """A frame a pipeline and adaptation, of all splits."""
    measured = np.zeros((len(seeds), len(ARMS), len(MEASURES)), np.float32)
    replicates = [predictions(config, seed) for seed in seeds]
    steps = 1 + len(arms_of(config))
    yield Frame(1, steps, measured.copy())  # at once
    for step in range(2, steps + 1):
        for rows, replicate in zip(measured, replicates, strict=True):
            arm, found, truth = next(replicate)
            values = between_networks.summary(found, truth)
            rows[ARMS.index(arm)] = [values[name] for name in MEASURES]
        yield Frame(step, steps, measured.copy())


def predictions(config: UnderspecificationConfig, seed: int) -> Iterator[tuple[str, Predictions, np.ndarray]]:
    """One arm after the other: its name, its predictions, the truth."""
    own = Replicate(config, seed)
    wanted, networks, truth = arms_of(config), {}, own.split.truth
    for pipeline in (arm for arm in TRAINED if arm in wanted):
        networks[pipeline] = own.trained(pipeline)
        yield pipeline, own.as_is(networks[pipeline]), truth
    if "matched" not in wanted:
        return
    networks["matched"] = own.matched(networks["augmented"], networks["contrastive"])
    yield "matched", own.as_is(networks["matched"]), truth
    yield "untrained", own.as_is(own.trained("untrained", 1)), truth
    for pipeline in PIPELINES:
        for adaptation in ADAPTATIONS:
            found = own.adapted(adaptation, networks[pipeline], config.updates)
            yield f"{pipeline}_{adaptation}", found, truth
    yield "oracle", own.as_is(own.trained("oracle")), truth
    yield "noop", own.adapted("tent", networks["supervised"], 0), truth
    for arm, (pipeline, adaptation) in ORDERS.items():
        clones = repeated(networks[pipeline], 0, config.networks)
        yield arm, own.adapted(adaptation, clones, config.updates, own_orders=True), truth


class Replicate:
    """One split, and how its networks are trained and adapted. Where splits vary, every
    network has its own training images out of a pool twice as large.
    """

    def __init__(self, config: UnderspecificationConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        varied = ("weights", "order", "head") if config.varied == "all" else (config.varied,)
        self.numbers = Randomness.of(seed, config.networks, varied)
        self.training = Training(10, config.width, config.steps, config.noise, config.network)
        self.split = corrupted_splits.draw(*config.parts, config.severity, seed)
        self.examples = Examples.shared(*self.split.train, config.networks)
        if config.varied == "split":
            rows = pipelines.own_rows(self.examples.labels, config.train_size, self.numbers.split)
            self.examples = Examples(*self.split.train, rows)

    def trained(self, arm: str, steps: int = 0) -> NormalisedNetworks:
        """The networks of an arm; "oracle" is the supervised one that knows labelled corrupted
        images as well.
        """
        examples = self.examples
        if arm == "oracle":
            both = map(torch.cat, zip(self.split.train, self.split.known(), strict=True))
            examples = Examples.shared(*both, self.config.networks)
        return pipelines.train(NAMES.get(arm, arm), self.training, examples, self.numbers, steps)

    def matched(self, full: NormalisedNetworks, other: NormalisedNetworks) -> NormalisedNetworks:
        """Supervised networks on views, stopped when as accurate on validation images as
        `other`.
        """
        retrained = partial(self.trained, "augmented")
        return pipelines.matched(full, other, retrained, self.config.steps, self.split.validation)

    def as_is(self, networks: NormalisedNetworks) -> Predictions:
        """With the statistics that were stored."""
        return self.split.classes(lambda inputs: networks.predict(inputs).argmax(-1))

    def adapted(
        self, method: str, networks: NormalisedNetworks, updates: int, own_orders: bool = False
    ) -> Predictions:
        """Of copies that are adapted to each kind of test images, without labels, in batches of
        one order, or of orders of their own.
        """
        places = range(self.config.networks)
        streams = [stream(self.seed, f"test order {own * own_orders}") for own in places]
        orders = torch.stack([torch.randperm(len(self.split.truth), generator=own) for own in streams])

        def predicted(inputs: torch.Tensor) -> torch.Tensor:
            draws = [stream(self.seed, "source batches") for _ in places]  # the same for all
            about = orders, self.config.batch, lambda _: self.examples.batch(draws), updates
            return test_time_adaptation.predictions(method, networks, inputs, *about)

        return self.split.classes(predicted)
