"""What ships: the levels of every arm that has some, trained from one seed, and a map
of each level's codes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.ideas.hierarchical_representation import ARMS, HierarchicalRepresentationConfig
from mlcv_explore.ideas.hierarchical_representation.levels import Shape, StackedLevels
from mlcv_explore.ideas.hierarchical_representation.training import Course, encoded
from mlcv_explore.metrics import embedding_map, linear_probe
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint

PREFIX = "hierarchical_representation_"
KIND = "levels"
PLAYED = tuple(arm for arm in ARMS if arm not in ("pca", "kmeans"))  # those that are levels of weights
PIECES = ("mean", "basis", "features", "coordinates")  # what ships of each map


class Shelf(nn.Module):
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
        for arm in PLAYED:
            target = "pixels" if arm.endswith("_pixels") else "code"
            self.arms[arm] = StackedLevels(
                shape, (0,), target, tied=tied, linear=linear, clipped=arm == "committed"
            )
        for arm in PLAYED:
            for level in range(count):
                sizes = {
                    "mean": (width,),
                    "basis": (width, components),
                    "features": (mapped, components),
                    "coordinates": (mapped, 2),
                }
                for piece, size in sizes.items():
                    self.register_buffer(f"{arm}_{piece}{level}", torch.zeros(size))
        self.register_buffer("labels", torch.zeros(mapped, dtype=torch.int64))
        for name in ("mean", "spread"):  # by which pixels in [0, 1] are standardised
            self.register_buffer(name, torch.zeros(picture[0], 1, 1))

    def put(self, arm: str, level: int, **pieces: np.ndarray) -> None:
        """Fill in the components and the map of one level."""
        for piece, values in pieces.items():
            getattr(self, f"{arm}_{piece}{level}").copy_(torch.from_numpy(np.asarray(values)))

    def components(self, arm: str, level: int) -> linear_probe.PrincipalComponents:
        """What a level's codes are cut to."""
        return linear_probe.PrincipalComponents(
            *(getattr(self, f"{arm}_{piece}{level}").double().numpy() for piece in PIECES[:2])
        )

    def map(self, arm: str, level: int) -> embedding_map.FittedMap:
        """The map of a level."""
        return embedding_map.FittedMap(
            *(getattr(self, f"{arm}_{piece}{level}").numpy() for piece in PIECES[2:])
        )


def make(
    seed: int, recipe: HierarchicalRepresentationConfig, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """Train what a run trains, with weights as they are stored, then lay out every
    level's training codes.
    """
    if recipe.network != "dense":
        raise SettingError(f"network must be dense for a checkpoint of levels, got {recipe.network}.")
    course = Course(recipe, (seed,))
    for epoch in range(1, recipe.epochs + 1):
        course.train()
        if report is not None:
            report(epoch, recipe.epochs, float(course.loss[0, 0, -1]), 0.0)
    task, picture = course.every[0], data.entry(recipe.dataset).shape
    arguments = {
        "picture": list(picture),
        "width": recipe.width,
        "count": recipe.levels,
        "mapped": len(task.train),
        "components": min(linear_probe.COMPONENTS, recipe.width),
        "tied": recipe.tied,
        "linear": recipe.activation == "linear",
    }
    shelf = Shelf(**arguments)
    shelf.labels.copy_(task.labels)
    dataset = data.load(recipe.dataset)
    shelf.mean.copy_(task.mean)
    shelf.spread.copy_(task.spread)
    errors = []
    for arm in PLAYED:
        levels, trained = shelf.arms[arm], course.learners[arm].levels
        levels.load_state_dict({name: value.half().float() for name, value in trained.state_dict().items()})
        trained.load_state_dict(levels.state_dict())
        codes, held_out = (encoded(course.learners[arm], part[None]) for part in (task.train, task.validated))
        for level in range(recipe.levels):
            train, other = (part[level][0].flatten(1).numpy() for part in (codes, held_out))
            components = linear_probe.principal_components(train)
            features, own = (components.transform(values).astype(np.float32) for values in (train, other))
            fitted, transformed = embedding_map.fit(features, own, seed)
            errors.append(
                float(np.median(embedding_map.errors(fitted.transform(own), transformed, fitted.width)))
            )
            shelf.put(
                arm,
                level,
                mean=components.mean,
                basis=components.basis,
                features=fitted.features,
                coordinates=fitted.coordinates,
            )
    course.frame(recipe.epochs)
    about = {
        "kind": KIND,
        "architecture": "Shelf",
        "arguments": arguments,
        "data": {"name": recipe.dataset, "fingerprint": dataset.fingerprint},
        "steps": recipe.epochs * -(-recipe.train_size // recipe.batch_size),
        "metrics": (
            {f"test_{arm}": round(float(course.accuracy[0, ARMS.index(arm), -1]), 4) for arm in PLAYED}
            | {"map_error": round(float(np.median(errors)), 4), "test_size": len(task.tested)}
        ),
    }
    return TrainedCheckpoint(shelf, about)


CHECKPOINTS: Mapping[str, CheckpointSpec] = {
    f"{PREFIX}digits": CheckpointSpec(HierarchicalRepresentationConfig(), make)
}
