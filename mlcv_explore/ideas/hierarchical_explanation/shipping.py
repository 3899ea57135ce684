"""What ships: for each bundled world a vocabulary of three levels, prototypes, the
judge, the soft tree, and items to explain.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.data.dataset import Images, content_fingerprint
from mlcv_explore.ideas.hierarchical_explanation import STAGES, HierarchicalExplanationConfig, worlds
from mlcv_explore.ideas.hierarchical_explanation.networks import classifier, logits_of
from mlcv_explore.ideas.hierarchical_explanation.soft_tree import SoftTree
from mlcv_explore.ideas.hierarchical_explanation.training import Student
from mlcv_explore.ideas.hierarchical_explanation.vocabulary import Level
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint

PREFIX = "hierarchical_explanation_"
KIND = "explainer"
GALLERY = 40  # test items that ship to be explained
PROTOTYPES = 64
BUNDLED = ("digits", "glyphs", *worlds.TABLES)


class Shelf(nn.Module):
    """Everything the page explains with, as one set of weights."""

    def __init__(
        self,
        pictures: bool,
        size: int,
        classes: Sequence[str],
        levels: Sequence[tuple[int, int, bool]],
        prototypes: int,
        gallery: int,
    ) -> None:
        super().__init__()
        self.judge = classifier(pictures, size, len(classes))
        self.tree = SoftTree(size, len(classes))
        self.placed = tuple(placed for _, _, placed in levels)
        for number, (count, pieces, _) in enumerate(levels):
            self.register_buffer(f"pieces{number}", torch.zeros(count, pieces, dtype=torch.int64))
            self.register_buffer(f"weights{number}", torch.zeros(count, pieces))
        self.register_buffer("prototypes", torch.zeros(prototypes, size))
        self.register_buffer("items", torch.zeros(gallery, size))
        self.register_buffer("labels", torch.zeros(gallery, dtype=torch.int64))

    def levels(self) -> tuple[Level, ...]:
        """The learned levels of the vocabulary."""
        tensors = (
            (getattr(self, f"pieces{number}"), getattr(self, f"weights{number}"))
            for number in range(len(self.placed))
        )
        return tuple(
            Level(pieces.numpy(), weights.numpy(), placed)
            for (pieces, weights), placed in zip(tensors, self.placed, strict=True)
        )


def make(
    seed: int, recipe: HierarchicalExplanationConfig, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """Train what a run trains, and measure it on test items; the first of these ship
    with it.
    """
    from mlcv_explore.ideas.hierarchical_explanation.rivals import prototypes

    student = Student(recipe, seed)
    for step, stage in enumerate(STAGES, start=1):
        student.advance(stage)
        if report is not None:
            report(step, len(STAGES), _loss(student), student.judged)
    world, vocabulary = student.world, student.three
    typical = prototypes(world.taught.values, PROTOTYPES, recipe.coefficient_bits, seed)
    shapes = [(*level.pieces.shape, level.placed) for level in vocabulary.levels]
    shown = world.tested.take(np.arange(min(GALLERY, len(world.tested))))
    arguments = {
        "pictures": world.of_pictures,
        "size": world.taught.values.shape[1],
        "classes": list(world.classes),
        "levels": shapes,
        "prototypes": len(typical),
        "gallery": len(shown),
    }
    shelf = Shelf(**arguments)
    shelf.judge.load_state_dict(student.judge.state_dict())
    shelf.tree.load_state_dict(student.tree.state_dict())
    for number, level in enumerate(vocabulary.levels):
        getattr(shelf, f"pieces{number}").copy_(torch.from_numpy(level.pieces))
        getattr(shelf, f"weights{number}").copy_(torch.from_numpy(level.weights))
    for name, values in (("prototypes", typical), ("items", shown.values), ("labels", shown.labels)):
        getattr(shelf, name).copy_(torch.from_numpy(values))
    found = student.explain(recipe.bits)["three"][0]
    about = {
        "kind": KIND,
        "architecture": "Shelf",
        "arguments": arguments,
        "columns": list(world.columns),
        "limit": student.limit,
        "data": {
            "name": recipe.dataset,
            "fingerprint": content_fingerprint(_images(world, world.taught), _images(world, world.tested)),
        },
        "steps": recipe.epochs,
        "metrics": {
            "test_accuracy": float((found.label == world.tested.labels).mean()),
            "test_passes": float(found.passed.mean()),
            "test_energy": float(found.energy.mean()),
            "validation_judge": student.judged,
            "test_size": len(world.tested),
        },
    }
    return TrainedCheckpoint(shelf, about)


def _loss(student: Student) -> float:
    """The judge's cross-entropy on validation items."""
    validated = student.world.validated
    return float(
        functional.cross_entropy(
            torch.from_numpy(logits_of(student.judge, validated.values)), torch.from_numpy(validated.labels)
        )
    )


def _images(world: worlds.World, items: worlds.Items) -> Images:
    pixels = (
        np.rint(np.clip(items.values, 0, 1) * 255).astype(np.uint8)
        if world.of_pictures
        else items.values.view(np.uint8)
    )
    return Images(pixels.reshape(len(items), 1, 1, -1), items.labels, world.classes)


_LARGE = HierarchicalExplanationConfig(taught=700, judged=700, validated=150, tested=200, epochs=60)
CHECKPOINTS: Mapping[str, CheckpointSpec] = {
    f"{PREFIX}{name}": CheckpointSpec(_LARGE.replace(dataset=name), make) for name in BUNDLED
}
