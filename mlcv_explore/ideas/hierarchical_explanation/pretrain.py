"""The pretrained weights: for each bundled data set a dictionary of three levels,
prototypes, the classifier, the soft tree, and test items to explain.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from mlcv_explore.data.vectors import TABLES, fingerprint
from mlcv_explore.ideas.hierarchical_explanation import HierarchicalExplanationConfig as Experiment
from mlcv_explore.ideas.hierarchical_explanation import stages
from mlcv_explore.ideas.hierarchical_explanation.training import Trainer
from mlcv_explore.metrics.classification import negative_log_likelihood
from mlcv_explore.models import vector_classifiers
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.decision_trees import SoftTree
from mlcv_explore.models.hierarchical_dictionary import Level
from mlcv_explore.models.prototypes import prototypes

PREFIX = "hierarchical_explanation_"
GALLERY = 40  # test items in the checkpoint
PROTOTYPES = 64
BUNDLED = ("digits", "glyphs", *TABLES)


class ExplainerWeights(nn.Module):
    """Everything the demo explains with, as one set of weights. `placed` is of each
    learned level, `shapes` of the arrays beside the networks.
    """

    def __init__(
        self, side: int, size: int, classes: Sequence[str], placed: Sequence[bool], shapes: dict[str, Any]
    ) -> None:
        super().__init__()
        self.classifier = vector_classifiers.build(size, len(classes), side)
        self.tree, self.placed = SoftTree(size, len(classes)), placed
        for name, shape in shapes.items():
            whole = name == "labels" or name.startswith("pieces")
            self.register_buffer(name, torch.zeros(*shape, dtype=torch.int64 if whole else torch.float32))

    def levels(self) -> tuple[Level, ...]:
        """The learned levels of the dictionary."""
        return tuple(
            Level(*(getattr(self, f"{name}{number}").numpy() for name in ("pieces", "weights")), placed)
            for number, placed in enumerate(self.placed)
        )


def make(seed: int, config: Experiment, report: ProgressCallback | None) -> TrainedCheckpoint:
    """Train what a run trains, and measure it on test items; the first of these are
    with it.
    """
    trainer = Trainer(config, seed)
    for step, stage in enumerate(stages(config), start=1):
        trainer.advance(stage)
        if report is not None and step > 1:
            held_out = trainer.dataset.validation
            logits = vector_classifiers.predict_logits(trainer.classifier, held_out.values)
            loss = float(negative_log_likelihood(logits, held_out.labels))
            report(step, len(stages(config)), loss, trainer.classifier_accuracy)
    dataset, train, test = trainer.dataset, trainer.dataset.train, trainer.dataset.test
    arrays = {"prototypes": prototypes(train.values, PROTOTYPES, config.coefficient_bits, seed)}
    arrays |= {"items": test.values[:GALLERY], "labels": test.labels[:GALLERY]}
    for number, level in enumerate(trainer.three.levels):
        arrays |= {f"pieces{number}": level.pieces, f"weights{number}": level.weights}
    arguments = {
        "side": dataset.side,
        "size": train.values.shape[1],
        "classes": list(dataset.classes),
        "placed": [level.placed for level in trainer.three.levels],
        "shapes": {name: values.shape for name, values in arrays.items()},
    }
    weights = ExplainerWeights(**arguments)
    weights.classifier.load_state_dict(trainer.classifier.state_dict())
    weights.tree.load_state_dict(trainer.tree.state_dict())
    for name, values in arrays.items():
        getattr(weights, name).copy_(torch.from_numpy(values))
    check, content = trainer.checks["three"], fingerprint(train, test, dataset.classes, bool(dataset.side))
    about = {
        "kind": "explainer",
        "architecture": "ExplainerWeights",
        "arguments": arguments,
        "columns": list(dataset.columns),
        "limit": float(trainer.code("three").limits[0]),
        "data": {"name": config.dataset, "fingerprint": content},
        "steps": config.epochs,
        "metrics": {
            "test_accuracy": float((check.label == test.labels).mean()),
            "test_passes": float(check.passed.mean()),
            "test_energy": float(check.energy.mean()),
            "validation_accuracy": trainer.classifier_accuracy,
            "test_size": len(test),
        },
    }
    return TrainedCheckpoint(weights, about)


_SIZES = {"train_items": 700, "classifier_items": 700, "validation_items": 150, "test_items": 200}
CHECKPOINTS: Mapping[str, CheckpointSpec] = {
    f"{PREFIX}{name}": CheckpointSpec(Experiment(dataset=name, epochs=60, **_SIZES), make) for name in BUNDLED
}
