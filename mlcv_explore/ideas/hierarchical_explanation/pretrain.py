"""The shipped weights: for each bundled data set a dictionary of three levels,
prototypes, the classifier, the soft tree, and test items to explain.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.data.dataset import Images, content_fingerprint
from mlcv_explore.ideas.hierarchical_explanation import STAGES, HierarchicalExplanationConfig
from mlcv_explore.ideas.hierarchical_explanation.baselines import prototypes as choose_prototypes
from mlcv_explore.ideas.hierarchical_explanation.datasets import TABLES, Dataset, Items
from mlcv_explore.ideas.hierarchical_explanation.dictionary import Level
from mlcv_explore.ideas.hierarchical_explanation.networks import build, logits_of
from mlcv_explore.ideas.hierarchical_explanation.training import Trainer
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.decision_trees import SoftTree

PREFIX = "hierarchical_explanation_"
GALLERY = 40  # test items that ship
PROTOTYPES = 64
BUNDLED = ("digits", "glyphs", *TABLES)


class ExplainerWeights(nn.Module):
    """Everything the demo explains with, as one set of weights."""

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
        self.judge = build(pictures, size, len(classes))
        self.tree = SoftTree(size, len(classes))
        self.placed = tuple(placed for _, _, placed in levels)
        for number, (count, pieces, _) in enumerate(levels):
            self.register_buffer(f"pieces{number}", torch.zeros(count, pieces, dtype=torch.int64))
            self.register_buffer(f"weights{number}", torch.zeros(count, pieces))
        self.register_buffer("prototypes", torch.zeros(prototypes, size))
        self.register_buffer("items", torch.zeros(gallery, size))
        self.register_buffer("labels", torch.zeros(gallery, dtype=torch.int64))

    def levels(self) -> tuple[Level, ...]:
        """The learned levels of the dictionary."""
        return tuple(
            Level(*(getattr(self, f"{name}{number}").numpy() for name in ("pieces", "weights")), placed)
            for number, placed in enumerate(self.placed)
        )


def make(
    seed: int, config: HierarchicalExplanationConfig, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """Train what a run trains, and measure it on test items; the first of these ship
    with it.
    """
    trainer = Trainer(config, seed)
    for step, stage in enumerate(STAGES, start=1):
        trainer.advance(stage)
        if report is not None:
            report(step, len(STAGES), _loss(trainer), trainer.judged)
    dataset, levels = trainer.dataset, trainer.three.levels
    train, test = dataset.train, dataset.test
    prototypes = choose_prototypes(train.values, PROTOTYPES, config.coefficient_bits, seed)
    shown = test.take(np.arange(min(GALLERY, len(test))))
    arguments = {
        "pictures": dataset.has_images,
        "size": train.values.shape[1],
        "classes": list(dataset.classes),
        "levels": [(*level.pieces.shape, level.placed) for level in levels],
        "prototypes": len(prototypes),
        "gallery": len(shown),
    }
    weights = ExplainerWeights(**arguments)
    weights.judge.load_state_dict(trainer.classifier.state_dict())
    weights.tree.load_state_dict(trainer.tree.state_dict())
    arrays = {"prototypes": prototypes, "items": shown.values, "labels": shown.labels}
    for number, level in enumerate(levels):
        arrays |= {f"pieces{number}": level.pieces, f"weights{number}": level.weights}
    for name, values in arrays.items():
        getattr(weights, name).copy_(torch.from_numpy(values))
    check = trainer.explain(config.bits)["three"][0]
    about = {
        "kind": "explainer",
        "architecture": "Shelf",
        "arguments": arguments,
        "columns": list(dataset.columns),
        "limit": trainer.limit,
        "data": {
            "name": config.dataset,
            "fingerprint": content_fingerprint(_images(dataset, train), _images(dataset, test)),
        },
        "steps": config.epochs,
        "metrics": {
            "test_accuracy": float((check.label == test.labels).mean()),
            "test_passes": float(check.passed.mean()),
            "test_energy": float(check.energy.mean()),
            "validation_judge": trainer.judged,
            "test_size": len(test),
        },
    }
    return TrainedCheckpoint(weights, about)


def _loss(trainer: Trainer) -> float:
    """The classifier's cross-entropy on validation items."""
    items = trainer.dataset.validation
    logits = torch.from_numpy(logits_of(trainer.classifier, items.values))
    return float(functional.cross_entropy(logits, torch.from_numpy(items.labels)))


def _images(dataset: Dataset, items: Items) -> Images:
    pixels = items.values.view(np.uint8)
    if dataset.has_images:
        pixels = np.rint(np.clip(items.values, 0, 1) * 255).astype(np.uint8)
    return Images(pixels.reshape(len(items), 1, 1, -1), items.labels, dataset.classes)


_LARGE = HierarchicalExplanationConfig(taught=700, judged=700, validated=150, tested=200, epochs=60)
CHECKPOINTS: Mapping[str, CheckpointSpec] = {
    f"{PREFIX}{name}": CheckpointSpec(_LARGE.replace(dataset=name), make) for name in BUNDLED
}
