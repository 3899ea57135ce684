"""The pretrained weights: the levels of every arm that has weights, trained from one seed,
and a map of each level's codes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.ideas.hierarchical_representation.settings import ARMS, HierarchicalRepresentationConfig
from mlcv_explore.ideas.hierarchical_representation.training import Trainer
from mlcv_explore.metrics import linear_probe
from mlcv_explore.models import stored_maps
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.level_learners import encoded
from mlcv_explore.models.stacked_autoencoders import Shape, StackedAutoencoders

KIND = "levels"
PRETRAINED = tuple(arm for arm in ARMS if arm not in ("pca", "kmeans"))


def map_key(arm: str, level: int) -> str:
    """The name of a level's components and map among the weights."""
    return f"{arm}_{{}}{level}"


class DemoWeights(nn.Module):
    """The levels of every arm, of each level the components and the map of its training
    codes, and how pixels in [0, 1] are standardised.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        width: int,
        count: int,
        mapped: int,
        components: int,
        tied: bool = False,
        linear: bool = False,
    ) -> None:
        super().__init__()
        shape, options = Shape(tuple(image_shape), width, count), {"tied": tied, "linear": linear}
        self.arms = nn.ModuleDict()
        for arm in PRETRAINED:
            target = "pixels" if arm.endswith("_pixels") else "code"
            clipped = arm == "committed"
            self.arms[arm] = StackedAutoencoders(shape, (0,), target, clipped=clipped, **options)
            for level in range(count):
                stored_maps.register(self, map_key(arm, level), width, components, mapped)
        self.register_buffer("labels", torch.zeros(mapped, dtype=torch.int64))
        for name in ("mean", "spread"):
            self.register_buffer(name, torch.zeros(image_shape[0], 1, 1))


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
    (split,) = trainer.splits
    arguments = {
        "image_shape": list(data.entry(config.dataset).shape),
        "width": config.width,
        "count": config.levels,
        "mapped": len(split.train),
        "components": min(linear_probe.COMPONENTS, config.width),
        "tied": config.tied,
        "linear": config.activation == "linear",
    }
    weights, errors = DemoWeights(**arguments), []
    for name, values in (
        ("labels", torch.from_numpy(split.labels)),
        ("mean", split.mean),
        ("spread", split.std),
    ):
        weights.get_buffer(name).copy_(values)
    for arm in PRETRAINED:
        model, trained = weights.arms[arm], trainer.learners[arm].model
        model.load_state_dict({name: value.half().float() for name, value in trained.state_dict().items()})
        trained.load_state_dict(model.state_dict())
        parts = (encoded(trainer.learners[arm], part[None]) for part in (split.train, split.validation))
        for level, codes in enumerate(zip(*parts, strict=True)):
            train, other = (part[0].flatten(1).numpy() for part in codes)
            errors.append(stored_maps.fit(weights, map_key(arm, level), train, other, seed))
    trainer.frame(config.epochs)
    metrics = {f"test_{arm}": round(float(trainer.accuracy[0, ARMS.index(arm), -1]), 4) for arm in PRETRAINED}
    metrics |= {"map_error": round(float(np.median(errors)), 4), "test_size": len(split.test)}
    about = {
        "kind": KIND,
        "architecture": "DemoWeights",
        "arguments": arguments,
        "data": {"name": config.dataset, "fingerprint": data.load(config.dataset).fingerprint},
        "steps": config.epochs * -(-config.train_size // config.batch_size),
        "metrics": metrics,
    }
    return TrainedCheckpoint(weights, about)


CHECKPOINTS: Mapping[str, CheckpointSpec] = {
    "hierarchical_representation_digits": CheckpointSpec(
        HierarchicalRepresentationConfig(dataset="digits"), make
    )
}
