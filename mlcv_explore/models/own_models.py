"""Models of the reader's own, as people have them: a folder with a card and weights.

The card names an architecture of this project, of torchvision or of timm. Weights are
read as tensors alone, of any floating-point type, with or without the names that
wrappers put before theirs. A head of one logit is a classifier of two classes.
"""

import hashlib
import io
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as tensors_of
from torch import nn

from mlcv_explore.models import architectures, checkpoints, classifiers
from mlcv_explore.models.checkpoints import CheckpointError, Classifier

FILES = ("weights.safetensors", "weights.pth", "weights.pt")  # the first that is there is read
SIDES = (8, 1024)  # pixels
MOST_CLASSES = 100_000
RESAMPLINGS = ("bilinear", "bicubic")
WRAPPERS = ("state_dict", "model_state_dict", "model")  # entries of a file that hold the weights
PREFIXES = ("module.", "_orig_mod.", "model.", "1.")  # of data parallelism, compilation, a wrapper


class BinaryLogits(nn.Module):
    """Two logits of one: x → (−x/2, x/2), whose softmax is the sigmoid of −x and of x."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """(B, 1) → (B, 2)."""
        return torch.cat([-logits / 2, logits / 2], dim=1)


def read(folder: Path, name: str) -> Classifier:
    """The classifier in a folder of `card.json` and one of `FILES`.

    Raises CheckpointError: one sentence that names the file and what does not fit.
    """
    card = checkpoints.read_card(folder, name, ("architecture", "input"))
    _check_input(card["input"], name)
    path = weights_file(folder)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"The weights of {name} cannot be read ({error.strerror}): put {FILES[0]} beside its"
            f" {checkpoints.CARD}."
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if card.setdefault("sha256", digest) != digest:
        raise CheckpointError(
            f"The weights of {name} are not those its card describes (another SHA-256): put the right"
            f" {path.name} there, or leave sha256 out of its {checkpoints.CARD}."
        )
    network, classes = _network(card, _tensors(content, path.suffix, f"{name}/{path.name}"), name, path.name)
    network = network.to(memory_format=torch.channels_last).eval().requires_grad_(False)
    side = card["input"]["size"]
    _check_logits(network, card["architecture"], side, len(classes), name)
    return Classifier(name, network, tuple(classes), side, card | {"classes": classes})


def weights_file(folder: Path) -> Path:
    """The weights in a folder: the first of `FILES` that is there, or where it should be."""
    return next((folder / name for name in FILES if (folder / name).is_file()), folder / FILES[0])


def class_names(stated: Any, name: str) -> list[str] | None:
    """The class names of a card, which may be a list, {"0": "cat"}, or {"0": ["n02123045",
    "tabby"]}; None where it states none. Equal names are numbered: "crane (134)".

    Raises CheckpointError, one sentence.
    """
    if stated is None:
        return None
    if isinstance(stated, dict):
        numbers = [str(number) for number in range(len(stated))]
        missing = next((number for number in numbers if number not in stated), None)
        if missing is not None:
            raise CheckpointError(
                f"The card of {name} must number its {len(stated)} classes from 0 to {len(stated) - 1}, and"
                f" {missing!r} is missing."
            )
        stated = [stated[number] for number in numbers]
    if not isinstance(stated, list) or not stated:
        raise CheckpointError(
            f"The card of {name} must state classes as a list of names, or as an object of numbers and names,"
            f" got {stated!r:.80}."
        )
    # "n02123045" or ["n02123045", "tabby"], as ImageNet's own files have them
    names = [entry[-1] if isinstance(entry, list) and entry else entry for entry in stated]
    wrong = next((entry for entry in names if not isinstance(entry, str) or not entry.strip()), None)
    if wrong is not None or None in names:
        raise CheckpointError(f"The card of {name} must name each class by a text, got {wrong!r:.80}.")
    return _told_apart([" ".join(entry.split()) for entry in names])


def _told_apart(names: list[str]) -> list[str]:
    while max((counts := Counter(names)).values()) > 1:
        names = [f"{name} ({number})" if counts[name] > 1 else name for number, name in enumerate(names)]
    return names


def _check_input(stated: dict[str, Any], name: str) -> None:
    low, high = SIDES
    size = stated["size"]
    if not isinstance(size, int) or not low <= size <= high:
        raise CheckpointError(
            f"The card of {name} must state input.size as one whole number of pixels from {low} to {high:,},"
            f" got {size!r:.80}."
        )
    for key in ("mean", "std"):
        values = stated[key]
        numbers = isinstance(values, list) and len(values) == 3 and all(map(_is_number, values))
        if not numbers or (key == "std" and min(values) <= 0):
            above = " above 0" if key == "std" else ""
            raise CheckpointError(
                f"The card of {name} must state input.{key} as three numbers{above}, for red, green and blue"
                f" in [0, 1], got {values!r:.80}."
            )
    crop = stated.get("crop", 1)
    if not _is_number(crop) or not 0 < crop <= 1:
        raise CheckpointError(
            f"The card of {name} must state input.crop as a share of the shorter side above 0 and up to 1,"
            f" got {crop!r:.80}."
        )
    if stated.get("resampling", RESAMPLINGS[0]) not in RESAMPLINGS:
        raise CheckpointError(
            f"The card of {name} must state input.resampling as {' or '.join(RESAMPLINGS)}, got"
            f" {stated['resampling']!r:.80}."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _tensors(content: bytes, suffix: str, source: str) -> dict[str, torch.Tensor]:
    """The tensors of a file by name, freed of what wraps them."""
    cure = "save its state dict, with safetensors or torch.save(model.state_dict(), …)"
    try:
        if suffix == ".safetensors":
            found: Any = tensors_of(content)
        else:
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged or a foreign file raises is open-ended
        held = re.search(r"GLOBAL (\S+)", str(error))  # the class that torch refused to make
        reason = f"it holds {held[1]}" if held else type(error).__name__
        raise CheckpointError(
            f"The weights of {source} cannot be read as tensors alone ({reason}): {cure}."
        ) from error
    while isinstance(found, Mapping):
        wrapper = next((key for key in WRAPPERS if isinstance(found.get(key), Mapping)), None)
        if wrapper is None:
            break
        found = found[wrapper]
    if not isinstance(found, Mapping) or not found:
        raise CheckpointError(f"The weights of {source} hold no tensors by name: {cure}.")
    for key, value in found.items():
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_quantized:
            raise CheckpointError(
                f"The weights of {source} hold {str(key)!r:.80}, which is no plain tensor: {cure}."
            )
    return {str(key): value for key, value in found.items()}


def _network(
    card: dict[str, Any], tensors: dict[str, torch.Tensor], name: str, file: str
) -> tuple[nn.Module, list[str]]:
    """The network with its weights, and its classes: named by the card, numbered where
    it names none.
    """
    classes = class_names(card.get("classes"), name)
    count = len(classes) if classes else 2
    network = architectures.create(card, count, name)
    own = _bare_names(network)
    tensors = _without_prefixes(tensors, own)
    # batches seen in training, which older files lack and evaluation does not use
    tensors |= {
        key: torch.tensor(0) for key in own if key.endswith("num_batches_tracked") and key not in tensors
    }
    head = own[-1]  # the bias of the last layer, or its weights
    rows = len(tensors[head]) if head in tensors and tensors[head].ndim else count
    if rows > MOST_CLASSES:
        raise CheckpointError(
            f"The weights of {name}/{file} do not fit its card: the tensor {head!r} has {rows:,} rows, a"
            f" classifier at most {MOST_CLASSES:,}."
        )
    classes = classes or [f"class {number}" for number in range(max(2, rows))]
    binary = rows == 1 and len(classes) <= 2
    if not binary and rows != len(classes):
        weight = head.removesuffix("bias") + "weight" if head.endswith("bias") else head
        shape = list(tensors.get(weight, tensors[head]).shape)
        raise CheckpointError(
            f"The card of {name} names {len(classes)} classes, and {file} has {rows}: the tensor {weight!r}"
            f" is {shape}, the architecture has {[len(classes), *shape[1:]]}."
        )
    if rows != count:
        network = architectures.create(card, rows, name)
    checkpoints.load_weights(network, tensors, f"{name}/{file}")
    if not binary:
        return network, classes
    if len(classes) == 1:
        classes = [f"not {classes[0]}", classes[0]]
    parts = network if isinstance(network[0], classifiers.Normalise) and len(network) == 2 else [network]
    return nn.Sequential(*parts, BinaryLogits()), classes


def _bare_names(network: nn.Module) -> list[str]:
    """The names of its tensors, as its library has them."""
    names = list(network.state_dict())
    wrapped = all(name.startswith("1.") for name in names)
    return [name.removeprefix("1.") for name in names] if wrapped else names


def _without_prefixes(tensors: dict[str, torch.Tensor], own: Sequence[str]) -> dict[str, torch.Tensor]:
    """The tensors without prefixes that all of them have and the network's own have not."""
    while prefix := next(
        (
            prefix
            for prefix in PREFIXES
            if all(name.startswith(prefix) for name in tensors)
            and not any(name.startswith(prefix) for name in own)
        ),
        "",
    ):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return dict(tensors)


def _check_logits(network: nn.Module, architecture: str, side: int, count: int, name: str) -> None:
    """Raises CheckpointError where a black image of this size has not one finite logit per
    class.
    """
    try:
        with torch.no_grad():
            logits = network(torch.zeros(1, 3, side, side))
    except Exception as error:  # what an architecture raises for a size is open-ended
        raise CheckpointError(
            f"The card of {name} states input.size {side}, which {architecture} does not take"
            f" ({architectures.shortened(error)}): state the size it was trained at, or give that size in its"
            " arguments."
        ) from error
    if not isinstance(logits, torch.Tensor) or logits.shape != (1, count):
        shape = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise CheckpointError(
            f"The model {name} returns {shape} for one image and not one logit for each of {count} classes:"
            f" {architecture} must be a classifier."
        )
    if not logits.isfinite().all():
        raise CheckpointError(
            f"The weights of {name} give logits that are not finite: save them again, in float32."
        )
