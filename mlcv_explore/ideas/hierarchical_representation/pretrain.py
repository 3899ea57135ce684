"""The shipped weights: the levels of every arm that has weights, trained from one seed,
and a map of each level's codes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.ideas.hierarchical_representation import ARMS, HierarchicalRepresentationConfig
from mlcv_explore.ideas.hierarchical_representation.networks import Shape, StackedAutoencoders
from mlcv_explore.ideas.hierarchical_representation.training import Trainer, encoded
from mlcv_explore.metrics import embedding_map, linear_probe
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint

PREFIX = "hierarchical_representation_"
KIND = "levels"
SHIPPED = tuple(arm for arm in ARMS if arm not in ("pca", "kmeans"))
COMPONENTS, MAP = ("mean", "basis"), ("features", "coordinates")  # what ships of each level


class DemoWeights(nn.Module):
    """The levels of every arm, and of each level the components and the map of its
    training codes.
    """

    def __init__(
        self,
        picture: Sequence[int],
        width: int,
        count: int,
        mapped: int,
        components: int,
        tied: bool = False,
        linear: bool = False,
    ) -> None:
        super().__init__()
        shape = Shape(tuple(picture), width, count)
        self.arms = nn.ModuleDict()
        for arm in SHIPPED:
            target = "pixels" if arm.endswith("_pixels") else "code"
            self.arms[arm] = StackedAutoencoders(
                shape, (0,), target, tied=tied, linear=linear, clipped=arm == "committed"
            )
        sizes = {
            "mean": (width,),
            "basis": (width, components),
            "features": (mapped, components),
            "coordinates": (mapped, 2),
        }
        for arm in SHIPPED:
            for level in range(count):
                for name, size in sizes.items():
                    self.register_buffer(f"{arm}_{name}{level}", torch.zeros(size))
        self.register_buffer("labels", torch.zeros(mapped, dtype=torch.int64))
        for name in ("mean", "spread"):  # by which pixels in [0, 1] are standardised
            self.register_buffer(name, torch.zeros(picture[0], 1, 1))

    def put(
        self, arm: str, level: int, fitted: linear_probe.PrincipalComponents | embedding_map.FittedMap
    ) -> None:
        """Fill in the components or the map of one level."""
        for name in (*COMPONENTS, *MAP):
            if hasattr(fitted, name):
                getattr(self, f"{arm}_{name}{level}").copy_(torch.from_numpy(getattr(fitted, name)))

    def components(self, arm: str, level: int) -> linear_probe.PrincipalComponents:
        """The components on which a level's codes are projected."""
        return linear_probe.PrincipalComponents(
            *(getattr(self, f"{arm}_{name}{level}").double().numpy() for name in COMPONENTS)
        )

    def map(self, arm: str, level: int) -> embedding_map.FittedMap:
        """The map of a level."""
        return embedding_map.FittedMap(*(getattr(self, f"{arm}_{name}{level}").numpy() for name in MAP))


def make(
    seed: int, config: HierarchicalRepresentationConfig, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """Train what a run trains, with weights rounded as they are stored, then map every
    level's training codes.
    """
    if config.network != "dense":
        raise SettingError(f"network must be dense for a checkpoint of levels, got {config.network}.")
    trainer = Trainer(config, (seed,))
    for epoch in range(1, config.epochs + 1):
        trainer.train()
        if report is not None:
            report(epoch, config.epochs, float(trainer.loss[0, 0, -1]), 0.0)
    dataset = trainer.datasets[0]
    arguments = {
        "picture": list(data.entry(config.dataset).shape),
        "width": config.width,
        "count": config.levels,
        "mapped": len(dataset.train),
        "components": min(linear_probe.COMPONENTS, config.width),
        "tied": config.tied,
        "linear": config.activation == "linear",
    }
    weights, errors = DemoWeights(**arguments), []
    weights.labels.copy_(dataset.labels)
    weights.mean.copy_(dataset.mean)
    weights.spread.copy_(dataset.std)
    for arm in SHIPPED:
        model, trained = weights.arms[arm], trainer.learners[arm].model
        model.load_state_dict({name: value.half().float() for name, value in trained.state_dict().items()})
        trained.load_state_dict(model.state_dict())
        codes = [encoded(trainer.learners[arm], part[None]) for part in (dataset.train, dataset.validation)]
        for level in range(config.levels):
            train, other = (part[level][0].flatten(1).numpy() for part in codes)
            components = linear_probe.principal_components(train)
            features, own = (components.transform(values).astype(np.float32) for values in (train, other))
            fitted, placed = embedding_map.fit(features, own, seed)
            moved = embedding_map.errors(fitted.transform(own), placed, fitted.width)
            errors.append(float(np.median(moved)))
            weights.put(arm, level, components)
            weights.put(arm, level, fitted)
    trainer.frame(config.epochs)
    accuracy = {f"test_{arm}": round(float(trainer.accuracy[0, ARMS.index(arm), -1]), 4) for arm in SHIPPED}
    about = {
        "kind": KIND,
        "architecture": "Shelf",
        "arguments": arguments,
        "data": {"name": config.dataset, "fingerprint": data.load(config.dataset).fingerprint},
        "steps": config.epochs * -(-config.train_size // config.batch_size),
        "metrics": accuracy
        | {"map_error": round(float(np.median(errors)), 4), "test_size": len(dataset.test)},
    }
    return TrainedCheckpoint(weights, about)


CHECKPOINTS: Mapping[str, CheckpointSpec] = {
    f"{PREFIX}digits": CheckpointSpec(HierarchicalRepresentationConfig(), make)
}
