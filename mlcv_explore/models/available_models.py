"""The available classifiers: shipped ones, an ImageNet network from a pip package,
torchvision's on ImageNet (downloaded once, on request), and the user's own.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from mlcv_explore import environment, files
from mlcv_explore.models import checkpoints, classifiers, imagenet
from mlcv_explore.models.checkpoints import CheckpointError, Classifier

IMAGENET = ("resnet18", "resnet50", "mobilenet_v3_large", "convnext_tiny", "vit_b_16")
CURE = "check the network connection and try again, or use a model that is here"


@dataclass(frozen=True)
class AvailableModel:
    """A classifier that can be chosen, and whether its weights are present."""

    name: str
    origin: str  # "ships", "torchvision" or "own"
    present: bool
    sentence: str


def listing() -> list[AvailableModel]:
    """All available classifiers: shipped averages and single seeds, the installed
    ImageNet network, own models, torchvision's.
    """
    shipped = sorted({name.split("/")[0] for name in checkpoints.names()} | set(checkpoints.names()))
    models = [AvailableModel(name, "ships", True, _description(name)) for name in shipped]
    if imagenet.NAME not in own_names():
        here = imagenet.present()
        sentence = imagenet.SENTENCE if here else f"ImageNet; a package is missing, {imagenet.INSTALL}"
        models.append(AvailableModel(imagenet.NAME, "ships", here, sentence))
    models += [
        AvailableModel(name, "own", True, f"your own, from MLCV_MODELS/{name}") for name in own_names()
    ]
    for name in IMAGENET:
        here = weights_file(name).is_file()
        models.append(
            AvailableModel(
                name,
                "torchvision",
                here,
                "ImageNet, 1,000 classes" if here else "ImageNet; weights are downloaded once when chosen",
            )
        )
    return models


def load(name: str, progress: Callable[[int, int], None] | None = None) -> Classifier:
    """The classifier of that name. torchvision's weights are downloaded if absent;
    `progress` receives the bytes so far and in all.

    Raises CheckpointError, one sentence.
    """
    if name in own_names():
        parts = (_own_root() / name / part for part in (checkpoints.WEIGHTS, checkpoints.CARD))
        return _own(name, _own_root() / name, tuple(part.stat().st_mtime for part in parts if part.exists()))
    if name == imagenet.NAME:
        return imagenet.load()
    if name in IMAGENET:
        if not weights_file(name).is_file():
            fetch(name, progress)
        return _imagenet(name, weights_file(name).stat().st_mtime)
    try:
        return checkpoints.load(name)
    except CheckpointError as error:
        if str(error).startswith("There is no model"):
            raise CheckpointError(
                f"There is no model {name!r:.80}; there are {', '.join(model.name for model in listing())}."
            ) from None
        raise


def own_names() -> list[str]:
    """The folders of MLCV_MODELS that have a card, by name; none when it is unset."""
    root = _own_root()
    return sorted(path.parent.name for path in root.glob(f"*/{checkpoints.CARD}")) if root else []


def weights_file(name: str) -> Path:
    """The cached file of torchvision's weights of that name."""
    return environment.home() / "weights" / f"{name}.pth"


def fetch(name: str, progress: Callable[[int, int], None] | None = None) -> None:
    """Fetch torchvision's ImageNet weights into MLCV_HOME; nothing incomplete stays.
    Raises CheckpointError, one sentence.
    """
    if os.environ.get("MLCV_PUBLIC") == "1":
        raise CheckpointError(
            f"{name} cannot be fetched here: a public server downloads nothing, run the app on your own"
            " machine."
        )
    address, beginning = remote_file(name)
    path = weights_file(name)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.fetch(address, part, progress or (lambda *_: None))
        if not _sha256(part).startswith(beginning):
            raise CheckpointError(f"The weights of {name} came damaged (another SHA-256): {CURE}.")
        part.replace(path)
    except OSError as error:  # the network's and the disk's
        raise CheckpointError(f"The weights of {name} could not be fetched ({error}): {CURE}.") from error
    finally:
        part.unlink(missing_ok=True)


def remote_file(name: str) -> tuple[str, str]:
    """The URL of torchvision's weights, and the first digits of their SHA-256."""
    address = _weights(name).url
    return address, address.rsplit("-", 1)[-1].removesuffix(".pth")


def _description(name: str) -> str:
    members = [member for member in checkpoints.names() if member == name or member.startswith(f"{name}/")]
    cards = [checkpoints.read_card(checkpoints.FOLDER / member, member) for member in members]
    accuracy = sum(card["metrics"]["test_accuracy"] for card in cards) / len(cards)
    mean = (
        f"the average of {len(cards)} seeds, mean accuracy {accuracy:.1%}"
        if len(cards) > 1
        else f"accuracy {accuracy:.1%}"
    )
    return f"{cards[0]['data']['name']}, {len(cards[0]['classes'])} classes, {mean} on test images"


def _own_root() -> Path | None:
    return Path(os.environ["MLCV_MODELS"]).expanduser() if os.environ.get("MLCV_MODELS") else None


@cache
def _own(name: str, folder: Path, _: tuple[float, ...]) -> Classifier:
    return checkpoints.read(folder, name)


@cache
def _imagenet(name: str, _: float) -> Classifier:
    from mlcv_explore.torchvision_compat import models

    weights = _weights(name)
    preset = weights.transforms()
    try:
        tensors = torch.load(weights_file(name), map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged archive raises is open-ended
        cure = f"remove {weights_file(name).name} there and choose it again"
        raise CheckpointError(
            f"The weights of {name} in MLCV_HOME are damaged ({type(error).__name__}): {cure}."
        ) from error
    side = int(preset.crop_size[0])
    card: dict[str, Any] = {
        "name": name,
        "architecture": name,
        "classes": list(weights.meta["categories"]),
        "input": {"size": side, "mean": list(preset.mean), "std": list(preset.std)},
        "data": {"name": "ImageNet-1K"},
        "metrics": {"test_accuracy": next(iter(weights.meta["_metrics"].values()))["acc@1"] / 100},
    }
    with torch.random.fork_rng(devices=[]):
        network = torch.nn.Sequential(
            classifiers.Normalise(preset.mean, preset.std), models.get_model(name, weights=None)
        )
    checkpoints.load_weights(network, tensors, name)
    return Classifier(name, network.eval().requires_grad_(False), tuple(card["classes"]), side, card)


def _weights(name: str) -> Any:
    from mlcv_explore.torchvision_compat import models

    return models.get_model_weights(name).DEFAULT


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
