"""Training the checkpoints that ship: specifications of the classifiers, and writing
weights and cards.

The networks of ideas are specified by the ideas.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from mlcv_explore import data, environment, idea
from mlcv_explore.config import Config, SettingError
from mlcv_explore.data import scenes
from mlcv_explore.data.dataset import content_fingerprint
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.experiment import runs
from mlcv_explore.files import write_atomically
from mlcv_explore.models import classifier_training, classifiers
from mlcv_explore.models.checkpoints import (
    CARD,
    FOLDER,
    WEIGHTS,
    CheckpointSpec,
    ProgressCallback,
    load_weights,
)
from mlcv_explore.models.classifier_training import Hyperparameters


@dataclass(frozen=True)
class ClassifierSpec:
    """Data set, hyperparameters and normalisation of a classifier that ships."""

    dataset: Callable[[int], data.Dataset]  # of a seed; raises DataError
    hyperparameters: Hyperparameters
    mean: tuple[float, ...]
    std: tuple[float, ...]


def _scenes(rho: float, label: str, seed: int) -> data.Dataset:
    """Scenes whose corner tag agrees with the class with probability `rho`, in training
    and test part alike.
    """
    config = ScenesConfig(rho=rho, label=label)
    train, test = (
        scenes.generate(config, count, seed, part).as_images()
        for part, count in (("taught", 6000), ("tested", 2000))  # names of streams
    )
    return data.Dataset(f"scenes, ρ = {rho:g}", train, test, content_fingerprint(train, test))


CIFAR10_HYPERPARAMETERS = Hyperparameters(
    architecture="whitened_classifier",
    width=48,
    epochs=28,
    small_epochs=8,
    bias_rate=16,
    weight_decay=0.001,
    smoothing=0.2,
    shift=4,
)
# as idea 15 trains
SCENES_HYPERPARAMETERS = Hyperparameters(
    width=8, epochs=10, small_epochs=0, batch_size=32, peak_rate=0.02, shift=2, smoothing=0.0, bfloat16=False
)
SCENES_MEAN_STD = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)
CLASSIFIER_SPECS = {
    "cifar10": ClassifierSpec(
        lambda _: data.load("cifar10"),
        CIFAR10_HYPERPARAMETERS,
        (0.4914, 0.4822, 0.4465),
        (0.247, 0.2435, 0.2616),
    ),
    # uninformative tag: the classifier uses the object
    "scenes": ClassifierSpec(partial(_scenes, 0.25, "silhouette"), SCENES_HYPERPARAMETERS, *SCENES_MEAN_STD),
    # the tag always agrees with the class: the classifier uses the tag
    "scenes-tagged": ClassifierSpec(
        partial(_scenes, 1.0, "silhouette"), SCENES_HYPERPARAMETERS, *SCENES_MEAN_STD
    ),
    # the class is the texture, the silhouette is uninformative
    "scenes-texture": ClassifierSpec(
        partial(_scenes, 0.25, "texture"), SCENES_HYPERPARAMETERS, *SCENES_MEAN_STD
    ),
}


def spec(name: str) -> ClassifierSpec | CheckpointSpec:
    """The specification of a checkpoint that ships. Raises SettingError when there is
    none of that name.
    """
    if name in CLASSIFIER_SPECS:
        return CLASSIFIER_SPECS[name]
    of_ideas = {
        own: specification
        for card in idea.cards()
        for own, specification in idea.load(card.slug).checkpoints().items()
    }
    if name not in of_ideas:
        raise SettingError(
            f"There is no checkpoint {name!r} to train; there are "
            f"{', '.join([*CLASSIFIER_SPECS, *of_ideas])}."
        )
    return of_ideas[name]


def train(
    name: str,
    seed: int,
    hyperparameters: Config | None = None,
    out: Path | None = None,
    report: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Train one seed of a checkpoint that ships, write it to `out`/<name>/<seed>
    (default: where it ships) and return its card.

    Weights are stored in float16. Raises SettingError, DataError, CheckpointError.
    """
    chosen = spec(name)
    hyperparameters = hyperparameters or chosen.hyperparameters
    started = time.perf_counter()
    if isinstance(chosen, ClassifierSpec):
        return _train_classifier(chosen, name, seed, hyperparameters, out, report)
    trained = chosen.make(seed, hyperparameters, report)
    content = save({key: value.contiguous() for key, value in _half(trained.network).items()})
    return _write(
        name,
        seed,
        hyperparameters,
        out,
        content,
        trained.about | _cost(trained.network, time.perf_counter() - started),
    )


def _train_classifier(
    chosen: ClassifierSpec,
    name: str,
    seed: int,
    hyperparameters: Hyperparameters,
    out: Path | None,
    report: ProgressCallback | None,
) -> dict[str, Any]:
    """Train with a resumable state under MLCV_HOME, written after every epoch.

    The card's accuracy is that of the stored weights.
    """
    dataset = chosen.dataset(seed)
    if dataset.test is None:
        raise SettingError(f"{dataset.name} has no official test part.")
    classes = dataset.train.classes
    trainer = classifier_training.trainer(
        hyperparameters, len(classes), chosen.mean, chosen.std, seed, dataset.train.images
    )
    state_file = (
        environment.home()
        / "training"
        / f"{name}-{seed}-{hyperparameters.key()}-{dataset.fingerprint}.safetensors"
    )
    seconds = _resume(trainer, state_file)
    started = time.perf_counter() - seconds
    for done, loss, accuracy in classifier_training.epochs(
        hyperparameters, trainer, dataset.train.images, dataset.train.labels, seed
    ):
        write_atomically(
            state_file, save({**trainer.tensors(), "seconds": torch.tensor(time.perf_counter() - started)})
        )
        if report is not None:
            report(done, hyperparameters.epochs, loss, accuracy)
    stored = _half(trainer.network)
    content = save({key: value.contiguous() for key, value in stored.items()})
    load_weights(trainer.network, stored, f"{name}/{seed}")
    about = {
        "architecture": hyperparameters.architecture,
        "arguments": {"width": hyperparameters.width},
        "classes": list(classes),
        "input": {"size": dataset.train.images.shape[-1], "mean": list(chosen.mean), "std": list(chosen.std)},
        "data": {"name": dataset.name, "fingerprint": dataset.fingerprint},
        "steps": hyperparameters.epochs * math.ceil(len(dataset.train) / hyperparameters.batch_size),
        "products": "bfloat16" if hyperparameters.bfloat16 and environment.has_bfloat16() else "float32",
        "metrics": {
            "test_accuracy": accuracy_of(trainer.network, dataset.test),
            "test_size": len(dataset.test),
        },
    }
    card = _write(
        name,
        seed,
        hyperparameters,
        out,
        content,
        about | _cost(trainer.network, time.perf_counter() - started),
    )
    state_file.unlink(missing_ok=True)
    return card


def _half(network: nn.Module) -> dict[str, torch.Tensor]:
    return {
        key: value.to(torch.float16) if value.is_floating_point() else value
        for key, value in network.state_dict().items()
    }


def _cost(network: nn.Module, seconds: float) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 1),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }


def _write(
    name: str, seed: int, hyperparameters: Config, out: Path | None, content: bytes, about: dict[str, Any]
) -> dict[str, Any]:
    """Write weights and card into their folder; returns the card."""
    provenance = {
        "recipe": hyperparameters.model_dump(),
        "versions": runs.versions(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    card = (
        {"name": f"{name}/{seed}", "seed": seed}
        | about
        | provenance
        | {"command": _command(name, seed, hyperparameters)}
    )
    folder = (FOLDER if out is None else out) / name / str(seed)
    write_atomically(folder / WEIGHTS, content)
    write_atomically(folder / CARD, (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode())
    return card


def accuracy_of(network: nn.Module, dataset: data.Images) -> float:
    """Accuracy on labelled images, in [0, 1]."""
    predicted = classifiers.predict_logits(network, dataset.images).argmax(1).numpy()
    return float((predicted == dataset.labels).mean())


def _command(name: str, seed: int, hyperparameters: Config) -> str:
    defaults = spec(name).hyperparameters.model_dump()
    changes = [
        f"--{key} {value}" for key, value in hyperparameters.model_dump().items() if value != defaults[key]
    ]
    return " ".join([f"python -m mlcv_explore train {name} --seed {seed}", *changes])


def _resume(trainer: classifier_training.ClassifierTrainer, state_file: Path) -> float:
    """Restore a stopped training; returns its seconds so far, 0 when there is none."""
    if not state_file.is_file():
        return 0.0
    try:
        tensors = load_file(state_file)
    except SafetensorError:
        return 0.0
    seconds = float(tensors.pop("seconds"))
    trainer.restore(tensors)
    return seconds
