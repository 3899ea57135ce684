"""Trained weights: where they lie, how a network is made of them, and how those that
ship were made.

A checkpoint is a folder of `weights.safetensors` and `card.json`. `cifar10/0` is one
seed, `cifar10` all of them, averaged. Most are classifiers. An idea may ship networks
of other kinds: it says how each is made, and builds it again from its card.
"""

import copy
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from safetensors.torch import load_file, save
from torch import nn

from mlcv_explore import data, environment, idea
from mlcv_explore.config import Config, SettingError
from mlcv_explore.data import scenes
from mlcv_explore.data.dataset import content_fingerprint
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.experiment import runs
from mlcv_explore.models import classifiers
from mlcv_explore.models.classifiers import Hyperparameters
from mlcv_explore.models.layers import convolutions

FOLDER = Path(__file__).parent.parent.parent / "checkpoints"
WEIGHTS, CARD = "weights.safetensors", "card.json"
CLASSIFIER_KEYS = ("architecture", "classes", "input")  # what must stand on the card of a classifier
CLASSIFIER = "classifier"  # the kind of a card that names none
# (epochs or steps done, all of them, loss, accuracy or another score of the training pictures)
ProgressCallback = Callable[[int, int, float, float], None]


class CheckpointError(ValueError):
    """A checkpoint that cannot be used. The text is one sentence that says what is
    wrong and what to do.
    """


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained network with what is needed to ask it: pictures (B, 3, side, side) in
    [0, 1] → logits (B, classes).
    """

    name: str
    network: nn.Module  # in evaluation mode; shared by all who ask for it
    classes: tuple[str, ...]
    side: int
    card: dict[str, Any]

    @property
    def key(self) -> str:
        """What identifies it: weights that are replaced under the same name have
        another.
        """
        return f"{self.name} {self.card.get('sha256', '')}"


@dataclass(frozen=True)
class ClassifierSpec:
    """What one checkpoint that ships is trained on."""

    pictures: Callable[[int], data.Dataset]  # of a seed; raises DataError
    hyperparameters: Hyperparameters
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class TrainedCheckpoint:
    """A trained network of another kind than a classifier, and what its card is to say
    of it.
    """

    network: nn.Module
    # kind, architecture, arguments, data {name, fingerprint}, steps, metrics, and whatever building
    # it again needs
    about: dict[str, Any]


@dataclass(frozen=True)
class CheckpointSpec:
    """How an idea makes a network that it ships: `make(seed, hyperparameters, report)`; may
    raise SettingError, DataError, CheckpointError.
    """

    hyperparameters: Config
    make: Callable[[int, Any, ProgressCallback | None], TrainedCheckpoint]


def _scenes(rho: float, label: str, seed: int) -> data.Dataset:
    """Scenes whose corner tag agrees with the class as often as `rho` says; those of
    the test part carry tags that tell as much.
    """
    config = ScenesConfig(rho=rho, label=label)
    taught, tested = (
        scenes.generate(config, count, seed, part).as_images()
        for part, count in (("taught", 6000), ("tested", 2000))
    )
    return data.Dataset(f"scenes, ρ = {rho:g}", taught, tested, content_fingerprint(taught, tested))


PHOTOGRAPHS = Hyperparameters(
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
SCENES = Hyperparameters(
    width=8, epochs=10, small_epochs=0, batch_size=32, peak_rate=0.02, shift=2, smoothing=0.0, bfloat16=False
)
OF_SCENES = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)
CLASSIFIER_SPECS = {
    "cifar10": ClassifierSpec(
        lambda _: data.load("cifar10"), PHOTOGRAPHS, (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
    ),
    # the tag tells nothing: it uses the object
    "scenes": ClassifierSpec(partial(_scenes, 0.25, "silhouette"), SCENES, *OF_SCENES),
    # the tag always names the class: it reads the tag
    "scenes-tagged": ClassifierSpec(partial(_scenes, 1.0, "silhouette"), SCENES, *OF_SCENES),
    # the class is the texture, the silhouette tells nothing
    "scenes-texture": ClassifierSpec(partial(_scenes, 0.25, "texture"), SCENES, *OF_SCENES),
}


def names(kind: str | None = CLASSIFIER) -> list[str]:
    """Every checkpoint of that kind that ships, seed by seed; of every kind where it is
    None.
    """
    found = ((path, path.parent.relative_to(FOLDER).as_posix()) for path in FOLDER.glob(f"**/{CARD}"))
    return sorted(name for path, name in found if kind is None or _kind(path, path.stat().st_mtime) == kind)


@cache
def _kind(path: Path, _: float) -> str:
    return json.loads(path.read_text(encoding="utf-8")).get("kind", CLASSIFIER)


def load_network(name: str, build: Callable[[dict[str, Any]], nn.Module]) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a checkpoint that ships, of whatever kind, built from its card,
    with its verified weights; and the card.

    In evaluation mode and without gradients of its weights. Raises CheckpointError.
    """
    if name not in names(None):
        raise CheckpointError(
            f"There is no checkpoint {name!r}; there are {', '.join(names(None)) or 'none'}."
        )
    card, content = _card_and_weights(FOLDER / name, name, ("architecture", "arguments"))
    network = build(card).to(memory_format=torch.channels_last)
    load_weights(network, _tensors(content, name), name)
    return network.eval().requires_grad_(False), card


def load(name: str) -> Classifier:
    """The classifier of that name, read once; `cifar10` is the average of its seeds.
    Raises CheckpointError.
    """
    if name in names():
        return _read(name)
    members = [each for each in names() if each.startswith(f"{name}/")]
    if not members:
        raise CheckpointError(f"There is no model {name!r}; there are {', '.join(_offered()) or 'none'}.")
    return _averaged(name, tuple(members))


def members(name: str) -> list[Classifier]:
    """The classifiers behind a name: the seeds of `cifar10`, or the one that is named."""
    return [load(each) for each in names() if each == name or each.startswith(f"{name}/")]


@cache
def _read(name: str) -> Classifier:
    return read(FOLDER / name, name)


@cache
def _averaged(name: str, members: tuple[str, ...]) -> Classifier:
    each = [_read(member) for member in members]
    first = each[0]
    shared = {key: first.card[key] for key in ("architecture", "arguments", "classes", "input")}
    if any(other.card[key] != value for other in each for key, value in shared.items()):
        raise CheckpointError(
            f"The seeds of {name} do not have the same architecture, classes and input: train them again."
        )
    card = shared | {"data": first.card["data"], "members": list(members)}
    return Classifier(name, average([other.network for other in each]), first.classes, first.side, card)


@torch.no_grad()
def average(networks: Sequence[nn.Module]) -> nn.Module:
    """The mean of several networks' logits as one network of their architecture, their
    channels side by side in groups.

    A layer of it is that layer of all of them: Grad-CAM reads it in all, and where it
    is randomised it is so in all. It takes about as long as they do one after the
    other. For networks of `ARCHITECTURES`: a linear layer is taken as the last one.
    """
    whole, count = copy.deepcopy(networks[0]), len(networks)
    first = next(iter(convolutions(whole)))  # all of them see the one picture
    for name, module in whole.named_modules():
        own = [network.get_submodule(name) for network in networks]
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            for key in (key for key, value in module.state_dict().items() if value.ndim):
                getattr(module, key).data = torch.cat([getattr(each, key) for each in own])
        if isinstance(module, nn.Conv2d):
            module.out_channels *= count
            if name != first:
                module.in_channels, module.groups = count * module.in_channels, count
        elif isinstance(module, nn.BatchNorm2d):
            module.num_features *= count
        elif isinstance(module, nn.Linear):
            module.in_features *= count
            module.weight.data = torch.cat([each.weight for each in own], dim=1) / count
            module.bias.data = torch.stack([each.bias for each in own]).mean(0)
    return whole.eval()


def read(folder: Path, name: str) -> Classifier:
    """The classifier in a folder, its checksum verified. Raises CheckpointError naming
    what does not fit.
    """
    card, content = _card_and_weights(folder, name, CLASSIFIER_KEYS)
    network = build(card, name).to(memory_format=torch.channels_last)  # half the time on a processor
    load_weights(network, _tensors(content, name), name)
    return Classifier(
        name, network.eval().requires_grad_(False), tuple(card["classes"]), int(card["input"]["size"]), card
    )


def _card_and_weights(folder: Path, name: str, wanted: Sequence[str]) -> tuple[dict[str, Any], bytes]:
    """What lies in a folder, its checksum verified, or entered into the card where it
    has none.
    """
    card, weights = read_card(folder, name, wanted), folder / WEIGHTS
    try:
        content = weights.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"The weights of {name} cannot be read ({error.strerror}): put {WEIGHTS} beside its {CARD}."
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if card.setdefault("sha256", digest) != digest:
        raise CheckpointError(
            f"The weights of {name} are not those its card describes (another SHA-256): train or fetch them"
            " again."
        )
    return card, content


def _tensors(content: bytes, name: str) -> dict[str, torch.Tensor]:
    try:
        return tensors_of(content)
    except SafetensorError as error:
        raise CheckpointError(
            f"The weights of {name} are no safetensors file ({error}): save them again."
        ) from error


def read_card(folder: Path, name: str, wanted: Sequence[str] = CLASSIFIER_KEYS) -> dict[str, Any]:
    """What is written about a checkpoint. Raises CheckpointError when something that is
    wanted is missing.
    """
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"The card of {name} cannot be read ({type(error).__name__}): it must be a JSON object in {CARD}."
        ) from error
    missing = [key for key in wanted if not isinstance(card, dict) or key not in card]
    if missing:
        raise CheckpointError(
            f"The card of {name} lacks {', '.join(missing)}: it must say {', '.join(wanted)}."
        )
    if "input" not in wanted:
        return card
    inner = [
        key
        for key in ("size", "mean", "std")
        if not isinstance(card["input"], dict) or key not in card["input"]
    ]
    if inner:
        raise CheckpointError(
            f"The card of {name} lacks input.{inner[0]}: input must say size, mean and std."
        )
    return card


def build(card: dict[str, Any], name: str) -> nn.Module:
    """The network a card names, with no trained weights yet: this project's own or one
    of torchvision's.
    """
    mean, std, count = card["input"]["mean"], card["input"]["std"], len(card["classes"])
    if card["architecture"] in classifiers.ARCHITECTURES:
        return classifiers.ARCHITECTURES[card["architecture"]](
            **card["arguments"], classes=count, mean=mean, std=std
        )
    from mlcv_explore.torchvision_compat import models

    if card["architecture"] not in models.list_models(module=models):
        raise CheckpointError(
            f"The card of {name} names the architecture {card['architecture']!r:.80}, which neither"
            " torchvision nor this project has."
        )
    with torch.random.fork_rng(devices=[]):
        network = models.get_model(
            card["architecture"], weights=None, num_classes=count, **card.get("arguments", {})
        )
    return nn.Sequential(classifiers.Normalise(mean, std), network)


def load_weights(network: nn.Module, tensors: dict[str, torch.Tensor], name: str) -> None:
    """Put tensors into a network, in place. Raises CheckpointError naming the first
    that differs.

    Those of a network that is wrapped behind its normalisation may be named as the
    network itself names them.
    """
    own = network.state_dict()
    if own and all(key.startswith("1.") for key in own) and not any(key.startswith("1.") for key in tensors):
        tensors = {f"1.{key}": value for key, value in tensors.items()}
    wrapped = (
        isinstance(network, nn.Sequential)
        and len(network) == 2
        and isinstance(network[0], classifiers.Normalise)
    )
    shown = (lambda key: key.removeprefix("1.")) if wrapped else str
    for key, value in own.items():
        if key not in tensors:
            raise CheckpointError(
                f"The weights of {name} do not fit its card: the tensor {shown(key)!r} {list(value.shape)} is"
                " missing."
            )
        if tensors[key].shape != value.shape:
            there, here = list(tensors[key].shape), list(value.shape)
            raise CheckpointError(
                f"The weights of {name} do not fit its card: the tensor {shown(key)!r} is {there}, the"
                f" architecture has {here}."
            )
    extra = next((key for key in tensors if key not in own), None)
    if extra is not None:
        raise CheckpointError(
            f"The weights of {name} do not fit its card: the architecture has no tensor {shown(extra)!r}."
        )
    network.load_state_dict({key: value.to(own[key].dtype) for key, value in tensors.items()})


def spec(name: str) -> ClassifierSpec | CheckpointSpec:
    """How a checkpoint that ships is made. Raises SettingError when there is none of
    that name.
    """
    if name in CLASSIFIER_SPECS:
        return CLASSIFIER_SPECS[name]
    made = {
        each: making for card in idea.cards() for each, making in idea.load(card.slug).checkpoints().items()
    }
    if name not in made:
        raise SettingError(
            f"There is no checkpoint {name!r} to train; there are {', '.join([*CLASSIFIER_SPECS, *made])}."
        )
    return made[name]


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
    made = chosen.make(seed, hyperparameters, report)
    content = save({key: value.contiguous() for key, value in _half(made.network).items()})
    return _written(
        name,
        seed,
        hyperparameters,
        out,
        content,
        made.about | _counted(made.network, time.perf_counter() - started),
    )


def _train_classifier(
    chosen: ClassifierSpec,
    name: str,
    seed: int,
    hyperparameters: Hyperparameters,
    out: Path | None,
    report: ProgressCallback | None,
) -> dict[str, Any]:
    """Every epoch is kept under MLCV_HOME until the end, so that a training that was
    stopped goes on.

    The card's accuracy is that of the stored weights.
    """
    dataset = chosen.pictures(seed)
    if dataset.test is None:
        raise SettingError(f"{dataset.name} has no official test part.")
    classes = dataset.train.classes
    state = classifiers.trainer(
        hyperparameters, len(classes), chosen.mean, chosen.std, seed, dataset.train.images
    )
    kept = (
        runs.home() / "training" / f"{name}-{seed}-{hyperparameters.key()}-{dataset.fingerprint}.safetensors"
    )
    seconds = _resumed(state, kept)
    started = time.perf_counter() - seconds
    for done, loss, accuracy in classifiers.epochs(
        hyperparameters, state, dataset.train.images, dataset.train.labels, seed
    ):
        _keep(kept, save({**state.tensors(), "seconds": torch.tensor(time.perf_counter() - started)}))
        if report is not None:
            report(done, hyperparameters.epochs, loss, accuracy)
    stored = _half(state.network)
    content = save({key: value.contiguous() for key, value in stored.items()})
    load_weights(state.network, stored, f"{name}/{seed}")
    about = {
        "architecture": hyperparameters.architecture,
        "arguments": {"width": hyperparameters.width},
        "classes": list(classes),
        "input": {"size": dataset.train.images.shape[-1], "mean": list(chosen.mean), "std": list(chosen.std)},
        "data": {"name": dataset.name, "fingerprint": dataset.fingerprint},
        "steps": hyperparameters.epochs * math.ceil(len(dataset.train) / hyperparameters.batch_size),
        "products": "bfloat16" if hyperparameters.bfloat16 and environment.has_bfloat16() else "float32",
        "metrics": {
            "test_accuracy": accuracy_of(state.network, dataset.test),
            "test_size": len(dataset.test),
        },
    }
    card = _written(
        name,
        seed,
        hyperparameters,
        out,
        content,
        about | _counted(state.network, time.perf_counter() - started),
    )
    kept.unlink(missing_ok=True)
    return card


def _half(network: nn.Module) -> dict[str, torch.Tensor]:
    return {
        key: value.to(torch.float16) if value.is_floating_point() else value
        for key, value in network.state_dict().items()
    }


def _counted(network: nn.Module, seconds: float) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 1),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }


def _written(
    name: str, seed: int, hyperparameters: Config, out: Path | None, content: bytes, about: dict[str, Any]
) -> dict[str, Any]:
    """Weights and card into their folder, each whole or not at all; returns the card."""
    made = {
        "recipe": hyperparameters.model_dump(),
        "versions": runs.versions(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    card = (
        {"name": f"{name}/{seed}", "seed": seed}
        | about
        | made
        | {"command": _command(name, seed, hyperparameters)}
    )
    folder = (FOLDER if out is None else out) / name / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    _keep(folder / WEIGHTS, content)
    _keep(folder / CARD, (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode())
    return card


def accuracy_of(network: nn.Module, pictures: data.Images) -> float:
    """Share of the pictures given their own label, in [0, 1]."""
    predicted = classifiers.predict_logits(network, pictures.images).argmax(1).numpy()
    return float((predicted == pictures.labels).mean())


def _command(name: str, seed: int, hyperparameters: Config) -> str:
    planned = spec(name).hyperparameters.model_dump()
    changes = [
        f"--{key} {value}" for key, value in hyperparameters.model_dump().items() if value != planned[key]
    ]
    return " ".join([f"python -m mlcv_explore train {name} --seed {seed}", *changes])


def _resumed(state: classifiers.ClassifierTrainer, kept: Path) -> float:
    """Go on where a training was left; returns the seconds it had taken, 0 when there
    is nothing to go on with.
    """
    if not kept.is_file():
        return 0.0
    try:
        tensors = load_file(kept)
    except SafetensorError:
        return 0.0
    seconds = float(tensors.pop("seconds"))
    state.restore(tensors)
    return seconds


def _keep(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


def _offered() -> list[str]:
    return sorted({name.split("/")[0] for name in names()} | set(names()))
