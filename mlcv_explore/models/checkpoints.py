"""Reading checkpoints: cards, verified weights, and the networks built from them.

A checkpoint is a folder of `weights.safetensors` and `card.json`. `cifar10/0` is one
seed, `cifar10` the average of all. Most are classifiers. An idea may ship networks of
other kinds: it declares a CheckpointSpec for each and builds it from its card.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from torch import nn

from mlcv_explore.config import Config
from mlcv_explore.models import classifiers
from mlcv_explore.models.layers import convolutions

FOLDER = Path(__file__).parent.parent.parent / "checkpoints"
WEIGHTS, CARD = "weights.safetensors", "card.json"
CLASSIFIER_KEYS = ("architecture", "classes", "input")  # required on the card of a classifier
CLASSIFIER = "classifier"  # the kind where a card states none
# (epochs or steps done, in all, training loss, training accuracy or another score)
ProgressCallback = Callable[[int, int, float, float], None]


class CheckpointError(ValueError):
    """A checkpoint that cannot be used. The text is one sentence: what is wrong and
    what to do.
    """


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained network with classes and input size: images (B, 3, side, side) in [0,
    1] → logits (B, classes).
    """

    name: str
    network: nn.Module  # in evaluation mode, shared by all callers
    classes: tuple[str, ...]
    side: int
    card: dict[str, Any]

    @property
    def key(self) -> str:
        """Cache key of name and weights: replaced weights have another."""
        return f"{self.name} {self.card.get('sha256', '')}"


@dataclass(frozen=True, eq=False)
class TrainedCheckpoint:
    """A trained network of another kind than a classifier, and the entries of its card."""

    network: nn.Module
    # kind, architecture, arguments, data {name, fingerprint}, steps, metrics, and what building needs
    about: dict[str, Any]


@dataclass(frozen=True)
class CheckpointSpec:
    """How an idea trains a network that it ships: `make(seed, hyperparameters,
    report)`. May raise SettingError, DataError, CheckpointError.
    """

    hyperparameters: Config
    make: Callable[[int, Any, ProgressCallback | None], TrainedCheckpoint]


def names(kind: str | None = CLASSIFIER) -> list[str]:
    """The shipped checkpoints of a kind, seed by seed; of every kind where it is None."""
    paths = ((path, path.parent.relative_to(FOLDER).as_posix()) for path in FOLDER.glob(f"**/{CARD}"))
    return sorted(name for path, name in paths if kind is None or _kind(path, path.stat().st_mtime) == kind)


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
    members = [member for member in names() if member.startswith(f"{name}/")]
    if not members:
        raise CheckpointError(f"There is no model {name!r}; there are {', '.join(_listed()) or 'none'}.")
    return _averaged(name, tuple(members))


def members(name: str) -> list[Classifier]:
    """The classifiers of a name: the seeds of `cifar10`, or the one that is named."""
    return [load(member) for member in names() if member == name or member.startswith(f"{name}/")]


@cache
def _read(name: str) -> Classifier:
    return read(FOLDER / name, name)


@cache
def _averaged(name: str, members: tuple[str, ...]) -> Classifier:
    loaded = [_read(member) for member in members]
    first = loaded[0]
    shared = {key: first.card[key] for key in ("architecture", "arguments", "classes", "input")}
    if any(other.card[key] != value for other in loaded for key, value in shared.items()):
        raise CheckpointError(
            f"The seeds of {name} do not have the same architecture, classes and input: train them again."
        )
    card = shared | {"data": first.card["data"], "members": list(members)}
    return Classifier(name, average([other.network for other in loaded]), first.classes, first.side, card)


@torch.no_grad()
def average(networks: Sequence[nn.Module]) -> nn.Module:
    """The mean of several networks' logits as one network of their architecture, their
    channels side by side in groups.

    A layer of it is that layer of all of them: Grad-CAM reads it in all, and where it
    is randomised it is so in all. It takes about as long as they do one after the
    other. For networks of `ARCHITECTURES`: a linear layer is taken as the last one.
    """
    whole, count = copy.deepcopy(networks[0]), len(networks)
    first = next(iter(convolutions(whole)))  # all members read the same image
    for name, module in whole.named_modules():
        own = [network.get_submodule(name) for network in networks]
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            for key in (key for key, value in module.state_dict().items() if value.ndim):
                getattr(module, key).data = torch.cat([getattr(part, key) for part in own])
        if isinstance(module, nn.Conv2d):
            module.out_channels *= count
            if name != first:
                module.in_channels, module.groups = count * module.in_channels, count
        elif isinstance(module, nn.BatchNorm2d):
            module.num_features *= count
        elif isinstance(module, nn.Linear):
            module.in_features *= count
            module.weight.data = torch.cat([part.weight for part in own], dim=1) / count
            module.bias.data = torch.stack([part.bias for part in own]).mean(0)
    return whole.eval()


def read(folder: Path, name: str) -> Classifier:
    """The classifier in a folder, its checksum verified. Raises CheckpointError naming
    what does not fit.
    """
    card, content = _card_and_weights(folder, name, CLASSIFIER_KEYS)
    network = build(card, name).to(memory_format=torch.channels_last)  # half the time on a CPU
    load_weights(network, _tensors(content, name), name)
    return Classifier(
        name, network.eval().requires_grad_(False), tuple(card["classes"]), int(card["input"]["size"]), card
    )


def _card_and_weights(folder: Path, name: str, required: Sequence[str]) -> tuple[dict[str, Any], bytes]:
    """Card and weights of a folder, the checksum verified, or added to the card where
    it has none.
    """
    card, weights = read_card(folder, name, required), folder / WEIGHTS
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


def read_card(folder: Path, name: str, required: Sequence[str] = CLASSIFIER_KEYS) -> dict[str, Any]:
    """The card of a checkpoint. Raises CheckpointError when a required entry is
    missing.
    """
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"The card of {name} cannot be read ({type(error).__name__}): it must be a JSON object in {CARD}."
        ) from error
    missing = [key for key in required if not isinstance(card, dict) or key not in card]
    if missing:
        raise CheckpointError(
            f"The card of {name} lacks {', '.join(missing)}: it must state {', '.join(required)}."
        )
    if "input" not in required:
        return card
    missing = [
        key
        for key in ("size", "mean", "std")
        if not isinstance(card["input"], dict) or key not in card["input"]
    ]
    if missing:
        raise CheckpointError(
            f"The card of {name} lacks input.{missing[0]}: input must state size, mean and std."
        )
    return card


def build(card: dict[str, Any], name: str) -> nn.Module:
    """The untrained network of a card's architecture, of this project or of
    torchvision.
    """
    mean, std, count = card["input"]["mean"], card["input"]["std"], len(card["classes"])
    if card["architecture"] in classifiers.ARCHITECTURES:
        return classifiers.ARCHITECTURES[card["architecture"]](
            **card["arguments"], classes=count, mean=mean, std=std
        )
    from mlcv_explore.torchvision_compat import models

    if card["architecture"] not in models.list_models(module=models):
        raise CheckpointError(
            f"The card of {name} states the architecture {card['architecture']!r:.80}, which neither"
            " torchvision nor this project has."
        )
    with torch.random.fork_rng(devices=[]):
        network = models.get_model(
            card["architecture"], weights=None, num_classes=count, **card.get("arguments", {})
        )
    return nn.Sequential(classifiers.Normalise(mean, std), network)


def load_weights(network: nn.Module, tensors: dict[str, torch.Tensor], name: str) -> None:
    """Load tensors into a network, in place. Raises CheckpointError naming the first
    that does not fit.

    Of a network wrapped behind its normalisation they may have the names of the network
    alone.
    """
    own = network.state_dict()
    if own and all(key.startswith("1.") for key in own) and not any(key.startswith("1.") for key in tensors):
        tensors = {f"1.{key}": value for key, value in tensors.items()}
    wrapped = (
        isinstance(network, nn.Sequential)
        and len(network) == 2
        and isinstance(network[0], classifiers.Normalise)
    )
    label = (lambda key: key.removeprefix("1.")) if wrapped else str
    for key, value in own.items():
        if key not in tensors:
            raise CheckpointError(
                f"The weights of {name} do not fit its card: the tensor {label(key)!r} {list(value.shape)} is"
                " missing."
            )
        if tensors[key].shape != value.shape:
            there, here = list(tensors[key].shape), list(value.shape)
            raise CheckpointError(
                f"The weights of {name} do not fit its card: the tensor {label(key)!r} is {there}, the"
                f" architecture has {here}."
            )
    extra = next((key for key in tensors if key not in own), None)
    if extra is not None:
        raise CheckpointError(
            f"The weights of {name} do not fit its card: the architecture has no tensor {label(extra)!r}."
        )
    network.load_state_dict({key: value.to(own[key].dtype) for key, value in tensors.items()})


def _listed() -> list[str]:
    return sorted({name.split("/")[0] for name in names()} | set(names()))
